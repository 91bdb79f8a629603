//! How many jobs of some kinds are done at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for so many.
pub struct Room {
    max: usize,
    taken: AtomicUsize,
}

impl Room {
    /// For so many, and for one at least.
    pub fn of(max: usize) -> Self {
        Room { max: max.max(1), taken: AtomicUsize::new(0) }
    }

    /// Whether there is some. Who looked at the same moment may have taken it: one or two too many only wait.
    pub fn is_there(&self) -> bool {
        self.taken.load(Ordering::Relaxed) < self.max
    }

    /// Takes some, until what this gives is dropped.
    pub fn take(&self) -> Taken<'_> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Taken(self)
    }
}

/// Room that is taken.
pub struct Taken<'a>(&'a Room);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
