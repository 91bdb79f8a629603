//! Users' tokens: JSON Web Tokens (RFC 7519) signed by an issuer this installation trusts.
//!
//! A [`Verifier`] serves one issuer and takes either shared secrets or published keys, never both, so that no token can
//! have one mistaken for the other. What the token says of itself chooses among the keys and rules configured and never
//! adds one: keys that a token brings along or points to are grounds for refusal. The cheap checks come first, so
//! that a stranger's junk costs less than a signature; claims are not looked at before the signature holds.
//!
//! ```
//! use locule_core::auth::jwt::{Keys, Rules, Secret, Verifier, mint};
//! use locule_core::id::Subject;
//!
//! # fn main() -> locule_core::Result<()> {
//! let secret = || Secret::new(b"thirty-two bytes or more, at random".to_vec());
//! let rules = Rules::default();
//! let now = "2026-11-24T12:00:00Z".parse().expect("a moment");
//!
//! let token = mint(&secret()?, &rules, &Subject::try_from("alice")?, now, 3600)?;
//! let verifier = Verifier::new(rules, Keys::Secrets(vec![secret()?]))?;
//! assert_eq!(verifier.verify(&token, now)?.actor().name(), "alice");
//! # Ok(())
//! # }
//! ```

mod claims;
mod keys;
mod set;
mod token;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

pub use keys::{Keys, Secret};
pub use set::{KeySet, KeySource};

use self::claims::Claims;
use self::keys::Ring;
use self::token::Token;
use super::{IssuedAt, Principal, Who, refused};
use crate::audit::Actor;
use crate::id::{Identity, Issuer, Subject};
use crate::policy::Role;
use crate::{Error, Result, limit};

/// What a token must say, beyond being signed.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whose users these are. Two issuers may both have an `alice`, and they are two people.
    pub issuer: Issuer,
    /// Whether `iss` must be there. Where it need not, its absence means [`Rules::issuer`]; another issuer's name is
    /// refused either way.
    pub require_issuer: bool,
    /// The audiences that are us. A token for others only is refused, even where none is required.
    pub audiences: Vec<String>,
    /// Whether `aud` must be there.
    pub require_audience: bool,
    /// How far clocks may disagree, in seconds; at most [`Rules::LEEWAY_S_MAX`].
    pub leeway_s: u32,
    /// How long a token may live, in seconds: from `iat` to `exp`, or from now where it does not say when it was issued.
    pub lifetime_max_s: Option<u32>,
    /// The kinds of token taken (`typ`), in any case of letters. One that does not say is taken too.
    pub types: Vec<String>,
}

impl Rules {
    /// The most leeway that can be set: clocks further apart want mending.
    pub const LEEWAY_S_MAX: u32 = 60;

    /// Passes rules that can be kept.
    fn check(&self) -> Result<()> {
        if self.leeway_s > Self::LEEWAY_S_MAX {
            return Err(Error::invalid("The leeway for tokens is at most 60 seconds."));
        }
        if self.lifetime_max_s == Some(0) {
            return Err(Error::invalid("A greatest lifetime of 0 seconds refuses every token: give more, or none."));
        }
        if self.require_audience && self.audiences.is_empty() {
            return Err(Error::invalid("An audience is required of tokens, and none is configured."));
        }
        Ok(())
    }
}

impl Default for Rules {
    /// What most issuers' tokens keep: they may leave out `iss` and `aud`, and live for a day at most.
    fn default() -> Self {
        Rules {
            issuer: Issuer::default(),
            require_issuer: false,
            audiences: vec!["authenticated".to_owned()],
            require_audience: false,
            leeway_s: 30,
            lifetime_max_s: Some(24 * 60 * 60),
            types: vec!["JWT".to_owned(), "at+jwt".to_owned()],
        }
    }
}

/// Verifies the tokens of one issuer.
pub struct Verifier {
    rules: Rules,
    ring: Ring,
}

impl Verifier {
    /// One that holds tokens against these rules and keys. Fails when the rules cannot be kept, when there is no secret,
    /// and when signing and verifying do not work here at all, so that a program built wrong does not start.
    pub fn new(rules: Rules, keys: Keys) -> Result<Self> {
        rules.check()?;
        keys::self_test()?;
        Ok(Verifier { rules, ring: Ring::new(keys)? })
    }

    /// Whether this verifier is the one for tokens that claim `issuer`.
    pub fn serves(&self, issuer: Option<&str>) -> bool {
        match issuer {
            Some(issuer) => issuer == self.rules.issuer.as_str(),
            None => !self.rules.require_issuer,
        }
    }

    /// Who the token speaks for, if it verifies at `now`.
    ///
    /// Every refusal reads alike. Only when the keys cannot be had at all, which is no fault of the token, is the
    /// answer the [`KeySource`]'s own error.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal> {
        let token = Token::read(token).ok_or_else(refused)?;
        if !self.takes_type(token.header.typ.as_deref()) || !self.ring.verifies(&token, now)? {
            return Err(refused());
        }
        let claims = Claims::read(&token.payload().ok_or_else(refused)?).ok_or_else(refused)?;
        let (subject, issued_at) = claims.judge(&self.rules, now).ok_or_else(refused)?;
        let identity = Identity { issuer: self.rules.issuer.clone(), subject };
        Ok(Principal {
            who: Who::User { identity: identity.clone(), role: Role::Owner },
            actor: Actor::User(identity),
            issued_at: issued_at.map_or(IssuedAt::Unknown, IssuedAt::At),
        })
    }

    /// Whether a token is verified with what is at hand, and no issuer is asked for its keys.
    pub fn is_at_once(&self) -> bool {
        matches!(self.ring, Ring::Secrets(_))
    }

    fn takes_type(&self, typ: Option<&str>) -> bool {
        typ.is_none_or(|typ| self.rules.types.iter().any(|taken| taken.eq_ignore_ascii_case(typ)))
    }
}

/// The issuer a token claims, unverified: only to choose the verifier.
///
/// `None` for what is no token, too: whichever verifier is asked then refuses it.
pub fn claimed_issuer(token: &str) -> Option<String> {
    limit::TOKEN_BYTES.check(token.len()).ok()?;
    let mut segments = token.split('.');
    let payload = segments.nth(1)?;
    claims::issuer(&token::decode(payload)?)
}

/// A token for `subject` that a [`Verifier`] with these rules and this secret takes for the next `ttl_s` seconds.
///
/// It names its issuer always: where one is not required it does no harm, and the token stays good when one is.
pub fn mint(secret: &Secret, rules: &Rules, subject: &Subject, now: Timestamp, ttl_s: u32) -> Result<String> {
    #[derive(Serialize)]
    struct Minted<'a> {
        sub: &'a str,
        iss: &'a str,
        iat: i64,
        exp: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<&'a str>,
    }

    rules.check()?;
    if ttl_s == 0 || rules.lifetime_max_s.is_some_and(|max| ttl_s > max) {
        let max = rules.lifetime_max_s.unwrap_or(u32::MAX);
        return Err(Error::invalid(format!("A token lives from 1 to {max} seconds here, not {ttl_s}.")));
    }
    let iat = now.as_second();
    let claims = Minted {
        sub: subject.as_str(),
        iss: rules.issuer.as_str(),
        iat,
        exp: iat + i64::from(ttl_s),
        aud: rules.audiences.first().filter(|_| rules.require_audience).map(String::as_str),
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret.signing_key()).map_err(Error::internal)
}
