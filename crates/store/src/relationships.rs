//! Relationships between memories: the statements over them, and the walk from a memory to its neighbours.
//!
//! A relationship is seen only where both its memories are: what has expired is neither shown nor walked through.

use std::cmp::Reverse;
use std::collections::HashMap;

use locule_core::id::{MemoryId, RelationshipId, Tick};
use locule_core::memory::Memory;
use locule_core::relationship::{
    Direction, Neighbour, NeighbourQuery, Neighbours, NewRelationship, Related, Relationship, RelationshipPage,
    RelationshipQuery, Strength,
};
use locule_core::{Error, Result, limit};

use crate::content::Place;
use crate::memories::{self, COLUMNS as MEMORY_COLUMNS};
use crate::space::{Reader, Writer};
use crate::tick;
use crate::tx::{Owned, Row, Sql, Value};

/// The columns that [`relationship`] reads, in its order. A strength may be a decimal number, and is read as a float.
const COLUMNS: &str = "r.id, r.source_memory_id, r.target_memory_id, r.relationship_type, \
     CAST(r.strength AS double precision), r.metadata, r.created_at";

/// Relationships with both their memories.
const BETWEEN: &str = " FROM memory_relationships r JOIN memories s ON s.id = r.source_memory_id \
     JOIN memories t ON t.id = r.target_memory_id WHERE ";

/// What the columns with content are called for the seal.
pub(crate) const TYPE: &str = "memory_relationships.relationship_type";
pub(crate) const METADATA: &str = "memory_relationships.metadata";

/// What a relationship takes beside its type and metadata: three ids, a strength and a moment.
const FIXED_BYTES: usize = 3 * 16 + 8 + 8;

