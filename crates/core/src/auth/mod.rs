//! Who is asking: from a credential to a verified [`Principal`].
//!
//! A credential is a user's token ([`jwt`]), an API key ([`key`]), or the word of the program that embeds the library
//! ([`trusted`]). Each way ends in a `Principal`, which nothing else can make.

pub mod jwt;
pub mod key;
pub mod trusted;

use std::sync::Arc;

use jiff::Timestamp;

pub use key::{ActAs, KeyId, KeyKind, KeyRecord, NewKey};

use crate::audit::Actor;
use crate::clock::Sources;
use crate::directory::Directory;
use crate::id::{Identity, Issuer};
use crate::policy::Role;
use crate::{Error, Result, limit};

/// Somebody whose credential has been verified.
///
/// ```compile_fail
/// // Nobody can be made up.
/// let somebody = locule_core::auth::Principal { };
/// ```
#[derive(Debug)]
pub struct Principal {
    pub(crate) who: Who,
    pub(crate) actor: Actor,
    /// When the credential was issued, where it says so. Keys are revoked in the directory instead.
    pub(crate) issued_at: IssuedAt,
}

/// Who it is.
#[derive(Debug)]
pub(crate) enum Who {
    /// One user, in this role.
    User { identity: Identity, role: Role },
    /// A service, for users of one issuer.
    Service { issuer: Issuer, act_as: ActAs },
    /// Whoever runs the installation.
    Operator,
}

/// How a credential's age is judged against an erasure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IssuedAt {
    /// A token, issued then.
    At(Timestamp),
    /// A token that does not say when: taken as older than anything.
    Unknown,
    /// A credential that an erasure removes, so that age does not matter.
    Live,
}

impl Principal {
    /// In what capacity this principal acts.
    pub fn role(&self) -> Role {
        match &self.who {
            Who::User { role, .. } => *role,
            Who::Service { .. } => Role::Service,
            Who::Operator => Role::Operator,
        }
    }

    /// Whose users this principal is one of, or acts for; nobody's, for an operator.
    pub fn issuer(&self) -> Option<&Issuer> {
        match &self.who {
            Who::User { identity, .. } => Some(&identity.issuer),
            Who::Service { issuer, .. } => Some(issuer),
            Who::Operator => None,
        }
    }

    /// Who it is, for the audit trail.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}

/// Turns credentials into principals.
pub struct Authenticator {
    tokens: Vec<jwt::Verifier>,
    directory: Arc<dyn Directory>,
    sources: Sources,
}

impl Authenticator {
    /// One that takes tokens which one of `tokens` verifies, and the keys of `directory`.
    pub fn new(tokens: Vec<jwt::Verifier>, directory: Arc<dyn Directory>, sources: Sources) -> Self {
        Authenticator { tokens, directory, sources }
    }

    /// Who holds this credential. Every refusal reads alike, whatever was wrong with it.
    pub fn authenticate(&self, credential: &str) -> Result<Principal> {
        if limit::TOKEN_BYTES.check(credential.len()).is_err() {
            return Err(refused());
        }
        let now = self.sources.now();
        if key::looks_like_one(credential) {
            return key::verify(credential, &*self.directory, now);
        }
        self.verifier(credential).ok_or_else(refused)?.verify(credential, now)
    }

    /// Whether [`authenticate`](Authenticator::authenticate) waits for nobody: neither for a database that is elsewhere nor
    /// for keys that an issuer publishes.
    pub fn is_at_once(&self, credential: &str) -> bool {
        if limit::TOKEN_BYTES.check(credential.len()).is_err() {
            return true;
        }
        if key::looks_like_one(credential) {
            return self.directory.is_near();
        }
        self.verifier(credential).is_none_or(jwt::Verifier::is_at_once)
    }

    /// An installation has one verifier, or one per issuer; the token says which, and only that one is asked.
    fn verifier(&self, token: &str) -> Option<&jwt::Verifier> {
        let issuer = jwt::claimed_issuer(token);
        self.tokens.iter().find(|verifier| verifier.serves(issuer.as_deref()))
    }
}

/// The one answer to a credential that does not verify.
pub(crate) fn refused() -> Error {
    Error::unauthenticated("The credential is missing, expired or not valid here. Sign in again, or ask for a new one.")
}
