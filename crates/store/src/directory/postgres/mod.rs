//! The directory in the schema `locule` of a PostgreSQL that several servers share.
//!
//! One row is what they agree by. Whoever writes locks it, so that there is one writer at a time, as the audit chain needs;
//! and its mark changes with every change of something that a server may have answered from, so that looking at it is enough
//! to go on using an answer. What one server writes, the others see at their next question.
//!
//! An erasure removes rows and the keys in them. PostgreSQL itself keeps removed rows in its files until a vacuum, and in its
//! write-ahead log (and in whatever that is archived or replicated to) until it is recycled; neither is in our hands.

mod checks;
pub mod migrate;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use locule_core::id::Issuer;
use locule_core::{Code, Error, Result};

use self::checks::{Checks, Mark};
use super::home::{Home, Question};
use super::known::Answers;
use crate::group::{Group, Job, was_dead};
use crate::postgres::apart::Apart;
use crate::postgres::connection::Connection;
use crate::postgres::pool::{Lent, Pool};
use crate::postgres::pulse::Pulse;
use crate::postgres::server::{Login, Server};
use crate::postgres::{Address, Pooler};
use crate::tx::Tx;

/// How many connections look things up at the same time. Most questions are answered from what is known.
const READERS: usize = 8;

/// The tables.
pub struct Tables {
    readers: Pool<()>,
    pulse: Arc<Pulse>,
    writer: Group<Apart<Box<Connection>>>,
    checks: Checks,
    known: Mutex<Known>,
    default_issuer: Issuer,
}

/// The answers that hold as long as the mark is the same.
#[derive(Default)]
struct Known {
    /// Which look saw the mark.
    look: u64,
    mark: Mark,
    answers: Answers,
}

impl Tables {
    /// Opens the tables on a server. Subjects of `default_issuer` own rows under their own names.
    pub fn open(server: &Server, default_issuer: Issuer) -> Result<Self> {
        let role = server.role(Login::Directory.word());
        let address = server.address().login(&role, &server.password(&role));
        let tables = Tables {
            pulse: address.pulse().clone(),
            readers: Pool::new(READERS, {
                let address = address.clone();
                Box::new(move |()| Connection::open(&address, Pooler::Transaction))
            }),
            writer: Group::new({
                let (address, pooler) = (address.clone(), server.pooler());
                Box::new(move || Connection::open(&address, pooler).map(|connection| Apart::new(Box::new(connection))))
            }),
            checks: checks(address, server.pooler()),
            known: Mutex::default(),
            default_issuer,
        };
        tables.check_version()?;
        Ok(tables)
    }

    fn check_version(&self) -> Result<()> {
        let mut version = None;
        let read = self.look(&mut |tx| {
            let sql = "SELECT version FROM migrations WHERE name = 'directory'";
            version = tx.first(sql, &[], |row| row.integer(0))?;
            Ok(())
        });
        // What is missing looks like damage from here.
        read.or_else(|error| if error.code() == Code::SpaceCorrupt { Ok(()) } else { Err(error) })?;
        match version {
            Some(version) if version > migrate::STEPS.len() as i64 => Err(Error::new(
                Code::SchemaTooNew,
                "This data was written by a newer version of Locule. Run that version, or a later one.",
            )),
            Some(version) if version == migrate::STEPS.len() as i64 => Ok(()),
            _ => Err(Error::new(
                Code::BackendUnavailable,
                "The directory's tables are not in this database, or are of an older version. Make them: locule migrate",
            )),
        }
    }

    fn look(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        self.lent(&mut |connection| Apart::new(connection).look(work))
    }

    /// Does it on a connection, and on a new one if the first had died while nobody used it.
    fn lent(&self, work: &mut dyn FnMut(Lent<()>) -> Result<()>) -> Result<()> {
        let connection = self.readers.lend(())?;
        let asked = Instant::now();
        match work(connection) {
            Err(error) if was_dead(&error, asked) => work(self.readers.lend_fresh(())?),
            done => done,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks on a connection that does nothing else. The look is one statement that names its table in full, on one journey.
fn checks(address: Address, pooler: Pooler) -> Checks {
    let held = Arc::new(Mutex::new(None::<Connection>));
    let pulse = address.pulse().clone();
    let look = |connection: &Connection| {
        let mut mark = None;
        connection.query("SELECT mark FROM locule.version", &[], &mut |row| {
            mark = Some(row.id(0)?);
            Ok(())
        })?;
        mark.ok_or_else(|| crate::error::corrupt("the directory has no mark"))
    };
    Checks::new(
        Box::new(move || {
            // One looks at a time: nobody waits here. Taken out while it is in use, so that after a failure there is a new one.
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = held.take().filter(|kept| !kept.is_stale()) {
                let asked = Instant::now();
                match look(&kept) {
                    Err(error) if was_dead(&error, asked) => drop(kept),
                    looked => {
                        let mark = looked?;
                        *held = Some(kept);
                        return Ok(mark);
                    }
                }
            }
            let fresh = Connection::open(&address, pooler)?;
            let mark = look(&fresh)?;
            *held = Some(fresh);
            Ok(mark)
        }),
        Box::new(move || pulse.is_silent()),
    )
}

impl Home for Tables {
    fn read(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        self.lent(&mut |connection| Apart::new(connection).look_at_length(work))
    }

    fn write(&self, job: Job) -> Result<()> {
        self.pulse.check()?;
        let written = self.writer.run(job);
        self.checks.outdate();
        written
    }

    fn look_again(&self) {
        self.checks.outdate();
    }

    fn ask(&self, question: &mut dyn Question) -> Result<()> {
        let (look, mark) = self.checks.fresh()?;
        let mark = {
            let mut known = self.known();
            known.learn(look, mark);
            if question.known(&mut known.answers) {
                return Ok(());
            }
            known.mark
        };
        self.look(&mut |tx| question.find(tx))?;
        // What was found is of this mark or of a later one. Under a later one that others have seen it might be too old.
        let mut known = self.known();
        if known.mark == mark {
            question.keep(&mut known.answers);
        }
        Ok(())
    }

    fn empty_log(&self) {}

    fn keep_room(&self) {}

    fn give_up_room(&self) -> bool {
        false
    }

    fn default_issuer(&self) -> Option<&Issuer> {
        Some(&self.default_issuer)
    }
}

impl Known {
    /// Takes in what a look saw, unless a later one is known to have seen something else.
    fn learn(&mut self, look: u64, mark: Mark) {
        if look <= self.look {
            return;
        }
        self.look = look;
        if mark != self.mark {
            self.mark = mark;
            self.answers = Answers::default();
        }
    }
}
