//! What has changed since somebody last heard of it.

use locule_core::context::{Changes, EntryQuery, Heard, Name};
use locule_core::id::EntryId;
use locule_core::{Error, Result, limit};

use super::Room;
use super::row::{self, COLUMNS, UNREAD};
use crate::space::Reader;
use crate::tx::{Owned, Sql};

impl Reader<'_> {
    /// What of the context has changed since; `None` if nothing in the space has. After a revision that is not yet reached (the
    /// space was put back to what it once was) everything has. What is too much for one answer comes with the next.
    pub fn context_changes(&self, heard: impl Into<Heard>, agent: Option<&Name>) -> Result<Option<Changes>> {
        let (heard, revision) = (heard.into(), self.state()?.revision);
        if heard == Heard::from(revision) {
            return Ok(None);
        }
        let heard = if heard.revision > revision { Heard::default() } else { heard };
        let query = EntryQuery { agent: agent.cloned(), ..EntryQuery::default() };
        let mut changes = Changes { revision, entries: Vec::new(), keys: Vec::new(), more: None };
        self.read_changes(heard, &query, &mut changes)?;
        let mut room = Room { bound: Some(limit::CONTEXT_KEYS_BYTES), bytes: 0 };
        self.walk_context(UNREAD, &query, &mut |entry| {
            if query.takes(&entry, self.now) {
                room.take(entry.key.size_bytes())?;
                changes.keys.push(entry.key);
            }
            Ok(())
        })?;
        Ok(Some(changes))
    }

    /// Reads as many entries as one answer takes, and one at least.
    fn read_changes(&self, heard: Heard, query: &EntryQuery, changes: &mut Changes) -> Result<()> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(" FROM context_entries WHERE revision > ");
        sql.bind(Owned::Integer(i64::try_from(heard.revision).unwrap_or(i64::MAX)));
        if let Some(entry) = heard.entry {
            sql.push(" AND id > ").bind(Owned::Id(*entry.as_bytes()));
        }
        sql.push(" AND (expires_at IS NULL OR expires_at >= ").bind(Owned::Moment(self.now)).push(") ORDER BY id");
        let mut room = Room { bound: Some(limit::CONTEXT_CHANGES_BYTES), bytes: 0 };
        let mut last = None;
        let read = self.tx.query(sql.text(), &sql.values(), &mut |row| {
            let entry = row::read(row)?;
            if query.takes(&entry, self.now) {
                if room.take(entry.size_bytes()).is_err() && last.is_some() {
                    changes.more = last;
                    return Err(Error::internal("enough for one answer"));
                }
                last = Some(EntryId::from_bytes(row.id(0)?));
                changes.entries.push(entry);
            }
            Ok(())
        });
        if changes.more.is_some() { Ok(()) } else { read }
    }
}
