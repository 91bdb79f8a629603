//! Binding: a transaction on a connection is made one space's, for as long as it lasts.
//!
//! Whose it is, is set for the transaction only and checked by what comes back on the same journey. Nothing is ever set for
//! a session: behind a pooler the next transaction on a connection is somebody else's.

use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use locule_core::{Error, Result};
use tokio_postgres::Row as Answer;

use super::connection::{Asked, Connection};
use super::dialect::Postgres;
use super::pool::{Lent, Pool};
use super::stays::Stay;
use super::turns::Turn;
use super::value::Columns;
use crate::content::Seal;
use crate::error::corrupt;
use crate::group::was_dead;
use crate::state;
use crate::trail;
use crate::tx::{Dialect, Row, Tx, Value};

/// What makes a transaction one space's.
#[derive(Clone)]
pub struct Binding {
    /// Sets it, for the transaction, and shows what has come of it.
    pub select: &'static str,
    /// What goes in.
    pub values: Vec<String>,
    /// What has to come back.
    pub expected: Vec<String>,
    /// What seals the content of the space's rows.
    pub seal: Option<Arc<Seal>>,
}

impl Binding {
    /// Begins a transaction that is bound.
    pub fn apply(&self, connection: &Connection, begin: &str) -> Result<()> {
        self.apply_and(connection, begin, &[]).map(drop)
    }

    /// Begins a transaction that is bound, and asks the first questions in it, on one journey.
    fn apply_and(&self, connection: &Connection, begin: &str, asked: &[Asked]) -> Result<Vec<Vec<Answer>>> {
        let values: Vec<Value> = self.values.iter().map(|text| Value::Text(text)).collect();
        let bind: Asked = (self.select, &values);
        let asked: Vec<Asked> = std::iter::once(bind).chain(asked.iter().copied()).collect();
        let mut answers = connection.batch_and(begin, &asked)?;
        self.check(&answers.remove(0)).inspect_err(|_| connection.spoil())?;
        Ok(answers)
    }

    /// The transaction is the space's that it was made for, or nobody's.
    fn check(&self, answer: &[Answer]) -> Result<()> {
        let row = answer.first().ok_or_else(|| Error::internal("a transaction was not bound"))?;
        let same = |(index, text): (usize, &String)| Columns::of(row).text(index).is_ok_and(|bound| bound == text);
        if row.len() == self.expected.len() && self.expected.iter().enumerate().all(same) {
            return Ok(());
        }
        Err(Error::internal("a transaction was bound to something else than it was meant for"))
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

impl Kind {
    /// Nobody waits for ever for whoever is not heard of any more: not the server for us, nor we for another that writes.
    fn begin(self) -> &'static str {
        match self {
            Kind::Read => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '10s'"
            }
            Kind::Write => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '10s'; \
                 SET LOCAL lock_timeout = '5s'"
            }
        }
    }

    /// What everybody asks first, and how it is asked here. A writer holds the one row that every writer changes: the others
    /// wait for it, in whatever process they are.
    fn first(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Read => &[(state::READ, state::READ)],
            Kind::Write => &[(state::READ, state::LOCK), (trail::END, trail::END)],
        }
    }
}

/// A transaction. What it borrowed goes back when it is dropped, rolled back.
pub struct Bound<Door: Hash + Eq + Copy> {
    connection: Lent<Door>,
    binding: Binding,
    kind: Kind,
    /// The answers to the first questions, which came with the beginning; gone once something was changed.
    first: RefCell<Vec<(&'static str, Vec<Answer>)>>,
    over: Cell<bool>,
    failed: Cell<bool>,
    touched: Cell<bool>,
    /// Given up after the connection.
    _turn: Option<Turn>,
    _stay: Stay,
}

impl<Door: Hash + Eq + Copy> Bound<Door> {
    /// Begins to read: what is seen stays as it is.
    pub fn read(pool: &Pool<Door>, door: Door, binding: Binding, stay: Stay) -> Result<Self> {
        Bound::begin(pool, door, binding, Kind::Read, stay, None)
    }

    /// Begins to write: nobody else writes to this space until it is over.
    pub fn write(pool: &Pool<Door>, door: Door, binding: Binding, stay: Stay, turn: Turn) -> Result<Self> {
        Bound::begin(pool, door, binding, Kind::Write, stay, Some(turn))
    }