impl Reader<'_> {
    /// One relationship.
    pub fn relationship(&self, id: RelationshipId) -> Result<Relationship> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(BETWEEN).push("r.id = ").bind(Owned::Id(*id.as_bytes())).push(" AND ");
        self.push_both_visible(&mut sql);
        self.tx.first(sql.text(), &sql.values(), relationship)?.ok_or_else(Error::not_found)
    }

    /// A page of relationships, newest first.
    pub fn relationships(&self, query: &RelationshipQuery) -> Result<RelationshipPage> {
        query.check()?;
        let mut sql = Sql::default();
        sql.push("SELECT count(*)").push(BETWEEN);
        self.push_matching(&mut sql, query);
        let total = self.tx.first(sql.text(), &sql.values(), |row| row.integer(0))?.unwrap_or(0) as u64;

        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(BETWEEN);
        self.push_matching(&mut sql, query);
        if let Some(before) = query.before {
            sql.push(" AND r.id < ").bind(Owned::Id(*before.as_bytes()));
        }
        // One more than asked for tells whether there is a next page.
        sql.push(" ORDER BY r.id DESC LIMIT ").bind(Owned::Integer(query.limit as i64 + 1));
        let mut relationships = self.tx.all(sql.text(), &sql.values(), relationship)?;
        let more = relationships.len() > query.limit;
        relationships.truncate(query.limit);
        let next = relationships.last().filter(|_| more).map(|relationship| relationship.id);
        Ok(RelationshipPage { relationships, total, next })
    }

    /// How many relationships there are.
    pub fn relationship_count(&self) -> Result<u64> {
        let mut sql = Sql::default();
        sql.push("SELECT count(*)").push(BETWEEN);
        self.push_both_visible(&mut sql);
        Ok(self.tx.first(sql.text(), &sql.values(), |row| row.integer(0))?.unwrap_or(0) as u64)
    }

    /// Every relationship, oldest first.
    pub fn export_relationships(&self, each: &mut dyn FnMut(Relationship) -> Result<()>) -> Result<()> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(BETWEEN);
        self.push_both_visible(&mut sql);
        sql.push(" ORDER BY r.id");
        self.tx.query(sql.text(), &sql.values(), &mut |row| each(relationship(row)?))
    }

    /// The memories that relationships lead to from this one.
    pub fn neighbours(&self, id: MemoryId, query: &NeighbourQuery) -> Result<Neighbours> {
        query.check()?;
        self.memory(id)?;
        let mut walk = Walk::from(id);
        let mut frontier = vec![id];
        for _ in 0..query.hops {
            self.steps(&frontier, query, &mut |step| walk.take(&step))?;
            frontier = walk.arrive();
            // The nearer come first: where they are too many already, nobody would see the farther.
            if walk.reached.len() > query.limit || frontier.is_empty() {
                break;
            }
        }
        let more = walk.reached.len() > query.limit;
        let nearest = walk.nearest(query.limit);

        let mut memories = self.memories_of(nearest.iter().map(|(id, _)| *id))?;
        let along = self.relationships_of(nearest.iter().flat_map(|(_, way)| way.path.iter().copied()))?;
        let neighbours = nearest.into_iter().filter_map(|(id, way)| {
            // All of it was seen a moment ago in this same transaction.
            let path = way.path.iter().filter_map(|id| along.get(id).cloned()).collect();
            memories.remove(&id).map(|memory| Neighbour { memory, path })
        });
        Ok(Neighbours { neighbours: neighbours.collect(), more })
    }

    /// Shows every step from one of these memories.
    fn steps(&self, from: &[MemoryId], query: &NeighbourQuery, each: &mut dyn FnMut(Step)) -> Result<()> {
        let ways: &[(&str, &str)] = match query.direction {
            Direction::Out => &[("source_memory_id", "target_memory_id")],
            Direction::In => &[("target_memory_id", "source_memory_id")],
            Direction::Both => &[("source_memory_id", "target_memory_id"), ("target_memory_id", "source_memory_id")],
        };
        let from: Vec<Owned> = from.iter().map(|id| Owned::Id(*id.as_bytes())).collect();
        for (near, far) in ways {
            let mut sql = Sql::default();
            sql.push("SELECT r.id, r.")
                .push(near)
                .push(", r.")
                .push(far)
                .push(", CAST(r.strength AS double precision)");
            sql.push(" FROM memory_relationships r JOIN memories m ON m.id = r.").push(far);
            sql.push(" WHERE r.").push(near);
            self.tx.dialect().among(&mut sql, &from);
            sql.push(" AND ");
            self.push_seen(&mut sql, "m");
            self.push_type(&mut sql, query.relationship_type.as_deref());
            self.tx.query(sql.text(), &sql.values(), &mut |row| {
                each(Step {
                    relationship: row.relationship_id(0)?,
                    from: row.memory_id(1)?,
                    to: row.memory_id(2)?,
                    strength: strength(row, 3)?,
                });
                Ok(())
            })?;
        }
        Ok(())
    }

    fn memories_of(&self, ids: impl Iterator<Item = MemoryId>) -> Result<HashMap<MemoryId, Memory>> {
        let ids: Vec<Owned> = ids.map(|id| Owned::Id(*id.as_bytes())).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::default();
        sql.push("SELECT ").push(MEMORY_COLUMNS).push(" FROM memories WHERE id");
        self.tx.dialect().among(&mut sql, &ids);
        let memories = self.tx.all(sql.text(), &sql.values(), memories::memory)?;
        Ok(memories.into_iter().map(|memory| (memory.id, memory)).collect())
    }

    fn relationships_of(
        &self,
        ids: impl Iterator<Item = RelationshipId>,
    ) -> Result<HashMap<RelationshipId, Relationship>> {
        let ids: Vec<Owned> = ids.map(|id| Owned::Id(*id.as_bytes())).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(" FROM memory_relationships r WHERE r.id");
        self.tx.dialect().among(&mut sql, &ids);
        let relationships = self.tx.all(sql.text(), &sql.values(), relationship)?;
        Ok(relationships.into_iter().map(|relationship| (relationship.id, relationship)).collect())
    }

    fn push_matching(&self, sql: &mut Sql, query: &RelationshipQuery) {
        self.push_both_visible(sql);
        if let Some((id, direction)) = query.memory {
            let id = || Owned::Id(*id.as_bytes());
            match direction {
                Direction::Out => sql.push(" AND r.source_memory_id = ").bind(id()),
                Direction::In => sql.push(" AND r.target_memory_id = ").bind(id()),
                Direction::Both => {
                    sql.push(" AND (r.source_memory_id = ").bind(id());
                    sql.push(" OR r.target_memory_id = ").bind(id()).push(")")
                }
            };
        }
        self.push_type(sql, query.relationship_type.as_deref());
    }

    fn push_both_visible(&self, sql: &mut Sql) {
        self.push_seen(sql, "s");
        sql.push(" AND ");
        self.push_seen(sql, "t");
    }

    /// The condition that the memory of this name in the statement has not expired.
    fn push_seen(&self, sql: &mut Sql, memory: &str) {
        sql.push("(").push(memory).push(".expiration IS NULL OR ").push(memory).push(".expiration > ");
        sql.bind(Owned::Moment(self.now)).push(")");
    }

    fn push_type(&self, sql: &mut Sql, relationship_type: Option<&str>) {
        if let Some(relationship_type) = relationship_type {
            let label = self.tx.label(TYPE, relationship_type).into_owned();
            sql.push(" AND r.relationship_type = ").bind(Owned::Text(label));
        }
    }

    fn is_there(&self, id: MemoryId) -> Result<bool> {
        let found = self.tx.first(
            "SELECT 1 FROM memories WHERE id = $1 AND (expiration IS NULL OR expiration > $2)",
            &[Value::Id(id.as_bytes()), Value::Moment(self.now)],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }
}

