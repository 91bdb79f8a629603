//! A relationship between two memories, what one may ask of relationships, and the checks both must pass.
//!
//! It leads from one memory of a space to another of the same space and to nowhere else; it goes when one of them goes,
//! and is not seen where one of them is not.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{MemoryId, RelationshipId};
use crate::memory::{Memory, Metadata, check_label, check_limit, check_metadata};
use crate::{Error, Result, limit};

/// How strong a relationship is: 0 to 1, in hundredths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strength(u8);

impl Strength {
    /// The strongest, and what is meant when nobody says.
    pub const FULL: Strength = Strength(100);

    /// A number from 0 to 1, rounded to hundredths.
    pub fn of(number: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&number) {
            return Err(Error::invalid("`strength` is a number from 0 to 1."));
        }
        Ok(Strength((number * 100.0).round() as u8))
    }

    /// In hundredths.
    pub fn hundredths(self) -> u8 {
        self.0
    }

    /// The number.
    pub fn number(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Default for Strength {
    fn default() -> Self {
        Strength::FULL
    }
}

impl fmt::Debug for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.number())
    }
}

impl Serialize for Strength {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.number())
    }
}

impl<'de> Deserialize<'de> for Strength {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strength::of(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// One relationship: the source stands so to the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relationship {
    /// UUIDv7; rises in the order of adding.
    pub id: RelationshipId,
    /// The memory it leads from.
    pub source_memory_id: MemoryId,
    /// The memory it leads to; never the same.
    pub target_memory_id: MemoryId,
    /// How the one stands to the other: `supports`, `follows`, whatever the application says.
    pub relationship_type: String,
    /// How strongly.
    #[serde(default)]
    pub strength: Strength,
    /// Whatever the application keeps beside it.
    #[serde(default)]
    pub metadata: Metadata,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A relationship to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRelationship {
    /// See [`Relationship::source_memory_id`].
    pub source_memory_id: MemoryId,
    /// See [`Relationship::target_memory_id`].
    pub target_memory_id: MemoryId,
    /// See [`Relationship::relationship_type`].
    pub relationship_type: String,
    /// See [`Relationship::strength`].
    pub strength: Strength,
    /// See [`Relationship::metadata`].
    pub metadata: Metadata,
}

impl NewRelationship {
    /// Of full strength, with nothing beside it.
    pub fn new(source: MemoryId, relationship_type: impl Into<String>, target: MemoryId) -> Self {
        NewRelationship {
            source_memory_id: source,
            target_memory_id: target,
            relationship_type: relationship_type.into(),
            strength: Strength::FULL,
            metadata: Metadata::new(),
        }
    }

    /// Passes what fits the bounds of [`limit`]. Whether its memories are there, and are two, only the space can tell.
    pub fn check(&self) -> Result<()> {
        check_label(&self.relationship_type)?;
        check_metadata(&self.metadata)
    }
}

/// What an add answers for each relationship.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The relationship as it is stored.
    pub relationship: Relationship,
    /// Whether the same source stood so to the same target before, and this is what is returned, unchanged.
    pub existing: bool,
}

/// Which way relationships are followed, seen from a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From source to target.
    Out,
    /// From target to source.
    In,
    /// Either way.
    #[default]
    Both,
}

/// Which relationships, and which page of them.
#[derive(Clone, Debug)]
pub struct RelationshipQuery {
    /// Only those of this memory, that way.
    pub memory: Option<(MemoryId, Direction)>,
    /// Only those of this type.
    pub relationship_type: Option<String>,
    /// How many at most, 1 to [`limit::PAGE`].
    pub limit: usize,
    /// Only those added before this one: the last id of the page before.
    pub before: Option<RelationshipId>,
}

impl RelationshipQuery {
    /// How many a page holds when nobody says.
    pub const LIMIT_DEFAULT: usize = 100;

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        self.relationship_type.as_deref().map_or(Ok(()), check_label)?;
        check_limit(self.limit, limit::PAGE)
    }
}

impl Default for RelationshipQuery {
    fn default() -> Self {
        RelationshipQuery { memory: None, relationship_type: None, limit: Self::LIMIT_DEFAULT, before: None }
    }
}

/// One page of relationships, newest first.
#[derive(Clone, Debug)]
pub struct RelationshipPage {
    /// The relationships.
    pub relationships: Vec<Relationship>,
    /// How many match in all, exactly.
    pub total: u64,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<RelationshipId>,
}

/// How far to go from a memory, and which way.
#[derive(Clone, Debug)]
pub struct NeighbourQuery {
    /// Which way.
    pub direction: Direction,
    /// How many relationships far, 1 to [`limit::HOPS`].
    pub hops: usize,
    /// Along this type only.
    pub relationship_type: Option<String>,
    /// How many memories at most, 1 to [`limit::NEIGHBOURS`].
    pub limit: usize,
}

impl NeighbourQuery {
    /// How many when nobody says.
    pub const LIMIT_DEFAULT: usize = 100;

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        if self.hops == 0 {
            return Err(Error::invalid(format!("`hops` is a number from 1 to {}.", limit::HOPS.max)));
        }
        limit::HOPS.check(self.hops)?;
        self.relationship_type.as_deref().map_or(Ok(()), check_label)?;
        check_limit(self.limit, limit::NEIGHBOURS)
    }
}

impl Default for NeighbourQuery {
    fn default() -> Self {
        NeighbourQuery { direction: Direction::Both, hops: 1, relationship_type: None, limit: Self::LIMIT_DEFAULT }
    }
}

/// A memory that was reached from another.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// The memory.
    pub memory: Memory,
    /// The relationships that lead to it, one for each hop, from where the walk began: of the shortest ways the strongest,
    /// by the product of their strengths.
    pub path: Vec<Relationship>,
}

/// The neighbours of a memory: the nearer first, of equally near ones the more strongly related, then the newer.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// The memories.
    pub neighbours: Vec<Neighbour>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strength_is_a_number_from_0_to_1_in_hundredths() {
        for (number, hundredths) in [(0.0, 0), (-0.0, 0), (0.004, 0), (0.005, 1), (0.29, 29), (0.755, 76), (1.0, 100)] {
            assert_eq!(Strength::of(number).map(Strength::hundredths).ok(), Some(hundredths), "{number}");
        }
        for hundredths in 0..=100 {
            let strength = Strength(hundredths);
            assert_eq!(Strength::of(strength.number()).ok(), Some(strength));
            let json = serde_json::to_string(&strength).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Strength>(&json).ok(), Some(strength), "{json}");
        }
        for bad in [-0.001, 1.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Strength::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_walk_goes_one_or_two_hops() {
        for (hops, good) in [(0, false), (1, true), (2, true), (3, false)] {
            assert_eq!(NeighbourQuery { hops, ..NeighbourQuery::default() }.check().is_ok(), good, "{hops}");
        }
    }
}
