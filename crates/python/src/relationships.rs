//! Relationships between memories, in the words of the native REST face.

use locule::memory::Metadata;
use locule::{
    Act, Direction, Error, NeighbourQuery, NewRelationship, Related, Relationship, RelationshipId, RelationshipQuery,
    Result, Strength,
};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::space::Space;
use crate::wire::{self, MemoryOut};

/// A relationship to add.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RelationshipIn {
    source_memory_id: String,
    target_memory_id: String,
    relationship_type: String,
    strength: Option<f64>,
    metadata: Option<Metadata>,
}

impl RelationshipIn {
    fn read(self) -> Result<NewRelationship> {
        let relationship = NewRelationship {
            source_memory_id: wire::memory_id(&self.source_memory_id),
            target_memory_id: wire::memory_id(&self.target_memory_id),
            relationship_type: self.relationship_type,
            strength: self.strength.map_or(Ok(Strength::FULL), Strength::of)?,
            metadata: self.metadata.unwrap_or_default(),
        };
        relationship.check()?;
        Ok(relationship)
    }
}

/// A relationship that was added, or was there.
#[derive(Serialize)]
struct RelatedOut {
    #[serde(flatten)]
    relationship: Relationship,
    existing: bool,
}

impl From<Related> for RelatedOut {
    fn from(Related { relationship, existing }: Related) -> Self {
        RelatedOut { relationship, existing }
    }
}

/// Which page of which relationships.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageIn {
    memory_id: Option<String>,
    direction: Option<Direction>,
    relationship_type: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl PageIn {
    fn read(self) -> Result<RelationshipQuery> {
        if self.direction.is_some() && self.memory_id.is_none() {
            return Err(Error::invalid("`direction` is seen from a memory: give `memory_id` with it."));
        }
        let before = self.cursor.map(|cursor| cursor.parse::<RelationshipId>()).transpose();
        let query = RelationshipQuery {
            memory: self.memory_id.map(|id| (wire::memory_id(&id), self.direction.unwrap_or_default())),
            relationship_type: self.relationship_type,
            limit: self.limit.unwrap_or(RelationshipQuery::LIMIT_DEFAULT),
            before: before.map_err(|_| Error::invalid("`cursor` is a `next_cursor` of an earlier page."))?,
        };
        query.check()?;
        Ok(query)
    }
}

/// A page of relationships, newest first.
#[derive(Serialize)]
struct PageOut {
    relationships: Vec<Relationship>,
    total: u64,
    next_cursor: Option<RelationshipId>,
}

/// How far to go, and which way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalkIn {
    direction: Option<Direction>,
    hops: Option<usize>,
    relationship_type: Option<String>,
    limit: Option<usize>,
}

/// A memory that was reached from another.
#[derive(Serialize)]
struct NeighbourOut {
    #[serde(flatten)]
    memory: MemoryOut,
    distance: usize,
    path: Vec<Relationship>,
}

#[derive(Serialize)]
struct NeighboursOut {
    neighbours: Vec<NeighbourOut>,
    more: bool,
}

/// The id, or one that nothing has.
fn id_of(text: &str) -> RelationshipId {
    text.parse().unwrap_or(RelationshipId::from_bytes([0; 16]))
}

#[pymethods]
impl Space {
    /// Adds relationships, all or none.
    fn relate(&self, py: Python<'_>, relationships: &str, named: Vec<String>) -> PyResult<String> {
        let relationships = Self::read(py, || {
            let given = wire::read::<Vec<RelationshipIn>>(relationships)?;
            given.into_iter().map(RelationshipIn::read).collect::<Result<Vec<_>>>()
        })?;
        self.change(py, named, |engine, scope| {
            let related = engine.relate(scope, relationships)?;
            wire::write(&related.into_iter().map(RelatedOut::from).collect::<Vec<_>>())
        })
    }

    /// One page of relationships.
    fn relationships(&self, py: Python<'_>, page: &str, named: Vec<String>) -> PyResult<String> {
        let query = Self::read(py, || wire::read::<PageIn>(page)?.read())?;
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            let page = engine.relationships(scope, &query)?;
            wire::write(&PageOut { relationships: page.relationships, total: page.total, next_cursor: page.next })
        })
    }

    /// One relationship.
    fn relationship(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, named, |engine, scope| wire::write(&engine.relationship(scope, id_of(id))?))
    }

    /// Deletes a relationship.
    fn unrelate(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<()> {
        self.change(py, named, |engine, scope| engine.unrelate(scope, id_of(id)))
    }

    /// The memories that relationships lead to from one.
    fn neighbours(&self, py: Python<'_>, id: &str, walk: &str, named: Vec<String>) -> PyResult<String> {
        let query = Self::read(py, || {
            let walk = wire::read::<WalkIn>(walk)?;
            let usual = NeighbourQuery::default();
            let query = NeighbourQuery {
                direction: walk.direction.unwrap_or_default(),
                hops: walk.hops.unwrap_or(usual.hops),
                relationship_type: walk.relationship_type,
                limit: walk.limit.unwrap_or(usual.limit),
            };
            query.check()?;
            Ok(query)
        })?;
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            let found = engine.neighbours(scope, wire::memory_id(id), &query)?;
            let neighbours = found.neighbours.into_iter().map(|neighbour| NeighbourOut {
                distance: neighbour.path.len(),
                memory: neighbour.memory.into(),
                path: neighbour.path,
            });
            wire::write(&NeighboursOut { neighbours: neighbours.collect(), more: found.more })
        })
    }
}
