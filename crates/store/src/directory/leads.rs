//! Which spaces an id by itself may lead to. An id that was made here carries its space's tag; one that came from elsewhere, in
//! an import or with a space that has got another tag, has something else in that place, which leads to its space as well.

use locule_core::Result;
use locule_core::id::{Identity, JobId, MemoryId, SpaceId, Tag};

use super::{Directory, users};
use crate::tx::{Tx, Value};

impl Directory {
    /// Has these tags lead to a space, beside its own. To be called before the ids are there.
    pub fn lead(&self, space: SpaceId, tags: Vec<Tag>) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            let add = "INSERT INTO leads (tag, space) VALUES ($1, $2) ON CONFLICT (tag, space) DO NOTHING";
            tags.iter().try_for_each(|tag| tx.run(add, &[Value::Integer(tag.0.into()), Value::Id(space.as_bytes())]))
        })
    }

    pub(super) fn find_tagged(&self, tag: Tag) -> Result<Vec<Identity>> {
        let sql = "SELECT issuer, subject FROM spaces
                   WHERE tag = $1 OR id IN (SELECT space FROM leads WHERE leads.tag = $1) ORDER BY issuer, subject";
        self.read(|tx| tx.all(sql, &[Value::Integer(tag.0.into())], users::identity))
    }
}

/// Nothing leads to this space any more.
pub(super) fn forget(tx: &dyn Tx, space: SpaceId) -> Result<()> {
    tx.execute("DELETE FROM leads WHERE space = $1", &[Value::Id(space.as_bytes())]).map(drop)
}

/// What stands in the tag's place in those ids of a space that do not carry its own.
pub(crate) fn strange(tx: &dyn Tx, own: Tag) -> Result<Vec<Tag>> {
    let mut tags = tx.all("SELECT id FROM memories", &[], |row| row.id(0).map(|id| MemoryId::from_bytes(id).tag()))?;
    tags.extend(tx.all("SELECT id FROM space_jobs", &[], |row| row.id(0).map(|id| JobId::from_bytes(id).tag()))?);
    tags.retain(|tag| *tag != own);
    Ok(tags)
}
