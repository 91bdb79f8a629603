//! Text in, vector out: the sentence embedding all-MiniLM-L6-v2 with int8 weights.
//!
//! Tokenizer, forward pass and weights are in this crate; nothing is fetched, no
//! file is read, no thread is started. The model is an English one.
//!
#![cfg_attr(feature = "weights", doc = "```")]
#![cfg_attr(not(feature = "weights"), doc = "```no_run")]
//! use locule_minilm::Model;
//!
//! let model = Model::embedded()?;
//! let memory = model.embed("I'm allergic to peanuts");
//! let near = model.embed("what food should I avoid");
//! let far = model.embed("how do bicycles stay upright");
//!
//! // Vectors have length one, so their product is the cosine.
//! let cosine = |other: &[f32]| memory.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
//! assert!(cosine(&near) > cosine(&far));
//! # Ok::<(), locule_minilm::LoadError>(())
//! ```
//!
//! # Design
//!
//! Weights are whole numbers of eight bits with a scale for each output. Activations
//! are rounded to eight bits before each linear layer, with a scale for each token.
//! All between (attention, GELU, LayerNorm) is `f32`. On x86-64 with AVX2 and FMA a
//! kernel of intrinsics multiplies; elsewhere plain Rust gives the same bits.
//!
//! Texts of a batch are never padded and never see each other, so a text has one
//! vector, whatever its company and whatever the CPU.

#![deny(unsafe_op_in_unsafe_fn)]

mod embedded;
mod forward;
mod kernel;
mod math;
mod tokenizer;
mod unicode_tables;
mod weights;

use std::fmt;

use forward::Forward;
use kernel::Kernel;
use tokenizer::Vocabulary;
use weights::Weights;

/// Numbers in a vector.
pub const DIMENSION: usize = 384;

/// Names model, packing and version. Vectors under different ids are not to be compared.
pub const MODEL_ID: &str = "all-MiniLM-L6-v2/int8/1";

/// Tokens of a text that count, the two markers included; what follows is ignored.
///
/// The limit upstream sets; about 200 English words.
pub const TOKENS_MAX: usize = 256;

/// Tokens that go through the layers together, which bounds the working memory to about 7 MB.
///
/// More would not be faster: at this size reading the weights is already a small part of the work.
const BATCH_TOKENS_MAX: usize = 512;

/// The loaded model. Share it by reference; every call works on one core and keeps nothing.
pub struct Model {
    vocabulary: Vocabulary,
    weights: Weights,
    kernel: Kernel,
}

impl Model {
    /// The model whose weights are compiled in.
    ///
    /// Takes under a millisecond: the large matrices are used where they are.
    /// Fails if the crate was built without the feature `weights`, or from a damaged file.
    pub fn embedded() -> Result<Model, LoadError> {
        Model::read(embedded::FILE.ok_or(LoadError::NotCompiledIn)?, Kernel::best())
    }

    fn read(file: &'static [u8], kernel: Kernel) -> Result<Model, LoadError> {
        let (vocabulary, weights) = Weights::read(file)?;
        Ok(Model { vocabulary, weights, kernel })
    }

    /// The vector of a text: [`DIMENSION`] numbers, of length one.
    ///
    /// Any text has one, the empty text too. Only the first [`TOKENS_MAX`] tokens count.
    pub fn embed(&self, text: &str) -> Vec<f32> {
        self.vectors(&[self.vocabulary.tokens(text)]).remove(0)
    }

    /// The vectors of some texts, in their order, each equal to what [`Model::embed`] gives.
    ///
    /// Several short texts at once cost less than one after the other.
    #[cfg_attr(feature = "weights", doc = "```")]
    #[cfg_attr(not(feature = "weights"), doc = "```no_run")]
    /// # let model = locule_minilm::Model::embedded()?;
    /// let vectors = model.embed_batch(&["tea", "coffee with milk"]);
    /// assert_eq!(vectors[0], model.embed("tea"));
    /// # Ok::<(), locule_minilm::LoadError>(())
    /// ```
    pub fn embed_batch(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        // Without padding nothing is gained by sorting the texts by length.
        let mut vectors = Vec::with_capacity(texts.len());
        let mut waiting: Vec<Vec<u16>> = Vec::new();
        let mut waiting_tokens = 0;
        for text in texts {
            let tokens = self.vocabulary.tokens(text);
            if waiting_tokens + tokens.len() > BATCH_TOKENS_MAX {
                vectors.extend(self.vectors(&waiting));
                waiting.clear();
                waiting_tokens = 0;
            }
            waiting_tokens += tokens.len();
            waiting.push(tokens);
        }
        vectors.extend(self.vectors(&waiting));
        vectors
    }

    fn vectors(&self, texts: &[Vec<u16>]) -> Vec<Vec<f32>> {
        Forward::new(&self.weights, self.kernel).vectors(texts)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Model").field("id", &MODEL_ID).field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

/// Why there is no model. Both call for another build; neither goes away by trying again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The crate was built without the feature `weights`.
    NotCompiledIn,
    /// The compiled-in file is not whole or not of this model; says what was seen.
    Damaged(&'static str),
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotCompiledIn => {
                formatter.write_str("the model's weights were not compiled in (feature `weights`)")
            }
            LoadError::Damaged(what) => write!(formatter, "the model's weights are damaged: {what}"),
        }
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
#[cfg(feature = "weights")]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] = [
        "",
        "I'm allergic to peanuts",
        "Die Straße führt über die Brücke.",
        "東京に住んでいます。 And so on, and on, and on.",
    ];

    #[test]
    fn the_vector_is_the_same_on_every_cpu() {
        let here = Model::embedded().unwrap();
        let anywhere = Model::read(embedded::FILE.unwrap(), Kernel::Portable).unwrap();
        let long = "a rather long text, with commas; ".repeat(12);
        for text in TEXTS.into_iter().chain([long.as_str()]) {
            assert_eq!(here.embed(text), anywhere.embed(text), "{text}");
        }
    }

    #[test]
    fn a_model_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Model>();
    }
}
