//! The directory: what is known about spaces, in a small encrypted database of its own; never any content.

mod audit;
mod erase;
mod keys;
mod known;
mod users;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hkdf::Hkdf;
use jiff::Timestamp;
use locule_core::audit::SystemEntry;
use locule_core::auth::{KeyId, KeyRecord};
use locule_core::clock::Sources;
use locule_core::directory::{Standing, State};
use locule_core::id::{Identity, SpaceId, Tag};
use locule_core::{Code, Error, Result};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::Sha256;

pub use audit::SystemRecord;
pub use erase::Closed;
pub use users::{Figures, Published, UserRecord};

use self::known::{Known, keep};
use crate::error::of_sqlite;
use crate::files::Reserve;
use crate::group::Group;
use crate::seal::Secret;
use crate::sqlite::create::{self, DIRECTORY};
use crate::sqlite::open::{self, Durability};
use locule_core::Chamber;

/// The directory of one installation.
pub struct Directory {
    readers: Mutex<Vec<Connection>>,
    known: Known,
    writer: Group,
    open: Box<dyn Fn() -> Result<Connection> + Send + Sync>,
    reserve: Reserve,
    /// Names people where they may not be named: in tombstones, in the log, in the trail after them.
    pseudonym: Secret,
    sources: Sources,
}

impl Directory {
    /// Opens the directory at `path`, made now if there is none and `create` says so.
    pub fn open(
        path: &Path,
        key: Option<Secret>,
        pseudonym: Secret,
        create: bool,
        sources: Sources,
    ) -> Result<Arc<Self>> {
        if create && !path.exists() {
            create::file(path, key.as_ref(), DIRECTORY, &sources)?;
        }
        let path = path.to_owned();
        let reserve = Reserve::beside(&path);
        let open = Arc::new(move || open::existing(&path, key.as_ref(), Durability::Full));
        create::upgrade(&open()?, DIRECTORY)?;
        let directory = Directory {
            readers: Mutex::new(Vec::new()),
            known: Known::default(),
            writer: Group::new(Box::new({
                let open = open.clone();
                move || open()
            })),
            open: Box::new(move || open()),
            reserve,
            pseudonym,
            sources,
        };
        directory.reserve.keep(&directory.sources);
        Ok(Arc::new(directory))
    }

    /// What the log calls somebody: always the same, and nothing without our key.
    pub fn pseudonym(&self, identity: &Identity) -> String {
        data_encoding::HEXLOWER.encode(&self.who(identity)[..6])
    }

    /// How a space stands right now, whatever was known when a scope for it was given. `None` once it is erased.
    pub fn current(&self, space: SpaceId) -> Result<Option<(Chamber, State)>> {
        self.ask(|connection, answers| {
            if let Some(known) = answers.chambers.get(&space) {
                return Ok(*known);
            }
            let found = connection
                .prepare_cached("SELECT id, tag, epoch, born, state FROM spaces WHERE id = ?1")?
                .query_row([space.as_bytes()], |row| Ok((chamber(row)?, state(row.get(4)?))))
                .optional()?;
            keep(&mut answers.chambers, space, found);
            Ok(found)
        })
    }

    /// Whom the rows of a space belong to, where they carry an owner.
    pub fn owner(&self, space: SpaceId) -> Result<String> {
        Ok(format!("urn:locule:space:{}", space.name()))
    }

    /// Notes that the space has files from now on, unless it is being erased.
    pub fn born(&self, space: SpaceId) -> Result<()> {
        let noted = self.write(move |connection| {
            connection.execute("UPDATE spaces SET born = 1 WHERE id = ?1 AND state < 2", [space.as_bytes()])
        })?;
        if noted == 0 { Err(Error::new(Code::SpaceErased, "This space has been erased.")) } else { Ok(()) }
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => (self.open)()?,
        };
        let result = work(&connection).map_err(of_sqlite);
        if result.is_ok() {
            self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        result
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(|connection| work(connection).map_err(of_sqlite))
    }

    /// Like [`Directory::write`], and on a full disk too: the room that was kept back for this is given up then.
    fn write_at_any_cost<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let work = Arc::new(work);
        let attempt = || {
            let work = work.clone();
            self.write(move |connection| work(connection))
        };
        match attempt() {
            Err(error) if error.code() == Code::StorageFull && self.reserve.release() => attempt(),
            written => written,
        }
    }

    fn who(&self, identity: &Identity) -> [u8; 32] {
        keyed_hash(&self.pseudonym, &identity.to_bytes())
    }
}

