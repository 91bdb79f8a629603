//! What the server writes to standard error while it runs. Never a token, and users only under a pseudonym.

use super::setting::{section, words};

words! {
    /// In which form.
    pub enum Format {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

section! {
    /// What the server writes to standard error while it runs: never a token, and users only under a pseudonym.
    pub struct Log in "log" {
        /// `text` for people, `json` for programs.
        plain format: Format = Format::Text;
        /// How much: `error`, `warn`, `info`, `debug`, or by part, such as `info,locule=debug`.
        plain filter: String = "info".to_owned();
    }
}
