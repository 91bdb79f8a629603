//! Spaces on their way to another place: what each move has got to, so that one that was cut short is finished or taken back.
//!
//! Where both places belong to one directory, a move ends with one row changed. Where the other place has a directory of its
//! own, the row is removed here first and opened there after that: at no moment do both open it.

use jiff::Timestamp;
use locule_core::id::{Identity, SpaceId};
use locule_core::{Code, Error, Move, Place, Result};
use serde::{Deserialize, Serialize};

use super::installation::{TOMBSTONE, add_missing, all};
use super::work::make_mark;
use super::{Directory, Published, chamber, erased, leads, named, no_ones, state, unreadable};
use crate::copy::tables::KEYS;
use crate::copy::{self, Cells};
use crate::tx::{Row, Tx, Value};

/// A space on its way.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Whose.
    pub identity: Identity,
    /// Which, and where it was before.
    pub space: SpaceId,
    /// Where that is.
    pub from: Place,
    /// Where it goes.
    pub target: String,
    /// Whether an operator had shut it.
    pub suspended: bool,
    /// Whether it is handed over, and only the old copy is left to destroy.
    pub handed_over: bool,
    /// Whether the move had begun before, and there may be something at the target already.
    pub resumed: bool,
}

/// A space's row, as another directory takes it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is.
    pub issuer: String,
    /// See [`Record::issuer`].
    pub subject: String,
    /// Its id.
    pub space: [u8; 16],
    /// What its object ids carry.
    pub tag: i64,
    /// Rises with every suspension, erasure and move.
    pub epoch: i64,
    /// Whether an operator has shut it.
    pub suspended: bool,
    /// Whether anything was ever written to it.
    pub born: bool,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// Credentials issued at or before it are void.
    pub not_before: Option<Timestamp>,
    /// The key under which the trail names this person.
    pub seal: Vec<u8>,
    /// When the owner was last erased.
    pub erased_at: Option<Timestamp>,
}

impl Record {
    /// Whose it is.
    pub fn identity(&self) -> Result<Identity> {
        Ok(Identity {
            issuer: self.issuer.as_str().try_into().map_err(unreadable)?,
            subject: self.subject.as_str().try_into().map_err(unreadable)?,
        })
    }

    /// Its id.
    pub fn space(&self) -> SpaceId {
        SpaceId::from_bytes(self.space)
    }
}

const MOVING: i64 = 3;
const ARRIVING: i64 = 4;

const LEAVING: &str = "SELECT issuer, subject, space, source, target, state, phase FROM moves";
const RECORD: &str = "SELECT issuer, subject, id, tag, epoch, state, born, created_at, not_before, seal FROM spaces";

/// Whether somebody's space is in another installation.
pub(super) fn is_elsewhere(tx: &dyn Tx, who: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT 1 FROM moved WHERE who = $1 UNION ALL SELECT 1 FROM installation WHERE name = 'moved_to' LIMIT 1";
    Ok(tx.first(sql, &[Value::Blob(who)], |_| Ok(()))?.is_some())
}

/// Passes if somebody who has no space here may be given one.
pub(super) fn check_takes_new(tx: &dyn Tx, who: &[u8; 32]) -> Result<()> {
    if is_elsewhere(tx, who)? {
        return Err(Error::moved());
    }
    let closed = tx.first("SELECT 1 FROM installation WHERE name = 'moving_to'", &[], |_| Ok(()))?;
    closed.map_or(Ok(()), |()| {
        Err(Error::new(
            Code::SpaceMoving,
            "This installation is being moved, and takes no new users until it is. Try again in a moment.",
        ))
    })
}

