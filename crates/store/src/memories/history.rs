//! What happened to memories, in the table that people know from mem0. A deletion takes the texts out of it.

use jiff::Timestamp;
use locule_core::Result;
use locule_core::id::MemoryId;
use locule_core::memory::{Event, EventKind, Memory};

use super::parse;
use crate::content::Place;
use crate::tx::{Row, Tx, Value};

/// What the columns with content are called for the seal.
pub const OLD: &str = "memory_history.old_value";
pub const NEW: &str = "memory_history.new_value";

const INSERT: &str =
    "INSERT INTO memory_history (number, memory_id, operation, old_value, new_value, created_at, timestamp) ";

/// The number of the next line. It is not taken from a sequence: one that all spaces share would tell each how much the
/// others write.
const NUMBER: &str = "(SELECT coalesce(max(number), 0) + 1 FROM memory_history)";

/// A memory was added. Where a database keeps no such line, the memory itself tells it.
pub fn created(tx: &dyn Tx, memory: &Memory) -> Result<()> {
    if !tx.dialect().keeps_creations() {
        return Ok(());
    }
    let line = Line { id: memory.id, operation: "create", old: None, new: Some(&memory.memory), at: memory.created_at };
    line.insert(tx, memory.created_at)
}

/// A memory's text or fields changed.
pub fn updated(tx: &dyn Tx, old: &Memory, new: &Memory) -> Result<()> {
    let line =
        Line { id: new.id, operation: "update", old: Some(&old.memory), new: Some(&new.memory), at: new.updated_at };
    line.insert(tx, old.created_at)
}

/// A memory was deleted: that it was there and when is kept, what it said is not.
pub fn deleted(tx: &dyn Tx, memory: &Memory, at: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE memory_history SET old_value = NULL, new_value = NULL WHERE memory_id = $1",
        &[Value::Id(memory.id.as_bytes())],
    )?;
    Line { id: memory.id, operation: "delete", old: None, new: None, at }.insert(tx, memory.created_at)
}

/// All memories are about to be deleted.
pub fn all_deleted(tx: &dyn Tx, at: Timestamp) -> Result<()> {
    tx.run("UPDATE memory_history SET old_value = NULL, new_value = NULL", &[])?;
    tx.run(
        "INSERT INTO memory_history (number, memory_id, operation, created_at, timestamp)
         SELECT (SELECT coalesce(max(number), 0) FROM memory_history) + row_number() OVER (ORDER BY number), id, 'delete',
                created_at, $1 FROM memories",
        &[Value::Moment(at)],
    )?;
    Ok(())
}

/// The latest id below `$1` that the history knows.
pub const LATEST: &str = "SELECT memory_id FROM memory_history WHERE memory_id < $1 ORDER BY memory_id DESC LIMIT 1";

/// Changes and the deletion of a memory, oldest first, with the moment at which it was added; `None` without any.
pub fn changes(tx: &dyn Tx, id: MemoryId) -> Result<Option<(Timestamp, Vec<Event>)>> {
    let mut changes = Vec::new();
    let mut created_at = None;
    tx.query(
        "SELECT operation, old_value, new_value, created_at, timestamp FROM memory_history
         WHERE memory_id = $1 AND operation IN ('update', 'delete') ORDER BY number",
        &[Value::Id(id.as_bytes())],
        &mut |row| {
            let event = if row.text(0)? == "delete" { EventKind::Delete } else { EventKind::Update };
            created_at = Some(row.moment(3)?);
            changes.push(Event {
                event,
                old_memory: text(row, 1, Place(OLD, id.as_bytes()))?,
                new_memory: text(row, 2, Place(NEW, id.as_bytes()))?,
                at: row.moment(4)?,
            });
            Ok(())
        },
    )?;
    Ok(created_at.map(|at| (at, changes)))
}

struct Line<'a> {
    id: MemoryId,
    operation: &'static str,
    old: Option<&'a str>,
    new: Option<&'a str>,
    at: Timestamp,
}

impl Line<'_> {
    fn insert(&self, tx: &dyn Tx, created_at: Timestamp) -> Result<()> {
        let then =
            |column, text: Option<&str>| text.map(|text| tx.json(Place(column, self.id.as_bytes()), value(text)));
        let (old, new) = (then(OLD, self.old), then(NEW, self.new));
        tx.run(
            &format!("{INSERT} VALUES ({NUMBER}, $1, $2, $3, $4, $5, $6)"),
            &[
                Value::Id(self.id.as_bytes()),
                Value::Text(self.operation),
                Value::json(old.as_deref()),
                Value::json(new.as_deref()),
                Value::Moment(created_at),
                Value::Moment(self.at),
            ],
        )?;
        Ok(())
    }
}

fn value(memory: &str) -> String {
    serde_json::json!({ "memory": memory }).to_string()
}

/// The text that a line has in this column.
fn text(row: &dyn Row, column: usize, place: Place) -> Result<Option<String>> {
    #[derive(serde::Deserialize)]
    struct Then {
        memory: String,
    }
    if row.is_null(column) {
        return Ok(None);
    }
    parse(&row.json_of(column, place)?).map(|then: Then| Some(then.memory))
}
