//! A space's own audit chain: one entry for each act in it, in the transaction of the act.

use jiff::Timestamp;
use locule_core::Result;
use locule_core::audit::{BEGINNING, Entry, Link, Origin, Outcome};

use crate::content::Place;
use crate::tx::{Row, Tx, Value};

/// What the column with content is called for the seal. Ids and counts are none; a JSON object is.
pub const OBJECT: &str = "space_audit.object";

const COLUMNS: &str = "sequence, time, actor_kind, actor, on_behalf_of, act, object, outcome, request_id, link";

/// Where a chain ends so far: the number of its last entry, and the hash that the next one follows.
#[derive(Clone, Copy, Debug)]
pub struct End(i64, Link);

/// The statement that reads it.
pub const END: &str = "SELECT sequence, link FROM space_audit ORDER BY sequence DESC LIMIT 1";

/// Where the chain ends.
pub fn end(tx: &dyn Tx) -> Result<End> {
    let end = tx.first(END, &[], |row| Ok(End(row.integer(0)?, link(row, 1)?)))?;
    Ok(end.unwrap_or(End(0, BEGINNING)))
}

/// Appends an entry for an act that is done, or stays refused, if the transaction commits. Says where the chain ends then.
pub fn append(
    tx: &dyn Tx,
    End(sequence, previous): End,
    origin: &Origin,
    act: &str,
    object: Option<String>,
    outcome: Outcome,
    now: Timestamp,
) -> Result<End> {
    let entry = Entry {
        sequence: sequence + 1,
        time: now,
        actor_kind: origin.actor.kind().to_owned(),
        actor: origin.actor.name().to_owned(),
        on_behalf_of: origin.on_behalf_of.as_ref().map(|identity| identity.subject.as_str().to_owned()),
        act: act.to_owned(),
        object,
        outcome: outcome.as_str().to_owned(),
        request_id: origin.request_id.clone(),
    };
    // What is bound together is what was said; how it is sealed may change with a move.
    let told_by = entry.sequence.to_be_bytes();
    let object = entry.object.as_deref().map(|object| match is_content(object) {
        true => tx.json(Place(OBJECT, &told_by), object),
        false => object.into(),
    });
    let link = entry.link(&previous);
    tx.run(
        "INSERT INTO space_audit (sequence, time, actor_kind, actor, on_behalf_of, act, object, outcome, request_id, link)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Value::Integer(entry.sequence),
            Value::Moment(entry.time),
            Value::Text(&entry.actor_kind),
            Value::Text(&entry.actor),
            Value::text(entry.on_behalf_of.as_deref()),
            Value::Text(&entry.act),
            Value::text(object.as_deref()),
            Value::Text(&entry.outcome),
            Value::Text(&entry.request_id),
            Value::Blob(&link),
        ],
    )?;
    Ok(End(entry.sequence, link))
}

/// Shows every entry, oldest first.
pub fn read(tx: &dyn Tx, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
    tx.query(&format!("SELECT {COLUMNS} FROM space_audit ORDER BY sequence"), &[], &mut |row| each(entry(row)?))
}

/// Checks every link. Says how many entries there are, or at which one the chain breaks.
pub fn verify(tx: &dyn Tx) -> Result<Result<u64, i64>> {
    let mut previous = BEGINNING;
    let mut count = 0;
    let mut broken = None;
    tx.query(&format!("SELECT {COLUMNS} FROM space_audit ORDER BY sequence"), &[], &mut |row| {
        let (entry, stored) = (entry(row)?, link(row, 9)?);
        count += 1;
        if broken.is_none() && (entry.sequence != count as i64 || entry.link(&previous) != stored) {
            broken = Some(entry.sequence);
        }
        previous = stored;
        Ok(())
    })?;
    Ok(broken.map_or(Ok(count), Err))
}

/// Whether an object says something that only the space's owner is to read.
pub fn is_content(object: &str) -> bool {
    object.starts_with('{')
}

fn link(row: &dyn Row, column: usize) -> Result<Link> {
    row.blob(column)?.try_into().map_err(|_| crate::error::corrupt("a link of another length"))
}

fn entry(row: &dyn Row) -> Result<Entry> {
    let sequence = row.integer(0)?;
    let object = match row.maybe_text(6)? {
        Some(object) if is_content(&object) => {
            Some(row.object_of(&object, Place(OBJECT, &sequence.to_be_bytes()))?.into_owned())
        }
        other => other,
    };
    Ok(Entry {
        sequence,
        time: row.moment(1)?,
        actor_kind: row.text(2)?.to_owned(),
        actor: row.text(3)?.to_owned(),
        on_behalf_of: row.maybe_text(4)?,
        act: row.text(5)?.to_owned(),
        object,
        outcome: row.text(7)?.to_owned(),
        request_id: row.text(8)?.to_owned(),
    })
}
