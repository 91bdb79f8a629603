//! What somebody should see: plain maps and lists.

use std::collections::BTreeMap;

use locule_core::id::{MemoryId, RelationshipId};
use locule_core::memory::Memory;
use locule_core::relationship::Relationship;

use super::context::Heard;
use super::mesh::Mesh;

/// What somebody should see.
#[derive(Clone, Default)]
pub struct Person {
    pub memories: BTreeMap<MemoryId, Memory>,
    /// Every id they ever had, so that gone ones are asked for too.
    pub ids: Vec<MemoryId>,
    pub relationships: BTreeMap<RelationshipId, Relationship>,
    pub relationship_ids: Vec<RelationshipId>,
    /// The context of their agents.
    pub mesh: Mesh,
    /// What somebody knows of it who follows.
    pub heard: Heard,
    pub suspended: bool,
    pub known: bool,
}

impl Person {
    /// Memories have gone, and with them what was between them and others.
    pub fn tidy(&mut self) {
        let is_there = |id: &MemoryId| self.memories.contains_key(id);
        self.relationships.retain(|_, one| is_there(&one.source_memory_id) && is_there(&one.target_memory_id));
    }

    /// Bytes as the quota counts them.
    pub fn size(&self) -> u64 {
        let json = |metadata: &locule_core::memory::Metadata| {
            if metadata.is_empty() { 0 } else { serde_json::to_string(metadata).unwrap().len() }
        };
        let of_memory = |memory: &Memory| memory.memory.len() + json(&memory.metadata) + 2 * crate::house::DIMENSION;
        let of_relationship = |one: &Relationship| 64 + one.relationship_type.len() + json(&one.metadata);
        let memories: usize = self.memories.values().map(of_memory).sum();
        (memories + self.relationships.values().map(of_relationship).sum::<usize>() + self.mesh.size()) as u64
    }
}
