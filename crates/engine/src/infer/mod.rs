//! From conversations to memories: what a model is told, and how much of its answer is believed.
//!
//! Nothing here asks a model or opens a space. A prompt is made of one space's texts and the instructions that apply to it;
//! an answer is read tolerantly as to its form and strictly as to its bounds. What cannot be read is a failure of the attempt,
//! never silence.

mod answer;
mod prompt;
mod task;

pub use answer::{Fact, Guidance, Unusable, facts, guidance, object, summary};
pub use prompt::{Instructions, Turn, categories, export, extraction, guide, overview, procedure};
pub use task::{Conversation, EXPORTED_MAX, SHOWN_MAX, Selection, of, read, written};
