//! The installation's own chain: refusals, operators' acts, erasures. People are named in it only under their own key,
//! which goes with them: the chain stays whole and the person is gone.

use jiff::Timestamp;
use locule_core::audit::{self, Actor, BEGINNING, Link, SystemEntry};
use locule_core::id::SpaceId;
use locule_core::{Operator, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Directory, keyed_hash, moment};
use crate::seal::Secret;

/// One entry as it can be read today.
#[derive(Clone, Debug)]
pub struct SystemRecord {
    /// 1, 2, 3 …
    pub sequence: i64,
    /// When.
    pub time: Timestamp,
    /// What kind of actor.
    pub actor_kind: String,
    /// Which one; `None` when it is sealed under a key that is gone.
    pub actor: Option<String>,
    /// Whom it was about.
    pub target: Option<String>,
    /// What was done or asked for.
    pub act: String,
    /// How it ended.
    pub outcome: String,
    /// In which request.
    pub request_id: String,
}

/// How long a target that somebody made up may be.
const TARGET_BYTES: usize = 255;

impl Directory {
    pub(super) fn append(&self, entry: SystemEntry) -> Result<()> {
        let pseudonym = self.pseudonym.clone();
        let sources = self.sources.clone();
        self.write(move |connection| write(connection, &entry, &pseudonym, &sources))
    }

    /// The newest entries first, up to `limit`.
    pub fn trail(&self, _operator: &Operator, limit: usize) -> Result<Vec<SystemRecord>> {
        self.read(|connection| {
            connection
                .prepare(
                    "SELECT audit.sequence, time, actor_kind, actor, target, act, outcome, request_id, seal
                     FROM audit LEFT JOIN spaces ON spaces.id = audit.space ORDER BY sequence DESC LIMIT ?1",
                )?
                .query_map([limit as i64], |row| {
                    let seal = row.get::<_, Option<Vec<u8>>>(8)?.and_then(|bytes| Secret::from_bytes(&bytes));
                    let read = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| self.reveal(seal.as_ref(), &bytes));
                    Ok(SystemRecord {
                        sequence: row.get(0)?,
                        time: moment(row.get(1)?),
                        actor_kind: row.get(2)?,
                        actor: read(row.get(3)?),
                        target: read(row.get(4)?),
                        act: row.get(5)?,
                        outcome: row.get(6)?,
                        request_id: row.get(7)?,
                    })
                })?
                .collect()
        })
    }

    fn reveal(&self, seal: Option<&Secret>, bytes: &[u8]) -> Option<String> {
        match bytes.split_first()? {
            (&PLAIN, text) => String::from_utf8(text.to_vec()).ok(),
            (&SEALED, sealed) => String::from_utf8(seal?.open(sealed, PLACE)?).ok(),
            (&HASHED, hash) => Some(format!("~{}", data_encoding::HEXLOWER.encode(&hash[..hash.len().min(6)]))),
            _ => None,
        }
    }

    /// Checks every link. Says how many entries there are, or at which one the chain breaks.
    pub fn verify_trail(&self, _operator: &Operator) -> Result<Result<u64, i64>> {
        self.read(|connection| {
            let mut previous = BEGINNING;
            let mut expected = 0;
            let mut statement = connection.prepare(
                "SELECT sequence, time, actor_kind, actor, target, space, act, outcome, request_id, link
                 FROM audit ORDER BY sequence",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                expected += 1;
                let sequence: i64 = row.get(0)?;
                let (actor, target): (Vec<u8>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
                let space: Option<Vec<u8>> = row.get(5)?;
                let (kind, act): (String, String) = (row.get(2)?, row.get(6)?);
                let (outcome, request): (String, String) = (row.get(7)?, row.get(8)?);
                let link =
                    chain(&previous, sequence, row.get(1)?, &kind, &actor, &target, &space, &act, &outcome, &request);
                if sequence != expected || row.get::<_, Vec<u8>>(9)? != link {
                    return Ok(Err(sequence));
                }
                previous = link;
            }
            Ok(Ok(expected as u64))
        })
    }
}

