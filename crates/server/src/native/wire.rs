//! What memories look like on the wire.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use locule::infer::{Conversation, Instructions, Turn};
use locule::memory::{Metadata, SESSION_TTL_S, ScoreParts};
use locule::{Added, Change, Error, Hit, Memory, MemoryId, NewMemory, Result, filter};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A memory.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemoryOut {
    /// UUIDv7; rises in the order of adding.
    #[schema(value_type = String, example = "0199b1c2-7f3e-7abc-8def-0123456789ab")]
    id: MemoryId,
    /// The statement.
    #[schema(example = "I'm allergic to peanuts")]
    memory: String,
    /// Which agent it belongs to.
    agent_id: Option<String>,
    /// Which run it belongs to.
    run_id: Option<String>,
    /// Which application it belongs to.
    app_id: Option<String>,
    /// Labels.
    categories: Vec<String>,
    /// Whatever the application keeps beside it.
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// MD5 of the text, 32 hex digits.
    hash: String,
    /// From when on it is no longer seen. RFC 3339, UTC.
    #[schema(value_type = Option<String>)]
    expiration: Option<jiff::Timestamp>,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    updated_at: jiff::Timestamp,
    /// In an answer to a search: how well it fits, 0 to 1; comparable within one answer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    /// In an answer to a search with `explain`: what the score is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    score_parts: Option<ScoreParts>,
    /// In an answer to an add: whether it was there already, and nothing was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<bool>,
}

impl From<Memory> for MemoryOut {
    fn from(memory: Memory) -> Self {
        let Memory {
            id,
            memory,
            agent_id,
            run_id,
            app_id,
            categories,
            metadata,
            hash,
            expiration,
            created_at,
            updated_at,
        } = memory;
        MemoryOut {
            id,
            memory,
            agent_id,
            run_id,
            app_id,
            categories,
            metadata,
            hash,
            expiration,
            created_at,
            updated_at,
            score: None,
            score_parts: None,
            existing: None,
        }
    }
}

impl From<Added> for MemoryOut {
    fn from(added: Added) -> Self {
        MemoryOut { existing: Some(added.existing), ..added.memory.into() }
    }
}

impl MemoryOut {
    /// A hit, with what its score is made of if asked for.
    pub fn hit(hit: Hit, explain: bool) -> Self {
        MemoryOut { score: Some(hit.score), score_parts: explain.then_some(hit.parts), ..hit.memory.into() }
    }

    /// Where it is.
    pub fn id(&self) -> MemoryId {
        self.id
    }
}

/// A vector: an array of numbers, or base64 of little-endian 32-bit floats, which is a quarter of the work to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(pub Vec<f32>);

impl<'de> Deserialize<'de> for Embedding {
    /// Reads the text of the value and not its numbers one by one: parsed straight to 32 bits they take half the time.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let json = json.get();
        let read = match json.as_bytes().first() {
            Some(b'[') => numbers(json),
            Some(b'"') => base64(json),
            _ => None,
        };
        read.map(Embedding).ok_or_else(|| {
            de::Error::custom(
                "an embedding is an array of at most 4,096 numbers, or base64 of little-endian 32-bit floats",
            )
        })
    }
}

/// The numbers of a JSON array that holds nothing else.
fn numbers(json: &str) -> Option<Vec<f32>> {
    let mut rest = json.as_bytes().strip_prefix(b"[")?.trim_ascii_start();
    let mut numbers = Vec::with_capacity(384);
    if rest == b"]" {
        return Some(numbers);
    }
    loop {
        // The text is JSON, so what reads as a number here is one; one too large becomes infinite, and is refused later.
        let (number, length) = fast_float2::parse_partial(rest).ok()?;
        numbers.push(number);
        rest = rest[length..].trim_ascii_start();
        match rest.split_first()? {
            (b',', more) if numbers.len() < locule::limit::DIMENSION.max => rest = more.trim_ascii_start(),
            (b']', []) => return Some(numbers),
            _ => return None,
        }
    }
}

