//! How data is kept.

use super::setting::{section, words};

words! {
    /// What an acknowledged write survives.
    pub enum Durability {
        /// A power cut.
        Full = "full",
        /// The end of the process; a power cut may take the last moments.
        Normal = "normal",
    }
}

words! {
    /// How spaces are kept apart.
    pub enum Layout {
        /// A file for each.
        File = "file",
        /// By row security, in a PostgreSQL.
        Rls = "rls",
        /// A schema for each, in a PostgreSQL.
        Schema = "schema",
        /// A database for each, in a PostgreSQL.
        Database = "database",
    }
}

impl Layout {
    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Layout::File => "file",
            Layout::Rls => "rls",
            Layout::Schema => "schema",
            Layout::Database => "database",
        }
    }
}

section! {
    /// How data is kept.
    pub struct Storage in "storage" {
        /// How spaces are kept apart. `file`: an encrypted file for each. In a PostgreSQL (see `[postgres]`) `rls`: rows behind row security; `schema`: a schema for each; `database`: a database for each.
        plain layout: Layout = Layout::File;
        /// What an acknowledged write survives: with `full` a power cut, with `normal` the end of the process.
        plain durability: Durability = Durability::Full;
        /// Memory for open connections, in MiB; each takes about a quarter of one.
        plain connection_mib: usize = 512;
        /// Memory for the vectors of users who are active, in MiB.
        plain vector_mib: usize = 1024;
        /// Whether data is encrypted at rest. It cannot be changed once there is data; `false` is for measuring.
        plain encryption: bool = true;
    }
}

/// More than any machine has, and far from what overflows when counted in bytes.
const MIB_MAX: usize = 1 << 24;

impl Storage {
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, mib) in [("connection_mib", self.connection_mib), ("vector_mib", self.vector_mib)] {
            if !(1..=MIB_MAX).contains(&mib) {
                return Err((key, format!("it is a number of MiB from 1 to {MIB_MAX}")));
            }
        }
        Ok(())
    }
}
