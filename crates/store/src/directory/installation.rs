//! The installation as a whole, as far as it moves: whether it takes new users, where it has gone, what of it is no space's, and
//! a backup of it that is put back.

use std::collections::HashMap;

use jiff::Timestamp;
use locule_core::id::Identity;
use locule_core::{Code, Error, Result};

use super::moves::elsewhere;
use super::{Directory, erased};
use crate::copy::tables::{KEYS, PROJECTS, TOMBSTONES, TRAIL, Table, WEBHOOKS};
use crate::copy::{self, Cells, put};
use crate::tx::{Row, Tx, Value};

/// What of an installation is no space's.
#[derive(Debug, Default)]
pub struct Rest {
    pub keys: Vec<Cells>,
    pub tombstones: Vec<Cells>,
    pub trail: Vec<Cells>,
    pub projects: Vec<Cells>,
    /// With their secrets as they are, and not as they are sealed here.
    pub webhooks: Vec<Cells>,
}

impl Directory {
    /// Takes no new users from now on, since the installation is moving to `target`.
    pub fn close_to_new(&self, target: &str) -> Result<()> {
        let target = target.to_owned();
        self.write(move |tx| match tx.first(SETTING, &[Value::Text("moving_to")], text)? {
            Some(other) if other != target => Err(elsewhere(&other)),
            Some(_) => Ok(()),
            None => set(tx, "moving_to", &target),
        })
    }

    /// Takes new users again.
    pub fn open_to_new(&self) -> Result<()> {
        self.write(|tx| unset(tx, "moving_to"))
    }

    /// Ends here: there are no users left, and there will be none.
    pub fn retire(&self, target: &str) -> Result<()> {
        let target = target.to_owned();
        self.write(move |tx| {
            let left = tx.first("SELECT count(*) FROM spaces", &[], |row| row.integer(0))?.unwrap_or(0);
            if left > 0 {
                return Err(Error::new(Code::Conflict, "There are spaces that have not been moved yet. Run it again."));
            }
            set(tx, "moved_to", &target)?;
            unset(tx, "moving_to")
        })
    }

    /// Begins again, after an installation that had gone elsewhere has come back.
    pub fn reopen(&self) -> Result<()> {
        self.write(|tx| {
            unset(tx, "moving_to")?;
            unset(tx, "moved_to")
        })
    }

    /// Where the installation has gone, if it has.
    pub fn moved_to(&self) -> Result<Option<String>> {
        self.read(|tx| tx.first(SETTING, &[Value::Text("moved_to")], text))
    }

    /// Begins to put a backup back that `mark` names. Says whether the installation is a new one, in which nothing was before.
    pub fn begin_restore(&self, mark: &str) -> Result<bool> {
        let mark = mark.to_owned();
        self.write(move |tx| {
            if tx.first(SETTING, &[Value::Text("restoring")], text)?.as_deref() == Some(&*mark) {
                return Ok(true);
            }
            let there = "SELECT 1 FROM spaces UNION ALL SELECT 1 FROM keys UNION ALL SELECT 1 FROM tombstones LIMIT 1";
            let fresh = tx.first(there, &[], |_| Ok(()))?.is_none();
            if fresh {
                set(tx, "restoring", &mark)?;
            }
            Ok(fresh)
        })
    }

    /// It is put back.
    pub fn end_restore(&self) -> Result<()> {
        self.write(|tx| unset(tx, "restoring"))
    }

    /// When somebody was last erased, as it is known here or elsewhere.
    pub fn erased_at(&self, identity: &Identity, elsewhere: &HashMap<Vec<u8>, Timestamp>) -> Result<Option<Timestamp>> {
        let who = self.who(identity);
        let here = self.read(|tx| erased(tx, &who))?;
        Ok(here.max(elsewhere.get(who.as_slice()).copied()))
    }

    /// What of the installation is no space's.
    pub fn rest(&self) -> Result<Rest> {
        let mut rest = self.read(|tx| {
            Ok(Rest {
                keys: all(tx, &KEYS)?,
                tombstones: all(tx, &TOMBSTONES)?,
                trail: all(tx, &TRAIL)?,
                projects: all(tx, &PROJECTS)?,
                webhooks: all(tx, &WEBHOOKS)?,
            })
        })?;
        rest.webhooks.iter_mut().try_for_each(|row| self.open_webhook(row))?;
        Ok(rest)
    }

    /// Takes it over from another directory, whose trail goes on here if ours is its beginning. Says whether it does. May
    /// be repeated.
    pub fn take_over(&self, mut rest: Rest) -> Result<bool> {
        rest.webhooks.iter_mut().try_for_each(|row| self.seal_webhook(row))?;
        self.write(move |tx| {
            add_missing(tx, &KEYS, &rest.keys)?;
            add_missing(tx, &PROJECTS, &rest.projects)?;
            add_missing(tx, &WEBHOOKS, &rest.webhooks)?;
            for row in &rest.tombstones {
                tx.execute(TOMBSTONE, &[row[0].value(), row[1].value()])?;
            }
            let own = all(tx, &TRAIL)?;
            let more = rest.trail.strip_prefix(&own[..]);
            more.map_or(Ok(false), |more| put::insert(tx, &TRAIL, more).map(|()| true))
        })
    }
}

pub(super) const TOMBSTONE: &str = "INSERT INTO tombstones (who, erased_at) VALUES ($1, $2) ON CONFLICT (who) DO UPDATE
     SET erased_at = CASE WHEN excluded.erased_at > tombstones.erased_at THEN excluded.erased_at ELSE tombstones.erased_at END";

const SETTING: &str = "SELECT value FROM installation WHERE name = $1";

fn set(tx: &dyn Tx, name: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO installation (name, value) VALUES ($1, $2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, &[Value::Text(name), Value::Text(value)]).map(drop)
}

fn unset(tx: &dyn Tx, name: &str) -> Result<()> {
    tx.execute("DELETE FROM installation WHERE name = $1", &[Value::Text(name)]).map(drop)
}

/// Adds rows that are not there, by their first column.
pub(super) fn add_missing(tx: &dyn Tx, table: &'static Table, rows: &[Cells]) -> Result<()> {
    let there = format!("SELECT 1 FROM {} WHERE {} = $1", table.name, table.columns[0].name);
    for row in rows {
        if tx.first(&there, &[row[0].value()], |_| Ok(()))?.is_none() {
            put::insert(tx, table, std::slice::from_ref(row))?;
        }
    }
    Ok(())
}

pub(super) fn all(tx: &dyn Tx, table: &'static Table) -> Result<Vec<Cells>> {
    let mut all = Vec::new();
    copy::rows(tx, table, &mut |rows| {
        all.extend_from_slice(rows);
        Ok(())
    })?;
    Ok(all)
}

fn text(row: &dyn Row) -> Result<String> {
    row.text(0).map(str::to_owned)
}
