//! Open connections: each belongs to one space for as long as it lives, and as many are kept as the machine bears.
//!
//! A connection in use is lent out and not in the pool, so that it cannot be closed under its user. When there are too
//! many, those longest unused are closed, clean ones first: closing one that has written moves its log into its file,
//! which takes the disk some milliseconds and is left to a thread of its own.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use locule_core::id::SpaceId;
use locule_core::{Code, Error, Result};
use lru::LruCache;
use rusqlite::Connection;

/// How many connections one space keeps when nobody uses them: a writer's and a reader's.
const IDLE_PER_SPACE: usize = 2;

/// How far down the list of the unused a clean one is looked for.
const CLEAN_SEARCH: usize = 32;

/// How long a writer waits for the one before it.
const TURN: Duration = Duration::from_secs(5);

/// What opens a space's connection.
pub type Opener = Box<dyn Fn(SpaceId) -> Result<Connection> + Send + Sync>;

/// All open connections.
pub struct Pool {
    slots: Mutex<LruCache<SpaceId, Arc<Slot>>>,
    open: Arc<AtomicUsize>,
    max: AtomicUsize,
    opener: Opener,
    closer: SyncSender<Connection>,
}

/// One space's connections.
pub struct Slot {
    idle: Mutex<Vec<Idle>>,
    lent: Mutex<usize>,
    returned: Condvar,
    writing: Mutex<bool>,
    written: Condvar,
    shut: AtomicBool,
    open: Arc<AtomicUsize>,
}

struct Idle {
    connection: Connection,
    dirty: bool,
}

impl Pool {
    /// A pool of at most `max` connections.
    pub fn new(max: usize, opener: Opener) -> Self {
        let (closer, closing) = sync_channel::<Connection>(64);
        // Ends when the pool, and with it the sender, is gone.
        std::thread::spawn(move || closing.iter().for_each(drop));
        Pool {
            slots: Mutex::new(LruCache::unbounded()),
            open: Arc::new(AtomicUsize::new(0)),
            max: AtomicUsize::new(max.max(1)),
            opener,
            closer,
        }
    }

    /// A connection of the space, one that is open already if there is one.
    pub fn lend(&self, space: SpaceId) -> Result<Lent> {
        let slot = self.slot(space);
        let loan = Loan::take(&slot);
        if let Some(idle) = lock(&slot.idle).pop() {
            return Ok(loan.of(idle));
        }
        self.make_room();
        let connection = match (self.opener)(space) {
            // The process or the machine has no files left: give some back, and try once more.
            Err(error) if error.code() == Code::Overloaded => {
                self.shrink();
                (self.opener)(space)?
            }
            opened => opened?,
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(loan.of(Idle { connection, dirty: false }))
    }

    /// The right to be the one writer of the space in this process, for as long as the turn is held.
    pub fn turn(&self, space: SpaceId) -> Result<Turn> {
        let slot = self.slot(space);
        let writing = lock(&slot.writing);
        let (mut writing, waited) = slot
            .written
            .wait_timeout_while(writing, TURN, |writing| *writing)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::new(Code::Busy, "Other writes to this space are taking long. Try again in a moment."));
        }
        *writing = true;
        drop(writing);
        Ok(Turn(slot))
    }

    /// Closes the space's connections: idle ones now, those in use when they come back. Waits for these up to `patience`,
    /// and says whether all are closed.
    pub fn shut(&self, space: SpaceId, patience: Duration) -> bool {
        let Some(slot) = lock(&self.slots).pop(&space) else { return true };
        slot.shut.store(true, Ordering::SeqCst);
        slot.close_idle();
        let deadline = Instant::now() + patience;
        let mut lent = lock(&slot.lent);
        while *lent > 0 {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return false };
            lent = slot.returned.wait_timeout(lent, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Closes everything idle, writing logs back into their files.
    pub fn close(&self) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).iter().map(|(_, slot)| slot.clone()).collect();
        slots.iter().for_each(|slot| slot.close_idle());
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn slot(&self, space: SpaceId) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        slots.get_or_insert(space, || Arc::new(Slot::new(self.open.clone()))).clone()
    }

    fn make_room(&self) {
        while self.open.load(Ordering::Relaxed) >= self.max.load(Ordering::Relaxed) {
            let Some(victim) = self.victim() else { return };
            // With the closer that far behind, whoever opens pays for the closing: that slows the churn down.
            if let Err(TrySendError::Full(connection) | TrySendError::Disconnected(connection)) =
                self.closer.try_send(victim)
            {
                drop(connection);
            }
        }
    }

    fn shrink(&self) {
        let tenth = (self.open.load(Ordering::Relaxed) / 10).max(1);
        for _ in 0..tenth {
            let Some(victim) = self.victim() else { return };
            drop(victim);
        }
    }

    /// Takes the connection to close next: the longest unused clean one, or else the longest unused.
    fn victim(&self) -> Option<Connection> {
        let mut slots = lock(&self.slots);
        let mut dirty = None;
        let mut empty = VecDeque::new();
        let mut found = None;
        for (space, slot) in slots.iter().rev().take(CLEAN_SEARCH) {
            let mut idle = lock(&slot.idle);
            if let Some(clean) = idle.iter().position(|idle| !idle.dirty) {
                found = Some(idle.swap_remove(clean));
                break;
            }
            if dirty.is_none() && !idle.is_empty() {
                dirty = Some(slot.clone());
            }
            if idle.is_empty() && Arc::strong_count(slot) == 1 {
                empty.push_back(*space);
            }
        }
        // A slot without connections that nobody holds is only a name: let it go.
        empty.iter().for_each(|space| drop(slots.pop(space)));
        let victim = found.or_else(|| dirty.and_then(|slot| lock(&slot.idle).pop()))?;
        self.open.fetch_sub(1, Ordering::Relaxed);
        Some(victim.connection)
    }
}