    fn begin(
        pool: &Pool<Door>,
        door: Door,
        binding: Binding,
        kind: Kind,
        stay: Stay,
        turn: Option<Turn>,
    ) -> Result<Self> {
        let mut bound = Bound {
            connection: pool.lend(door)?,
            binding,
            kind,
            first: RefCell::default(),
            over: Cell::new(true),
            failed: Cell::new(false),
            touched: Cell::new(false),
            _turn: turn,
            _stay: stay,
        };
        let asked = Instant::now();
        match bound.start() {
            // The connection may have died while nobody used it. Nothing was done yet: a new one may try.
            Err(error) if was_dead(&error, asked) => {
                bound.connection = pool.lend_fresh(door)?;
                bound.start()?;
            }
            started => started?,
        }
        Ok(bound)
    }

    fn start(&self) -> Result<()> {
        // It may be the second attempt, after one that failed.
        self.failed.set(false);
        self.touched.set(false);
        self.over.set(false);
        let asked: Vec<Asked> = self.kind.first().iter().map(|(_, sql)| (*sql, &[] as &[Value])).collect();
        let answers = self.binding.apply_and(&self.connection, self.kind.begin(), &asked);
        let answers = answers.inspect_err(|_| self.failed.set(true))?;
        let first: Vec<_> = self.kind.first().iter().map(|(question, _)| *question).zip(answers).collect();
        if first.first().is_none_or(|(_, state)| state.is_empty()) {
            return Err(corrupt("the space has no state"));
        }
        self.first.replace(first);
        Ok(())
    }

    /// It goes out at once, and whatever comes next on this connection comes after it: a reader does not wait for the answer. A
    /// writer does, whom others may be waiting for.
    fn roll_back(&self) -> Result<()> {
        self.over.set(true);
        self.first.take();
        self.connection.forget();
        // Nothing is set for a session, here or anywhere; it is reset all the same.
        const END: &str = "ROLLBACK; RESET ALL";
        let ended = if self.kind == Kind::Read { self.connection.send(END) } else { self.connection.batch(END) };
        ended.inspect_err(|_| self.connection.spoil())?;
        self.failed.set(false);
        Ok(())
    }

    fn noticed<T>(&self, result: Result<T>) -> Result<T> {
        // After an error the transaction does nothing more, and a COMMIT would quietly roll it back.
        result.inspect_err(|_| self.failed.set(true))
    }
}

impl<Door: Hash + Eq + Copy> Tx for Bound<Door> {
    fn execute(&self, sql: &str, values: &[Value]) -> Result<usize> {
        self.touched.set(true);
        self.first.take();
        self.noticed(self.connection.execute(sql, values))
    }

    fn run(&self, sql: &str, values: &[Value]) -> Result<()> {
        self.touched.set(true);
        self.first.take();
        self.noticed(self.connection.run_ahead(sql, values))
    }

    fn query(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        self.touched.set(true);
        let known = self.first.borrow().iter().find(|(asked, _)| *asked == sql).map(|(_, rows)| rows.clone());
        if let Some(rows) = known {
            return rows.iter().try_for_each(|row| each(&Columns::of(row)));
        }
        let mut refused = false;
        let answer = self.connection.query_rows(sql, values, &mut |row| {
            each(&Columns { row, seal: self.seal() }).inspect_err(|_| refused = true)
        });
        // If it was only the reader who had enough, the transaction is as good as before.
        if refused { answer } else { self.noticed(answer) }
    }

    fn commit(&self) -> Result<()> {
        if self.failed.get() {
            return Err(Error::internal("a commit after a failure"));
        }
        self.over.set(true);
        // What becomes of it, once it is sent, is not known if the answer does not come: it is not acknowledged.
        self.connection.batch("COMMIT").inspect_err(|_| self.connection.spoil())
    }

    fn renew(&self) -> Result<()> {
        self.roll_back()?;
        self.start()
    }

    fn untouched(&self) -> bool {
        !self.touched.get()
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Postgres
    }

    fn seal(&self) -> Option<&Seal> {
        self.binding.seal.as_deref()
    }
}

impl<Door: Hash + Eq + Copy> Drop for Bound<Door> {
    fn drop(&mut self) {
        if !self.over.get() && !self.connection.is_spoiled() && self.roll_back().is_err() {
            self.connection.spoil();
        }
    }
}
