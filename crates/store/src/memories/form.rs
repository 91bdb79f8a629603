//! A memory as its row has it: sealed, where the space is.

use std::borrow::Cow;

use locule_core::memory::Memory;
use locule_core::{Error, Result};

use crate::content::Place;
use crate::tx::{Tx, Value};

/// What the columns are called for the seal.
pub const MEMORY: &str = "memories.memory";
pub const AGENT: &str = "memories.agent_id";
pub const RUN: &str = "memories.run_id";
pub const APP: &str = "memories.app_id";
pub const CATEGORIES: &str = "memories.categories";
pub const METADATA: &str = "memories.metadata";
pub const HASH: &str = "memories.hash";
pub const FEEDBACK: &str = "memories.feedback";
pub const FEEDBACK_REASON: &str = "memories.feedback_reason";
pub const EMBEDDING: &str = "memory_vectors.embedding";

/// The columns with content.
pub struct Form<'a> {
    pub memory: Cow<'a, str>,
    agent_id: Option<Cow<'a, str>>,
    run_id: Option<Cow<'a, str>>,
    app_id: Option<Cow<'a, str>>,
    categories: Cow<'a, [String]>,
    metadata: Cow<'a, str>,
    hash: Cow<'a, str>,
}

impl<'a> Form<'a> {
    /// As this transaction's space has it.
    pub fn of(tx: &dyn Tx, memory: &'a Memory) -> Result<Self> {
        let metadata = serde_json::to_string(&memory.metadata).map_err(Error::internal)?;
        let label = |column, label: &'a Option<String>| label.as_deref().map(|label| tx.label(column, label));
        Ok(Form {
            memory: tx.text(Place(MEMORY, memory.id.as_bytes()), &memory.memory),
            agent_id: label(AGENT, &memory.agent_id),
            run_id: label(RUN, &memory.run_id),
            app_id: label(APP, &memory.app_id),
            categories: tx.labels(CATEGORIES, &memory.categories),
            metadata: tx.json(Place(METADATA, memory.id.as_bytes()), metadata),
            hash: tx.label(HASH, &memory.hash),
        })
    }

    /// `memory, agent_id, run_id, app_id, categories, metadata, hash`
    pub fn values(&self) -> [Value<'_>; 7] {
        [
            Value::Text(&self.memory),
            Value::text(self.agent_id.as_deref()),
            Value::text(self.run_id.as_deref()),
            Value::text(self.app_id.as_deref()),
            Value::Texts(&self.categories),
            Value::Json(&self.metadata),
            Value::Text(&self.hash),
        ]
    }
}
