//! Vectors made anew, by another model.

use std::collections::HashMap;

use locule_core::Result;

use super::form;
use crate::content::Place;
use crate::space::{Reader, Writer};
use crate::state::Model;
use crate::tx::Value;

impl Reader<'_> {
    /// Shows the number and the text of every memory, those that have expired and are not yet swept away included.
    pub fn texts(&self, each: &mut dyn FnMut(i64, &str) -> Result<()>) -> Result<()> {
        self.tx.query("SELECT number, memory, id FROM memories ORDER BY number", &[], &mut |row| {
            each(row.integer(0)?, &row.text_of(1, Place(form::MEMORY, row.memory_id(2)?.as_bytes()))?)
        })
    }
}

impl Writer<'_> {
    /// Has the space hold the vectors of `model` and no others: for each memory the one of its text among `rows`, as it is
    /// stored. Says for how many; `None`, and nothing is changed, if a text has none.
    pub fn reindex(&mut self, model: &Model, rows: &HashMap<String, Vec<u8>>) -> Result<Option<u64>> {
        let mut vectors = Vec::new();
        let mut is_whole = true;
        self.texts(&mut |number, text| {
            match rows.get(text) {
                Some(row) => vectors.push((number, row)),
                None => is_whole = false,
            }
            Ok(())
        })?;
        if !is_whole {
            return Ok(None);
        }
        let counted = self.tx.first("SELECT count(*) FROM memory_vectors", &[], |row| row.integer(0))?;
        let before = 2 * self.state.model.as_ref().map_or(0, |model| model.dimension) as u64;
        self.state.size_bytes = self.state.size_bytes.saturating_sub(before * counted.unwrap_or(0) as u64);
        self.state.model = Some(model.clone());
        self.tx.run("DELETE FROM memory_vectors", &[])?;
        for (number, row) in &vectors {
            self.check_row(row)?;
            self.tx.run(
                "INSERT INTO memory_vectors (number, embedding) VALUES ($1, $2)",
                &[
                    Value::Integer(*number),
                    Value::Blob(&self.tx.bytes(Place(form::EMBEDDING, &number.to_be_bytes()), row)),
                ],
            )?;
            self.state.size_bytes += row.len() as u64;
            self.delta.put(*number, (*row).clone());
        }
        self.check_quota()?;
        self.note("reindex_memories", Some(format!("{} memories", vectors.len())))?;
        Ok(Some(vectors.len() as u64))
    }
}
