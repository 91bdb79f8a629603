//! The context that agents of one user share: entries with a key and a value each, for everybody or for some agents; topics that
//! agents follow; and who may post to them. Plain records with their checks.
//!
//! A topic needs no declaration: it is there as long as an agent follows it or an entry was pushed to it. Whom a push to a topic
//! reaches is settled when it is pushed.

mod deed;
mod follow;
mod text;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::deed::Deed;
pub use self::follow::{Follower, News, Told};
pub use self::text::{Json, Name};
use crate::id::EntryId;
use crate::{Code, Error, Result, limit};

/// An entry: what stands under one key, and who may read it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// What it is found by. There is one entry of each key.
    pub key: Name,
    /// What it says.
    pub value: Json,
    /// The agents that may read it; `None` for all of them, and nobody may if there are none.
    pub audience: Option<Vec<Name>>,
    /// The topics it was pushed to.
    pub topics: Vec<Name>,
    /// The agent that wrote it, if it was one.
    pub writer: Option<Name>,
    /// What the application keeps beside it: an object.
    pub metadata: Option<Json>,
    /// After how many seconds it is no longer there; `None` for never.
    pub ttl_s: Option<f64>,
    /// When it was written.
    pub created_at: Timestamp,
    /// The space's revision with which it was written.
    pub revision: u64,
}

impl Entry {
    /// The moment after which it is no longer there.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.ttl_s.map(|ttl_s| {
            let last = if ttl_s < 0.0 { Timestamp::MIN } else { Timestamp::MAX };
            let whole = SignedDuration::try_from_secs_f64(ttl_s).and_then(|ttl| self.created_at.checked_add(ttl));
            let at = whole.unwrap_or(last).clamp(FIRST, LAST);
            Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
        })
    }

    /// Whether it is no longer there.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|at| at < now)
    }

    /// Whether an agent may read it.
    pub fn is_open_to(&self, agent: &Name) -> bool {
        self.audience.as_ref().is_none_or(|audience| audience.contains(agent))
    }

    /// How many bytes it takes, as the texts that it consists of.
    pub fn size_bytes(&self) -> usize {
        let lists = [self.audience.as_deref(), Some(&self.topics), self.writer.as_ref().map(std::slice::from_ref)];
        let names = lists.into_iter().flatten().flatten().chain([&self.key]);
        let metadata = self.metadata.as_ref().map_or(0, |metadata| metadata.text().len());
        names.map(written_bytes).sum::<usize>() + self.value.text().len() + metadata
    }

    /// Passes what fits the bounds of [`limit`]. An audience may have any number of agents: as many as followed a topic.
    pub fn check(&self) -> Result<()> {
        check_key(&self.key)?;
        self.audience.iter().flatten().try_for_each(check_name)?;
        limit::CONTEXT_ENTRY_BYTES.check(self.size_bytes())?;
        if !(FIRST..=LAST).contains(&self.created_at) {
            return Err(Error::invalid("An entry is written between the years 1970 and 9998."));
        }
        check_names(&self.topics)?;
        check_names(self.writer.as_slice())?;
        check_metadata(self.metadata.as_ref())?;
        check_ttl(self.ttl_s)
    }
}

/// Moments that every database can keep.
const FIRST: Timestamp = Timestamp::UNIX_EPOCH;
const LAST: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// An entry to write, with whom it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The key.
    pub key: Name,
    /// The value.
    pub value: Json,
    /// Agents that may read it. With no agents and no topics, everybody may.
    pub agents: Vec<Name>,
    /// Topics whose followers may read it: those of now.
    pub topics: Vec<Name>,
    /// After how many seconds it is gone; `None` for never.
    pub ttl_s: Option<f64>,
    /// The agent that writes: what it may not is refused. `None` for the application itself, which may.
    pub sender: Option<Name>,
    /// Whether the sender is among those who may read it, where not everybody is.
    pub include_sender: bool,
    /// What to keep beside it: an object.
    pub metadata: Option<Json>,
    /// Only if the entry there has this revision; 0 if none is to be there.
    pub expected_revision: Option<u64>,
}

impl Push {
    /// For everybody, by the application itself, and for good.
    pub fn new(key: Name, value: Json) -> Self {
        Push {
            key,
            value,
            agents: Vec::new(),
            topics: Vec::new(),
            ttl_s: None,
            sender: None,
            include_sender: false,
            metadata: None,
            expected_revision: None,
        }
    }

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        check_key(&self.key)?;
        check_names(&self.agents)?;
        check_names(&self.topics)?;
        check_names(self.sender.as_slice())?;
        check_metadata(self.metadata.as_ref())?;
        check_ttl(self.ttl_s)
    }

    /// Whom it is for, with those who follow any of its topics.
    pub fn audience(&self, followers: Vec<Name>) -> Option<Vec<Name>> {
        if self.agents.is_empty() && self.topics.is_empty() {
            return None;
        }
        let own = self.sender.iter().filter(|_| self.include_sender);
        Some(distinct(self.agents.iter().cloned().chain(followers).chain(own.cloned())))
    }
}

/// An agent, as far as the mesh knows it: it has written, followed a topic, or been told where it may post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What it is called.
    pub name: Name,
    /// The topics it follows, in its own order.
    #[serde(default)]
    pub topics: Vec<Name>,
    /// The topics it may post to. With none, or unless it was said, it may post to any.
    #[serde(default)]
    pub posts: Option<Vec<Name>>,
}

