//! When the next id is made: now, or right after the latest that was given, if that one is not past.

use jiff::{SignedDuration, Timestamp};
use locule_core::Result;
use locule_core::id::{MemoryId, Tick};

use crate::tx::{Tx, Value};

/// How far ahead of the clock an id is believed to have been given. A clock that goes further back than this makes ids that
/// come before some; an id of another version that looks as if it were from within it is looked past, and few do.
const AHEAD: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The tick of the next id. Each of `latest` selects the greatest id below `$1` in one place where ids are.
///
/// Ids that other products have made come with imports and with tables that became ours. Those tell no time, whatever it
/// looks like: the next id does not follow them into the year 10000.
pub fn next(tx: &dyn Tx, now: Timestamp, latest: &[&str]) -> Result<Tick> {
    let at = Tick::of(now);
    let mut next = at;
    for sql in latest {
        let mut below = bound(now);
        while let Some(id) = tx.first(sql, &[Value::Id(below.as_bytes())], |row| row.memory_id(0))? {
            if id.tells_time() {
                next = next.max(id.tick().next());
            }
            if id.tells_time() || id.tick() < at {
                break;
            }
            below = id;
        }
    }
    Ok(next)
}

/// Below which an id is believed to have been given by now.
pub fn bound(now: Timestamp) -> MemoryId {
    MemoryId::least(Tick::of(now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)))
}