impl Directory {
    /// Shuts a space to changes, so that it can be carried to `target`. Begun before, it goes on from where it was.
    pub fn begin_move(&self, right: &Move, target: &str) -> Result<Leaving> {
        let (identity, target, now) = (right.identity().clone(), target.to_owned(), self.sources.now());
        let has_owners = self.home.default_issuer().is_some();
        self.write(move |tx| {
            let [issuer, subject] = named(&identity);
            let begun =
                tx.first(&format!("{LEAVING} WHERE issuer = $1 AND subject = $2"), &[issuer, subject], leaving)?;
            if let Some(begun) = begun {
                return if begun.target == target { Ok(begun) } else { Err(elsewhere(&begun.target)) };
            }
            let sql = "SELECT id, tag, epoch, born, placement, state FROM spaces WHERE issuer = $1 AND subject = $2";
            let found = tx.first(sql, &[issuer, subject], |row| Ok((chamber(row)?, row.integer(5)?)))?;
            let (chamber, before) = found.ok_or_else(Error::not_found)?;
            if before >= 2 {
                return Err(Error::new(Code::Busy, "This space is just being erased, or is still arriving here."));
            }
            let space = Value::Id(chamber.id.as_bytes());
            tx.execute(
                "INSERT INTO moves (space, issuer, subject, source, target, state, phase, began_at)
                 VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
                &[
                    space,
                    issuer,
                    subject,
                    Value::Text(chamber.place.as_str()),
                    Value::Text(&target),
                    Value::Integer(before),
                    Value::Moment(now),
                ],
            )?;
            if has_owners {
                let owner = "UPDATE moves SET owner = (SELECT owner FROM spaces WHERE spaces.id = moves.space) WHERE space = $1";
                tx.execute(owner, &[space])?;
            }
            tx.execute("UPDATE spaces SET state = $1 WHERE id = $2", &[Value::Integer(MOVING), space])?;
            Ok(Leaving {
                identity: identity.clone(),
                space: chamber.id,
                from: chamber.place,
                target,
                suspended: before == 1,
                handed_over: false,
                resumed: false,
            })
        })
    }

    /// The moves that were begun and not finished.
    pub fn moves(&self) -> Result<Vec<Leaving>> {
        self.read(|tx| tx.all(&format!("{LEAVING} ORDER BY issuer, subject"), &[], leaving))
    }

    /// From here on the space is at another place of this directory, and rights given before are void. It takes changes
    /// again once the move has ended.
    pub fn switch(&self, leaving: &Leaving, place: Place) -> Result<()> {
        let space = leaving.space;
        self.write(move |tx| {
            let id = Value::Id(space.as_bytes());
            let switched = tx.execute(
                "UPDATE spaces SET placement = $1, epoch = epoch + 1 WHERE id = $2 AND state = $3",
                &[Value::Text(place.as_str()), id, Value::Integer(MOVING)],
            )?;
            handed_over(tx, id, switched)
        })
    }

    /// Lets the space go to another directory: from here on this one knows only that it is elsewhere.
    pub fn let_go(&self, leaving: &Leaving) -> Result<()> {
        let (space, target, now) = (leaving.space, leaving.target.clone(), self.sources.now());
        let who = self.who(&leaving.identity);
        self.write(move |tx| {
            let id = Value::Id(space.as_bytes());
            let gone = tx.execute("DELETE FROM spaces WHERE id = $1 AND state = $2", &[id, Value::Integer(MOVING)])?;
            tx.execute("DELETE FROM work WHERE space = $1", &[id])?;
            leads::forget(tx, space)?;
            tx.execute(
                "INSERT INTO moved (who, space, target, moved_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (who) DO UPDATE SET space = excluded.space, target = excluded.target",
                &[Value::Blob(&who), id, Value::Text(&target), Value::Moment(now)],
            )?;
            handed_over(tx, id, gone)
        })
    }

    /// Takes a move back that has not been handed over: the space is open again where it was.
    pub fn take_back(&self, leaving: &Leaving) -> Result<()> {
        let space = leaving.space;
        self.write(move |tx| {
            let id = Value::Id(space.as_bytes());
            open_again(tx, id)?;
            tx.execute("DELETE FROM moves WHERE space = $1 AND phase = 0", &[id]).map(drop)
        })
    }

