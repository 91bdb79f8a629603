//! Relationships between the memories of a space.

use locule_core::id::{MemoryId, RelationshipId};
use locule_core::relationship::{
    NeighbourQuery, Neighbours, NewRelationship, Related, Relationship, RelationshipPage, RelationshipQuery,
};
use locule_core::{Error, Read, Result, Scope, Write, limit};

use crate::Engine;

impl Engine {
    /// Adds relationships between memories of one space, all or none. Where the same source stands so to the same target
    /// already, that relationship is returned as it is. A memory that is not in the space is not found.
    pub fn relate(&self, scope: Scope<Write>, relationships: Vec<NewRelationship>) -> Result<Vec<Related>> {
        if relationships.is_empty() {
            return Err(Error::invalid("There is nothing to add: give at least one relationship."));
        }
        limit::BATCH.check(relationships.len())?;
        relationships.iter().try_for_each(NewRelationship::check)?;
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        let related = writer.relate(relationships)?;
        writer.commit()?;
        Ok(related)
    }

    /// One relationship.
    pub fn relationship(&self, scope: Scope<Read>, id: RelationshipId) -> Result<Relationship> {
        self.store.spaces.open(scope).read()?.relationship(id)
    }

    /// A page of relationships, newest first.
    pub fn relationships(&self, scope: Scope<Read>, query: &RelationshipQuery) -> Result<RelationshipPage> {
        self.store.spaces.open(scope).read()?.relationships(query)
    }

    /// Deletes a relationship; its memories stay.
    pub fn unrelate(&self, scope: Scope<Write>, id: RelationshipId) -> Result<()> {
        let space = self.store.spaces.open(scope);
        let mut writer = space.write()?;
        writer.unrelate(id)?;
        writer.commit()
    }

    /// The memories that relationships lead to from this one, the nearest first.
    pub fn neighbours(&self, scope: Scope<Read>, id: MemoryId, query: &NeighbourQuery) -> Result<Neighbours> {
        self.store.spaces.open(scope).read()?.neighbours(id, query)
    }
}
