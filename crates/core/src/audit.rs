//! What is written down of every act: who, for whom, what, with what outcome. Never content.
//!
//! Entries form a chain: each carries the hash of the one before, so that an entry changed, removed or moved is found
//! by recomputing. The hash of an entry is SHA-256 over a domain word, the previous hash and each field with its length.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Code;
use crate::id::Identity;
use crate::policy::Act;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user, signed in with a token.
    User(Identity),
    /// Whoever holds this API key.
    Key(String),
    /// The program that embeds the library, with its reason.
    Host(String),
    /// The installation itself, with its reason.
    System(String),
    /// Nobody who could be verified.
    Nobody,
}

impl Actor {
    /// What kind of actor, as one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Actor::User(_) => "user",
            Actor::Key(_) => "key",
            Actor::Host(_) => "host",
            Actor::System(_) => "system",
            Actor::Nobody => "nobody",
        }
    }

    /// Which one: a subject, a key id or a reason.
    pub fn name(&self) -> &str {
        match self {
            Actor::User(identity) => identity.subject.as_str(),
            Actor::Key(name) | Actor::Host(name) | Actor::System(name) => name,
            Actor::Nobody => "",
        }
    }
}

/// Where an act comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who acts.
    pub actor: Actor,
    /// For whom, where that is somebody else.
    pub on_behalf_of: Option<Identity>,
    /// What the gate was asked for.
    pub act: Act,
    /// In which request.
    pub request_id: String,
}

impl Origin {
    /// Whose space is acted in: the actor's own, unless they act for somebody else.
    pub fn owner(&self) -> Option<&Identity> {
        match (&self.on_behalf_of, &self.actor) {
            (Some(owner), _) | (None, Actor::User(owner)) => Some(owner),
            (None, _) => None,
        }
    }
}

/// One entry of a space's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3 …
    pub sequence: i64,
    /// When.
    pub time: Timestamp,
    /// What kind of actor.
    pub actor_kind: String,
    /// Which one.
    pub actor: String,
    /// For whom.
    pub on_behalf_of: Option<String>,
    /// What was done.
    pub act: String,
    /// To what: an object id, or a count.
    pub object: Option<String>,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
    /// In which request.
    pub request_id: String,
}

/// The hash of an entry, or of the beginning.
pub type Link = [u8; 32];

/// What the first entry of a chain follows.
pub const BEGINNING: Link = [0; 32];

impl Entry {
    /// The hash that binds this entry to the one before.
    pub fn link(&self, previous: &Link) -> Link {
        let sequence = self.sequence.to_be_bytes();
        let time = self.time.as_microsecond().to_be_bytes();
        // Nothing and an empty text are two things; without this they would hash alike.
        let present = [u8::from(self.on_behalf_of.is_some()), u8::from(self.object.is_some())];
        link(
            previous,
            &[
                &sequence,
                &time,
                self.actor_kind.as_bytes(),
                self.actor.as_bytes(),
                self.on_behalf_of.as_deref().unwrap_or("").as_bytes(),
                self.act.as_bytes(),
                self.object.as_deref().unwrap_or("").as_bytes(),
                self.outcome.as_bytes(),
                self.request_id.as_bytes(),
                &present,
            ],
        )
    }
}

/// SHA-256 over the domain, the previous link and the fields, each behind its length, so that no two entries run together.
pub fn link(previous: &Link, fields: &[&[u8]]) -> Link {
    let mut hash = Sha256::new();
    hash.update(b"locule audit 1");
    hash.update(previous);
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

/// One entry of the installation's chain: refusals, operators' acts, erasures.
#[derive(Clone, Debug)]
pub struct SystemEntry {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Whom the request named, or acted for, as text that may be anything.
    pub target: Option<String>,
    /// What was done, or was asked for.
    pub act: &'static str,
    /// With what outcome.
    pub outcome: Outcome,
    /// In which request.
    pub request_id: String,
}

/// How an act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Denied(Code),
}

impl Outcome {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "ok",
            Outcome::Denied(code) => code.as_str(),
        }
    }
}
