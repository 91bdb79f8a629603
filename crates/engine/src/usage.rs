//! How full a space is.

use locule_core::memory::Statistics;
use locule_core::{Read, Result, Scope};
use serde::Serialize;

use crate::Engine;

/// What a space holds and may hold.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    /// How many memories, expired ones left out.
    pub memories: u64,
    /// How many there may be.
    pub memories_max: u64,
    /// How many entries of context, expired ones left out.
    pub entries: u64,
    /// How many there may be.
    pub entries_max: u64,
    /// How many agents the context knows.
    pub agents: u64,
    /// How many there may be.
    pub agents_max: u64,
    /// Bytes of texts, metadata, vectors and relationships, and of the context.
    pub size_bytes: u64,
    /// How many there may be.
    pub size_bytes_max: u64,
    /// The model whose vectors the space holds; `None` before the first.
    pub model: Option<String>,
    /// How many numbers its vectors have.
    pub dimension: Option<usize>,
    /// Figures over the memories.
    #[serde(flatten)]
    pub statistics: Statistics,
}

impl Engine {
    /// How full a space is.
    pub fn usage(&self, scope: Scope<Read>) -> Result<Usage> {
        let space = self.store.spaces.open(scope);
        let reader = space.read()?;
        let (state, quota) = (reader.state()?, reader.quota());
        let (statistics, (entries, agents)) = (reader.statistics()?, reader.context_counts()?);
        Ok(Usage {
            memories: statistics.memory_count,
            memories_max: quota.memories_max,
            entries,
            entries_max: quota.entries_max,
            agents,
            agents_max: quota.agents_max,
            size_bytes: state.size_bytes,
            size_bytes_max: quota.bytes_max,
            dimension: state.model.as_ref().map(|model| model.dimension),
            model: state.model.map(|model| model.id),
            statistics,
        })
    }
}
