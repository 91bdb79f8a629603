//! A memory, what one may ask of memories, and the checks both must pass.
//!
//! These are plain records: the wire shows them as they stand here, in `snake_case`, times as RFC 3339 in UTC.

use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::filter::Filter;
use crate::id::MemoryId;
use crate::{Error, Result, limit};

/// A JSON object, as metadata is.
pub type Metadata = Map<String, Value>;

/// One remembered statement of one space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// UUIDv7; rises in the order of adding.
    pub id: MemoryId,
    /// The statement itself.
    pub memory: String,
    /// Which agent it belongs to, if one.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Which run (conversation, task) it belongs to, if one.
    #[serde(default)]
    pub run_id: Option<String>,
    /// Which application it belongs to, if one.
    #[serde(default)]
    pub app_id: Option<String>,
    /// Labels.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Whatever the application keeps beside it.
    #[serde(default)]
    pub metadata: Metadata,
    /// MD5 of the text as 32 hex digits, for recognising equal texts; not a safeguard.
    pub hash: String,
    /// The moment from which it is no longer seen.
    #[serde(default)]
    pub expiration: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its text or fields last changed.
    pub updated_at: Timestamp,
}

/// The MD5 of a text as 32 hex digits.
pub fn hash(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Md5::digest(text.as_bytes()))
}

/// A memory to add.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMemory {
    /// The statement.
    pub memory: String,
    /// See [`Memory::agent_id`].
    pub agent_id: Option<String>,
    /// See [`Memory::run_id`].
    pub run_id: Option<String>,
    /// See [`Memory::app_id`].
    pub app_id: Option<String>,
    /// See [`Memory::categories`].
    pub categories: Vec<String>,
    /// See [`Memory::metadata`].
    pub metadata: Metadata,
    /// See [`Memory::expiration`].
    pub expiration: Option<Timestamp>,
    /// For how many seconds from its adding it is kept, in place of `expiration`: a memory of a session, which has a run.
    pub ttl_s: Option<u32>,
    /// Since when it is known, if that is not now: for what is told later.
    pub created_at: Option<Timestamp>,
    /// Its vector, when the caller has made it; otherwise the configured model does.
    pub embedding: Option<Vec<f32>>,
}

impl NewMemory {
    /// A memory that is nothing but its text.
    pub fn text(text: impl Into<String>) -> Self {
        NewMemory { memory: text.into(), ..NewMemory::default() }
    }

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        check_text(&self.memory)?;
        check_labels([&self.agent_id, &self.run_id, &self.app_id])?;
        check_categories(&self.categories)?;
        check_metadata(&self.metadata)?;
        self.check_session()?;
        self.embedding.as_deref().map_or(Ok(()), check_embedding)
    }

    /// From when on it is no longer seen, if it is added now.
    pub fn expires(&self, now: Timestamp) -> Option<Timestamp> {
        match self.ttl_s {
            // A sum past the last moment there is would be no moment at all; that memory stays.
            Some(ttl_s) => now.checked_add(SignedDuration::from_secs(ttl_s.into())).ok(),
            None => self.expiration,
        }
    }

    fn check_session(&self) -> Result<()> {
        let Some(ttl_s) = self.ttl_s else { return Ok(()) };
        if self.run_id.is_none() {
            return Err(Error::invalid(
                "A memory of a session says of which: give `run_id`, or an `expiration` without one.",
            ));
        }
        if self.expiration.is_some() {
            return Err(Error::invalid("Give `ttl_s` or `expiration`, not both."));
        }
        if ttl_s == 0 {
            return Err(Error::invalid(format!("`ttl_s` is a number from 1 to {}.", limit::SESSION_TTL_S.max)));
        }
        limit::SESSION_TTL_S.check(ttl_s as usize)
    }
}

/// How long a memory of a session is kept when nobody says, in seconds.
pub const SESSION_TTL_S: u32 = limit::SESSION_TTL_S.max as u32;

/// A change to one memory: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// A new text; its vector is made anew unless `embedding` brings one.
    pub memory: Option<String>,
    /// A new agent, or none.
    pub agent_id: Option<Option<String>>,
    /// A new run, or none.
    pub run_id: Option<Option<String>>,
    /// A new application, or none.
    pub app_id: Option<Option<String>>,
    /// New labels in place of the old.
    pub categories: Option<Vec<String>>,
    /// Merged into the old metadata as RFC 7396 says: objects merge, `null` removes, all else replaces.
    pub metadata: Option<Metadata>,
    /// A new expiration, or none.
    pub expiration: Option<Option<Timestamp>>,
    /// Another moment since when it is known.
    pub created_at: Option<Timestamp>,
    /// A new vector.
    pub embedding: Option<Vec<f32>>,
}

