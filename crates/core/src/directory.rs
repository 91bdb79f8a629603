//! What is known about spaces, without any of their content: the port that the gate looks through.

use jiff::Timestamp;

use crate::Result;
use crate::audit::SystemEntry;
use crate::auth::{KeyId, KeyRecord};
use crate::id::{Identity, Issuer, SpaceId, Subject, Tag};
use crate::scope::Chamber;

/// How somebody stands with the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Their space, if they have one.
    pub space: Option<Chamber>,
    /// Whether it is open to them.
    pub state: State,
    /// Credentials issued at or before this moment are void: the moment of their last erasure.
    pub not_before: Option<Timestamp>,
}

/// Somebody who has a space, with what it last published of itself.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who.
    pub subject: Subject,
    /// Since when.
    pub created_at: Timestamp,
    /// How many memories.
    pub memories: u64,
    /// As of when; `None` if it never said.
    pub published_at: Option<Timestamp>,
}

/// Whether a space is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is, or would be.
    Open,
    /// An operator has shut it for now.
    Suspended,
    /// It is being destroyed.
    Erasing,
    /// It is being carried to another place: it can be looked into, and nothing be changed.
    Moving,
    /// It is being carried here, and is not whole yet.
    Arriving,
    /// It is in another installation now.
    Moved,
}

/// The directory as the gate sees it. Each call is one transaction and sees what every process on the data has done.
pub trait Directory: Send + Sync {
    /// How somebody stands.
    fn find(&self, identity: &Identity) -> Result<Standing>;

    /// Gives somebody a space: the one they have, or a new one. One row; no file.
    fn provision(&self, identity: &Identity) -> Result<Chamber>;

    /// Whose spaces have this tag: one, nearly always.
    fn tagged(&self, tag: Tag) -> Result<Vec<Identity>>;

    /// Everybody of an issuer who has a space that is not being erased and for whom `is_asked_for` holds, in the order of
    /// their subjects, up to [`limit::LISTED_USERS`](crate::limit::LISTED_USERS).
    fn known(&self, issuer: &Issuer, is_asked_for: &(dyn Fn(&Subject) -> bool + Send + Sync)) -> Result<Vec<Known>>;

    /// Whose space this is and how it stands, if it is marked as one that has work to be done.
    fn marked(&self, space: SpaceId) -> Result<Option<(Identity, Standing)>>;

    /// The key with this id.
    fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>>;

    /// The keys that are this user, oldest first.
    fn keys_of(&self, identity: &Identity) -> Result<Vec<KeyRecord>>;

    /// Whether it answers without anybody else being waited for: from this machine, and not over a network.
    fn is_near(&self) -> bool {
        true
    }

    /// Writes one entry into the installation's chain and returns when it is durable.
    fn record(&self, entry: SystemEntry) -> Result<()>;
}
