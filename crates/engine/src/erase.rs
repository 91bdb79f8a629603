//! Erasing a user: the door is closed, the key destroyed, the files removed, the name forgotten, and a receipt given.
//!
//! Once the door is closed the erasure will be finished: by this call, or by the next start of the program.

use jiff::Timestamp;
use locule_core::{Code, Erasure, Error, Result};
use serde::Serialize;

use crate::Engine;

/// What an erasure did.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// Whether everything is gone; an erasure that is not complete answers an error instead.
    pub erased: bool,
    /// When it was complete.
    pub erased_at: Timestamp,
    /// Whether there was a data key, now destroyed: without it, any copy of the files is noise.
    pub key_destroyed: bool,
    /// How many files were removed.
    pub files_removed: usize,
    /// How many files were found afterwards.
    pub residue: usize,
    /// Tokens issued at or before this moment are refused.
    pub tokens_refused_until: Timestamp,
    /// What this does and does not reach.
    pub note: &'static str,
}

const NOTE: &str = "The space's key and files are destroyed here and in every backup of the data. Whoever holds a backup \
     of the key files can read a backup of the data until that backup of the keys expires.";

impl Engine {
    /// Destroys a user's space for good.
    pub fn erase(&self, erasure: Erasure) -> Result<Receipt> {
        let (directory, spaces) = (&self.store.directory, &self.store.spaces);
        let closed = directory.close_door(&erasure)?;
        let destroyed = spaces.destroy(&erasure, &closed)?;
        let residue = spaces.residue(&closed);
        if !residue.is_empty() {
            return Err(Error::new(
                Code::StorageError,
                "The erasure is not complete: some files could not be removed. The key is destroyed; ask the operator.",
            )
            .because(format!("{} files are left", residue.len())));
        }
        let origin = erasure.origin();
        directory.forget(&closed, origin.actor.clone(), origin.request_id.clone())?;
        Ok(Receipt {
            erased: true,
            erased_at: self.sources.now(),
            key_destroyed: destroyed.key,
            files_removed: destroyed.files,
            residue: residue.len(),
            tokens_refused_until: closed.at,
            note: NOTE,
        })
    }
}
