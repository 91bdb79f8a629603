//! Writers of one space in this process take turns before they take a connection: otherwise those that wait for the lock in
//! the database would hold all the connections, and one busy space would be everybody's.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use locule_core::id::SpaceId;
use locule_core::{Code, Error, Result, deadline};

/// How long a writer waits for those before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose turn it is, space by space.
#[derive(Clone, Default)]
pub struct Turns(Arc<Shared>);

#[derive(Default)]
struct Shared {
    writing: Mutex<HashSet<SpaceId>>,
    done: Condvar,
}

/// The right to be the one writer of a space in this process, for as long as it is held.
pub struct Turn {
    space: SpaceId,
    turns: Turns,
}

impl Turns {
    /// Waits for the turn.
    pub fn take(&self, space: SpaceId) -> Result<Turn> {
        let writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut writing, waited) = self
            .0
            .done
            .wait_timeout_while(writing, deadline::rest(PATIENCE), |writing| writing.contains(&space))
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::new(Code::Busy, "Other writes to this space are taking long. Try again in a moment."));
        }
        writing.insert(space);
        Ok(Turn { space, turns: self.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let shared = &self.turns.0;
        shared.writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.space);
        shared.done.notify_all();
    }
}
