//! Users as operators see them: who there is, whether their space is open, and how full it was when it last said.

use jiff::Timestamp;
use locule_core::directory::{Known, State};
use locule_core::id::{Identity, Issuer, SpaceId, Subject};
use locule_core::{Chamber, Error, Operator, Place, Result, limit};

use super::{Directory, audit, chamber, named, state, unreadable};
use crate::places;
use crate::tx::{Row, Value};

/// A user and the figures their space last published.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Who.
    pub identity: Identity,
    /// Which space.
    pub chamber: Chamber,
    /// Whether it is open.
    pub state: State,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// How full it was.
    pub published: Published,
    /// When it said so; `None` if it never has.
    pub published_at: Option<Timestamp>,
}

impl UserRecord {
    /// Whether the space is open, as one word.
    pub fn state_word(&self) -> &'static str {
        match self.state {
            State::Open => "open",
            State::Suspended => "suspended",
            State::Erasing => "erasing",
            State::Moving => "moving",
            State::Arriving => "arriving",
            State::Moved => "moved",
        }
    }
}

/// What a space tells the directory of itself: figures, no content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// How many memories.
    pub memories: u64,
    /// How many bytes of texts, metadata and vectors.
    pub size_bytes: u64,
    /// At which revision.
    pub revision: u64,
}

/// Figures over all users.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// How many there are.
    pub users: u64,
    /// How many of them are suspended.
    pub suspended: u64,
    /// Their memories, as last published.
    pub memories: u64,
    /// Their bytes, as last published.
    pub size_bytes: u64,
    /// The oldest of the publications these figures rest on.
    pub as_of: Option<Timestamp>,
}

const COLUMNS: &str =
    "id, tag, epoch, born, placement, state, issuer, subject, created_at, memories, size_bytes, revision, published_at";

impl Directory {
    /// Gives a user a space, if they have none yet.
    pub fn create_user(&self, operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        let provision = self.provisioning(identity);
        let entry = self.operation(operator, Some(identity.subject.as_str().to_owned()));
        let (pseudonym, sources) = (self.pseudonym.clone(), self.sources.clone());
        self.write(move |tx| {
            provision(tx)?;
            audit::write(tx, &entry, &pseudonym, &sources)
        })?;
        self.user(operator, identity)
    }

    /// One user.
    pub fn user(&self, _operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        let sql = format!("SELECT {COLUMNS} FROM spaces WHERE issuer = $1 AND subject = $2");
        self.read(|tx| tx.first(&sql, &named(identity), record))?.ok_or_else(Error::not_found)
    }

    /// Users in the order of their ids, after `after`, up to `limit`.
    pub fn users(&self, _operator: &Operator, after: Option<&Identity>, limit: usize) -> Result<Vec<UserRecord>> {
        let [issuer, subject] = after.map_or([Value::Text(""), Value::Text("")], named);
        let sql = format!(
            "SELECT {COLUMNS} FROM spaces WHERE (issuer, subject) > ($1, $2) ORDER BY issuer, subject LIMIT $3"
        );
        self.read(|tx| tx.all(&sql, &[issuer, subject, Value::Integer(limit as i64)], record))
    }

    /// Shuts a user's space, or opens it again. Takes effect on the next transaction, in every process.
    pub fn suspend(&self, operator: &Operator, identity: &Identity, suspended: bool) -> Result<()> {
        let changed = {
            let identity = identity.clone();
            self.write(move |tx| {
                let [issuer, subject] = named(&identity);
                tx.execute(
                    "UPDATE spaces SET state = $1, epoch = epoch + 1 WHERE issuer = $2 AND subject = $3 AND state < 2",
                    &[Value::Integer(suspended.into()), issuer, subject],
                )
            })?
        };
        if changed == 0 {
            return Err(Error::not_found());
        }
        self.operated(operator, Some(identity.subject.as_str().to_owned()))
    }

    /// Figures over all users.
    pub fn figures(&self, _operator: &Operator) -> Result<Figures> {
        // The sum of large numbers is of another type in PostgreSQL, and is made one again.
        let figures = self.read(|tx| {
            tx.first(
                "SELECT count(*), CAST(coalesce(sum(CASE WHEN state = 1 THEN 1 ELSE 0 END), 0) AS bigint),
                        CAST(coalesce(sum(memories), 0) AS bigint), CAST(coalesce(sum(size_bytes), 0) AS bigint),
                        min(published_at) FROM spaces",
                &[],
                |row| {
                    Ok(Figures {
                        users: row.integer(0)? as u64,
                        suspended: row.integer(1)? as u64,
                        memories: row.integer(2)? as u64,
                        size_bytes: row.integer(3)? as u64,
                        as_of: row.maybe_moment(4)?,
                    })
                },
            )
        })?;
        Ok(figures.unwrap_or_default())
    }

