//! Who comes in: the verifiers of tokens, the tokens this installation signs itself, and the word of the embedding program.

use std::sync::Arc;

use locule_core::auth::jwt::{self, Keys, Rules, Secret, Verifier};
use locule_core::auth::{KeyId, KeyKind, KeyRecord, NewKey, Principal, trusted};
use locule_core::clock::Sources;
use locule_core::directory::Directory as _;
use locule_core::id::{Identity, Issuer as IssuerName, MemoryId, Subject};
use locule_core::{Error, Operator, Request, Result};
use locule_store::Store;

use crate::backup::Restore;
use crate::config::Config;
use crate::moving::Mover;
use crate::{Engine, keys};

/// What signs and names tokens here.
pub(crate) struct Issuer {
    pub name: IssuerName,
    rules: Rules,
    /// What signs; `None` where another issuer does.
    secret: Option<Secret>,
}

impl Issuer {
    pub fn new(config: &Config, store: &Store) -> Result<Self> {
        let issuing = &config.issuing;
        let mut rules =
            Rules { issuer: issuing.issuer.clone(), require_issuer: issuing.require_issuer, ..Rules::default() };
        rules.require_audience = issuing.require_audience;
        if !issuing.audiences.is_empty() {
            rules.audiences.clone_from(&issuing.audiences);
        }
        if let Some(lifetime) = issuing.lifetime_max_s {
            rules.lifetime_max_s = Some(lifetime);
        }
        let secret = match (&issuing.key_set, issuing.secrets.first()) {
            (None, Some(secret)) => Some(Secret::new(secret.clone())?),
            (None, None) => Some(Secret::new(store.token_secret.clone())?),
            // Another's key set: its private keys are not here, so nothing is signed here.
            (Some(_), _) => None,
        };
        Ok(Issuer { name: issuing.issuer.clone(), rules, secret })
    }
}

pub(crate) fn verifiers(config: &Config, issuer: &Issuer, store: &Store, sources: &Sources) -> Result<Vec<Verifier>> {
    let issuing = &config.issuing;
    let keys = match (&issuing.key_set, &issuing.secrets[..]) {
        (Some(set), []) => Keys::Jwks(Arc::new(keys::source(set, sources)?)),
        (Some(_), _) => {
            return Err(Error::invalid(
                "Tokens are verified with secrets or with a key set, never both: configure one.",
            ));
        }
        (None, []) => Keys::Secrets(vec![Secret::new(store.token_secret.clone())?]),
        (None, secrets) => Keys::Secrets(secrets.iter().cloned().map(Secret::new).collect::<Result<_>>()?),
    };
    Ok(vec![Verifier::new(issuer.rules.clone(), keys)?])
}

#[expect(clippy::disallowed_methods, reason = "the one home of the embedding program's word")]
impl Engine {
    /// A user of the default issuer, on the word of the program that embeds this library.
    pub fn trusted_user(&self, subject: &str, reason: &str) -> Result<Principal> {
        trusted::user(self.identity(subject)?, reason)
    }

    /// An operator, on the word of the program that embeds this library.
    pub fn trusted_operator(&self, reason: &str, request: &Request) -> Result<Operator> {
        self.gate().operate(&trusted::operator(reason)?, request)
    }

    /// Whose memory this may be, for an embedding program that has its id and nothing else: those of the default issuer
    /// whose ids carry the same tag, which is one person nearly always. It opens nothing; ask as each of them.
    pub fn owners_by_tag(&self, id: MemoryId) -> Result<Vec<Subject>> {
        let tagged = self.store.directory.tagged(id.tag())?;
        Ok(tagged.into_iter().filter(|owner| owner.issuer == self.issuing.name).map(|owner| owner.subject).collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of the embedding program's word")]
impl Mover {
    /// An operator, on the word of the program that embeds this library.
    pub fn trusted_operator(&self, reason: &str, request: &Request) -> Result<Operator> {
        self.gate.operate(&trusted::operator(reason)?, request)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one home of the embedding program's word")]
impl Restore {
    /// An operator, on the word of the program that embeds this library.
    pub fn trusted_operator(&self, reason: &str, request: &Request) -> Result<Operator> {
        self.gate.operate(&trusted::operator(reason)?, request)
    }
}

impl Engine {
    /// The user of this id, of the default issuer.
    pub fn identity(&self, subject: &str) -> Result<Identity> {
        Ok(Identity { issuer: self.issuing.name.clone(), subject: Subject::try_from(subject)? })
    }

    /// A token for a user, signed by this installation. A token from the very second of an erasure would be taken for one
    /// from before it, so such a token is dated in the second after it.
    pub fn mint_token(&self, subject: &str, ttl_s: u32) -> Result<String> {
        let identity = self.identity(subject)?;
        let secret = self.issuing.secret.as_ref().ok_or_else(|| {
            Error::invalid("Tokens are verified with another issuer's key set here, so that issuer makes them.")
        })?;
        let mut now = self.sources.now();
        if let Some(erased) = self.store.directory.find(&identity)?.not_before
            && erased.as_second() >= now.as_second()
        {
            now = erased + jiff::SignedDuration::from_secs(1);
        }
        jwt::mint(secret, &self.issuing.rules, &identity.subject, now, ttl_s)
    }

    /// Makes an API key. The text is shown here and never again.
    pub fn create_key(
        &self,
        operator: &Operator,
        kind: KeyKind,
        name: &str,
        expires_at: Option<jiff::Timestamp>,
    ) -> Result<NewKey> {
        let key = NewKey::mint(kind, name, expires_at, &self.sources)?;
        self.store.directory.add_key(operator, key.record.clone())?;
        Ok(key)
    }

    /// Every key, without its secret.
    pub fn keys(&self, operator: &Operator) -> Result<Vec<KeyRecord>> {
        self.store.directory.keys(operator)
    }

    /// Ends a key, from the next request on.
    pub fn revoke_key(&self, operator: &Operator, id: &str) -> Result<()> {
        self.store.directory.revoke_key(operator, KeyId::try_from(id)?)
    }

    /// The issuer whose users keys act for here.
    pub fn issuer(&self) -> &IssuerName {
        &self.issuing.name
    }
}
