//! What a model is to be asked for, as a job carries it: everything that was said, and how to keep what comes of it.

use jiff::Timestamp;
use locule_core::filter::Filter;
use locule_core::memory::{Memory, Metadata, NewMemory};
use locule_core::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{Fact, Instructions, Turn};

/// A conversation in which to find what is worth remembering.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    /// What was said, in its order.
    pub messages: Vec<Turn>,
    /// See [`Memory::agent_id`].
    pub agent_id: Option<String>,
    /// See [`Memory::app_id`].
    pub app_id: Option<String>,
    /// See [`Memory::run_id`].
    pub run_id: Option<String>,
    /// See [`Memory::metadata`].
    pub metadata: Metadata,
    /// Labels that every memory gets, whatever the model says.
    pub categories: Vec<String>,
    /// See [`Memory::expiration`].
    pub expiration: Option<Timestamp>,
    /// When it was said, if that is not when it is told.
    pub created_at: Option<Timestamp>,
    /// What is asked for beyond the usual.
    pub instructions: Instructions,
    /// Whether it is the record of an agent's work, of which one memory is made: how to go on with it.
    pub procedural: bool,
}

/// What the metadata of an agent's memory of its own work says of it.
const PROCEDURAL: (&str, &str) = ("memory_type", "procedural_memory");

impl Conversation {
    /// Passes what memories can be made of, before it is taken on: what is found out later nobody is there to be told.
    pub fn check(&self) -> Result<()> {
        if self.messages.is_empty() {
            return Err(Error::invalid("There is nothing to find anything in: give at least one message with a text."));
        }
        if self.messages.iter().any(|turn| !["user", "assistant"].contains(&&*turn.role)) {
            return Err(Error::invalid("The `role` of a message is `user` or `assistant`."));
        }
        if self.procedural && self.agent_id.is_none() {
            return Err(Error::invalid("A procedural memory is an agent's: give its `agent_id`."));
        }
        self.memory("x".to_owned(), Vec::new()).check()
    }

    /// The memories of some facts.
    pub fn memories(&self, facts: Vec<Fact>) -> Vec<NewMemory> {
        facts.into_iter().map(|Fact { text, categories }| self.memory(text, categories)).collect()
    }

    /// The one memory of an agent's work.
    pub fn procedure(&self, summary: String) -> NewMemory {
        self.memory(summary, Vec::new())
    }

    /// What was said, word for word: what is kept where no model is there to find anything.
    pub fn verbatim(self) -> Vec<NewMemory> {
        let texts: Vec<String> = self.messages.iter().map(|turn| turn.content.clone()).collect();
        texts.into_iter().map(|text| self.memory(text, Vec::new())).collect()
    }

    /// All that was said, as one text, by which to find what is known already.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.messages.iter().map(|turn| &*turn.content).collect();
        texts.join("\n")
    }

    fn memory(&self, text: String, found: Vec<String>) -> NewMemory {
        let mut categories = self.categories.clone();
        categories.extend(found.into_iter().filter(|label| !self.categories.contains(label)));
        let mut metadata = self.metadata.clone();
        if self.procedural {
            metadata.insert(PROCEDURAL.0.to_owned(), json!(PROCEDURAL.1));
        }
        NewMemory {
            memory: text,
            agent_id: self.agent_id.clone(),
            app_id: self.app_id.clone(),
            run_id: self.run_id.clone(),
            categories,
            metadata,
            expiration: self.expiration,
            created_at: self.created_at,
            ..NewMemory::default()
        }
    }
}

/// Memories to write in a form that was asked for, or to sum up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Which; all without one.
    pub filter: Option<Filter>,
    /// The JSON schema to fill, for an export.
    pub schema: Value,
    /// What is asked for beyond the usual.
    pub instructions: Option<String>,
}

/// How many memories a model is shown, and how many an export without one holds: the newest.
pub const SHOWN_MAX: usize = 200;
/// See [`SHOWN_MAX`].
pub const EXPORTED_MAX: usize = 1_000;

