//! How much one user may keep.

use super::setting::section;

section! {
    /// How much one user may keep.
    pub struct Quota in "quota" {
        /// How many memories.
        plain memories: u64 = 1_000_000;
        /// How many bytes of texts, metadata and vectors.
        plain bytes: u64 = 4 << 30;
    }
}