/// The floats of a JSON text that holds their base64.
fn base64(json: &str) -> Option<Vec<f32>> {
    let text: Cow<str> = serde_json::from_str(json).ok()?;
    let bytes = BASE64_STANDARD.decode(&*text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let fits = rest.is_empty() && numbers.len() <= locule::limit::DIMENSION.max;
    fits.then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// A memory to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryIn {
    /// The statement, 1 to 65,536 bytes.
    #[schema(example = "I'm allergic to peanuts")]
    memory: String,
    /// Which agent it belongs to.
    #[serde(default)]
    agent_id: Option<String>,
    /// Which run it belongs to.
    #[serde(default)]
    run_id: Option<String>,
    /// Which application it belongs to.
    #[serde(default)]
    app_id: Option<String>,
    /// Labels, at most 32.
    #[serde(default)]
    categories: Option<Vec<String>>,
    /// A JSON object, at most 65,536 bytes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// From when on it is no longer seen: RFC 3339, or a date, which means its first moment in UTC.
    #[serde(default)]
    expiration: Option<String>,
    /// Whether it is of a session: kept for 24 hours, or `ttl_s`. It has a `run_id` then, and no `expiration` of its own.
    #[serde(default)]
    session: bool,
    /// For how many seconds it is kept, 1 to 86,400: a memory of a session.
    #[serde(default)]
    ttl_s: Option<u32>,
    /// Its vector, if the caller has made it: an array of numbers, or base64 of little-endian 32-bit floats.
    #[serde(default)]
    #[schema(value_type = Option<Vec<f32>>)]
    embedding: Option<Embedding>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

impl MemoryIn {
    /// The memory, and the user it names.
    pub fn read(self) -> Result<(NewMemory, Option<String>)> {
        let memory = NewMemory {
            memory: self.memory,
            agent_id: self.agent_id,
            run_id: self.run_id,
            app_id: self.app_id,
            categories: self.categories.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
            expiration: self.expiration.as_deref().map(filter::moment).transpose()?,
            ttl_s: self.ttl_s.or(self.session.then_some(SESSION_TTL_S)),
            created_at: None,
            embedding: self.embedding.map(|embedding| embedding.0),
        };
        Ok((memory, self.user_id))
    }
}

/// A change to a memory. What is left out stays; `null` removes, where the field can be absent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeIn {
    /// A new statement; its vector is made anew unless one is given.
    #[serde(default)]
    memory: Option<String>,
    /// Another agent, or none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    agent_id: Option<Option<String>>,
    /// Another run, or none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    run_id: Option<Option<String>>,
    /// Another application, or none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    app_id: Option<Option<String>>,
    /// Other labels.
    #[serde(default)]
    categories: Option<Vec<String>>,
    /// Merged into the metadata as RFC 7396 says: objects merge, `null` removes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// Another expiration, or none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    expiration: Option<Option<String>>,
    /// A new vector.
    #[serde(default)]
    #[schema(value_type = Option<Vec<f32>>)]
    embedding: Option<Embedding>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// Tells `null` from nothing at all.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl ChangeIn {
    /// The change, and the user it names.
    pub fn read(self) -> Result<(Change, Option<String>)> {
        let expiration = match self.expiration {
            None => None,
            Some(None) => Some(None),
            Some(Some(text)) => Some(Some(filter::moment(&text)?)),
        };
        let change = Change {
            memory: self.memory,
            agent_id: self.agent_id,
            run_id: self.run_id,
            app_id: self.app_id,
            categories: self.categories,
            metadata: self.metadata,
            expiration,
            created_at: None,
            embedding: self.embedding.map(|embedding| embedding.0),
        };
        Ok((change, self.user_id))
    }
}

/// One memory (`{"memory": "…", …}`), or a list of them (`{"memories": [ … ]}`, 1 to 1,000, all or none), or a conversation in
/// which a model is to find what is worth remembering (`{"infer": true, "messages": [ … ]}`).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddIn {
    /// Several memories, in place of all the other fields.
    #[serde(default)]
    memories: Option<Vec<MemoryIn>>,
    /// The statement, 1 to 65,536 bytes.
    #[serde(default)]
    #[schema(example = "I'm allergic to peanuts")]
    memory: Option<String>,
    /// Whether a model is to find out what is worth remembering, of `memory` or of `messages`.
    #[serde(default)]
    pub infer: bool,
    /// With `infer`: what was said.
    #[serde(default)]
    messages: Option<Vec<MessageIn>>,
    /// With `infer`: what to remember and what not, in words for the model; before the user's own settings and the project's.
    #[serde(default)]
    custom_instructions: Option<String>,
    /// With `infer`: whether `messages` are the record of an agent's work (`agent_id`), of which one memory is made: how to go on
    /// with it.
    #[serde(default)]
    procedural: bool,
    /// Which agent it belongs to.
    #[serde(default)]
    agent_id: Option<String>,
    /// Which run it belongs to.
    #[serde(default)]
    run_id: Option<String>,
    /// Which application it belongs to.
    #[serde(default)]
    app_id: Option<String>,
    /// Labels, at most 32.
    #[serde(default)]
    categories: Option<Vec<String>>,
    /// A JSON object, at most 65,536 bytes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// From when on it is no longer seen: RFC 3339, or a date, which means its first moment in UTC.
    #[serde(default)]
    expiration: Option<String>,
    /// Whether it is of a session: kept for 24 hours, or `ttl_s`. It has a `run_id` then, and no `expiration` of its own.
    #[serde(default)]
    session: bool,
    /// For how many seconds it is kept, 1 to 86,400: a memory of a session.
    #[serde(default)]
    ttl_s: Option<u32>,
    /// Its vector, if the caller has made it: an array of numbers, or base64 of little-endian 32-bit floats.
    #[serde(default)]
    #[schema(value_type = Option<Vec<f32>>)]
    embedding: Option<Embedding>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// Something that was said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageIn {
    /// `user` or `assistant`.
    #[schema(example = "user")]
    role: String,
    /// What.
    #[schema(example = "I never eat peanuts, they make me ill")]
    content: String,
    /// What they are called.
    #[serde(default)]
    name: Option<String>,
}

