//! Runs: the memories of one conversation or task, which may be listed, ended together, or kept for good one by one.

use locule_core::id::MemoryId;
use locule_core::memory::{Change, Memory, Run, RunPage, RunQuery};
use locule_core::{Code, Error, Result};

use super::write::Labels;
use super::{COLUMNS, form, memory};
use crate::space::{Reader, Writer};
use crate::tx::{Owned, Sql, Value};

impl Reader<'_> {
    /// A page of the runs that have memories, those that were added to last first.
    pub fn runs(&self, query: &RunQuery) -> Result<RunPage> {
        query.check()?;
        let mut sql = Sql::default();
        sql.push("SELECT count(DISTINCT run_id) FROM memories WHERE run_id IS NOT NULL AND ");
        self.push_visible(&mut sql, None);
        let total = self.tx.first(sql.text(), &sql.values(), |row| row.integer(0))?.unwrap_or(0) as u64;

        // The number of its latest memory stands for a run: each has its own, and they rise in the order of adding.
        let mut sql = Sql::default();
        sql.push(
            "SELECT run_id, count(*), min(created_at), max(created_at), count(expiration), max(expiration), max(number)
             FROM memories WHERE run_id IS NOT NULL AND ",
        );
        self.push_visible(&mut sql, None);
        sql.push(" GROUP BY run_id");
        if let Some(after) = query.after {
            sql.push(" HAVING max(number) < ").bind(Owned::Integer(after));
        }
        // One more than asked for tells whether there is a next page.
        sql.push(" ORDER BY max(number) DESC LIMIT ").bind(Owned::Integer(query.limit as i64 + 1));
        let mut runs = self.tx.all(sql.text(), &sql.values(), |row| {
            let memories = row.integer(1)?;
            let run = Run {
                run_id: row.label_of(0, form::RUN)?.unwrap_or_default(),
                memories: memories as u64,
                first_memory: row.moment(2)?,
                latest_memory: row.moment(3)?,
                // Only where every one of them has one.
                expiration: if row.integer(4)? == memories { row.maybe_moment(5)? } else { None },
            };
            Ok((run, row.integer(6)?))
        })?;
        let more = runs.len() > query.limit;
        runs.truncate(query.limit);
        let next = runs.last().filter(|_| more).map(|(_, number)| *number);
        Ok(RunPage { runs: runs.into_iter().map(|(run, _)| run).collect(), total, next })
    }
}

impl Writer<'_> {
    /// Deletes all memories of a run; says how many.
    pub fn end_run(&mut self, run_id: &str) -> Result<u64> {
        let doomed = self.tx.all(
            &format!("SELECT {COLUMNS}, number FROM memories WHERE run_id = $1"),
            &[Value::Text(&self.tx.label(form::RUN, run_id))],
            |row| Ok((memory(row)?, row.integer(11)?)),
        )?;
        for (memory, number) in &doomed {
            self.remove(*number, memory)?;
        }
        // What has expired goes with them, and nobody saw it any more.
        let count = doomed.iter().filter(|(memory, _)| !self.has_expired(memory)).count() as u64;
        self.note("end_run", Some(format!("{count} memories")))?;
        Ok(count)
    }

    /// Keeps a memory for good: it is of no run any more, and does not expire. Where there is a memory of the same text
    /// without a run already, nothing is changed: only who asks can tell which of the two shall stay.
    pub fn promote(&mut self, id: MemoryId) -> Result<Memory> {
        let old = self.memory(id)?;
        let change = Change { run_id: Some(None), expiration: Some(None), ..Change::default() };
        let new = change.apply(&old, self.reader.now)?;
        if let Some(same) = self.same(&new.hash, &Labels::of(&new))?.filter(|same| same.id != id) {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "This text is kept already, with the same agent and app, as memory {}. Delete the one that is not needed.",
                    same.id
                ),
            ));
        }
        // One that was kept for good before is left as it is, its time of change too.
        let lasts = old.run_id.is_none() && old.expiration.is_none();
        let kept = if lasts { old } else { self.write_row(self.number(id)?, &old, &new).map(|()| new)? };
        self.note("promote_memory", Some(id.to_string()))?;
        Ok(kept)
    }
}