    /// Ends a move: the old copy is gone. The space is as open as it was before; of whoever is elsewhere, the keys go.
    pub fn end_move(&self, leaving: &Leaving) -> Result<()> {
        let (space, identity) = (leaving.space, leaving.identity.clone());
        self.write(move |tx| {
            let [issuer, subject] = named(&identity);
            open_again(tx, Value::Id(space.as_bytes()))?;
            tx.execute("DELETE FROM moves WHERE space = $1", &[Value::Id(space.as_bytes())])?;
            tx.execute(
                "DELETE FROM keys WHERE issuer = $1 AND subject = $2
                 AND NOT EXISTS (SELECT 1 FROM spaces WHERE spaces.issuer = keys.issuer AND spaces.subject = keys.subject)",
                &[issuer, subject],
            )
        })?;
        // The log still has the row.
        self.home.empty_log();
        Ok(())
    }

    /// The row of a space, for another directory.
    pub fn record_of(&self, identity: &Identity) -> Result<Option<Record>> {
        let who = self.who(identity);
        self.read(|tx| {
            let sql = format!("{RECORD} WHERE issuer = $1 AND subject = $2");
            let record = tx.first(&sql, &named(identity), record)?;
            let Some(mut record) = record else { return Ok(None) };
            record.erased_at = erased(tx, &who)?;
            Ok(Some(record))
        })
    }

    /// Takes up a space that is on its way here, to be kept at `place`. Nobody is let in until it has arrived.
    pub fn expect(&self, record: &Record, place: Place) -> Result<()> {
        let record = record.clone();
        let identity = record.identity()?;
        let who = self.who(&identity);
        let default_issuer = self.home.default_issuer().cloned();
        self.write(move |tx| {
            let [issuer, subject] = named(&identity);
            let there = tx.first("SELECT id, state FROM spaces WHERE issuer = $1 AND subject = $2", &[issuer, subject], |row| {
                Ok((row.id(0)?, row.integer(1)?))
            })?;
            match there {
                Some((id, ARRIVING)) if id == record.space => return Ok(()),
                Some(_) => {
                    return Err(Error::new(
                        Code::Conflict,
                        "This user has a space there already. Nothing was changed: erase that one, or export from one and \
                         import into the other.",
                    ));
                }
                None => {}
            }
            let nobody = no_ones(record.space());
            let mut values = vec![
                Value::Id(&record.space),
                issuer,
                subject,
                Value::Integer(record.tag),
                Value::Integer(record.epoch),
                Value::Integer(ARRIVING),
                Value::Moment(record.created_at),
                Value::moment(record.not_before),
                Value::Blob(&record.seal),
                Value::Text(place.as_str()),
            ];
            let sql = match &default_issuer {
                None => EXPECT,
                Some(default) => {
                    let by_name = default.as_str() == record.issuer;
                    values.extend([Value::Text(if by_name { &record.subject } else { &nobody }), Value::Text(&nobody)]);
                    EXPECT_OWNER
                }
            };
            tx.execute(sql, &values)?;
            if let Some(erased_at) = record.erased_at {
                tx.execute(TOMBSTONE, &[Value::Blob(&who), Value::Moment(erased_at)])?;
            }
            Ok(())
        })
    }

    /// Opens a space that has arrived here, with its owner's keys. May be repeated.
    pub fn welcome(&self, arrived: &Leaving, published: Published, keys: Vec<Cells>) -> Result<()> {
        let who = self.who(&arrived.identity);
        let (space, suspended, now) = (arrived.space, arrived.suspended, self.sources.now());
        self.write(move |tx| {
            let opened = tx.execute(
                "UPDATE spaces SET state = $1, epoch = epoch + 1, memories = $2, size_bytes = $3, revision = $4,
                     published_at = $5 WHERE id = $6 AND state = $7",
                &[
                    Value::Integer(suspended.into()),
                    Value::Integer(published.memories as i64),
                    Value::Integer(published.size_bytes as i64),
                    Value::Integer(published.revision as i64),
                    Value::Moment(now),
                    Value::Id(space.as_bytes()),
                    Value::Integer(ARRIVING),
                ],
            )?;
            tx.execute("DELETE FROM moved WHERE who = $1", &[Value::Blob(&who)])?;
            // Whether there is work in it, whoever looks will see: at once, by whatever clock.
            if published != Published::default() {
                make_mark(tx, space, Timestamp::UNIX_EPOCH)?;
            }
            if opened == 1 { add_missing(tx, &KEYS, &keys) } else { Ok(()) }
        })
    }