impl AddIn {
    /// The conversation in which a model is to find something, and the users that are named.
    pub fn conversation(self) -> Result<(Conversation, Vec<String>)> {
        if self.memories.is_some() || self.embedding.is_some() || self.session || self.ttl_s.is_some() {
            return Err(Error::invalid("With `infer` there are no `memories`, `embedding`, `session` and `ttl_s`."));
        }
        let said = |role: &str, name, content| Turn { role: role.to_owned(), name, content };
        let messages = match (self.messages, self.memory) {
            (Some(messages), None) => {
                messages.into_iter().map(|message| said(&message.role, message.name, message.content)).collect()
            }
            (None, Some(text)) => vec![said("user", None, text)],
            _ => return Err(Error::invalid("With `infer`, give `messages` or `memory`, one of them.")),
        };
        let conversation = Conversation {
            messages,
            agent_id: self.agent_id,
            app_id: self.app_id,
            run_id: self.run_id,
            metadata: self.metadata.unwrap_or_default(),
            categories: self.categories.unwrap_or_default(),
            expiration: self.expiration.as_deref().map(filter::moment).transpose()?,
            instructions: Instructions { custom: self.custom_instructions, ..Instructions::default() },
            procedural: self.procedural,
            ..Conversation::default()
        };
        Ok((conversation, self.user_id.into_iter().collect()))
    }

