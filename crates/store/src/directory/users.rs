//! Users as operators see them: who there is, whether their space is open, and how full it was when it last said.

use jiff::Timestamp;
use locule_core::directory::State;
use locule_core::id::{Identity, Issuer, SpaceId, Subject};
use locule_core::{Chamber, Error, Operator, Result};
use rusqlite::{Row, params};

use super::{Directory, audit, chamber, moment, state, unreadable};

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
    "id, tag, epoch, born, state, issuer, subject, created_at, memories, size_bytes, revision, published_at";

impl Directory {
    /// Gives a user a space, if they have none yet.
    pub fn create_user(&self, operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        let provision = self.provisioning(identity);
        let entry = self.operation(operator, Some(identity.subject.as_str().to_owned()));
        let (pseudonym, sources) = (self.pseudonym.clone(), self.sources.clone());
        self.write(move |connection| {
            provision(connection)?;
            audit::write(connection, &entry, &pseudonym, &sources)
        })?;
        self.user(operator, identity)
    }

    /// One user.
    pub fn user(&self, _operator: &Operator, identity: &Identity) -> Result<UserRecord> {
        let found = self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM spaces WHERE issuer = ?1 AND subject = ?2"))?
                .query_map([identity.issuer.as_str(), identity.subject.as_str()], record)?
                .next()
                .transpose()
        })?;
        found.ok_or_else(Error::not_found)
    }

    /// Users in the order of their ids, after `after`, up to `limit`.
    pub fn users(&self, _operator: &Operator, after: Option<&Identity>, limit: usize) -> Result<Vec<UserRecord>> {
        let (issuer, subject) = after.map_or(("", ""), |after| (after.issuer.as_str(), after.subject.as_str()));
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM spaces WHERE (issuer, subject) > (?1, ?2) ORDER BY issuer, subject LIMIT ?3"
                ))?
                .query_map(params![issuer, subject, limit as i64], record)?
                .collect()
        })
    }

    /// Shuts a user's space, or opens it again. Takes effect on the next transaction, in every process.
    pub fn suspend(&self, operator: &Operator, identity: &Identity, suspended: bool) -> Result<()> {
        let changed = {
            let identity = identity.clone();
            self.write(move |connection| {
                connection.execute(
                    "UPDATE spaces SET state = ?3, epoch = epoch + 1 WHERE issuer = ?1 AND subject = ?2 AND state < 2",
                    params![identity.issuer.as_str(), identity.subject.as_str(), suspended],
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
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(state = 1), 0), coalesce(sum(memories), 0),
                            coalesce(sum(size_bytes), 0), min(published_at) FROM spaces",
                )?
                .query_row([], |row| {
                    Ok(Figures {
                        users: row.get::<_, i64>(0)? as u64,
                        suspended: row.get::<_, i64>(1)? as u64,
                        memories: row.get::<_, i64>(2)? as u64,
                        size_bytes: row.get::<_, i64>(3)? as u64,
                        as_of: row.get::<_, Option<i64>>(4)?.map(moment),
                    })
                })
        })
    }

    /// Takes in what spaces say of themselves. A revision never goes back here.
    pub fn publish(&self, published: Vec<(SpaceId, Published)>) -> Result<()> {
        self.reserve.keep(&self.sources);
        let now = self.sources.now().as_microsecond();
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE spaces SET memories = ?2, size_bytes = ?3, revision = ?4, published_at = ?5
                 WHERE id = ?1 AND revision <= ?4",
            )?;
            for (space, figures) in &published {
                statement.execute(params![
                    space.as_bytes(),
                    figures.memories as i64,
                    figures.size_bytes as i64,
                    figures.revision as i64,
                    now
                ])?;
            }
            Ok(())
        })
    }

    /// The highest revision this space has published: a file that shows an older one was put back from elsewhere.
    pub fn high_water(&self, space: SpaceId) -> Result<u64> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT revision FROM spaces WHERE id = ?1")?
                .query_map([space.as_bytes()], |row| row.get::<_, i64>(0))?
                .next()
                .transpose()
        })
        .map(|revision| revision.unwrap_or(0) as u64)
    }
}

fn record(row: &Row) -> rusqlite::Result<UserRecord> {
    Ok(UserRecord {
        chamber: chamber(row)?,
        state: state(row.get(4)?),
        identity: Identity {
            issuer: Issuer::try_from(row.get_ref(5)?.as_str()?).map_err(unreadable)?,
            subject: Subject::try_from(row.get_ref(6)?.as_str()?).map_err(unreadable)?,
        },
        created_at: moment(row.get(7)?),
        published: Published {
            memories: row.get::<_, i64>(8)? as u64,
            size_bytes: row.get::<_, i64>(9)? as u64,
            revision: row.get::<_, i64>(10)? as u64,
        },
        published_at: row.get::<_, Option<i64>>(11)?.map(moment),
    })
}
