//! Memories: the statements over them, those that look in [`read`] and those that change in [`write`].

mod history;
mod read;
mod run;
mod write;

use locule_core::memory::{Memory, Metadata};
use locule_core::{Code, Error, Result};

pub use self::write::Ready;
use crate::state::Model;
use crate::tx::Row;

/// The columns that [`memory`] reads, in its order.
pub(crate) const COLUMNS: &str =
    "id, memory, agent_id, run_id, app_id, categories, metadata, hash, expiration, created_at, updated_at";

/// The space has the vectors of another model.
pub fn mismatch(own: &Model, asked: &Model) -> Error {
    Error::new(
        Code::ModelMismatch,
        format!(
            "This space holds vectors of {} ({} numbers), and this is {} ({} numbers). Configure that model, or make the \
             vectors anew: `locule reindex`.",
            own.id, own.dimension, asked.id, asked.dimension
        ),
    )
}

/// The memory in [`COLUMNS`].
pub(crate) fn memory(row: &dyn Row) -> Result<Memory> {
    Ok(Memory {
        id: row.memory_id(0)?,
        memory: row.text(1)?.to_owned(),
        agent_id: row.maybe_text(2)?,
        run_id: row.maybe_text(3)?,
        app_id: row.maybe_text(4)?,
        categories: row.texts(5)?,
        metadata: metadata(row.json(6)?)?,
        hash: row.text(7)?.to_owned(),
        expiration: row.maybe_moment(8)?,
        created_at: row.moment(9)?,
        updated_at: row.moment(10)?,
    })
}

pub(crate) fn metadata(json: &str) -> Result<Metadata> {
    if json == "{}" { Ok(Metadata::new()) } else { parse(json) }
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(crate::error::corrupt)
}
