//! The directory's part in an erasure: closing the door first, removing the name last.

use jiff::Timestamp;
use locule_core::audit::{Actor, Outcome, SystemEntry};
use locule_core::id::{Identity, SpaceId};
use locule_core::policy::Act;
use locule_core::{Erasure, Error, Place, Result};

use super::{Directory, audit, history, leads, named, stranger, unreadable};
use crate::tx::Value;

/// A space whose door is closed: nothing new begins in it, and old credentials of its owner are void.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Whose it was.
    pub identity: Identity,
    /// The space to destroy, if there was one.
    pub space: Option<SpaceId>,
    /// Where it is kept; of no meaning without it.
    pub place: Option<Place>,
    /// When the door closed.
    pub at: Timestamp,
}

impl Directory {
    /// Closes the door, durably: from here on the erasure will be finished, by us or by the next start.
    pub fn close_door(&self, erasure: &Erasure) -> Result<Closed> {
        let now = self.sources.now();
        let identity = erasure.identity().clone();
        let who = self.who(&identity);
        self.write_at_any_cost(move |tx| {
            let [issuer, subject] = named(&identity);
            let found = tx.first(
                "SELECT id, placement, state FROM spaces WHERE issuer = $1 AND subject = $2",
                &[issuer, subject],
                |row| {
                    Ok((SpaceId::from_bytes(row.id(0)?), row.text(1)?.try_into().map_err(unreadable)?, row.integer(2)?))
                },
            )?;
            // What is on its way would arrive all the same.
            if found.as_ref().is_some_and(|(_, _, state)| *state > 2) {
                return Err(Error::moving());
            }
            // A token from just after an earlier erasure is dated in the second after it, which may still be to come.
            let at = super::erased(tx, &who)?.map_or(now, |earlier| now.max(second_after(earlier)));
            tx.execute(
                "INSERT INTO tombstones (who, erased_at) VALUES ($1, $2)
                 ON CONFLICT (who) DO UPDATE SET erased_at = excluded.erased_at",
                &[Value::Blob(&who), Value::Moment(at)],
            )?;
            tx.execute(
                "UPDATE spaces SET state = 2, epoch = epoch + 1, not_before = $1 WHERE issuer = $2 AND subject = $3",
                &[Value::Moment(at), issuer, subject],
            )?;
            tx.execute("DELETE FROM keys WHERE issuer = $1 AND subject = $2", &[issuer, subject])?;
            let (space, place) = found.map(|(space, place, _)| (space, place)).unzip();
            Ok(Closed { identity: identity.clone(), space, place, at })
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
        let (space, has_rows) = (closed.space, self.home.default_issuer().is_some());
        self.write_at_any_cost(move |tx| {
            tx.execute("DELETE FROM spaces WHERE issuer = $1 AND subject = $2 AND state = 2", &named(&identity))?;
            if let Some(space) = space {
                tx.execute("DELETE FROM work WHERE space = $1", &[Value::Id(space.as_bytes())])?;
                leads::forget(tx, space)?;
            }
            if has_rows {
                // It is gone by now. Should it not be, it does not outlive the person.
                if let Some(space) = space {
                    tx.execute("DELETE FROM space_keys WHERE space = $1", &[Value::Id(space.as_bytes())])?;
                }
                history::forget(tx, &identity, &stranger(&pseudonym, &identity))?;
            }
            audit::write(tx, &entry, &pseudonym, &sources)
        })?;
        self.home.empty_log();
        // What was erased has made room.
        self.home.keep_room();
        Ok(())
    }

    /// Erasures that were begun and not finished: whoever starts next finishes them.
    pub fn unfinished(&self) -> Result<Vec<Closed>> {
        self.read(|tx| {
            tx.all("SELECT issuer, subject, id, not_before, placement FROM spaces WHERE state = 2", &[], |row| {
                let identity = Identity {
                    issuer: row.text(0)?.try_into().map_err(unreadable)?,
                    subject: row.text(1)?.try_into().map_err(unreadable)?,
                };
                let space = Some(SpaceId::from_bytes(row.id(2)?));
                let place = Some(row.text(4)?.try_into().map_err(unreadable)?);
                Ok(Closed { identity, space, place, at: row.maybe_moment(3)?.unwrap_or(Timestamp::UNIX_EPOCH) })
            })
        })
    }
}

fn second_after(moment: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(moment.as_microsecond().saturating_add(1_000_000)).unwrap_or(Timestamp::MAX)
}
