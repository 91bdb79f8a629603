//! Entries and agents as their rows have them: sealed, where the space is.

use locule_core::Result;
use locule_core::context::{Entry, Json, Name};
use locule_core::id::EntryId;

use crate::content::Place;
use crate::error::corrupt;
use crate::tx::{Row, Tx, Value};

/// What the columns of entries with content are called for the seal.
pub mod entry {
    pub const KEY_HASH: &str = "context_entries.key_hash";
    pub const KEY: &str = "context_entries.key";
    pub const VALUE: &str = "context_entries.value";
    pub const AUDIENCE: &str = "context_entries.audience";
    pub const TOPICS: &str = "context_entries.topics";
    pub const WRITER: &str = "context_entries.writer";
    pub const METADATA: &str = "context_entries.metadata";
}

/// The columns that [`read`] reads, in its order.
pub const COLUMNS: &str = "id, key, value, audience, topics, writer, metadata, ttl_s, created_at, revision";

/// The same without the value, which then reads as `null`.
pub const UNREAD: &str = "id, key, NULL, audience, topics, writer, NULL, ttl_s, created_at, revision";

/// What a row takes beside what it says. Every entry counts for at least as much.
pub const FIXED_BYTES: u64 = 64;

/// The entry in [`COLUMNS`].
pub fn read(row: &dyn Row) -> Result<Entry> {
    let id = row.id(0)?;
    let content = |column: usize, name: &'static str| {
        if row.is_null(column) { Ok(None) } else { row.text_of(column, Place(name, &id)).map(Some) }
    };
    Ok(Entry {
        key: name(&content(1, entry::KEY)?.unwrap_or_default())?,
        value: json(content(2, entry::VALUE)?.as_deref().unwrap_or("null"))?,
        audience: content(3, entry::AUDIENCE)?.map(|text| names(&text)).transpose()?,
        topics: content(4, entry::TOPICS)?.map_or(Ok(Vec::new()), |text| names(&text))?,
        writer: content(5, entry::WRITER)?.map(|text| name(&text)).transpose()?,
        metadata: content(6, entry::METADATA)?.map(|text| json(&text)).transpose()?,
        ttl_s: if row.is_null(7) { None } else { Some(row.real(7)?) },
        created_at: row.moment(8)?,
        revision: row.integer(9)? as u64,
    })
}

/// An entry's content, as texts.
struct Content {
    key: String,
    audience: Option<String>,
    topics: String,
    writer: Option<String>,
}

impl Content {
    fn of(entry: &Entry) -> Self {
        Content {
            key: entry.key.json(),
            audience: entry.audience.as_deref().map(written),
            topics: written(&entry.topics),
            writer: entry.writer.as_ref().map(Name::json),
        }
    }
}

/// Bytes of an entry as the quota counts them.
pub fn size(entry: &Entry) -> u64 {
    let Content { key, audience, topics, writer } = Content::of(entry);
    let metadata = entry.metadata.as_ref().map_or(0, |metadata| metadata.text().len());
    let names = audience.map_or(0, |text| text.len()) + topics.len() + writer.map_or(0, |text| text.len());
    FIXED_BYTES + (key.len() + entry.value.text().len() + names + metadata) as u64
}

/// Writes a new row.
pub fn insert(tx: &dyn Tx, id: EntryId, entry: &Entry) -> Result<()> {
    let content = Content::of(entry);
    let sealed = |name, text: Option<&str>| text.map(|text| tx.text(Place(name, id.as_bytes()), text).into_owned());
    let key = sealed(entry::KEY, Some(&content.key));
    let value = sealed(entry::VALUE, Some(entry.value.text()));
    let audience = sealed(entry::AUDIENCE, content.audience.as_deref());
    let topics = sealed(entry::TOPICS, Some(&content.topics));
    let writer = sealed(entry::WRITER, content.writer.as_deref());
    let metadata = sealed(entry::METADATA, entry.metadata.as_ref().map(Json::text));
    tx.run(
        "INSERT INTO context_entries (id, key_hash, key, value, audience, topics, writer, metadata, ttl_s, created_at,
             expires_at, revision, size_bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            Value::Id(id.as_bytes()),
            Value::Text(&tx.label(entry::KEY_HASH, &entry.key.hash())),
            Value::text(key.as_deref()),
            Value::text(value.as_deref()),
            Value::text(audience.as_deref()),
            Value::text(topics.as_deref()),
            Value::text(writer.as_deref()),
            Value::text(metadata.as_deref()),
            entry.ttl_s.map_or(Value::Null, Value::Real),
            Value::Moment(entry.created_at),
            Value::moment(entry.expires_at()),
            Value::Integer(entry.revision as i64),
            Value::Integer(size(entry) as i64),
        ],
    )
}

/// Agents.
pub mod agent {
    use locule_core::context::Agent;

    use super::{EntryId, FIXED_BYTES, Place, Result, Row, Tx, Value, name, names, written};

    pub const NAME_HASH: &str = "context_agents.name_hash";
    pub const NAME: &str = "context_agents.name";
    pub const TOPICS: &str = "context_agents.topics";
    pub const POSTS: &str = "context_agents.posts";

    /// The columns that [`read`] reads, in its order.
    pub const COLUMNS: &str = "id, name, topics, posts";

    /// The agent in [`COLUMNS`], and its row's id.
    pub fn read(row: &dyn Row) -> Result<(EntryId, Agent)> {
        let id = row.id(0)?;
        let posts = if row.is_null(3) { None } else { Some(names(&row.text_of(3, Place(POSTS, &id))?)?) };
        let agent = Agent {
            name: name(&row.text_of(1, Place(NAME, &id))?)?,
            topics: names(&row.text_of(2, Place(TOPICS, &id))?)?,
            posts,
        };
        Ok((EntryId::from_bytes(id), agent))
    }

    /// Bytes of an agent as the quota counts them.
    pub fn size(agent: &Agent) -> u64 {
        let posts = agent.posts.as_deref().map_or(0, |posts| written(posts).len());
        FIXED_BYTES + (agent.name.json().len() + written(&agent.topics).len() + posts) as u64
    }

    /// Writes a new row.
    pub fn insert(tx: &dyn Tx, id: EntryId, agent: &Agent) -> Result<()> {
        let posts =
            agent.posts.as_deref().map(|posts| tx.text(Place(POSTS, id.as_bytes()), &written(posts)).into_owned());
        tx.run(
            "INSERT INTO context_agents (id, name_hash, name, topics, posts, size_bytes) VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                Value::Id(id.as_bytes()),
                Value::Text(&tx.label(NAME_HASH, &agent.name.hash())),
                Value::Text(&tx.text(Place(NAME, id.as_bytes()), &agent.name.json())),
                Value::Text(&tx.text(Place(TOPICS, id.as_bytes()), &written(&agent.topics))),
                Value::text(posts.as_deref()),
                Value::Integer(size(agent) as i64),
            ],
        )
    }
}

/// Names as they stand in a column: a JSON list in ASCII.
pub fn written(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(Name::json).collect();
    format!("[{}]", names.join(","))
}

fn names(text: &str) -> Result<Vec<Name>> {
    if text == "[]" { Ok(Vec::new()) } else { serde_json::from_str(text).map_err(corrupt) }
}

fn name(json: &str) -> Result<Name> {
    Name::from_json(json).map_err(corrupt)
}

fn json(text: &str) -> Result<Json> {
    Json::kept(text).map_err(corrupt)
}
