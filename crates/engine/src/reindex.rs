//! Making the vectors of a space anew, where another model is configured than the one that made them.

use std::collections::{HashMap, HashSet};

use locule_core::{Code, Error, Result, Scope, Write};
use locule_store::Reader;
use serde::Serialize;

use crate::Engine;
use crate::model::Purpose;

/// How many texts a model is asked about at once.
const BATCH: usize = 64;

/// How often it is tried anew because others have written meanwhile. Each time only what they have written is missing.
const TRIES: usize = 20;

/// What has become of a space's vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reindexed {
    /// How many were made; none where they are this model's already.
    pub memories: u64,
    /// Which model had made them, if there were any.
    pub from: Option<String>,
    /// Which model makes them.
    pub to: String,
}

impl Engine {
    /// Has the space's vectors made anew by the model that is configured, unless they are its own. Until all of them are there
    /// the old ones stay; the change is one transaction, and nobody waits for the model in it. `progress` is told how many texts
    /// are done, of how many.
    pub fn reindex(&self, scope: Scope<Write>, progress: &mut dyn FnMut(u64, u64)) -> Result<Reindexed> {
        let model = self.embedder().model().clone();
        if !self.embedder().embeds() {
            return Err(Error::invalid(
                "No model is configured here: callers bring the vectors. Configure one to make them.",
            ));
        }
        let space = self.store.spaces.open(scope);
        let mut rows = HashMap::new();
        for _ in 0..TRIES {
            let (own, missing) = {
                let reader = space.read()?;
                (reader.state()?.model, missing(&reader, &rows)?)
            };
            let from = own.as_ref().map(|own| own.id.clone());
            if own.is_none_or(|own| own == model) {
                return Ok(Reindexed { memories: 0, from, to: model.id });
            }
            self.make_rows(missing, &mut rows, progress)?;
            let mut writer = space.write()?;
            if let Some(memories) = writer.reindex(&model, &rows)? {
                writer.commit()?;
                return Ok(Reindexed { memories, from, to: model.id });
            }
        }
        Err(Error::new(
            Code::Busy,
            "Others write to this space faster than the model follows. Try again when it is quieter.",
        ))
    }

    fn make_rows(
        &self,
        texts: Vec<String>,
        rows: &mut HashMap<String, Vec<u8>>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let whole = (rows.len() + texts.len()) as u64;
        for batch in texts.chunks(BATCH) {
            let asked: Vec<&str> = batch.iter().map(String::as_str).collect();
            for (text, embedding) in batch.iter().zip(self.embedder().embed(&asked, Purpose::Document)?) {
                rows.insert(text.clone(), self.encode(&embedding)?);
            }
            progress(rows.len() as u64, whole);
        }
        Ok(())
    }
}

/// The texts of a space of which there is no row yet, each once.
fn missing(reader: &Reader, rows: &HashMap<String, Vec<u8>>) -> Result<Vec<String>> {
    let mut missing = HashSet::new();
    reader.texts(&mut |_, text| {
        if !rows.contains_key(text) && !missing.contains(text) {
            missing.insert(text.to_owned());
        }
        Ok(())
    })?;
    Ok(missing.into_iter().collect())
}