    /// Strikes out a space that will not arrive.
    pub fn expect_no_more(&self, space: SpaceId) -> Result<()> {
        self.write(move |tx| {
            let values = [Value::Id(space.as_bytes()), Value::Integer(ARRIVING)];
            if tx.execute("DELETE FROM spaces WHERE id = $1 AND state = $2", &values)? == 1 {
                leads::forget(tx, space)?;
            }
            Ok(())
        })
    }

    /// Whether a space is on its way here.
    pub fn expects(&self, space: SpaceId) -> Result<bool> {
        Ok(self.current(space)?.is_some_and(|(_, state)| state == super::State::Arriving))
    }

    /// The keys of one user, as rows.
    pub fn keys_of(&self, identity: &Identity) -> Result<Vec<Cells>> {
        let (issuer, subject) = (KEYS.position("issuer"), KEYS.position("subject"));
        let is = |row: &Cells, place: Option<usize>, text: &str| {
            place.and_then(|place| row.get(place)) == Some(&copy::Cell::Text(text.to_owned()))
        };
        let mut keys = self.read(|tx| all(tx, &KEYS))?;
        keys.retain(|row| is(row, issuer, identity.issuer.as_str()) && is(row, subject, identity.subject.as_str()));
        Ok(keys)
    }

    /// Whether a space has gone to another installation.
    pub fn has_left(&self, space: SpaceId) -> Result<bool> {
        let sql = "SELECT 1 FROM moved WHERE space = $1";
        self.read(|tx| Ok(tx.first(sql, &[Value::Id(space.as_bytes())], |_| Ok(()))?.is_some()))
    }
}

const EXPECT: &str =
    "INSERT INTO spaces (id, issuer, subject, tag, epoch, state, born, created_at, not_before, seal, placement)
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)";

/// See [`super::PROVISION_OWNER`].
const EXPECT_OWNER: &str =
    "INSERT INTO spaces (id, issuer, subject, tag, epoch, state, born, created_at, not_before, seal, placement, owner)
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10,
             CASE WHEN EXISTS (SELECT 1 FROM spaces WHERE owner = $11) THEN $12 ELSE $11 END)";

/// Notes that a space is at its new place, if that was the doing of this move.
fn handed_over(tx: &dyn Tx, space: Value, changed: usize) -> Result<()> {
    if changed != 1 {
        return Err(Error::new(Code::Conflict, "The space has changed while it was being moved. Run it again."));
    }
    tx.execute("UPDATE moves SET phase = 1 WHERE space = $1", &[space]).map(drop)
}

fn open_again(tx: &dyn Tx, space: Value) -> Result<()> {
    tx.execute(
        "UPDATE spaces SET state = (SELECT state FROM moves WHERE moves.space = spaces.id) WHERE id = $1 AND state = $2",
        &[space, Value::Integer(MOVING)],
    )
    .map(drop)
}

pub(super) fn elsewhere(target: &str) -> Error {
    Error::new(
        Code::Conflict,
        format!(
            "This is on its way to {target} already. Finish that move with the same command, or take it back: --abandon"
        ),
    )
}

fn leaving(row: &dyn Row) -> Result<Leaving> {
    Ok(Leaving {
        identity: Identity {
            issuer: row.text(0)?.try_into().map_err(unreadable)?,
            subject: row.text(1)?.try_into().map_err(unreadable)?,
        },
        space: SpaceId::from_bytes(row.id(2)?),
        from: row.text(3)?.try_into().map_err(unreadable)?,
        target: row.text(4)?.to_owned(),
        suspended: row.integer(5)? == 1,
        handed_over: row.integer(6)? == 1,
        resumed: true,
    })
}

fn record(row: &dyn Row) -> Result<Record> {
    Ok(Record {
        issuer: row.text(0)?.to_owned(),
        subject: row.text(1)?.to_owned(),
        space: row.id(2)?,
        tag: row.integer(3)?,
        epoch: row.integer(4)?,
        suspended: state(row.integer(5)?) == super::State::Suspended,
        born: row.integer(6)? != 0,
        created_at: row.moment(7)?,
        not_before: row.maybe_moment(8)?,
        seal: row.blob(9)?.to_vec(),
        erased_at: None,
    })
}
