//! The installation's own chain: refusals, operators' acts, erasures. People are named in it only under their own key,
//! which goes with them: the chain stays whole and the person is gone.

use jiff::Timestamp;
use locule_core::audit::{self, Actor, BEGINNING, Link, SystemEntry};
use locule_core::clock::Sources;
use locule_core::id::{SpaceId, Subject};
use locule_core::{Operator, Result};

use super::history::{cut, storable};
use super::{Directory, history, keyed_hash, stranger};
use crate::error::corrupt;
use crate::seal::Secret;
use crate::tx::{Row, Tx, Value};

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

impl Directory {
    pub(super) fn append(&self, entry: SystemEntry) -> Result<()> {
        let (pseudonym, sources) = (self.pseudonym.clone(), self.sources.clone());
        let has_rows = self.home.default_issuer().is_some();
        self.write(move |tx| {
            write(tx, &entry, &pseudonym, &sources)?;
            if has_rows {
                history::refused(tx, &entry, |identity| stranger(&pseudonym, identity))?;
            }
            Ok(())
        })
    }

    /// The newest entries first, up to `limit`.
    pub fn trail(&self, _operator: &Operator, limit: usize) -> Result<Vec<SystemRecord>> {
        self.read(|tx| {
            tx.all(
                "SELECT audit.sequence, time, actor_kind, actor, target, act, outcome, request_id, seal
                 FROM audit LEFT JOIN spaces ON spaces.id = audit.space ORDER BY sequence DESC LIMIT $1",
                &[Value::Integer(limit as i64)],
                |row| {
                    let seal = maybe_blob(row, 8)?.and_then(|bytes| Secret::from_bytes(&bytes));
                    Ok(SystemRecord {
                        sequence: row.integer(0)?,
                        time: row.moment(1)?,
                        actor_kind: row.text(2)?.to_owned(),
                        actor: self.reveal(seal.as_ref(), row.blob(3)?),
                        target: maybe_blob(row, 4)?.and_then(|bytes| self.reveal(seal.as_ref(), &bytes)),
                        act: row.text(5)?.to_owned(),
                        outcome: row.text(6)?.to_owned(),
                        request_id: row.text(7)?.to_owned(),
                    })
                },
            )
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
        self.read(|tx| {
            let (mut previous, mut count, mut broken) = (BEGINNING, 0, None);
            let mut check = |row: &dyn Row| {
                count += 1;
                let link = Line {
                    sequence: row.integer(0)?,
                    time: row.moment(1)?,
                    kind: row.text(2)?,
                    actor: row.blob(3)?,
                    target: if row.is_null(4) { &[] } else { row.blob(4)? },
                    space: if row.is_null(5) { None } else { Some(row.id(5)?) },
                    act: row.text(6)?,
                    outcome: row.text(7)?,
                    request: row.text(8)?,
                }
                .link(&previous);
                let sequence = row.integer(0)?;
                if broken.is_none() && (sequence != count as i64 || row.blob(9)? != link) {
                    broken = Some(sequence);
                }
                previous = link;
                Ok(())
            };
            tx.query(
                "SELECT sequence, time, actor_kind, actor, target, space, act, outcome, request_id, link
                 FROM audit ORDER BY sequence",
                &[],
                &mut check,
            )?;
            Ok(broken.map_or(Ok(count), Err))
        })
    }
}

fn maybe_blob(row: &dyn Row, column: usize) -> Result<Option<Vec<u8>>> {
    if row.is_null(column) { Ok(None) } else { row.blob(column).map(|bytes| Some(bytes.to_vec())) }
}

// How a name is kept: as it is (a key id, a reason), sealed under a person's key, or only recognisable.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const HASHED: u8 = 2;
const PLACE: &[u8] = b"audit";

pub(super) fn write(tx: &dyn Tx, entry: &SystemEntry, pseudonym: &Secret, sources: &Sources) -> Result<()> {
    let owner = owner(tx, entry)?;
    let named = |name: &str| match &owner {
        Some((_, seal)) => tagged(SEALED, &seal.seal(name.as_bytes(), PLACE, sources)),
        None => tagged(HASHED, &keyed_hash(pseudonym, name.as_bytes())),
    };
    let actor = match &entry.actor {
        Actor::User(identity) => named(identity.subject.as_str()),
        other => tagged(PLAIN, other.name().as_bytes()),
    };
    let target = entry.target.as_deref().map(|target| named(cut(target)));
    let last = tx.first("SELECT sequence, link FROM audit ORDER BY sequence DESC LIMIT 1", &[], |row| {
        let link: Link = row.blob(1)?.try_into().map_err(|_| corrupt("a link of another length"))?;
        Ok((row.integer(0)?, link))
    })?;
    let (last, previous) = last.unwrap_or((0, BEGINNING));
    let request = storable(&entry.request_id);
    let line = Line {
        sequence: last + 1,
        time: entry.time,
        kind: entry.actor.kind(),
        actor: &actor,
        target: target.as_deref().unwrap_or(&[]),
        space: owner.as_ref().map(|(space, _)| *space.as_bytes()),
        act: entry.act,
        outcome: entry.outcome.as_str(),
        request: &request,
    };
    tx.execute(
        "INSERT INTO audit (sequence, time, actor_kind, actor, target, space, act, outcome, request_id, link)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Value::Integer(line.sequence),
            Value::Moment(line.time),
            Value::Text(line.kind),
            Value::Blob(line.actor),
            target.as_deref().map_or(Value::Null, Value::Blob),
            line.space.as_ref().map_or(Value::Null, Value::Id),
            Value::Text(line.act),
            Value::Text(line.outcome),
            Value::Text(line.request),
            Value::Blob(&line.link(&previous)),
        ],
    )?;
    Ok(())
}

/// Whose key names the people of an entry: the actor's, or else the target's, where they have a space.
fn owner(tx: &dyn Tx, entry: &SystemEntry) -> Result<Option<(SpaceId, Secret)>> {
    let by_actor = match &entry.actor {
        Actor::User(identity) => {
            seal(tx, "SELECT id, seal FROM spaces WHERE issuer = $1 AND subject = $2", &super::named(identity))?
        }
        _ => None,
    };
    match (&by_actor, &entry.target, &entry.actor) {
        // What somebody tried on another's name is kept under their own key, never under the other's.
        (None, Some(target), Actor::Key(_) | Actor::Host(_) | Actor::System(_)) => {
            let by_subject = "SELECT id, seal FROM spaces WHERE subject = $1 AND state < 2 LIMIT 2";
            // What was tried may be a name that nobody can have.
            let Ok(target) = Subject::try_from(target.as_str()) else { return Ok(None) };
            seal(tx, by_subject, &[Value::Text(target.as_str())])
        }
        _ => Ok(by_actor),
    }
}

fn seal(tx: &dyn Tx, sql: &str, values: &[Value]) -> Result<Option<(SpaceId, Secret)>> {
    let found = tx.all(sql, values, |row| Ok((SpaceId::from_bytes(row.id(0)?), Secret::from_bytes(row.blob(1)?))))?;
    Ok(match found.as_slice() {
        [(space, Some(secret))] => Some((*space, secret.clone())),
        // A subject that two issuers know names nobody in particular: neither's key shall name the other.
        _ => None,
    })
}

fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag], bytes].concat()
}

/// What the chain holds of an entry.
struct Line<'a> {
    sequence: i64,
    time: Timestamp,
    kind: &'a str,
    actor: &'a [u8],
    target: &'a [u8],
    space: Option<[u8; 16]>,
    act: &'a str,
    outcome: &'a str,
    request: &'a str,
}

impl Line<'_> {
    fn link(&self, previous: &Link) -> Link {
        audit::link(
            previous,
            &[
                &self.sequence.to_be_bytes(),
                &self.time.as_microsecond().to_be_bytes(),
                self.kind.as_bytes(),
                self.actor,
                self.target,
                self.space.as_ref().map_or(&[], |space| space.as_slice()),
                self.act.as_bytes(),
                self.outcome.as_bytes(),
                self.request.as_bytes(),
            ],
        )
    }
}
