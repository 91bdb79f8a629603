//! A space as a whole, row by row, the same whatever keeps it: what moves carry, backups keep and restores put back.
//!
//! It is read in one transaction and written in one. Both sides are counted and digested, so that a copy can be held against
//! what it was made from.

mod cell;
pub mod put;
mod sealed;
pub mod tables;

use locule_core::Result;
use sha2::{Digest as _, Sha256};

pub use self::cell::Cell;
use self::tables::{HISTORY, Kind, SPACE, Table};
use crate::state::{self, Model, State};
use crate::tx::{Tx, Value};

/// How many rows are read at a time.
const BATCH: i64 = 200;

/// One row.
pub type Cells = Vec<Cell>;

/// What a copy consists of, in this order: the head once, then rows.
pub enum Piece<'a> {
    /// The space as a whole.
    Head(Head),
    /// Some rows of one table, in the order of their first column.
    Rows(&'static Table, &'a [Cells]),
}

/// The space as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its revision, size and model.
    pub state: State,
    /// How many lines the history lacks that say that a memory was added: not every layout keeps them.
    pub creations_left_out: u64,
}

/// What was copied: how many rows of each table, and a digest of all that is in them. Two copies of one thing have equal ones,
/// in whatever layouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Rows by table, in the order of [`SPACE`].
    pub rows: Vec<u64>,
    /// SHA-256 over state and rows.
    pub digest: [u8; 32],
}

impl Tally {
    /// How many memories.
    pub fn memories(&self) -> u64 {
        self.rows.first().copied().unwrap_or(0)
    }
}

/// Reads everything in the space of a transaction.
pub fn read(tx: &dyn Tx, take: &mut dyn FnMut(Piece) -> Result<()>) -> Result<Tally> {
    let mut counter = Counter::default();
    let head = Head { state: state::read(tx)?, creations_left_out: creations_left_out(tx)? };
    counter.head(&head.state);
    take(Piece::Head(head))?;
    for table in SPACE {
        rows(tx, table, &mut |rows| {
            counter.rows(table, rows)?;
            take(Piece::Rows(table, rows))
        })?;
    }
    Ok(counter.tally())
}

/// Counts and digests everything in the space of a transaction.
pub fn tally(tx: &dyn Tx) -> Result<Tally> {
    read(tx, &mut |_| Ok(()))
}

/// Reads a table's rows, some at a time.
pub fn rows(tx: &dyn Tx, table: &'static Table, take: &mut dyn FnMut(&[Cells]) -> Result<()>) -> Result<()> {
    let mut last: Option<Cell> = None;
    loop {
        let some = rows_after(tx, table, last.as_ref())?;
        let Some(end) = some.last() else { return Ok(()) };
        last = end.first().cloned();
        take(&some)?;
        if (some.len() as i64) < BATCH {
            return Ok(());
        }
    }
}

fn rows_after(tx: &dyn Tx, table: &Table, last: Option<&Cell>) -> Result<Vec<Cells>> {
    let key = table.columns[0].name;
    let columns: Vec<_> = table.columns.iter().map(read_as).collect();
    let mut conditions: Vec<_> = table.only.iter().map(|only| (*only).to_owned()).collect();
    let mut values = Vec::new();
    if let Some(last) = last {
        conditions.push(format!("{key} > $1"));
        values.push(last.value());
    }
    values.push(Value::Integer(BATCH));
    let conditions = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = format!(
        "SELECT {} FROM {} {conditions} ORDER BY {key} LIMIT ${}",
        columns.join(", "),
        table.name,
        values.len()
    );
    tx.all(&sql, &values, |row| {
        let cells = table.columns.iter().enumerate().map(|(place, column)| Cell::read(row, place, column.kind));
        let mut cells = cells.collect::<Result<Cells>>()?;
        sealed::open(row, table, &mut cells)?;
        Ok(cells)
    })
}

/// A number that is no whole one may be a decimal, and is read as a float.
fn read_as(column: &tables::Column) -> String {
    match column.kind {
        Kind::Real => format!("CAST({} AS double precision)", column.name),
        _ => column.name.to_owned(),
    }
}

fn creations_left_out(tx: &dyn Tx) -> Result<u64> {
    if tx.dialect().keeps_creations() {
        return Ok(0);
    }
    let count = tx.first(
        "SELECT (SELECT count(*) FROM memories) + (SELECT count(DISTINCT memory_id) FROM memory_history
                 WHERE NOT EXISTS (SELECT 1 FROM memories WHERE memories.id = memory_history.memory_id))",
        &[],
        |row| row.integer(0),
    )?;
    Ok(count.unwrap_or(0) as u64)
}

/// Counts and digests a copy as it goes by.
pub struct Counter {
    rows: Vec<u64>,
    hash: Sha256,
}

impl Default for Counter {
    fn default() -> Self {
        Counter { rows: vec![0; SPACE.len()], hash: Sha256::new() }
    }
}

impl Counter {
    /// Takes in the state.
    pub fn head(&mut self, state: &State) {
        let State { revision, memories, size_bytes, model } = state;
        let mut bytes = Vec::new();
        [*revision, *memories, *size_bytes]
            .into_iter()
            .for_each(|figure| Cell::Integer(figure as i64).encode(&mut bytes));
        if let Some(Model { id, dimension }) = model {
            Cell::Text(id.clone()).encode(&mut bytes);
            Cell::Integer(*dimension as i64).encode(&mut bytes);
        }
        self.hash.update(&bytes);
    }

    /// Takes in rows.
    pub fn rows(&mut self, table: &'static Table, rows: &[Cells]) -> Result<()> {
        let place = SPACE.iter().position(|listed| *listed == table).unwrap_or_default();
        let mut bytes = Vec::new();
        for row in rows {
            // Lines of the history are numbered anew where some of them are left out or added.
            let of_history = *table == HISTORY;
            if of_history && is_creation(row) {
                continue;
            }
            self.rows[place] += 1;
            bytes.clear();
            bytes.push(place as u8);
            for cell in row.iter().skip(usize::from(of_history)) {
                cell.canonical()?.encode(&mut bytes);
            }
            self.hash.update(&bytes);
        }
        Ok(())
    }

    /// What it has come to.
    pub fn tally(self) -> Tally {
        Tally { rows: self.rows, digest: self.hash.finalize().into() }
    }
}

/// Whether a line of the history says that a memory was added.
fn is_creation(row: &Cells) -> bool {
    HISTORY.position("operation").and_then(|place| row.get(place)) == Some(&Cell::Text("create".to_owned()))
}
