//! How much one user may keep.

use super::setting::section;

section! {
    /// How much one user may keep.
    pub struct Quota in "quota" {
        /// How many memories.
        plain memories: u64 = 1_000_000;
        /// How many bytes of texts, metadata and vectors, and of context.
        plain bytes: u64 = 4 << 30;
        /// How many entries of context.
        plain entries: u64 = 1_000_000;
        /// How many agents the context knows.
        plain agents: u64 = 10_000;
    }
}
