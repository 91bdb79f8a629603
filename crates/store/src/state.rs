//! What is known of a space as a whole: its revision, its size, and whose vectors it holds.

use locule_core::{Error, Result};

use crate::tx::{Tx, Value};

/// The one row of `space_state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Rises with every commit.
    pub revision: u64,
    /// How many memories there are, expired ones not yet swept included.
    pub memories: u64,
    /// How many bytes their texts, metadata and vectors take, and the relationships between them.
    pub size_bytes: u64,
    /// Whose vectors; `None` before the first.
    pub model: Option<Model>,
}

/// An embedding model, as a space remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name, revision and form.
    pub id: String,
    /// How many numbers its vectors have.
    pub dimension: usize,
}

/// The statement that reads it.
pub const READ: &str = "SELECT revision, memories, size_bytes, model, dimension FROM space_state";

/// The same, holding it against other writers, where a database lets several begin at once.
pub const LOCK: &str = "SELECT revision, memories, size_bytes, model, dimension FROM space_state FOR UPDATE";

/// Reads it.
pub fn read(tx: &dyn Tx) -> Result<State> {
    tx.first(READ, &[], |row| {
        let model = match (row.maybe_text(3)?, row.maybe_integer(4)?) {
            (Some(id), Some(dimension)) => Some(Model { id, dimension: dimension as usize }),
            _ => None,
        };
        Ok(State {
            revision: row.integer(0)? as u64,
            memories: row.integer(1)? as u64,
            size_bytes: row.integer(2)? as u64,
            model,
        })
    })?
    .ok_or_else(missing)
}

/// Writes it.
pub fn write(tx: &dyn Tx, state: &State) -> Result<()> {
    tx.run(
        "UPDATE space_state SET revision = $1, memories = $2, size_bytes = $3, model = $4, dimension = $5",
        &[
            Value::Integer(state.revision as i64),
            Value::Integer(state.memories as i64),
            Value::Integer(state.size_bytes as i64),
            Value::text(state.model.as_ref().map(|model| model.id.as_str())),
            Value::integer(state.model.as_ref().map(|model| model.dimension as i64)),
        ],
    )?;
    Ok(())
}

fn missing() -> Error {
    crate::error::corrupt("the space has no state")
}