impl Selection {
    /// The export that needs no model: the memories, and what of the schema's fields can be read off them.
    pub fn plain(&self, memories: &[Memory], total: u64) -> Map<String, Value> {
        let mut export = Map::new();
        let fields = self.schema.get("properties").and_then(Value::as_object);
        for name in fields.into_iter().flat_map(Map::keys) {
            let value = memories.iter().find_map(|memory| memory.metadata.get(name)).cloned().unwrap_or(Value::Null);
            export.insert(name.clone(), value);
        }
        export.insert("memories".to_owned(), memories.iter().map(of).collect());
        export.insert("total_memories".to_owned(), json!(total));
        export
    }

    /// The summary that needs no model: how many there are, of what, and the newest.
    pub fn overview(memories: &[Memory], total: u64) -> String {
        const TOLD: usize = 10;
        if memories.is_empty() {
            return "Nothing is remembered.".to_owned();
        }
        let newest: Vec<String> =
            memories.iter().take(TOLD).map(|memory| format!("- {}", first_line(&memory.memory))).collect();
        let are = if total == 1 { "1 memory is" } else { &*format!("{total} memories are") };
        format!("{are} kept. The newest:\n{}", newest.join("\n"))
    }
}

/// A memory as an export tells it.
pub fn of(memory: &Memory) -> Value {
    json!({
        "id": memory.id,
        "memory": memory.memory,
        "agent_id": memory.agent_id,
        "app_id": memory.app_id,
        "run_id": memory.run_id,
        "categories": memory.categories,
        "metadata": memory.metadata,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
    })
}

fn first_line(text: &str) -> String {
    const CHARS: usize = 200;
    text.lines().next().unwrap_or_default().chars().take(CHARS).collect()
}

/// A task as a job carries it, if it can be kept.
pub fn written<T: Serialize>(task: &T) -> Result<Map<String, Value>> {
    let task = serde_json::to_value(task).map_err(Error::internal)?;
    if has_nul(&task) {
        return Err(Error::invalid("A text holds the character U+0000, which cannot be kept."));
    }
    match task {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::internal("a task that is no object")),
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// A task as a job carried it.
pub fn read<T: DeserializeOwned>(payload: Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(payload)).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str) -> Conversation {
        let turn = Turn { role: "user".to_owned(), name: None, content: content.to_owned() };
        Conversation { messages: vec![turn], agent_id: Some("chef".to_owned()), ..Conversation::default() }
    }

    #[test]
    fn a_task_comes_back_as_it_went() {
        let filter = locule_core::filter::parse(
            &json!({"OR": [{"agent_id": "a"}, {"NOT": {"created_at": {"gt": "2026-01-01"}}},
            {"metadata.n": {"in": [1, 2.5, true]}}, {"memory": {"icontains": "x"}}, {"run_id": "*"}]}),
        );
        let filter = Some(filter.unwrap().filter);
        let selection = Selection { filter, schema: json!({"type": "object"}), instructions: None };
        assert_eq!(read::<Selection>(written(&selection).unwrap()).unwrap(), selection);
        assert!(
            written(&said("a\0b")).is_err() && written(&Selection { schema: json!({"a\0": 1}), ..selection }).is_err()
        );
        let conversation = Conversation { created_at: Some(Timestamp::UNIX_EPOCH), ..said("x") };
        assert_eq!(read::<Conversation>(written(&conversation).unwrap()).unwrap(), conversation);
    }

    #[test]
    fn what_memories_cannot_be_made_of_is_refused_at_once() {
        assert!(said("x").check().is_ok());
        let long = Some("x".repeat(300));
        for bad in [
            Conversation::default(),
            Conversation { agent_id: long, ..said("x") },
            Conversation { procedural: true, agent_id: None, ..said("x") },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_given_and_labels_found_are_one_list() {
        let conversation = Conversation { categories: vec!["food".to_owned()], ..said("x") };
        let fact = Fact { text: "likes tea".to_owned(), categories: vec!["food".to_owned(), "drink".to_owned()] };
        assert_eq!(conversation.memories(vec![fact])[0].categories, ["food", "drink"]);
        let procedure = Conversation { procedural: true, ..said("x") }.procedure("went well".to_owned());
        assert_eq!(procedure.metadata["memory_type"], "procedural_memory");
    }
}
