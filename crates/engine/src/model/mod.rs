//! From texts to vectors; and the model that one talks to.

pub mod chat;
mod endpoint;
#[cfg(feature = "minilm")]
mod local;

use std::sync::Arc;

use locule_core::{Error, Result};
use locule_store::Model;

use crate::config::Embedding;

/// What a text is embedded for; some models want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be stored.
    Document,
    /// To be searched for.
    Query,
}

/// Makes vectors from texts.
pub trait Embedder: Send + Sync {
    /// Whose vectors these are.
    fn model(&self) -> &Model;

    /// Whether this makes vectors at all; if not, callers bring them.
    fn embeds(&self) -> bool {
        true
    }

    /// The vectors of some texts, in their order.
    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>>;
}

pub(crate) fn embedder(embedding: &Embedding) -> Result<Arc<dyn Embedder>> {
    Ok(match embedding {
        #[cfg(feature = "minilm")]
        Embedding::Local => Arc::new(local::Local::new()),
        #[cfg(not(feature = "minilm"))]
        Embedding::Local => {
            return Err(Error::invalid("This build has no model of its own: configure an embedding endpoint."));
        }
        Embedding::Endpoint(endpoint) => Arc::new(endpoint::Remote::new(endpoint.clone())?),
        Embedding::Supplied { dimension } => {
            locule_core::limit::DIMENSION.check(*dimension)?;
            Arc::new(Supplied(Model { id: "supplied".to_owned(), dimension: *dimension }))
        }
    })
}

/// Makes nothing: callers bring their vectors.
struct Supplied(Model);

impl Embedder for Supplied {
    fn model(&self) -> &Model {
        &self.0
    }

    fn embeds(&self) -> bool {
        false
    }

    fn embed(&self, _texts: &[&str], _purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        Err(Error::invalid("No model is configured here: give an `embedding` with every memory and every search."))
    }
}
