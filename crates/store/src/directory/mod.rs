//! The directory: what is known about spaces, in a small encrypted database of its own; never any content.

mod audit;
mod erase;
mod history;
pub mod home;
mod installation;
mod keys;
mod known;
mod leads;
mod moves;
pub mod postgres;
mod projects;
mod space_keys;
mod sqlite;
mod users;
mod work;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hkdf::Hkdf;
use jiff::Timestamp;
use locule_core::audit::SystemEntry;
use locule_core::auth::{KeyId, KeyRecord};
use locule_core::clock::Sources;
use locule_core::directory::{Known, Standing, State};
use locule_core::id::{Identity, Issuer, SpaceId, Subject, Tag};
use locule_core::{Chamber, Code, Error, Place, Result};
use sha2::Sha256;

pub use audit::SystemRecord;
pub use erase::Closed;
pub(crate) use installation::Rest;
pub(crate) use leads::strange;
pub use moves::{Leaving, Record};
pub use projects::Application;
pub use users::{Figures, Published, UserRecord};

use self::home::Home;
use crate::clusters::Placing;
use crate::error::corrupt;
use crate::places;
use crate::postgres::Server;
use crate::seal::Secret;
use crate::tx::{Row, Tx, Value};

/// The directory of one installation.
pub struct Directory {
    home: Box<dyn Home>,
    /// Where the spaces are kept that it gives out.
    placing: Placing,
    /// Under what names the rows of spaces stand. They stay as long as the space is there, and no id is used again.
    owners: Mutex<HashMap<SpaceId, String>>,
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
        let home = sqlite::File::open(path, key, create, sources.clone())?;
        Ok(Directory::at(Box::new(home), Placing::at("file".try_into()?), pseudonym, sources))
    }

    /// Opens the directory that the servers over one PostgreSQL share, whose new spaces go where `placing` says. Subjects of
    /// `default_issuer` own rows under their own names.
    pub fn in_postgres(
        server: &Server,
        placing: Placing,
        default_issuer: Issuer,
        pseudonym: Secret,
        sources: Sources,
    ) -> Result<Arc<Self>> {
        let home = postgres::Tables::open(server, default_issuer)?;
        Ok(Directory::at(Box::new(home), placing, pseudonym, sources))
    }

    fn at(home: Box<dyn Home>, placing: Placing, pseudonym: Secret, sources: Sources) -> Arc<Self> {
        Arc::new(Directory { home, placing, owners: Mutex::default(), pseudonym, sources })
    }

    /// What the log calls somebody: always the same, and nothing without our key.
    pub fn pseudonym(&self, identity: &Identity) -> String {
        data_encoding::HEXLOWER.encode(&self.who(identity)[..6])
    }

    /// How a space stands right now, whatever was known when a scope for it was given. `None` once it is erased.
    pub fn current(&self, space: SpaceId) -> Result<Option<(Chamber, State)>> {
        self.ask(
            |answers| &mut answers.chambers,
            &space,
            |tx| {
                tx.first(
                    "SELECT id, tag, epoch, born, placement, state FROM spaces WHERE id = $1",
                    &[Value::Id(space.as_bytes())],
                    |row| Ok((chamber(row)?, state(row.integer(5)?))),
                )
            },
        )
    }

    /// Where a space is kept right now.
    pub fn place_of(&self, space: SpaceId) -> Result<Option<Place>> {
        let place = self.current(space)?.map(|(chamber, _)| chamber.place);
        // What rows say that are older than the words for places.
        Ok(place.map(|place| if place.as_str() == places::MAIN { self.placing.usual } else { place }))
    }

    /// Where a space goes that is new here.
    pub fn place_for(&self, space: SpaceId) -> Place {
        self.placing.of(space)
    }

    /// The next answer is of what is there by then. Others within a unit of work may be of any moment since it began.
    pub fn look_again(&self) {
        self.home.look_again();
    }

    /// Under what name the rows of a space stand, where rows have owners.
    pub fn owner(&self, space: SpaceId) -> Result<String> {
        if self.home.default_issuer().is_none() {
            return Ok(no_ones(space));
        }
        if let Some(owner) = self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&space) {
            return Ok(owner.clone());
        }
        let owner = self.read(|tx| {
            let sql =
                "SELECT owner FROM spaces WHERE id = $1 UNION ALL SELECT owner FROM moves WHERE space = $1 LIMIT 1";
            tx.first(sql, &[Value::Id(space.as_bytes())], |row| row.text(0).map(str::to_owned))
        })?;
        let owner = owner.ok_or_else(erased_space)?;
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= OWNERS {
            owners.clear();
        }
        owners.insert(space, owner.clone());
        Ok(owner)
    }

    /// Notes that the space has files from now on, unless it is being erased.
    pub fn born(&self, space: SpaceId) -> Result<()> {
        let noted = self.write(move |tx| {
            tx.execute("UPDATE spaces SET born = 1 WHERE id = $1 AND state <> 2", &[Value::Id(space.as_bytes())])
        })?;
        if noted == 0 { Err(erased_space()) } else { Ok(()) }
    }

    fn read<T>(&self, work: impl Fn(&dyn Tx) -> Result<T>) -> Result<T> {
        let mut made = None;
        self.home.read(&mut |tx| {
            made = Some(work(tx)?);
            Ok(())
        })?;
        made.ok_or_else(nothing_made)
    }

    fn write<T: Send + 'static>(&self, work: impl FnOnce(&dyn Tx) -> Result<T> + Send + 'static) -> Result<T> {
        let made = Arc::new(Mutex::new(None));
        let place = made.clone();
        self.home.write(Box::new(move |tx| {
            let result = work(tx)?;
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            Ok(())
        }))?;
        made.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(nothing_made)
    }

    /// Like [`Directory::write`], and on a full disk too: the room that was kept back for this is given up then.
    fn write_at_any_cost<T: Send + 'static>(
        &self,
        work: impl Fn(&dyn Tx) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let work = Arc::new(work);
        let attempt = || {
            let work = work.clone();
            self.write(move |tx| work(tx))
        };
        match attempt() {
            Err(error) if error.code() == Code::StorageFull && self.home.give_up_room() => attempt(),
            written => written,
        }
    }

    fn who(&self, identity: &Identity) -> [u8; 32] {
        keyed_hash(&self.pseudonym, &identity.to_bytes())
    }
}

