//! Who is at work in which space: an erasure waits until they are done, and after that lets nobody in.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use locule_core::id::SpaceId;
use locule_core::{Code, Error, Result};

/// All stays.
#[derive(Clone, Default)]
pub struct Stays(Arc<Shared>);

#[derive(Default)]
struct Shared {
    spaces: Mutex<HashMap<SpaceId, Guests>>,
    left: Condvar,
}

#[derive(Default)]
struct Guests {
    count: usize,
    shut: bool,
}

/// A place among those at work in a space.
pub struct Stay {
    space: SpaceId,
    stays: Stays,
}

impl Stays {
    /// Goes in.
    pub fn enter(&self, space: SpaceId) -> Result<Stay> {
        let mut spaces = self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let guests = spaces.entry(space).or_default();
        if guests.shut {
            return Err(Error::new(Code::SpaceErased, "This space has been erased."));
        }
        guests.count += 1;
        Ok(Stay { space, stays: self.clone() })
    }

    /// Lets nobody in any more, and waits up to `patience` until all have left. Says whether they have.
    pub fn shut(&self, space: SpaceId, patience: Duration) -> bool {
        self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner).entry(space).or_default().shut = true;
        self.leave(space, patience)
    }

    /// Waits up to `patience` until all have left. Says whether they have.
    pub fn leave(&self, space: SpaceId, patience: Duration) -> bool {
        let spaces = self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |spaces: &mut HashMap<SpaceId, Guests>| spaces.get(&space).is_some_and(|guests| guests.count > 0);
        let waited = self.0.left.wait_timeout_while(spaces, patience, busy).unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let shared = &self.stays.0;
        let mut spaces = shared.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guests) = spaces.get_mut(&self.space) {
            guests.count -= 1;
            if guests.count == 0 {
                // A space that was shut stays so: its id is never used again.
                if !guests.shut {
                    spaces.remove(&self.space);
                }
                shared.left.notify_all();
            }
        }
    }
}
