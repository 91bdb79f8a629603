//! Searching a space by meaning and by words.

use std::borrow::Cow;

use locule_core::memory::{Hit, SearchQuery};
use locule_core::{Read, Result, Scope};
use locule_store::{Find, words};

use crate::Engine;
use crate::model::Purpose;

impl Engine {
    /// The best hits, best first. With words and no vector, the configured model makes the vector; with a vector and no
    /// words, only the meaning counts. See [`Hit::score`].
    pub fn search(&self, scope: Scope<Read>, query: &SearchQuery) -> Result<Vec<Hit>> {
        query.check()?;
        let embedding = self.query_embedding(query)?;
        let words = query.text.as_deref().map_or_else(Vec::new, words::of);
        let space = self.store.spaces.open(scope);
        space.read()?.search(&Find {
            model: self.embedder().model(),
            embedding: embedding.as_deref(),
            words: &words,
            limit: query.limit,
            threshold: query.threshold,
            filter: query.filter.as_ref(),
        })
    }

    fn query_embedding<'a>(&self, query: &'a SearchQuery) -> Result<Option<Cow<'a, [f32]>>> {
        match (&query.embedding, &query.text) {
            (Some(embedding), _) => {
                self.check_dimension(embedding)?;
                Ok(Some(Cow::Borrowed(embedding)))
            }
            (None, Some(text)) if self.embedder().embeds() => {
                Ok(Some(Cow::Owned(self.embed_one(text, Purpose::Query)?)))
            }
            // Without a model, words are all there is.
            _ => Ok(None),
        }
    }
}
