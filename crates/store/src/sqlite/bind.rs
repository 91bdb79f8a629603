//! Binding: a transaction on a connection that belongs to one space.

use std::cell::Cell;

use jiff::Timestamp;
use locule_core::{Code, Error, Result};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::dialect::Sqlite;
use super::pool::{Lent, Turn};
use crate::error::{corrupt, of_sqlite};
use crate::group::Bearer;
use crate::tx::{Dialect, Row, Tx, Value};

/// A transaction. What it borrowed goes back when it is dropped, rolled back.
pub struct Bound {
    connection: Lent,
    begin: &'static str,
    over: Cell<bool>,
    touched: Cell<bool>,
    /// Given up after the connection, so that the next writer never meets our lock.
    _turn: Option<Turn>,
}

impl Bound {
    /// Begins to read: the first statement fixes what is seen.
    pub fn read(connection: Lent) -> Result<Self> {
        Bound::begin(connection, "BEGIN", None)
    }

    /// Begins to write: nobody else writes to this space until it is over.
    pub fn write(mut connection: Lent, turn: Turn) -> Result<Self> {
        connection.dirty();
        Bound::begin(connection, "BEGIN IMMEDIATE", Some(turn))
    }

    fn begin(connection: Lent, begin: &'static str, turn: Option<Turn>) -> Result<Self> {
        let bound = Bound { connection, begin, over: Cell::new(true), touched: Cell::new(false), _turn: turn };
        bound.start()?;
        Ok(bound)
    }

    fn start(&self) -> Result<()> {
        self.control(self.begin)?;
        self.over.set(false);
        self.touched.set(false);
        Ok(())
    }

    fn roll_back(&self) -> Result<()> {
        self.over.set(true);
        if self.connection.is_autocommit() { Ok(()) } else { self.control("ROLLBACK") }
    }

    /// BEGIN, COMMIT and ROLLBACK, prepared like any other statement.
    fn control(&self, sql: &str) -> Result<()> {
        execute(&self.connection, sql, &[]).map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// A connection on which something failed is not used again: SQLCipher's page state may be stale.
    fn failed(&self, error: rusqlite::Error) -> Error {
        let error = of_sqlite(error);
        if !matches!(error.code(), Code::Busy | Code::Deadline) {
            self.connection.spoil();
        }
        error
    }
}

impl Tx for Bound {
    fn execute(&self, sql: &str, values: &[Value]) -> Result<usize> {
        self.touched.set(true);
        execute(&self.connection, sql, values).map_err(|error| self.failed(error))
    }

    fn query(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        self.touched.set(true);
        query(&self.connection, sql, values, each, |error| self.failed(error))
    }

    fn commit(&self) -> Result<()> {
        self.over.set(true);
        let committed = self.control("COMMIT");
        if committed.is_err() {
            // Whatever state it is in, nobody shall meet it again.
            self.connection.spoil();
        }
        committed
    }

    fn renew(&self) -> Result<()> {
        self.roll_back()?;
        self.start()
    }

    fn untouched(&self) -> bool {
        !self.touched.get()
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Sqlite
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if !self.over.get() && self.roll_back().is_err() {
            self.connection.spoil();
        }
    }
}

fn bind<'a>(connection: &'a Connection, sql: &str, values: &[Value]) -> rusqlite::Result<CachedStatement<'a>> {
    let mut statement = connection.prepare_cached(sql)?;
    for (index, value) in values.iter().enumerate() {
        debug_assert!(places_in_order(&statement, index), "`${}` is not place {} of: {sql}", index + 1, index + 1);
        statement.raw_bind_parameter(index + 1, value)?;
    }
    Ok(statement)
}

fn execute(connection: &Connection, sql: &str, values: &[Value]) -> rusqlite::Result<usize> {
    bind(connection, sql, values)?.raw_execute()
}

fn query(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    failed: impl Fn(rusqlite::Error) -> Error,
) -> Result<()> {
    let mut statement = bind(connection, sql, values).map_err(&failed)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(&failed)? {
        each(&Columns(row))?;
    }
    Ok(())
}