    /// The memories, whether they came as a list, and the users that are named.
    pub fn read(self) -> Result<(Vec<NewMemory>, bool, Vec<String>)> {
        let mut users: Vec<String> = Vec::new();
        // A field beside a list is for none of its memories: it is refused, not dropped.
        let is_list = self.agent_id.is_none()
            && self.run_id.is_none()
            && self.app_id.is_none()
            && self.categories.is_none()
            && self.metadata.is_none()
            && self.expiration.is_none()
            && !self.infer
            && self.messages.is_none()
            && self.custom_instructions.is_none()
            && !self.procedural
            && !self.session
            && self.ttl_s.is_none()
            && self.embedding.is_none();
        let (memories, many) = match (self.memories, self.memory) {
            (Some(memories), None) if is_list => {
                users.extend(self.user_id);
                (memories, true)
            }
            (None, Some(memory))
                if self.messages.is_none() && self.custom_instructions.is_none() && !self.procedural =>
            {
                let memory = MemoryIn {
                    memory,
                    agent_id: self.agent_id,
                    run_id: self.run_id,
                    app_id: self.app_id,
                    categories: self.categories,
                    metadata: self.metadata,
                    expiration: self.expiration,
                    session: self.session,
                    ttl_s: self.ttl_s,
                    embedding: self.embedding,
                    user_id: self.user_id,
                };
                (vec![memory], false)
            }
            _ => {
                return Err(Error::invalid(
                    "The body is {\"memory\": \"…\"}, or {\"memories\": [{\"memory\": \"…\"}, …]}, or, for a model, {\"infer\": true, \
                     \"messages\": [{\"role\": \"user\", \"content\": \"…\"}]}.",
                ));
            }
        };
        let mut ready = Vec::with_capacity(memories.len());
        for memory in memories {
            let (memory, user) = memory.read()?;
            users.extend(user);
            ready.push(memory);
        }
        Ok((ready, many, users))
    }
}

/// How many memories were deleted.
#[derive(Serialize, ToSchema)]
pub struct DeletedOut {
    /// What nobody saw any more is not counted, unless it was asked for.
    pub deleted: u64,
}

/// The id, or one that nothing has: a malformed id is looked for like any other, and answers alike.
pub fn memory_id(text: &str) -> MemoryId {
    text.parse().unwrap_or(MemoryId::from_bytes([0; 16]))
}

/// Which memories a request is about, in its query.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only of this agent.
    pub agent_id: Option<String>,
    /// Only of this run.
    pub run_id: Option<String>,
    /// Only of this application.
    pub app_id: Option<String>,
    /// A filter, as JSON: `{"metadata.kind": "food"}`.
    pub filters: Option<String>,
    /// If given, the caller's own id.
    pub user_id: Option<String>,
}

impl Which {
    /// The filter, if there is one, and the users it names.
    pub fn read(self) -> Result<(Option<filter::Filter>, Vec<String>)> {
        let mut users: Vec<String> = self.user_id.into_iter().collect();
        let mut all = Vec::new();
        if let Some(json) = self.filters {
            let json = serde_json::from_str(&json)
                .map_err(|error| Error::invalid(format!("`filters` is not JSON: {error}.")))?;
            let parsed = filter::parse(&json)?;
            users.extend(parsed.users);
            all.push(parsed.filter);
        }
        let labels = [
            (filter::Field::AgentId, self.agent_id),
            (filter::Field::RunId, self.run_id),
            (filter::Field::AppId, self.app_id),
        ];
        for (field, label) in labels {
            if let Some(label) = label {
                all.push(filter::Filter::Field(field, filter::Test::In(vec![filter::Scalar::Text(label)])));
            }
        }
        let filter = match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(filter::Filter::All(all)),
        };
        Ok((filter, users))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_an_array_of_numbers_or_base64_and_nothing_else() {
        let read = |json: &str| serde_json::from_str::<Embedding>(json).ok().map(|embedding| embedding.0);
        assert_eq!(read("[1, -2.5e1 ,0.5]"), Some(vec![1.0, -25.0, 0.5]));
        assert_eq!(read("\"AACAPwAAAMA=\""), Some(vec![1.0, -2.0]));
        assert_eq!(read(" [ ] "), Some(vec![]));
        for bad in
            ["[1,]", "[\"1\"]", "[null]", "[[1]]", "[true]", "[nan]", "[inf]", "{}", "1", "\"AAA=\"", "\"?\"", "[1 2]"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(read(&many(4_096)).map(|vector| vector.len()), Some(4_096));
        assert_eq!(read(&many(4_097)), None);
    }
}