/// How many owners are kept in mind.
const OWNERS: usize = 65_536;

/// The name of a space as the owner of its rows, which no subject can be.
fn no_ones(space: SpaceId) -> String {
    format!("urn:locule:space:{}", space.name())
}

/// What stands in plain sight for somebody who has no space, or none any more. No subject can be that either.
fn stranger(pseudonym: &Secret, identity: &Identity) -> String {
    let hash = keyed_hash(pseudonym, &identity.to_bytes());
    format!("urn:locule:somebody:{}", data_encoding::HEXLOWER.encode(&hash[..6]))
}

fn erased_space() -> Error {
    Error::new(Code::SpaceErased, "This space has been erased.")
}

fn nothing_made() -> Error {
    Error::internal("a transaction that ended well and made nothing")
}

/// HMAC-SHA-256 (RFC 2104), which is what HKDF's extraction step is.
fn keyed_hash(key: &Secret, bytes: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(key.as_bytes()), bytes).0.into()
}

impl locule_core::directory::Directory for Directory {
    fn find(&self, identity: &Identity) -> Result<Standing> {
        self.ask(
            |answers| &mut answers.standings,
            identity,
            |tx| match by_name(tx, identity)? {
                Some(standing) => Ok(standing),
                None => {
                    let who = self.who(identity);
                    let state = if moves::is_elsewhere(tx, &who)? { State::Moved } else { State::Open };
                    Ok(Standing { space: None, state, not_before: erased(tx, &who)? })
                }
            },
        )
    }

    fn provision(&self, identity: &Identity) -> Result<Chamber> {
        self.write(self.provisioning(identity))
    }

    fn tagged(&self, tag: Tag) -> Result<Vec<Identity>> {
        self.find_tagged(tag)
    }

    fn known(&self, issuer: &Issuer, is_asked_for: &(dyn Fn(&Subject) -> bool + Send + Sync)) -> Result<Vec<Known>> {
        self.known_of(issuer, is_asked_for)
    }

    fn marked(&self, space: SpaceId) -> Result<Option<(Identity, Standing)>> {
        self.find_marked(space)
    }

    fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>> {
        self.find_key(id)
    }

    fn keys_of(&self, identity: &Identity) -> Result<Vec<KeyRecord>> {
        self.find_keys_of(identity)
    }

    fn is_near(&self) -> bool {
        // The one in a file has no owners of rows.
        self.home.default_issuer().is_none()
    }

    fn record(&self, entry: SystemEntry) -> Result<()> {
        self.append(entry)
    }
}