/// HMAC-SHA-256 (RFC 2104), which is what HKDF's extraction step is.
fn keyed_hash(key: &Secret, bytes: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(key.as_bytes()), bytes).0.into()
}

impl locule_core::directory::Directory for Directory {
    fn find(&self, identity: &Identity) -> Result<Standing> {
        self.ask(|connection, answers| {
            if let Some(known) = answers.standings.get(identity) {
                return Ok(*known);
            }
            let standing = match by_name(connection, identity)? {
                Some(standing) => standing,
                None => {
                    Standing { space: None, state: State::Open, not_before: erased(connection, self.who(identity))? }
                }
            };
            keep(&mut answers.standings, identity.clone(), standing);
            Ok(standing)
        })
    }

    fn provision(&self, identity: &Identity) -> Result<Chamber> {
        self.write(self.provisioning(identity))
    }

    fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        self.find_key(id)
    }

    fn record(&self, entry: SystemEntry) -> Result<()> {
        self.append(entry)
    }
}

impl Directory {
    /// What gives somebody a space: the one they have, or a new one.
    fn provisioning(
        &self,
        identity: &Identity,
    ) -> impl FnOnce(&Connection) -> rusqlite::Result<Chamber> + Send + use<> {
        let chamber = self.fresh();
        let seal = Secret::random(&self.sources);
        let now = self.sources.now().as_microsecond();
        let who = self.who(identity);
        let identity = identity.clone();
        move |connection| {
            let (issuer, subject) = (identity.issuer.as_str(), identity.subject.as_str());
            // Somebody else may have been first; then theirs is the space.
            connection
                .prepare_cached(
                    "INSERT INTO spaces (id, issuer, subject, tag, epoch, state, born, created_at, seal, not_before)
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?7, (SELECT erased_at FROM tombstones WHERE who = ?8))
                     ON CONFLICT (issuer, subject) DO NOTHING",
                )?
                .execute(params![
                    chamber.id.as_bytes(),
                    issuer,
                    subject,
                    chamber.tag.0,
                    chamber.epoch as i64,
                    now,
                    seal.as_bytes(),
                    who
                ])?;
            connection
                .prepare_cached("SELECT id, tag, epoch, born FROM spaces WHERE issuer = ?1 AND subject = ?2")?
                .query_row([issuer, subject], self::chamber)
        }
    }

    fn fresh(&self) -> Chamber {
        let tag = Tag(u32::from_be_bytes(self.sources.bytes()));
        Chamber { id: SpaceId::random(&self.sources), tag, epoch: 1, born: false }
    }
}

fn by_name(connection: &Connection, identity: &Identity) -> rusqlite::Result<Option<Standing>> {
    connection
        .prepare_cached(
            "SELECT id, tag, epoch, born, state, not_before FROM spaces WHERE issuer = ?1 AND subject = ?2",
        )?
        .query_row([identity.issuer.as_str(), identity.subject.as_str()], |row| {
            let not_before = row.get::<_, Option<i64>>(5)?.map(moment);
            Ok(Standing { space: Some(chamber(row)?), state: state(row.get(4)?), not_before })
        })
        .optional()
}

fn erased(connection: &Connection, who: [u8; 32]) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT erased_at FROM tombstones WHERE who = ?1")?
        .query_row([who], |row| row.get(0).map(moment))
        .optional()
}

/// The chamber in the columns id, tag, epoch, born.
fn chamber(row: &Row) -> rusqlite::Result<Chamber> {
    Ok(Chamber {
        id: SpaceId::from_bytes(row.get(0)?),
        tag: Tag(row.get(1)?),
        epoch: row.get::<_, i64>(2)? as u64,
        born: row.get(3)?,
    })
}

fn state(number: i64) -> State {
    match number {
        0 => State::Open,
        1 => State::Suspended,
        // Anything this program does not know is shut.
        _ => State::Erasing,
    }
}

/// A moment as it is stored. Only what this program wrote is read, so it is in range.
fn moment(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MAX)
}

/// What is stored does not read as what was written.
fn unreadable(source: Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(source))
}
