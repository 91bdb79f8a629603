//! The bell: what wakes those who work when a space of this process has got something to do. Nothing depends on its being heard:
//! the mark in the directory tells the same a little later.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use locule_core::id::SpaceId;

/// Spaces that rang and were not yet asked why.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    ringing: Condvar,
}

#[derive(Default)]
struct Rung {
    spaces: BTreeSet<SpaceId>,
    /// Everybody is to look, whatever for.
    all: bool,
}

/// How many spaces are kept in mind. Beyond that everybody looks at the directory, which knows them all.
const SPACES: usize = 10_000;

impl Bell {
    /// A space has something to do.
    pub fn ring(&self, space: SpaceId) {
        let mut rung = self.lock();
        if rung.spaces.len() < SPACES {
            rung.spaces.insert(space);
        } else {
            rung.all = true;
        }
        drop(rung);
        self.ringing.notify_one();
    }

    /// Wakes everybody who listens.
    pub fn wake(&self) {
        self.lock().all = true;
        self.ringing.notify_all();
    }

    /// Waits until it rings, and no longer than so. The spaces that rang, and whether to look at the directory too.
    pub fn listen(&self, patience: Duration) -> (Vec<SpaceId>, bool) {
        let quiet = |rung: &mut Rung| rung.spaces.is_empty() && !rung.all;
        let waited = self.ringing.wait_timeout_while(self.lock(), patience, quiet);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let rung = std::mem::take(&mut *rung);
        (rung.spaces.into_iter().collect(), rung.all)
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
