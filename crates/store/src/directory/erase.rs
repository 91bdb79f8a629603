//! The directory's part in an erasure: closing the door first, removing the name last.

use jiff::Timestamp;
use locule_core::audit::{Actor, Outcome, SystemEntry};
use locule_core::id::{Identity, SpaceId};
use locule_core::policy::Act;
use locule_core::{Erasure, Result};
use rusqlite::{OptionalExtension, params};

use super::{Directory, audit, moment, unreadable};
use crate::error::of_sqlite;

/// A space whose door is closed: nothing new begins in it, and old credentials of its owner are void.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Whose it was.
    pub identity: Identity,
    /// The space to destroy, if there was one.
    pub space: Option<SpaceId>,
    /// When the door closed.
    pub at: Timestamp,
}

impl Directory {
    /// Closes the door, durably: from here on the erasure will be finished, by us or by the next start.
    pub fn close_door(&self, erasure: &Erasure) -> Result<Closed> {
        let now = self.sources.now();
        let identity = erasure.identity().clone();
        let who = self.who(&identity);
        self.write_at_any_cost(move |connection| {
            let (issuer, subject) = (identity.issuer.as_str(), identity.subject.as_str());
            // A token from just after an earlier erasure is dated in the second after it, which may still be to come.
            let earlier: Option<i64> = connection
                .query_row("SELECT erased_at FROM tombstones WHERE who = ?1", [&who], |row| row.get(0))
                .optional()?;
            let at = earlier.map_or(now, |earlier| now.max(moment(earlier + 1_000_000)));
            let now = at.as_microsecond();
            connection.execute(
                "INSERT INTO tombstones (who, erased_at) VALUES (?1, ?2)
                 ON CONFLICT (who) DO UPDATE SET erased_at = excluded.erased_at",
                params![who, now],
            )?;
            connection.execute(
                "UPDATE spaces SET state = 2, epoch = epoch + 1, not_before = ?3 WHERE issuer = ?1 AND subject = ?2",
                params![issuer, subject, now],
            )?;
            connection.execute("DELETE FROM keys WHERE issuer = ?1 AND subject = ?2", [issuer, subject])?;
            let space = connection
                .query_row("SELECT id FROM spaces WHERE issuer = ?1 AND subject = ?2", [issuer, subject], |row| {
                    row.get(0).map(SpaceId::from_bytes)
                })
                .optional()?;
            Ok(Closed { identity: identity.clone(), space, at })
        })
    }

    /// Removes the last that is known of the person (the row with their name and the key that names them in the trail), and
    /// puts the erasure on record, without them.
    pub fn forget(&self, closed: &Closed, actor: Actor, request_id: String) -> Result<()> {
        let identity = closed.identity.clone();
        let entry = SystemEntry {
            time: self.sources.now(),
            actor,
            target: Some(identity.subject.as_str().to_owned()),
            act: Act::Erase.as_str(),
            outcome: Outcome::Done,
            request_id,
        };
        let (pseudonym, sources) = (self.pseudonym.clone(), self.sources.clone());
        self.write_at_any_cost(move |connection| {
            connection.execute(
                "DELETE FROM spaces WHERE issuer = ?1 AND subject = ?2 AND state = 2",
                [identity.issuer.as_str(), identity.subject.as_str()],
            )?;
            audit::write(connection, &entry, &pseudonym, &sources)
        })?;
        // The log of the directory still holds the row's old pages until the new ones are moved home and it is emptied.
        let emptied = self.writer.between(|connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(of_sqlite)
        });
        if emptied.as_ref().ok() != Some(&0) {
            tracing::warn!(
                "the directory's log could not be emptied after an erasure; the next one that is empties it"
            );
        }
        // What was erased has made room.
        self.reserve.keep(&self.sources);
        Ok(())
    }

    /// Erasures that were begun and not finished: whoever starts next finishes them.
    pub fn unfinished(&self) -> Result<Vec<Closed>> {
        self.read(|connection| {
            connection
                .prepare("SELECT issuer, subject, id, not_before FROM spaces WHERE state = 2")?
                .query_map([], |row| {
                    let identity = Identity {
                        issuer: row.get_ref(0)?.as_str()?.try_into().map_err(unreadable)?,
                        subject: row.get_ref(1)?.as_str()?.try_into().map_err(unreadable)?,
                    };
                    let space = Some(SpaceId::from_bytes(row.get(2)?));
                    Ok(Closed { identity, space, at: moment(row.get::<_, Option<i64>>(3)?.unwrap_or(0)) })
                })?
                .collect()
        })
    }
}