impl Change {
    /// Passes what fits the bounds of [`limit`] and changes something.
    pub fn check(&self) -> Result<()> {
        if *self == Change::default() {
            return Err(Error::invalid("Nothing to change: give `memory`, `metadata` or another field."));
        }
        self.memory.as_deref().map_or(Ok(()), check_text)?;
        for label in [&self.agent_id, &self.run_id, &self.app_id].into_iter().flatten() {
            check_labels([label])?;
        }
        self.categories.as_deref().map_or(Ok(()), check_categories)?;
        self.metadata.as_ref().map_or(Ok(()), check_metadata)?;
        self.embedding.as_deref().map_or(Ok(()), check_embedding)
    }

    /// The memory as it will be. The metadata that a merge makes is checked again, since two small halves can be too much.
    pub fn apply(&self, old: &Memory, now: Timestamp) -> Result<Memory> {
        let mut new = old.clone();
        if let Some(text) = &self.memory {
            new.hash = hash(text);
            new.memory.clone_from(text);
        }
        for (change, field) in
            [(&self.agent_id, &mut new.agent_id), (&self.run_id, &mut new.run_id), (&self.app_id, &mut new.app_id)]
        {
            if let Some(label) = change {
                field.clone_from(label);
            }
        }
        if let Some(categories) = &self.categories {
            new.categories.clone_from(categories);
        }
        if let Some(patch) = &self.metadata {
            merge(&mut new.metadata, patch);
            check_metadata(&new.metadata)?;
        }
        if let Some(expiration) = self.expiration {
            new.expiration = expiration;
        }
        if let Some(created_at) = self.created_at {
            new.created_at = created_at;
        }
        new.updated_at = now;
        Ok(new)
    }
}

/// RFC 7396, for objects.
pub fn merge(target: &mut Metadata, patch: &Metadata) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => {
                let slot = target.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(target) = slot {
                    merge(target, patch);
                }
            }
            value => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

/// What an add answers for each memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// The memory as it is stored.
    pub memory: Memory,
    /// Whether the same text with the same agent, run and application was there before, and is what is returned.
    pub existing: bool,
}

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Which memories; all when `None`.
    pub filter: Option<Filter>,
    /// How many at most, 1 to [`limit::PAGE`].
    pub limit: usize,
    /// Only memories added before this one: the last id of the page before.
    pub before: Option<MemoryId>,
    /// How many of them are passed over first, for callers who count pages. A cursor costs less and misses none.
    pub offset: usize,
}

impl ListQuery {
    /// How many a page holds when nobody says.
    pub const LIMIT_DEFAULT: usize = 100;

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit, limit::PAGE)
    }
}

impl Default for ListQuery {
    fn default() -> Self {
        ListQuery { filter: None, limit: Self::LIMIT_DEFAULT, before: None, offset: 0 }
    }
}

/// One page of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The memories.
    pub memories: Vec<Memory>,
    /// How many match in all, exactly.
    pub total: u64,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<MemoryId>,
}

impl Page {
    /// From one more than asked for, if there are so many: that one tells that there is a next page.
    pub fn cut(mut memories: Vec<Memory>, total: u64, limit: usize) -> Self {
        let more = memories.len() > limit;
        memories.truncate(limit);
        let next = memories.last().filter(|_| more).map(|memory| memory.id);
        Page { memories, total, next }
    }
}

/// What to look for.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// In words.
    pub text: Option<String>,
    /// As a vector; made from the words when only they are given.
    pub embedding: Option<Vec<f32>>,
    /// How many hits at most, 1 to [`limit::SEARCH_LIMIT`].
    pub limit: usize,
    /// The least score, 0 to 1; none by default, because the right memory's score varies widely.
    pub threshold: Option<f32>,
    /// The least cosine between query and memory, −1 to 1, where a vector is searched for: nothing below it is a hit,
    /// whatever words it has.
    pub cosine_min: Option<f32>,
    /// Among which memories.
    pub filter: Option<Filter>,
}

impl SearchQuery {
    /// How many hits when nobody says.
    pub const LIMIT_DEFAULT: usize = 10;

    /// A search in words with everything else as usual.
    pub fn text(text: impl Into<String>) -> Self {
        SearchQuery {
            text: Some(text.into()),
            embedding: None,
            limit: Self::LIMIT_DEFAULT,
            threshold: None,
            cosine_min: None,
            filter: None,
        }
    }

    /// Passes what fits the bounds of [`limit`] and asks for something.
    pub fn check(&self) -> Result<()> {
        match (&self.text, &self.embedding) {
            (None, None) => return Err(Error::invalid("Give `query` (text), `embedding` (numbers), or both.")),
            (Some(text), _) if text.trim().is_empty() => return Err(Error::invalid("`query` is blank.")),
            (Some(text), _) => limit::QUERY_BYTES.check(text.len())?,
            (None, Some(_)) => {}
        }
        self.embedding.as_deref().map_or(Ok(()), check_embedding)?;
        if self.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return Err(Error::invalid("`threshold` is a number from 0 to 1."));
        }
        if self.cosine_min.is_some_and(|cosine| !(-1.0..=1.0).contains(&cosine)) {
            return Err(Error::invalid("The least cosine is a number from -1 to 1."));
        }
        check_limit(self.limit, limit::SEARCH_LIMIT)
    }
}