impl Writer<'_> {
    /// Adds relationships, all or none. Where the same source stands so to the same target already, that one is answered
    /// as it is. A memory that is not in this space is not found, whether it is elsewhere or nowhere.
    pub fn relate(&mut self, relationships: Vec<NewRelationship>) -> Result<Vec<Related>> {
        self.sweep()?;
        let mut tick = self.next_relationship_tick()?;
        let mut related = Vec::with_capacity(relationships.len());
        let mut fresh = Vec::new();
        for new in relationships {
            let (source, target) = (new.source_memory_id, new.target_memory_id);
            if !(self.is_there(source)? && self.is_there(target)?) {
                return Err(Error::not_found());
            }
            if source == target {
                return Err(Error::invalid("A relationship leads from one memory to another, and these are one."));
            }
            if let Some(existing) = self.standing(source, target, &new.relationship_type)? {
                related.push(Related { relationship: existing, existing: true });
                continue;
            }
            let relationship = Relationship {
                id: RelationshipId::mint(tick, self.chamber.tag, &self.reader.spaces.sources),
                source_memory_id: source,
                target_memory_id: target,
                relationship_type: new.relationship_type,
                strength: new.strength,
                metadata: new.metadata,
                created_at: self.reader.now,
            };
            tick = tick.next();
            self.insert_relationship(&relationship)?;
            fresh.push(relationship.id);
            related.push(Related { relationship, existing: false });
        }
        self.check_quota()?;
        let object = match &fresh[..] {
            [id] => id.to_string(),
            fresh => format!("{} relationships", fresh.len()),
        };
        self.note("add_relationships", Some(object))?;
        Ok(related)
    }

    /// Puts an exported relationship back as it was, id and time included. Says whether it is new here: it is not put in
    /// where it is already, or where one of its memories is not.
    pub fn import_relationship(&mut self, relationship: &Relationship) -> Result<bool> {
        let Relationship { id, source_memory_id: source, target_memory_id: target, relationship_type, .. } =
            relationship;
        if source == target {
            return Err(Error::invalid("A relationship of the import leads from a memory to itself."));
        }
        if !(self.is_there(*source)? && self.is_there(*target)?) {
            return Ok(false);
        }
        let known =
            self.tx
                .first("SELECT 1 FROM memory_relationships WHERE id = $1", &[Value::Id(id.as_bytes())], |_| Ok(()))?;
        if known.is_some() || self.standing(*source, *target, relationship_type)?.is_some() {
            return Ok(false);
        }
        self.insert_relationship(relationship)?;
        self.check_quota()?;
        Ok(true)
    }

    /// Puts an import on record, once for all its relationships.
    pub fn note_import_relationships(&self, count: u64) -> Result<()> {
        self.note("import_relationships", Some(format!("{count} relationships")))
    }

    /// Deletes one relationship.
    pub fn unrelate(&mut self, id: RelationshipId) -> Result<()> {
        let relationship = self.relationship(id)?;
        self.tx.run("DELETE FROM memory_relationships WHERE id = $1", &[Value::Id(id.as_bytes())])?;
        self.state.size_bytes = self.state.size_bytes.saturating_sub(size(&relationship));
        self.note("delete_relationship", Some(id.to_string()))
    }

    /// Deletes the relationships of a memory that is about to go.
    pub(crate) fn detach(&mut self, id: MemoryId) -> Result<()> {
        let id = Value::Id(id.as_bytes());
        let sizes = self.tx.all(
            &format!(
                "SELECT {COLUMNS} FROM memory_relationships r WHERE r.source_memory_id = $1 OR r.target_memory_id = $1"
            ),
            &[id],
            |row| relationship(row).map(|relationship| size(&relationship)),
        )?;
        if sizes.is_empty() {
            return Ok(());
        }
        self.tx.run("DELETE FROM memory_relationships WHERE source_memory_id = $1 OR target_memory_id = $1", &[id])?;
        self.state.size_bytes = self.state.size_bytes.saturating_sub(sizes.iter().sum());
        Ok(())
    }

    /// The relationship by which the one stands so to the other.
    fn standing(&self, source: MemoryId, target: MemoryId, relationship_type: &str) -> Result<Option<Relationship>> {
        self.tx.first(
            &format!(
                "SELECT {COLUMNS} FROM memory_relationships r WHERE r.source_memory_id = $1 AND r.target_memory_id = $2 \
                 AND r.relationship_type = $3"
            ),
            &[Value::Id(source.as_bytes()), Value::Id(target.as_bytes()), Value::Text(&self.tx.label(TYPE, relationship_type))],
            relationship,
        )
    }

    fn insert_relationship(&mut self, relationship: &Relationship) -> Result<()> {
        for id in [relationship.source_memory_id, relationship.target_memory_id] {
            let degree = self.tx.first(
                "SELECT (SELECT count(*) FROM memory_relationships WHERE source_memory_id = $1)
                      + (SELECT count(*) FROM memory_relationships WHERE target_memory_id = $1)",
                &[Value::Id(id.as_bytes())],
                |row| row.integer(0),
            )?;
            limit::RELATIONSHIPS.check(degree.unwrap_or(0) as usize + 1)?;
        }
        let metadata = serde_json::to_string(&relationship.metadata).map_err(Error::internal)?;
        let metadata = self.tx.json(Place(METADATA, relationship.id.as_bytes()), metadata);
        self.tx.run(
            "INSERT INTO memory_relationships (id, source_memory_id, target_memory_id, relationship_type, strength,
                 metadata, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                Value::Id(relationship.id.as_bytes()),
                Value::Id(relationship.source_memory_id.as_bytes()),
                Value::Id(relationship.target_memory_id.as_bytes()),
                Value::Text(&self.tx.label(TYPE, &relationship.relationship_type)),
                Value::Real(relationship.strength.number()),
                Value::Json(&metadata),
                Value::Moment(relationship.created_at),
            ],
        )?;
        self.state.size_bytes += size(relationship);
        Ok(())
    }

    fn next_relationship_tick(&self) -> Result<Tick> {
        const LATEST: &str = "SELECT id FROM memory_relationships WHERE id < $1 ORDER BY id DESC LIMIT 1";
        tick::next(&*self.tx, self.reader.now, &[LATEST])
    }
}