impl Slot {
    fn new(open: Arc<AtomicUsize>) -> Self {
        Slot {
            idle: Mutex::new(Vec::new()),
            lent: Mutex::new(0),
            returned: Condvar::new(),
            writing: Mutex::new(false),
            written: Condvar::new(),
            shut: AtomicBool::new(false),
            open,
        }
    }

    fn close_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        self.open.fetch_sub(idle.len(), Ordering::Relaxed);
    }
}

/// A place held in a slot while a connection of it is opened and used.
struct Loan(Arc<Slot>);

impl Loan {
    fn take(slot: &Arc<Slot>) -> Self {
        *lock(&slot.lent) += 1;
        Loan(slot.clone())
    }

    fn of(self, idle: Idle) -> Lent {
        Lent { connection: Some(idle), spoiled: Cell::new(false), loan: self }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        *lock(&self.0.lent) -= 1;
        self.0.returned.notify_all();
    }
}

/// A connection in use. It goes back to its space when dropped, or is closed if it may not be used again.
pub struct Lent {
    connection: Option<Idle>,
    spoiled: Cell<bool>,
    loan: Loan,
}

impl Lent {
    /// Has it closed instead of given back.
    pub fn spoil(&self) {
        self.spoiled.set(true);
    }

    /// Notes that closing it will have something to write back.
    pub fn dirty(&mut self) {
        if let Some(idle) = &mut self.connection {
            idle.dirty = true;
        }
    }
}

impl Deref for Lent {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "the connection is taken out only by drop")]
    fn deref(&self) -> &Connection {
        &self.connection.as_ref().expect("lent until dropped").connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let slot = &self.loan.0;
        let Some(idle) = self.connection.take() else { return };
        let mut kept = lock(&slot.idle);
        if !self.spoiled.get() && !slot.shut.load(Ordering::SeqCst) && kept.len() < IDLE_PER_SPACE {
            kept.push(idle);
            return;
        }
        drop(kept);
        slot.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One writer's turn. Dropping it lets the next one in.
pub struct Turn(Arc<Slot>);

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&self.0.writing) = false;
        self.0.written.notify_one();
    }
}

/// A panic elsewhere must not take the pool with it: what these locks guard is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
