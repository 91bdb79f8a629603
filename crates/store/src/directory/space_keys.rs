//! The wrapped data keys of spaces, where the directory is in a PostgreSQL and the spaces are sealed. What wraps them is not
//! in the database.

use std::sync::Arc;

use locule_core::Result;
use locule_core::id::SpaceId;

use super::{Directory, erased_space};
use crate::key::Cabinet;
use crate::tx::Value;

impl Cabinet for Arc<Directory> {
    fn find(&self, space: SpaceId) -> Result<Option<Vec<u8>>> {
        self.read(|tx| {
            let sql = "SELECT wrapped FROM space_keys WHERE space = $1";
            tx.first(sql, &[Value::Id(space.as_bytes())], |row| row.blob(0).map(<[u8]>::to_vec))
        })
    }

    fn put(&self, space: SpaceId, wrapped: &[u8]) -> Result<()> {
        let wrapped = wrapped.to_vec();
        let there = self.write(move |tx| {
            // A space that is being erased gets no key any more.
            tx.execute(
                "INSERT INTO space_keys (space, wrapped) SELECT id, $1 FROM spaces WHERE id = $2 AND state < 2
                 ON CONFLICT (space) DO NOTHING",
                &[Value::Blob(&wrapped), Value::Id(space.as_bytes())],
            )?;
            tx.first("SELECT 1 FROM space_keys WHERE space = $1", &[Value::Id(space.as_bytes())], |_| Ok(()))
        })?;
        there.ok_or_else(erased_space)
    }

    fn destroy(&self, space: SpaceId) -> Result<bool> {
        let sql = "DELETE FROM space_keys WHERE space = $1";
        let destroyed = self.write(move |tx| tx.execute(sql, &[Value::Id(space.as_bytes())]))?;
        Ok(destroyed > 0)
    }

    fn residue(&self, space: SpaceId) -> Vec<String> {
        // Where it cannot be looked, something may be left.
        match self.find(space) {
            Ok(None) => Vec::new(),
            _ => vec![format!("the key of space {} in the directory", space.name())],
        }
    }
}
