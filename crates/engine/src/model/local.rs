//! The built-in model, loaded at the first text.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use locule_core::{Error, Result};
use locule_minilm as minilm;
use locule_store::Model;

use super::{Embedder, Purpose};

pub(super) struct Local {
    model: Model,
    loaded: OnceLock<Result<minilm::Model, String>>,
    /// As many texts at a time as there are processors: more would only take turns.
    free: Mutex<usize>,
    freed: Condvar,
}

impl Local {
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Local {
            model: Model { id: minilm::MODEL_ID.to_owned(), dimension: minilm::DIMENSION },
            loaded: OnceLock::new(),
            free: Mutex::new(processors),
            freed: Condvar::new(),
        }
    }

    fn take_processor(&self) -> Processor<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        Processor(self)
    }
}

struct Processor<'a>(&'a Local);

impl Drop for Processor<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl Embedder for Local {
    fn model(&self) -> &Model {
        &self.model
    }

    fn embed(&self, texts: &[&str], _purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        let loaded = self.loaded.get_or_init(|| minilm::Model::embedded().map_err(|error| error.to_string()));
        let model = loaded.as_ref().map_err(|error| Error::internal(error.clone()))?;
        let _processor = self.take_processor();
        Ok(match texts {
            [text] => vec![model.embed(text)],
            texts => model.embed_batch(texts),
        })
    }
}
