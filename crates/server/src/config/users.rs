//! Who gets a space.

use super::setting::{section, words};

words! {
    /// Whether a verified user gets a space at the first write.
    pub enum Provision {
        /// They do.
        Auto = "auto",
        /// Only operators create users.
        Manual = "manual",
    }
}

section! {
    /// Who gets a space.
    pub struct Users in "users" {
        /// With `auto` every user with a valid token does, at the first write; with `manual` those whom an operator creates.
        plain provision: Provision = Provision::Auto;
    }
}