/// One memory found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// What was found.
    pub memory: Memory,
    /// How well it fits, 0 to 1; comparable within one query only.
    pub score: f32,
    /// What the score is made of.
    pub parts: ScoreParts,
}

/// What a score is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ScoreParts {
    /// Cosine between query and memory, −1 to 1.
    pub cosine: f32,
    /// How much of the query's weight in words the memory has, 0 to 1.
    pub words: f32,
}

/// What happened to a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventKind {
    /// It was added.
    Add,
    /// Its text or fields changed.
    Update,
    /// It was deleted; its texts are gone from the history too.
    Delete,
}

/// One line of a memory's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub event: EventKind,
    /// The text before.
    pub old_memory: Option<String>,
    /// The text after.
    pub new_memory: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Which page of a list of runs.
#[derive(Clone, Copy, Debug)]
pub struct RunQuery {
    /// How many at most, 1 to [`limit::PAGE`].
    pub limit: usize,
    /// Only runs after this place: [`RunPage::next`] of the page before.
    pub after: Option<i64>,
}

impl RunQuery {
    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit, limit::PAGE)
    }
}

impl Default for RunQuery {
    fn default() -> Self {
        RunQuery { limit: ListQuery::LIMIT_DEFAULT, after: None }
    }
}

/// A run (conversation, task), as its memories tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its name.
    pub run_id: String,
    /// How many memories it has.
    pub memories: u64,
    /// When the first of them was added.
    pub first_memory: Timestamp,
    /// When the latest was.
    pub latest_memory: Timestamp,
    /// From when on none of them is seen; `None` if some are to stay.
    pub expiration: Option<Timestamp>,
}

/// One page of runs, those that were added to last first.
#[derive(Clone, Debug)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<Run>,
    /// How many there are in all, exactly.
    pub total: u64,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<i64>,
}

/// What memories may belong to beside their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// An agent.
    Agent,
    /// An application.
    App,
    /// A run.
    Run,
}

/// An agent, an application or a run, as its memories tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// What its memories call it.
    pub name: String,
    /// How many memories it has.
    pub memories: u64,
    /// When the first of them was added.
    pub first_memory: Timestamp,
    /// When one of them last changed.
    pub latest_change: Timestamp,
}

/// Figures over a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many memories.
    pub memory_count: u64,
    /// Their mean length, in characters.
    pub avg_memory_length: f64,
    /// When the first was added.
    pub first_memory: Option<Timestamp>,
    /// When the latest was added.
    pub latest_memory: Option<Timestamp>,
}

fn check_text(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid("`memory` is blank: give the text to remember."));
    }
    if text.contains('\0') {
        return Err(Error::invalid("`memory` holds the character U+0000, which cannot be searched for."));
    }
    limit::MEMORY_BYTES.check(text.len())
}

/// Passes what can be an agent, a run, an application, a category or the type of a relationship.
pub fn check_label(label: &str) -> Result<()> {
    if label.is_empty() || label.contains('\0') {
        return Err(Error::invalid(
            "agent_id, run_id, app_id, relationship_type and categories are not empty and hold no U+0000.",
        ));
    }
    limit::LABEL_BYTES.check(label.len())
}

fn check_labels<'a>(labels: impl IntoIterator<Item = &'a Option<String>>) -> Result<()> {
    labels.into_iter().flatten().try_for_each(|label| check_label(label))
}

fn check_categories(categories: &[String]) -> Result<()> {
    limit::CATEGORIES.check(categories.len())?;
    categories.iter().try_for_each(|category| check_label(category))
}

pub(crate) fn check_metadata(metadata: &Metadata) -> Result<()> {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(has_nul),
            Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
            _ => false,
        }
    }
    if metadata.is_empty() {
        return Ok(());
    }
    if metadata.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
        return Err(Error::invalid("`metadata` holds the character U+0000, which not every database can keep."));
    }
    limit::JSON_DEPTH.check(1 + metadata.values().map(depth).max().unwrap_or(0))?;
    let bytes = serde_json::to_vec(metadata).map_err(Error::internal)?;
    limit::METADATA_BYTES.check(bytes.len())
}

fn check_embedding(embedding: &[f32]) -> Result<()> {
    if embedding.is_empty() {
        return Err(Error::invalid("`embedding` is empty."));
    }
    limit::DIMENSION.check(embedding.len())?;
    if embedding.iter().any(|number| !number.is_finite()) {
        return Err(Error::invalid("`embedding` holds a number that is not finite."));
    }
    if embedding.iter().all(|number| *number == 0.0) {
        return Err(Error::invalid("`embedding` is all zeros, which points nowhere."));
    }
    Ok(())
}

pub(crate) fn check_limit(value: usize, bound: limit::Bound) -> Result<()> {
    if value == 0 {
        return Err(Error::invalid(format!("`limit` is a number from 1 to {}.", bound.max)));
    }
    bound.check(value)
}
