//! API keys: long random texts that a program carries in place of a user's token.
//!
//! `locule_<id>_<secret>_<check>`: the id finds the key in the directory, the secret (256 bits) proves possession, and
//! the check lets a scanner tell a key from noise. Only a hash is kept. A slow hash would be no safer for 256 random
//! bits, and would give anybody a way to keep our processors busy.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{IssuedAt, Principal, Who, refused};
use crate::audit::Actor;
use crate::clock::Sources;
use crate::directory::Directory;
use crate::id::{Identity, Issuer, Subject};
use crate::policy::Role;
use crate::{Error, Result, limit};

const PREFIX: &str = "locule_";

/// What finds a key in the directory: 16 hex digits, not secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for KeyId {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        if text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
            return Ok(KeyId(text.to_owned()));
        }
        Err(Error::invalid("A key id is 16 hex digits, as `locule key list` shows them."))
    }
}

/// A key as the directory keeps it.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// What finds it.
    pub id: KeyId,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it is for.
    pub kind: KeyKind,
    /// What its maker called it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// It is one user.
    User {
        /// Who.
        identity: Identity,
        /// Whether it may only look.
        read_only: bool,
    },
    /// It is a service that acts for users, each time naming one.
    Service {
        /// The issuer whose users it acts for.
        issuer: Issuer,
        /// Which of them.
        act_as: ActAs,
    },
    /// It is an operator.
    Operator,
}

/// For which users a service may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActAs {
    /// For all.
    Anyone,
    /// For those whose id begins so.
    Prefix(String),
    /// For this one.
    Only(Subject),
}

impl ActAs {
    /// Reads `*`, `prefix*` or one id.
    pub fn parse(text: &str) -> Result<Self> {
        match text.strip_suffix('*') {
            Some("") => Ok(ActAs::Anyone),
            Some(prefix) if !prefix.contains('*') => {
                Subject::try_from(prefix).map(|_| ActAs::Prefix(prefix.to_owned()))
            }
            Some(_) => Err(Error::invalid("`act-as` is `*`, a prefix such as `shop-*`, or one user id.")),
            None => Subject::try_from(text).map(ActAs::Only),
        }
    }

    /// Whether it covers this user.
    pub fn covers(&self, subject: &Subject) -> bool {
        match self {
            ActAs::Anyone => true,
            ActAs::Prefix(prefix) => subject.as_str().starts_with(prefix),
            ActAs::Only(only) => only == subject,
        }
    }
}

impl std::fmt::Display for ActAs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ActAs::Anyone => f.write_str("*"),
            ActAs::Prefix(prefix) => write!(f, "{prefix}*"),
            ActAs::Only(subject) => f.write_str(subject.as_str()),
        }
    }
}

/// A fresh key: the record to keep, and the text to show once.
pub struct NewKey {
    /// What the directory keeps.
    pub record: KeyRecord,
    /// What its holder keeps. It cannot be had again.
    pub text: String,
}

impl NewKey {
    /// Makes one.
    pub fn mint(kind: KeyKind, name: &str, expires_at: Option<Timestamp>, sources: &Sources) -> Result<Self> {
        limit::KEY_NAME_BYTES.check(name.len())?;
        // A pattern is kept as its text. One that reads back as another would cover other users than meant.
        if let KeyKind::Service { act_as, .. } = &kind
            && ActAs::parse(&act_as.to_string()).ok().as_ref() != Some(act_as)
        {
            return Err(Error::invalid(
                "A service key cannot act for a user whose id ends in `*`, nor by that prefix.",
            ));
        }
        let id = HEXLOWER.encode(&sources.bytes::<8>());
        let secret = HEXLOWER.encode(&sources.bytes::<32>());
        let body = format!("{PREFIX}{id}_{secret}");
        let text = format!("{body}_{}", check(&body));
        let hash = Sha256::digest(secret.as_bytes()).into();
        let record =
            KeyRecord { id: KeyId(id), hash, kind, name: name.to_owned(), created_at: sources.now(), expires_at };
        Ok(NewKey { record, text })
    }
}

/// Whether a credential is meant to be a key.
pub fn looks_like_one(credential: &str) -> bool {
    credential.starts_with(PREFIX)
}

/// Six characters that a mistyped or invented key does not have.
fn check(body: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(body.as_bytes())[..3])
}

/// Who holds this key.
pub(super) fn verify(credential: &str, directory: &dyn Directory, now: Timestamp) -> Result<Principal> {
    let (body, given) = credential.rsplit_once('_').ok_or_else(refused)?;
    let mut parts = body.strip_prefix(PREFIX).ok_or_else(refused)?.splitn(2, '_');
    let (Some(id), Some(secret)) = (parts.next(), parts.next()) else { return Err(refused()) };
    if given != check(body) {
        return Err(refused());
    }
    let id = KeyId::try_from(id).map_err(|_| refused())?;
    let record = directory.key(&id)?;
    // An unknown id costs the same comparison as a wrong secret.
    let expected = record.as_ref().map_or([0; 32], |record| record.hash);
    let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let proven: bool = hash.ct_eq(&expected).into();
    let record = record.filter(|_| proven).ok_or_else(refused)?;
    if record.expires_at.is_some_and(|expiry| expiry <= now) {
        return Err(refused());
    }
    let who = match record.kind {
        KeyKind::User { identity, read_only } => {
            Who::User { identity, role: if read_only { Role::Reader } else { Role::Owner } }
        }
        KeyKind::Service { issuer, act_as } => Who::Service { issuer, act_as },
        KeyKind::Operator => Who::Operator,
    };
    Ok(Principal { who, actor: Actor::Key(record.id.0), issued_at: IssuedAt::Live })
}