/// `$1` is a name to SQLite, numbered by its first appearance.
fn places_in_order(statement: &CachedStatement, index: usize) -> bool {
    statement.parameter_index(&format!("${}", index + 1)).ok().flatten() == Some(index + 1)
}

/// A connection to what belongs to no space: the directory. Those who use it share its transaction and do not end it.
pub struct Apart(pub Connection);

impl Tx for Apart {
    fn execute(&self, sql: &str, values: &[Value]) -> Result<usize> {
        execute(&self.0, sql, values).map_err(of_sqlite)
    }

    fn query(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        query(&self.0, sql, values, each, of_sqlite)
    }

    fn commit(&self) -> Result<()> {
        Err(Error::internal("the transaction is not ours alone"))
    }

    fn renew(&self) -> Result<()> {
        Err(Error::internal("the transaction is not ours alone"))
    }

    fn untouched(&self) -> bool {
        false
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Sqlite
    }
}

impl Bearer for Apart {
    fn begin(&self) -> Result<()> {
        batch(&self.0, "BEGIN IMMEDIATE")
    }

    fn commit(&self) -> Result<()> {
        batch(&self.0, "COMMIT")
    }

    fn mark(&self) -> Result<()> {
        batch(&self.0, "SAVEPOINT job")
    }

    fn keep(&self) -> Result<()> {
        batch(&self.0, "RELEASE job")
    }

    fn undo(&self) -> Result<()> {
        batch(&self.0, "ROLLBACK TO job; RELEASE job")
    }

    fn is_over(&self) -> bool {
        self.0.is_autocommit()
    }

    fn tx(&self) -> &dyn Tx {
        self
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Real(real) => ValueRef::Real(*real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
            Value::Id(id) => ValueRef::Blob(*id),
            Value::Moment(moment) => ValueRef::Integer(moment.as_microsecond()),
            Value::Json(json) => ValueRef::Text(json.as_bytes()),
            Value::List(_) => return Err(rusqlite::Error::ToSqlConversionFailure("SQLite has no arrays".into())),
            Value::Texts(texts) => {
                let list = serde_json::to_string(texts)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                return Ok(ToSqlOutput::from(list));
            }
        }))
    }
}

struct Columns<'a>(&'a rusqlite::Row<'a>);

impl Columns<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>> {
        self.0.get_ref(column).map_err(Error::internal)
    }
}

impl Row for Columns<'_> {
    fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get_ref(column), Ok(ValueRef::Null))
    }

    fn integer(&self, column: usize) -> Result<i64> {
        self.value(column)?.as_i64().map_err(corrupt)
    }

    fn real(&self, column: usize) -> Result<f64> {
        match self.value(column)? {
            ValueRef::Integer(integer) => Ok(integer as f64),
            value => value.as_f64().map_err(corrupt),
        }
    }

    fn text(&self, column: usize) -> Result<&str> {
        self.value(column)?.as_str().map_err(corrupt)
    }

    fn blob(&self, column: usize) -> Result<&[u8]> {
        self.value(column)?.as_blob().map_err(corrupt)
    }

    fn id(&self, column: usize) -> Result<[u8; 16]> {
        self.blob(column)?.try_into().map_err(|_| corrupt("an id of another length"))
    }

    fn moment(&self, column: usize) -> Result<Timestamp> {
        Timestamp::from_microsecond(self.integer(column)?).map_err(corrupt)
    }

    fn json(&self, column: usize) -> Result<&str> {
        self.text(column)
    }

    fn texts(&self, column: usize) -> Result<Vec<String>> {
        match self.text(column)? {
            "[]" => Ok(Vec::new()),
            list => serde_json::from_str(list).map_err(corrupt),
        }
    }
}

/// Runs statements outside any space, where a file is made or the directory is set up.
pub fn batch(connection: &Connection, sql: &str) -> Result<()> {
    connection.execute_batch(sql).map_err(of_sqlite)
}
