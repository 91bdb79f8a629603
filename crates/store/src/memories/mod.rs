//! Memories: the statements over them, those that look in [`read`] and those that change in [`write`].

mod feedback;
pub(crate) mod form;
pub(crate) mod history;
mod read;
mod reindex;
mod run;
mod sieve;
mod write;

use locule_core::memory::{Memory, Metadata};
use locule_core::{Code, Error, Result};

pub use self::write::Ready;
use crate::content::Place;
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
            "This space holds vectors of {} ({} numbers), and this is {} ({} numbers). Configure that model, or \
             have the vectors made anew: `locule reindex`.",
            own.id, own.dimension, asked.id, asked.dimension
        ),
    )
}

/// The memory in [`COLUMNS`].
pub(crate) fn memory(row: &dyn Row) -> Result<Memory> {
    let id = row.memory_id(0)?;
    Ok(Memory {
        memory: row.text_of(1, Place(form::MEMORY, id.as_bytes()))?.into_owned(),
        agent_id: row.label_of(2, form::AGENT)?,
        run_id: row.label_of(3, form::RUN)?,
        app_id: row.label_of(4, form::APP)?,
        categories: row.labels_of(5, form::CATEGORIES)?,
        metadata: metadata(&row.json_of(6, Place(form::METADATA, id.as_bytes()))?)?,
        hash: row.label_of(7, form::HASH)?.unwrap_or_default(),
        id,
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
