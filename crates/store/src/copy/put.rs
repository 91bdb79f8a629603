//! Putting a copy into a space that has nothing in it, in one transaction that the caller commits.

use std::collections::HashMap;

use locule_core::{Error, Result};

use super::tables::{HISTORY, MEMORIES, SPACE, Table};
use super::{Cell, Cells, Head, Piece, is_creation, rows, sealed};
use crate::state::{self, State};
use crate::tx::{Tx, Value};

/// How many values one statement takes at most: fewer than any database bears.
const VALUES: usize = 1_000;

/// A copy being put. Every call is about the same transaction.
#[derive(Default)]
pub struct Put {
    state: Option<State>,
    /// How many lines of the history are made here, before those that are put.
    creations: i64,
    lines: i64,
    /// Tables that stay as they are here.
    except: &'static [&'static Table],
}

impl Put {
    /// Without some tables.
    pub fn except(except: &'static [&'static Table]) -> Self {
        Put { except, ..Put::default() }
    }

    /// Puts the next piece.
    pub fn piece(&mut self, tx: &dyn Tx, piece: &Piece) -> Result<()> {
        match piece {
            Piece::Head(Head { state, creations_left_out }) => {
                self.state = Some(state.clone());
                if tx.dialect().keeps_creations() {
                    self.creations = *creations_left_out as i64;
                    self.lines = self.creations;
                }
                Ok(())
            }
            Piece::Rows(table, _) if self.except.contains(table) => Ok(()),
            Piece::Rows(table, rows) if **table == HISTORY => self.history(tx, rows),
            Piece::Rows(table, rows) => {
                insert(tx, table, rows)?;
                if **table == MEMORIES { words(tx, rows) } else { Ok(()) }
            }
        }
    }

    /// Ends it: the space's state is that of the copy, which is given back.
    pub fn finish(self, tx: &dyn Tx) -> Result<State> {
        let state = self.state.ok_or_else(|| crate::error::corrupt("a copy without a head"))?;
        match tx.seal() {
            _ if self.creations == 0 => {}
            Some(_) => opened_creations(tx)?,
            None => drop(tx.execute(CREATIONS, &[])?),
        }
        state::write(tx, &state)?;
        Ok(state)
    }

    /// Lines are numbered here, since not every layout keeps the same.
    fn history(&mut self, tx: &dyn Tx, rows: &[Cells]) -> Result<()> {
        let keeps_creations = tx.dialect().keeps_creations();
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| keeps_creations || !is_creation(row)) {
            self.lines += 1;
            let mut line = row.clone();
            line[0] = Cell::Integer(self.lines);
            lines.push(line);
        }
        insert(tx, &HISTORY, &lines)
    }
}

fn words(tx: &dyn Tx, rows: &[Cells]) -> Result<()> {
    if !tx.dialect().keeps_words() {
        return Ok(());
    }
    for row in rows {
        let (Some(Cell::Integer(number)), Some(Cell::Text(memory))) = (row.first(), row.get(2)) else {
            return Err(Error::internal("a memory without number or text"));
        };
        tx.dialect().words_insert(tx, *number, memory)?;
    }
    Ok(())
}

/// That each memory was added, as it can be told from what is there: what its first change changed, or what it says.
const CREATIONS: &str =
    "INSERT INTO memory_history (number, memory_id, operation, old_value, new_value, created_at, timestamp)
     SELECT row_number() OVER (ORDER BY created_at, memory_id), memory_id, 'create', NULL, new_value, created_at, created_at
     FROM (SELECT memories.id AS memory_id, memories.created_at,
                  coalesce((SELECT changes.old_value FROM memory_history AS changes
                            WHERE changes.memory_id = memories.id AND changes.operation = 'update'
                            ORDER BY changes.number LIMIT 1), jsonb_build_object('memory', memories.memory)) AS new_value
           FROM memories
           UNION ALL
           SELECT deleted.memory_id, min(deleted.created_at), NULL FROM memory_history AS deleted
           WHERE deleted.operation IN ('update', 'delete')
               AND NOT EXISTS (SELECT 1 FROM memories WHERE memories.id = deleted.memory_id)
           GROUP BY deleted.memory_id) AS added";

/// The same lines where the database cannot read what goes into them.
fn opened_creations(tx: &dyn Tx) -> Result<()> {
    let place = |name| HISTORY.position(name).ok_or_else(|| Error::internal("a history without a column"));
    let (id, operation, old) = (place("memory_id")?, place("operation")?, place("old_value")?);
    let created = place("created_at")?;
    // What was there first, by memory: what its first change changed, or else what it says.
    let mut first: HashMap<[u8; 16], (Cell, Cell)> = HashMap::new();
    rows(tx, &HISTORY, &mut |lines| {
        for line in lines {
            let Cell::Id(memory) = line[id] else { continue };
            let changed = line[operation] == Cell::Text("update".to_owned());
            let then = if changed { line[old].clone() } else { Cell::Null };
            first.entry(memory).or_insert((line[created].clone(), then));
        }
        Ok(())
    })?;
    rows(tx, &MEMORIES, &mut |memories| {
        for memory in memories {
            let (Cell::Id(id), Cell::Text(text), Some(at)) = (&memory[1], &memory[2], MEMORIES.position("created_at"))
            else {
                return Err(Error::internal("a memory without id or text"));
            };
            let says = Cell::Json(serde_json::json!({ "memory": text }).to_string());
            first.entry(*id).or_insert((memory[at].clone(), says));
        }
        Ok(())
    })?;
    let mut lines: Vec<_> = first.into_iter().collect();
    lines.sort_unstable_by_key(|(id, (created, _))| (moment(created), *id));
    let lines: Vec<Cells> = (1..)
        .zip(lines)
        .map(|(number, (id, (created, then)))| {
            let operation = Cell::Text("create".to_owned());
            vec![Cell::Integer(number), Cell::Id(id), operation, Cell::Null, then, created.clone(), created]
        })
        .collect();
    insert(tx, &HISTORY, &lines)
}

fn moment(cell: &Cell) -> Option<jiff::Timestamp> {
    match cell {
        Cell::Moment(at) => Some(*at),
        _ => None,
    }
}

/// Inserts rows, as many in a statement as it takes.
pub fn insert(tx: &dyn Tx, table: &Table, rows: &[Cells]) -> Result<()> {
    let width = table.columns.len();
    let rows = sealed::seal(tx, table, rows)?;
    for some in rows.chunks((VALUES / width).max(1)) {
        let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        let places: Vec<_> = (0..some.len()).map(|row| places(row * width, width)).collect();
        let sql = format!("INSERT INTO {} ({}) VALUES {}", table.name, names.join(", "), places.join(", "));
        let values: Vec<Value> = some.iter().flatten().map(Cell::value).collect();
        if values.len() != some.len() * width {
            return Err(crate::error::corrupt("a copy of a row of another width"));
        }
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

fn places(before: usize, width: usize) -> String {
    let places: Vec<_> = (1..=width).map(|place| format!("${}", before + place)).collect();
    format!("({})", places.join(", "))
}

/// Takes everything out of a space but what `except` names, as a copy is about to be put in its place.
pub fn clear(tx: &dyn Tx, except: &[&'static Table]) -> Result<()> {
    tx.dialect().words_clear(tx)?;
    for table in SPACE.iter().rev().filter(|table| !except.contains(table)) {
        let only = table.only.map(|only| format!(" WHERE {only}")).unwrap_or_default();
        tx.execute(&format!("DELETE FROM {}{only}", table.name), &[])?;
    }
    Ok(())
}