impl Agent {
    /// One of which nothing is known yet.
    pub fn nobody(name: &Name) -> Self {
        Agent { name: name.clone(), topics: Vec::new(), posts: None }
    }

    /// Whether it may post to a topic.
    pub fn may_post_to(&self, topic: &Name) -> bool {
        self.posts.as_ref().is_none_or(|posts| posts.is_empty() || posts.contains(topic))
    }
}

/// A topic that is followed or has entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// What it is called.
    pub name: Name,
    /// The agents that follow it, in the order in which they came.
    pub subscribers: Vec<Name>,
    /// How many entries were pushed to it and are there.
    pub entries: u64,
}

/// What went with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeletedTopic {
    /// How many agents followed it.
    pub subscribers: u64,
    /// How many entries had no topic but this, and are gone.
    pub entries: u64,
}

/// What can be told of an entry without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// See [`Entry::key`].
    pub key: Name,
    /// See [`Entry::topics`].
    pub topics: Vec<Name>,
    /// See [`Entry::created_at`].
    pub created_at: Timestamp,
    /// See [`Entry::revision`].
    pub revision: u64,
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryQuery {
    /// Only those that this agent may read. `None` for the application itself, to which nothing is closed.
    pub agent: Option<Name>,
    /// Only those that were pushed to this topic.
    pub topic: Option<Name>,
    /// Only those of these keys.
    pub keys: Option<Vec<Name>>,
    /// Also those that have expired and are not yet swept away.
    pub expired: bool,
    /// Only those written with a later revision than this.
    pub after: Option<u64>,
    /// No more bytes than this; what is more is refused, so that one answer does not fill the memory.
    pub bytes_max: Option<usize>,
}

impl EntryQuery {
    /// Whether an entry is meant.
    pub fn takes(&self, entry: &Entry, now: Timestamp) -> bool {
        (self.expired || !entry.is_expired(now))
            && self.agent.as_ref().is_none_or(|agent| entry.is_open_to(agent))
            && self.topic.as_ref().is_none_or(|topic| entry.topics.contains(topic))
            && self.keys.as_ref().is_none_or(|keys| keys.contains(&entry.key))
            && self.after.is_none_or(|after| entry.revision > after)
    }

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        limit::CONTEXT_NAMES.check(self.keys.as_ref().map_or(0, Vec::len))
    }
}

/// Figures over a space's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// All entries, those that have expired and are not yet swept away included.
    pub total_items: u64,
    /// Those that are there.
    pub active_items: u64,
    /// Those that have expired.
    pub expired_items: u64,
    /// Those that are there for everybody.
    pub global_items: u64,
    /// Those that are there for some agents, or for nobody.
    pub private_items: u64,
    /// How many topics are followed.
    pub total_topics: u64,
    /// How many agents follow any.
    pub agents_with_topics: u64,
}

/// Up to where somebody has heard of what changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Everything up to this revision.
    pub revision: u64,
    /// Of what came after it, everything up to this entry.
    pub entry: Option<EntryId>,
}

impl From<u64> for Heard {
    fn from(revision: u64) -> Self {
        Heard { revision, entry: None }
    }
}

/// What has changed since somebody last heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The revision that this is as of.
    pub revision: u64,
    /// The entries written since, in the order of writing.
    pub entries: Vec<Entry>,
    /// The keys of all entries there are: what is not among them is gone.
    pub keys: Vec<Name>,
    /// The last of these entries, if more were written after it: they were too much for one answer.
    pub more: Option<EntryId>,
}

/// The same names in the same order, each once.
pub fn distinct(names: impl IntoIterator<Item = Name>) -> Vec<Name> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// Passes names that fit the bounds of [`limit`].
pub fn check_names(names: &[Name]) -> Result<()> {
    limit::CONTEXT_NAMES.check(names.len())?;
    names.iter().try_for_each(check_name)?;
    limit::CONTEXT_NAMES_BYTES.check(names.iter().map(written_bytes).sum())
}

fn check_name(name: &Name) -> Result<()> {
    limit::CONTEXT_NAME_BYTES.check(name.size_bytes())
}

/// What a name takes in a list: with its quotes and a comma.
fn written_bytes(name: &Name) -> usize {
    name.size_bytes() + 3
}

fn check_key(key: &Name) -> Result<()> {
    limit::CONTEXT_KEY_BYTES.check(key.size_bytes())
}

fn check_metadata(metadata: Option<&Json>) -> Result<()> {
    let Some(metadata) = metadata else { return Ok(()) };
    limit::METADATA_BYTES.check(metadata.text().len())?;
    if metadata.is_object() { Ok(()) } else { Err(Error::invalid("`metadata` is a JSON object.")) }
}

fn check_ttl(ttl_s: Option<f64>) -> Result<()> {
    if ttl_s.is_none_or(f64::is_finite) {
        Ok(())
    } else {
        Err(Error::invalid("A time to live is a finite number of seconds."))
    }
}

/// What an agent hears that may not post to a topic.
pub fn may_not_post(agent: &Name, topic: &Name) -> Error {
    Error::new(Code::NotAllowed, format!("Permission denied: agent '{agent}' may not post to topic '{topic}'."))
}

/// What an agent hears that may not write over an entry.
pub fn may_not_overwrite(agent: &Name, key: &Name) -> Error {
    Error::new(
        Code::NotAllowed,
        format!(
            "Permission denied: the key '{key}' is taken by an entry that agent '{agent}' can neither read nor has written."
        ),
    )
}