impl Directory {
    /// What gives somebody a space: the one they have, or a new one.
    fn provisioning(&self, identity: &Identity) -> impl FnOnce(&dyn Tx) -> Result<Chamber> + Send + use<> {
        let fresh = self.fresh();
        let seal = Secret::random(&self.sources);
        let now = self.sources.now();
        let who = self.who(identity);
        let identity = identity.clone();
        let default_issuer = self.home.default_issuer().cloned();
        move |tx| {
            let there = "SELECT id, tag, epoch, born, placement FROM spaces WHERE issuer = $1 AND subject = $2";
            if let Err(refusal) = moves::check_takes_new(tx, &who) {
                return tx.first(there, &named(&identity), chamber)?.ok_or(refusal);
            }
            let (issuer, subject) = (identity.issuer.as_str(), identity.subject.as_str());
            let nobody = no_ones(fresh.id);
            let mut values = vec![
                Value::Id(fresh.id.as_bytes()),
                Value::Text(issuer),
                Value::Text(subject),
                Value::Integer(fresh.tag.0.into()),
                Value::Integer(fresh.epoch as i64),
                Value::Moment(now),
                Value::Blob(seal.as_bytes()),
                Value::Blob(&who),
                Value::Text(fresh.place.as_str()),
            ];
            let sql = match &default_issuer {
                None => PROVISION,
                Some(default) => {
                    let by_name = default.as_str() == issuer;
                    values.extend([Value::Text(if by_name { subject } else { &nobody }), Value::Text(&nobody)]);
                    PROVISION_OWNER
                }
            };
            if let Some(made) = tx.first(sql, &values, chamber)? {
                return Ok(made);
            }
            // Somebody else was first: theirs is the space.
            tx.first(there, &named(&identity), chamber)?.ok_or_else(|| corrupt("a space that is there is not found"))
        }
    }

    fn fresh(&self) -> Chamber {
        let tag = Tag(u32::from_be_bytes(self.sources.bytes()));
        let id = SpaceId::random(&self.sources);
        Chamber { id, tag, epoch: 1, born: false, place: self.placing.of(id) }
    }
}

const PROVISION: &str =
    "INSERT INTO spaces (id, issuer, subject, tag, epoch, state, born, created_at, seal, not_before, placement)
     VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7, (SELECT erased_at FROM tombstones WHERE who = $8), $9)
     ON CONFLICT (issuer, subject) DO NOTHING RETURNING id, tag, epoch, born, placement";

/// The same where rows have owners. Whoever had the name while another issuer was the default keeps it.
const PROVISION_OWNER: &str =
    "INSERT INTO spaces (id, issuer, subject, tag, epoch, state, born, created_at, seal, not_before, placement, owner)
     VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7, (SELECT erased_at FROM tombstones WHERE who = $8), $9,
             CASE WHEN EXISTS (SELECT 1 FROM spaces WHERE owner = $10) THEN $11 ELSE $10 END)
     ON CONFLICT (issuer, subject) DO NOTHING RETURNING id, tag, epoch, born, placement";

fn by_name(tx: &dyn Tx, identity: &Identity) -> Result<Option<Standing>> {
    tx.first(
        "SELECT id, tag, epoch, born, placement, state, not_before FROM spaces WHERE issuer = $1 AND subject = $2",
        &named(identity),
        |row| {
            Ok(Standing { space: Some(chamber(row)?), state: state(row.integer(5)?), not_before: row.maybe_moment(6)? })
        },
    )
}

fn erased(tx: &dyn Tx, who: &[u8; 32]) -> Result<Option<Timestamp>> {
    tx.first("SELECT erased_at FROM tombstones WHERE who = $1", &[Value::Blob(who)], |row| row.moment(0))
}

/// Issuer and subject, as values.
fn named(identity: &Identity) -> [Value<'_>; 2] {
    [Value::Text(identity.issuer.as_str()), Value::Text(identity.subject.as_str())]
}

/// The chamber in the columns id, tag, epoch, born, placement.
fn chamber(row: &dyn Row) -> Result<Chamber> {
    Ok(Chamber {
        id: SpaceId::from_bytes(row.id(0)?),
        tag: Tag(row.integer(1)?.try_into().map_err(corrupt)?),
        epoch: row.integer(2)? as u64,
        born: row.integer(3)? != 0,
        place: row.text(4)?.try_into().map_err(unreadable)?,
    })
}

fn state(number: i64) -> State {
    match number {
        0 => State::Open,
        1 => State::Suspended,
        3 => State::Moving,
        4 => State::Arriving,
        // Anything this program does not know is shut.
        _ => State::Erasing,
    }
}

/// What is stored does not read as what was written.
fn unreadable(source: Error) -> Error {
    Error::internal(source)
}
