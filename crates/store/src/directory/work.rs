//! Marks: which spaces have work to be done, and from when on. What the work is stands in the space.
//!
//! A mark is made within a transaction of the space, before that is committed, and taken away or put later only within one
//! that sees nothing due. So there is never work without a mark: at most a mark without work, which costs a look.

use jiff::Timestamp;
use locule_core::Result;
use locule_core::directory::Standing;
use locule_core::id::{Identity, SpaceId};

use super::{Directory, chamber, erased_space, state, users};
use crate::tx::{Tx, Value};

impl Directory {
    /// Marks a space as one with work from `due` on, if it is not marked as one with work sooner. Whoever calls holds the space
    /// against other writers.
    pub(crate) fn mark_work(&self, space: SpaceId, due: Timestamp) -> Result<()> {
        // Nobody takes it away meanwhile.
        if self.read(|tx| mark(tx, space))?.is_some_and(|marked| marked <= due) {
            return Ok(());
        }
        let marked = self.write(move |tx| make_mark(tx, space, due))?;
        if marked { Ok(()) } else { Err(erased_space()) }
    }

    /// Says that nothing of a space is due before `next`, or ever. Whoever calls holds the space against other writers, and has
    /// changed nothing in it.
    pub(crate) fn settle_work(&self, space: SpaceId, next: Option<Timestamp>) -> Result<()> {
        self.write(move |tx| {
            let id = Value::Id(space.as_bytes());
            match next {
                Some(next) => tx.execute("UPDATE work SET due_at = $1 WHERE space = $2", &[Value::Moment(next), id]),
                None => tx.execute("DELETE FROM work WHERE space = $1", &[id]),
            }
            .map(drop)
        })
    }

    /// Has nobody look at a space before `until`: it cannot be worked on just now. A mark of what is no space goes.
    pub fn put_work_off(&self, space: SpaceId, until: Timestamp) -> Result<()> {
        self.write(move |tx| {
            let id = Value::Id(space.as_bytes());
            tx.execute(
                "DELETE FROM work WHERE space = $1 AND NOT EXISTS (SELECT 1 FROM spaces WHERE spaces.id = work.space)",
                &[id],
            )?;
            let later = "UPDATE work SET due_at = $1 WHERE space = $2 AND due_at < $3";
            tx.execute(later, &[Value::Moment(until), id, Value::Moment(until)]).map(drop)
        })
    }

    /// The spaces that have work by now, those that wait longest first, and when the next of the others will.
    pub fn work_due(&self, now: Timestamp, limit: usize) -> Result<(Vec<SpaceId>, Option<Timestamp>)> {
        self.read(|tx| {
            let due = "SELECT space FROM work WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
            let due = tx.all(due, &[Value::Moment(now), Value::Integer(limit as i64)], |row| {
                row.id(0).map(SpaceId::from_bytes)
            })?;
            let next = "SELECT min(due_at) FROM work WHERE due_at > $1";
            let next = tx.first(next, &[Value::Moment(now)], |row| row.maybe_moment(0))?;
            Ok((due, next.flatten()))
        })
    }

    /// Whose space this is and how it stands, if it is marked.
    pub(super) fn find_marked(&self, space: SpaceId) -> Result<Option<(Identity, Standing)>> {
        self.read(|tx| {
            let sql = "SELECT id, tag, epoch, born, placement, state, not_before, issuer, subject FROM spaces
                       WHERE id = $1 AND EXISTS (SELECT 1 FROM work WHERE work.space = spaces.id)";
            tx.first(sql, &[Value::Id(space.as_bytes())], |row| {
                let standing = Standing {
                    space: Some(chamber(row)?),
                    state: state(row.integer(5)?),
                    not_before: row.maybe_moment(6)?,
                };
                Ok((users::identity_at(row, 7)?, standing))
            })
        })
    }
}

/// From when on a space is marked as one with work.
fn mark(tx: &dyn Tx, space: SpaceId) -> Result<Option<Timestamp>> {
    tx.first("SELECT due_at FROM work WHERE space = $1", &[Value::Id(space.as_bytes())], |row| row.moment(0))
}

/// Makes a mark, or moves one to a sooner moment. Says whether there is such a space.
pub(super) fn make_mark(tx: &dyn Tx, space: SpaceId, due: Timestamp) -> Result<bool> {
    let id = Value::Id(space.as_bytes());
    let there = "SELECT 1 FROM spaces WHERE id = $1 AND state <> 2";
    if tx.first(there, &[id], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO work (space, due_at) VALUES ($1, $2) ON CONFLICT (space) DO UPDATE
         SET due_at = CASE WHEN excluded.due_at < work.due_at THEN excluded.due_at ELSE work.due_at END",
        &[id, Value::Moment(due)],
    )?;
    Ok(true)
}
