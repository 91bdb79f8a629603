//! What memories look like between Python and here: the same words as on the wire of the native REST face.

use locule::infer::{Conversation, Instructions, Turn};
use locule::memory::{Metadata, ScoreParts};
use locule::{
    Added, Change, Error, Filter, Hit, ListQuery, Memory, MemoryId, NewMemory, Page, Result, SearchQuery, filter,
};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reads what Python wrote down.
pub fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::invalid(format!("This is not understood: {error}.")))
}

/// Writes down what Python reads.
pub fn write<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// The id, or one that nothing has: a malformed id is looked for like any other, and answers alike.
pub fn memory_id(text: &str) -> MemoryId {
    text.parse().unwrap_or(MemoryId::from_bytes([0; 16]))
}

/// A memory to add.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryIn {
    memory: String,
    agent_id: Option<String>,
    run_id: Option<String>,
    app_id: Option<String>,
    categories: Option<Vec<String>>,
    metadata: Option<Metadata>,
    expiration: Option<String>,
    ttl_s: Option<u32>,
    created_at: Option<String>,
    embedding: Option<Vec<f32>>,
}

impl MemoryIn {
    pub fn read(self) -> Result<NewMemory> {
        Ok(NewMemory {
            memory: self.memory,
            agent_id: self.agent_id,
            run_id: self.run_id,
            app_id: self.app_id,
            categories: self.categories.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
            expiration: self.expiration.as_deref().map(filter::moment).transpose()?,
            ttl_s: self.ttl_s,
            created_at: self.created_at.as_deref().map(filter::moment).transpose()?,
            embedding: self.embedding,
        })
    }
}

/// A change to a memory: what is left out stays, `null` removes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeIn {
    memory: Option<String>,
    #[serde(default, deserialize_with = "given")]
    agent_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    run_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    app_id: Option<Option<String>>,
    categories: Option<Vec<String>>,
    metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "given")]
    expiration: Option<Option<String>>,
    embedding: Option<Vec<f32>>,
}

/// Tells `null` from nothing at all.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl ChangeIn {
    pub fn read(self) -> Result<Change> {
        let expiration = self.expiration.map(|given| given.as_deref().map(filter::moment).transpose()).transpose()?;
        Ok(Change {
            memory: self.memory,
            agent_id: self.agent_id,
            run_id: self.run_id,
            app_id: self.app_id,
            categories: self.categories,
            metadata: self.metadata,
            expiration,
            created_at: None,
            embedding: self.embedding,
        })
    }
}

/// What a filter says, and the users it names.
pub fn filter_of(json: Option<&Value>) -> Result<(Option<Filter>, Vec<String>)> {
    let parsed = json.filter(|json| !json.is_null()).map(filter::parse).transpose()?;
    Ok(parsed.map_or((None, Vec::new()), |parsed| (Some(parsed.filter), parsed.users)))
}

/// What to look for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchIn {
    query: Option<String>,
    embedding: Option<Vec<f32>>,
    limit: Option<usize>,
    threshold: Option<f32>,
    cosine_min: Option<f32>,
    filters: Option<Value>,
    #[serde(default)]
    pub explain: bool,
}

impl SearchIn {
    pub fn read(self) -> Result<(SearchQuery, Vec<String>)> {
        let (filter, users) = filter_of(self.filters.as_ref())?;
        let query = SearchQuery {
            text: self.query,
            embedding: self.embedding,
            limit: self.limit.unwrap_or(SearchQuery::LIMIT_DEFAULT),
            threshold: self.threshold,
            cosine_min: self.cosine_min,
            filter,
        };
        query.check()?;
        Ok((query, users))
    }
}

/// Which page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageIn {
    limit: Option<usize>,
    cursor: Option<String>,
    filters: Option<Value>,
}

impl PageIn {
    pub fn read(self) -> Result<(ListQuery, Vec<String>)> {
        let (filter, users) = filter_of(self.filters.as_ref())?;
        let before = self.cursor.map(|cursor| cursor.parse::<MemoryId>()).transpose();
        let before = before.map_err(|_| Error::invalid("`cursor` is a `next_cursor` of an earlier page."))?;
        let query = ListQuery { filter, limit: self.limit.unwrap_or(ListQuery::LIMIT_DEFAULT), before, offset: 0 };
        query.check()?;
        Ok((query, users))
    }
}

/// A memory, with what the question adds to it.
#[derive(Serialize)]
pub struct MemoryOut {
    #[serde(flatten)]
    memory: Memory,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_parts: Option<ScoreParts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<bool>,
}

impl From<Memory> for MemoryOut {
    fn from(memory: Memory) -> Self {
        MemoryOut { memory, score: None, score_parts: None, existing: None }
    }
}

impl From<Added> for MemoryOut {
    fn from(added: Added) -> Self {
        MemoryOut { existing: Some(added.existing), ..added.memory.into() }
    }
}

impl MemoryOut {
    pub fn hit(hit: Hit, explain: bool) -> Self {
        MemoryOut { score: Some(hit.score), score_parts: explain.then_some(hit.parts), ..hit.memory.into() }
    }
}

/// One page, newest first.
#[derive(Serialize)]
pub struct PageOut {
    memories: Vec<MemoryOut>,
    total: u64,
    next_cursor: Option<MemoryId>,
}

impl From<Page> for PageOut {
    fn from(page: Page) -> Self {
        let memories = page.memories.into_iter().map(MemoryOut::from).collect();
        PageOut { memories, total: page.total, next_cursor: page.next }
    }
}

/// A conversation in which a model is to find something.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationIn {
    messages: Vec<MessageIn>,
    custom_instructions: Option<String>,
    #[serde(default)]
    procedural: bool,
    agent_id: Option<String>,
    run_id: Option<String>,
    app_id: Option<String>,
    metadata: Option<Metadata>,
    expiration: Option<String>,
}

/// Something that was said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageIn {
    role: String,
    content: String,
    name: Option<String>,
}

impl ConversationIn {
    pub fn read(self) -> Result<Conversation> {
        let said = |MessageIn { role, content, name }: MessageIn| Turn { role, name, content };
        Ok(Conversation {
            messages: self.messages.into_iter().map(said).collect(),
            agent_id: self.agent_id,
            app_id: self.app_id,
            run_id: self.run_id,
            metadata: self.metadata.unwrap_or_default(),
            expiration: self.expiration.as_deref().map(filter::moment).transpose()?,
            instructions: Instructions { custom: self.custom_instructions, ..Instructions::default() },
            procedural: self.procedural,
            ..Conversation::default()
        })
    }
}