// How a name is kept: as it is (a key id, a reason), sealed under a person's key, or only recognisable.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const HASHED: u8 = 2;
const PLACE: &[u8] = b"audit";

pub(super) fn write(
    connection: &Connection,
    entry: &SystemEntry,
    pseudonym: &Secret,
    sources: &locule_core::clock::Sources,
) -> rusqlite::Result<()> {
    let owner = owner(connection, entry)?;
    let named = |name: &str| match &owner {
        Some((_, seal)) => tagged(SEALED, &seal.seal(name.as_bytes(), PLACE, sources)),
        None => tagged(HASHED, &keyed_hash(pseudonym, name.as_bytes())),
    };
    let actor = match &entry.actor {
        Actor::User(identity) => named(identity.subject.as_str()),
        other => tagged(PLAIN, other.name().as_bytes()),
    };
    let target = entry.target.as_deref().map(|target| named(cut(target)));
    let space = owner.as_ref().map(|(space, _)| space.as_bytes().to_vec());
    let (last, previous): (i64, Link) = connection
        .prepare_cached("SELECT sequence, link FROM audit ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .unwrap_or((0, BEGINNING));
    let (sequence, time) = (last + 1, entry.time.as_microsecond());
    let (kind, outcome) = (entry.actor.kind(), entry.outcome.as_str());
    let link = chain(&previous, sequence, time, kind, &actor, &target, &space, entry.act, outcome, &entry.request_id);
    connection
        .prepare_cached(
            "INSERT INTO audit (sequence, time, actor_kind, actor, target, space, act, outcome, request_id, link)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![sequence, time, kind, actor, target, space, entry.act, outcome, entry.request_id, link])?;
    Ok(())
}

/// Whose key names the people of an entry: the actor's, or else the target's, where they have a space.
fn owner(connection: &Connection, entry: &SystemEntry) -> rusqlite::Result<Option<(SpaceId, Secret)>> {
    let by_actor = match &entry.actor {
        Actor::User(identity) => {
            seal(connection, "issuer = ?1 AND subject = ?2", [identity.issuer.as_str(), identity.subject.as_str()])?
        }
        _ => None,
    };
    match (&by_actor, &entry.target, &entry.actor) {
        // What somebody tried on another's name is kept under their own key, never under the other's.
        (None, Some(target), Actor::Key(_) | Actor::Host(_) | Actor::System(_)) => {
            seal(connection, "subject = ?1 AND state < ?2", [target.as_str(), "2"])
        }
        _ => Ok(by_actor),
    }
}

fn seal(connection: &Connection, which: &str, values: [&str; 2]) -> rusqlite::Result<Option<(SpaceId, Secret)>> {
    connection
        // A subject that two issuers know names nobody in particular: neither's key shall name the other.
        .prepare_cached(&format!("SELECT id, seal FROM spaces WHERE {which} GROUP BY subject HAVING count(*) = 1"))?
        .query_row(values, |row| Ok((SpaceId::from_bytes(row.get(0)?), Secret::from_bytes(&row.get::<_, Vec<u8>>(1)?))))
        .optional()
        .map(|found| found.and_then(|(space, secret)| Some((space, secret?))))
}

fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag], bytes].concat()
}

fn cut(target: &str) -> &str {
    let mut end = target.len().min(TARGET_BYTES);
    while !target.is_char_boundary(end) {
        end -= 1;
    }
    &target[..end]
}

#[expect(clippy::too_many_arguments, reason = "the fields of an entry, in their order")]
fn chain(
    previous: &Link,
    sequence: i64,
    time: i64,
    kind: &str,
    actor: &[u8],
    target: &Option<Vec<u8>>,
    space: &Option<Vec<u8>>,
    act: &str,
    outcome: &str,
    request: &str,
) -> Link {
    audit::link(
        previous,
        &[
            &sequence.to_be_bytes(),
            &time.to_be_bytes(),
            kind.as_bytes(),
            actor,
            target.as_deref().unwrap_or(&[]),
            space.as_deref().unwrap_or(&[]),
            act.as_bytes(),
            outcome.as_bytes(),
            request.as_bytes(),
        ],
    )
}