    /// Takes in what spaces say of themselves. A revision never goes back here.
    pub fn publish(&self, published: Vec<(SpaceId, Published)>) -> Result<()> {
        self.home.keep_room();
        let now = self.sources.now();
        self.write(move |tx| {
            for (space, figures) in &published {
                tx.execute(
                    "UPDATE spaces SET memories = $1, size_bytes = $2, revision = $3, published_at = $4
                     WHERE id = $5 AND revision <= $3",
                    &[
                        Value::Integer(figures.memories as i64),
                        Value::Integer(figures.size_bytes as i64),
                        Value::Integer(figures.revision as i64),
                        Value::Moment(now),
                        Value::Id(space.as_bytes()),
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// The next spaces after one that anything was ever written to, in the order of their ids, and where each is kept.
    pub(crate) fn born_after(&self, after: Option<SpaceId>) -> Result<Vec<(SpaceId, Place)>> {
        let after = after.map_or([0; 16], |space| *space.as_bytes());
        let sql = "SELECT id, tag, epoch, born, placement FROM spaces
                   WHERE id > $1 AND born = 1 AND state <> 2 ORDER BY id LIMIT 500";
        let some = self.read(|tx| tx.all(sql, &[Value::Id(&after)], chamber))?;
        // What rows say that are older than the words for places.
        let place = |place: Place| if place.as_str() == places::MAIN { self.placing.usual } else { place };
        Ok(some.into_iter().map(|chamber| (chamber.id, place(chamber.place))).collect())
    }

    /// The highest revision this space has published: a file that shows an older one was put back from elsewhere.
    pub fn high_water(&self, space: SpaceId) -> Result<u64> {
        self.read(|tx| {
            let sql = "SELECT revision FROM spaces WHERE id = $1";
            let revision = tx.first(sql, &[Value::Id(space.as_bytes())], |row| row.integer(0))?;
            Ok(revision.unwrap_or(0) as u64)
        })
    }
}

impl Directory {
    /// Everybody of an issuer for whom `is_asked_for` holds.
    pub(super) fn known_of(
        &self,
        issuer: &Issuer,
        is_asked_for: &(dyn Fn(&Subject) -> bool + Send + Sync),
    ) -> Result<Vec<Known>> {
        self.read(|tx| {
            let mut known = Vec::new();
            let sql = "SELECT issuer, subject, created_at, memories, published_at FROM spaces
                       WHERE issuer = $1 AND state < 2 ORDER BY subject";
            tx.query(sql, &[Value::Text(issuer.as_str())], &mut |row| {
                let subject = identity(row)?.subject;
                if is_asked_for(&subject) && known.len() < limit::LISTED_USERS.max {
                    known.push(Known {
                        subject,
                        created_at: row.moment(2)?,
                        memories: row.integer(3)? as u64,
                        published_at: row.maybe_moment(4)?,
                    });
                }
                Ok(())
            })?;
            Ok(known)
        })
    }
}

/// The person in the columns issuer, subject.
pub(super) fn identity(row: &dyn Row) -> Result<Identity> {
    identity_at(row, 0)
}

/// The identity in two columns, from this one on.
pub(super) fn identity_at(row: &dyn Row, column: usize) -> Result<Identity> {
    Ok(Identity {
        issuer: row.text(column)?.try_into().map_err(unreadable)?,
        subject: row.text(column + 1)?.try_into().map_err(unreadable)?,
    })
}

fn record(row: &dyn Row) -> Result<UserRecord> {
    Ok(UserRecord {
        chamber: chamber(row)?,
        state: state(row.integer(5)?),
        identity: Identity {
            issuer: row.text(6)?.try_into().map_err(unreadable)?,
            subject: row.text(7)?.try_into().map_err(unreadable)?,
        },
        created_at: row.moment(8)?,
        published: Published {
            memories: row.integer(9)? as u64,
            size_bytes: row.integer(10)? as u64,
            revision: row.integer(11)? as u64,
        },
        published_at: row.maybe_moment(12)?,
    })
}