/// One relationship as a walk sees it: where it leads from here.
struct Step {
    relationship: RelationshipId,
    from: MemoryId,
    to: MemoryId,
    strength: Strength,
}

/// A walk, a hop at a time. Of the steps only what they lead to is kept.
struct Walk {
    origin: MemoryId,
    reached: HashMap<MemoryId, Way>,
    /// What the hop under way leads to.
    ahead: HashMap<MemoryId, Way>,
}

/// How a memory was reached.
struct Way {
    /// The product of the strengths: whole numbers, so that every order of the rows gives the same.
    strength: u32,
    path: Vec<RelationshipId>,
}

impl Walk {
    fn from(origin: MemoryId) -> Self {
        Walk { origin, reached: HashMap::new(), ahead: HashMap::new() }
    }

    fn take(&mut self, step: &Step) {
        if step.to == self.origin || self.reached.contains_key(&step.to) {
            return;
        }
        let (before, path) = self.reached.get(&step.from).map_or((1, &[][..]), |way| (way.strength, &way.path));
        let strength = before * u32::from(step.strength.hundredths());
        let path = path.iter().chain([&step.relationship]);
        let is_better = self.ahead.get(&step.to).is_none_or(|other| {
            // Of equally strong ways the one of the older relationships.
            strength > other.strength || (strength == other.strength && path.clone().lt(&other.path))
        });
        if is_better {
            let path = path.copied().collect();
            self.ahead.insert(step.to, Way { strength, path });
        }
    }

    /// Ends a hop; says where it has led that was not reached before.
    fn arrive(&mut self) -> Vec<MemoryId> {
        let frontier = self.ahead.keys().copied().collect();
        self.reached.extend(self.ahead.drain());
        frontier
    }

    /// What was reached, in the order of [`Neighbours`].
    fn nearest(self, limit: usize) -> Vec<(MemoryId, Way)> {
        let mut reached: Vec<_> = self.reached.into_iter().collect();
        reached.sort_unstable_by_key(|(id, way)| (way.path.len(), Reverse(way.strength), Reverse(*id)));
        reached.truncate(limit);
        reached
    }
}

/// The relationship in [`COLUMNS`].
fn relationship(row: &dyn Row) -> Result<Relationship> {
    let id = row.relationship_id(0)?;
    Ok(Relationship {
        id,
        source_memory_id: row.memory_id(1)?,
        target_memory_id: row.memory_id(2)?,
        relationship_type: row.label_of(3, TYPE)?.unwrap_or_default(),
        strength: strength(row, 4)?,
        metadata: memories::metadata(&row.json_of(5, Place(METADATA, id.as_bytes()))?)?,
        created_at: row.moment(6)?,
    })
}

fn strength(row: &dyn Row, column: usize) -> Result<Strength> {
    Strength::of(row.real(column)?).map_err(crate::error::corrupt)
}

/// Bytes of a relationship as the quota counts them.
fn size(relationship: &Relationship) -> u64 {
    let metadata = if relationship.metadata.is_empty() {
        0
    } else {
        serde_json::to_string(&relationship.metadata).map_or(0, |text| text.len())
    };
    (FIXED_BYTES + relationship.relationship_type.len() + metadata) as u64
}
