//! Searching a space by meaning and by words.

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
        let space = self.store.spaces.open(scope);
        let made;
        let embedding = match (&query.embedding, &query.text) {
            (Some(embedding), _) => {
                self.check_dimension(embedding)?;
                Some(embedding.as_slice())
            }
            (None, Some(text)) if self.embedder().embeds() => {
                // Embedding takes milliseconds: nothing is read yet meanwhile.
                made = space.query(text, || self.embed_one(text, Purpose::Query))?;
                Some(&*made)
            }
            // Without a model, words are all there is.
            _ => None,
        };
        let words = query.text.as_deref().map_or_else(Vec::new, words::of);
        space.read()?.search(&Find {
            model: self.embedder().model(),
            embedding,
            words: &words,
            limit: query.limit,
            threshold: query.threshold,
            cosine_min: query.cosine_min,
            filter: query.filter.as_ref(),
        })
    }
}
