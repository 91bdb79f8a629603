//! A connection to what belongs to no space: the directory. Those who use it share its transaction and do not end it.
//!
//! What begins, marks and ends a transaction goes out with the next statement, so that it costs no journey of its own.
//! Nothing is set for a session: behind a pooler the next transaction on a connection is somebody else's.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use locule_core::{Error, Result};

use super::connection::Connection;
use super::dialect::Postgres;
use super::value::Columns;
use crate::error::silent;
use crate::group::Bearer;
use crate::tx::{Dialect, Row, Tx, Value};

/// A connection, and what is to go out on it before the next statement.
pub struct Apart<C: Deref<Target = Connection>> {
    connection: C,
    ahead: RefCell<String>,
    /// Whether a statement has failed since the mark: then PostgreSQL does nothing more before it is undone.
    failed: Cell<bool>,
    /// Whether a transaction is under way.
    open: Cell<bool>,
}

/// Names mean the directory's tables for this transaction. Nobody's temporary tables come before them.
const READ: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
     SELECT set_config('search_path', 'locule, pg_temp', true); ";

/// One writer at a time: the others wait for the one row, and not for ever, whatever becomes of a process that holds it.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SELECT set_config('search_path', 'locule, pg_temp', true), set_config('lock_timeout', '5s', true), \
     set_config('idle_in_transaction_session_timeout', '10s', true); ";
const LOCK: &str = "SELECT version FROM locule.version FOR UPDATE";

const MARK: &str = "SAVEPOINT job; ";
const KEEP: &str = "RELEASE job; ";
const UNDO: &str = "ROLLBACK TO job; RELEASE job";

impl<C: Deref<Target = Connection>> Apart<C> {
    /// On this connection, which nobody else uses meanwhile. One that only looks does not prepare its statements: they would be
    /// looked at before the beginning that goes out with them says which tables they mean.
    pub fn new(connection: C) -> Self {
        Apart { connection, ahead: RefCell::default(), failed: Cell::new(false), open: Cell::new(false) }
    }

    /// Looks, in a transaction that can do nothing else.
    pub fn look(self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        self.ahead.replace(READ.to_owned());
        let looked = work(&self);
        if self.open.get() {
            self.end("COMMIT")?;
        }
        looked
    }

    /// Looks at what may be much: rows are shown as they come, and not held until all are there.
    pub fn look_at_length(self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        self.open.set(true);
        self.connection.batch(READ)?;
        let looked = work(&self);
        self.end("COMMIT")?;
        looked
    }

    fn end(&self, words: &str) -> Result<()> {
        self.connection.batch(words).inspect_err(|_| self.connection.spoil())?;
        self.open.set(false);
        Ok(())
    }

    /// What goes out with the next statement.
    fn take_ahead(&self) -> String {
        self.open.set(true);
        self.ahead.take()
    }

    fn noticed<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| self.failed.set(true))
    }
}

impl<C: Deref<Target = Connection>> Drop for Apart<C> {
    fn drop(&mut self) {
        // Closed, it is rolled back.
        if self.open.get() {
            self.connection.spoil();
        }
    }
}

impl<C: Deref<Target = Connection>> Tx for Apart<C> {
    fn execute(&self, sql: &str, values: &[Value]) -> Result<usize> {
        let ahead = self.take_ahead();
        self.noticed(match ahead.as_str() {
            "" => self.connection.execute(sql, values),
            ahead => self.connection.batch_and_execute(ahead, (sql, values)),
        })
    }

    fn query(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        let ahead = self.take_ahead();
        if !ahead.is_empty() {
            let answers = self.noticed(self.connection.batch_and(&ahead, &[(sql, values)]))?;
            return answers.iter().flatten().try_for_each(|row| each(&Columns::of(row)));
        }
        let mut refused = false;
        let answer = self.connection.query(sql, values, &mut |row| each(row).inspect_err(|_| refused = true));
        // If it was only the reader who had enough, the transaction is as good as before.
        if refused { answer } else { self.noticed(answer) }
    }

    fn commit(&self) -> Result<()> {
        Err(not_ours_alone())
    }

    fn renew(&self) -> Result<()> {
        Err(not_ours_alone())
    }

    fn untouched(&self) -> bool {
        false
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Postgres
    }
}

fn not_ours_alone() -> Error {
    Error::internal("the transaction is not ours alone")
}

impl<C: Deref<Target = Connection> + Send> Bearer for Apart<C> {
    fn begin(&self) -> Result<()> {
        self.ahead.take();
        self.failed.set(false);
        if self.connection.is_stale() {
            return Err(silent());
        }
        self.open.set(true);
        self.connection.batch_and(WRITE, &[(LOCK, &[])]).map(drop)
    }

    fn commit(&self) -> Result<()> {
        // What becomes of it, once it is sent, is not known if the answer does not come: it is not acknowledged.
        let ahead = self.ahead.take();
        self.end(&format!("{ahead}COMMIT"))
    }

    fn mark(&self) -> Result<()> {
        self.ahead.borrow_mut().push_str(MARK);
        Ok(())
    }

    fn keep(&self) -> Result<()> {
        if self.failed.get() {
            // PostgreSQL would answer a COMMIT by rolling back.
            return Err(Error::internal("a job that went on after a failure"));
        }
        let mut ahead = self.ahead.borrow_mut();
        match ahead.len().checked_sub(MARK.len()) {
            Some(before) => ahead.truncate(before),
            None => ahead.push_str(KEEP),
        }
        Ok(())
    }

    fn undo(&self) -> Result<()> {
        let mut ahead = self.ahead.borrow_mut();
        if let Some(before) = ahead.len().checked_sub(MARK.len()) {
            ahead.truncate(before);
            return Ok(());
        }
        self.connection.batch(UNDO).inspect_err(|_| self.connection.spoil())?;
        self.failed.set(false);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.connection.is_spoiled()
    }

    fn tx(&self) -> &dyn Tx {
        self
    }
}
