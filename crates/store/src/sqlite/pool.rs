//! Open connections: each belongs to one space for as long as it lives, and as many are kept as the machine bears.
//!
//! A connection in use is lent out and not in the pool, so that it cannot be closed under its user. When there are too
//! many, those longest unused are closed, clean ones first: closing one that has written moves its log into its file,
//! which takes the disk some milliseconds and is left to a thread of its own.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use locule_core::id::SpaceId;
use locule_core::{Code, Error, Result};
use lru::LruCache;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

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
    places: Arc<Places>,
    max: usize,
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
    places: Arc<Places>,
}

struct Idle {
    connection: Connection,
    dirty: bool,
    /// Given up after the connection is closed.
    _place: Place,
}

impl Idle {
    /// Has it closed without moving its log home: the space is about to be destroyed.
    fn abandon(&self) {
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}

/// How many connections there are. Whoever wants one more than there may be waits here.
#[derive(Default)]
struct Places {
    count: Mutex<Count>,
    changed: Condvar,
}

#[derive(Default)]
struct Count {
    taken: usize,
    /// Rises when a place is given up, or a connection given back and so may be closed for another.
    changes: u64,
}

impl Places {
    fn change(&self, change: impl FnOnce(&mut Count)) {
        let mut count = lock(&self.count);
        change(&mut count);
        count.changes += 1;
        self.changed.notify_all();
    }
}

/// One connection's place among those that may be open.
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.change(|count| count.taken -= 1);
    }
}

impl Pool {
    /// A pool of at most `max` connections.
    pub fn new(max: usize, opener: Opener) -> Self {
        let (closer, closing) = sync_channel::<Connection>(64);
        // Ends when the pool, and with it the sender, is gone.
        std::thread::spawn(move || closing.iter().for_each(drop));
        Pool { slots: Mutex::new(LruCache::unbounded()), places: Arc::default(), max: max.max(1), opener, closer }
    }

    /// A connection of the space, one that is open already if there is one.
    pub fn lend(&self, space: SpaceId) -> Result<Lent> {
        let loan = self.enter(space)?;
        let idle = lock(&loan.0.idle).pop();
        if let Some(idle) = idle {
            return Ok(loan.of(idle));
        }
        let place = self.place()?;
        let connection = match (self.opener)(space) {
            // The process or the machine has no files left: give some back, and try once more.
            Err(error) if error.code() == Code::Overloaded => {
                self.shrink();
                (self.opener)(space)?
            }
            opened => opened?,
        };
        Ok(loan.of(Idle { connection, dirty: false, _place: place }))
    }

    /// A place among those at work in the space: [`Pool::shut`] waits until it is left, and after that nobody gets one.
    pub fn enter(&self, space: SpaceId) -> Result<Loan> {
        let slot = self.slot(space);
        let loan = Loan::take(&slot);
        if slot.shut.load(Ordering::SeqCst) {
            return Err(Error::new(Code::SpaceErased, "This space has been erased."));
        }
        Ok(loan)
    }

    /// The right to be the one writer of the space in this process, for as long as the turn is held.
    pub fn turn(&self, space: SpaceId) -> Result<Turn> {
        let slot = self.slot(space);
        let writing = lock(&slot.writing);
        let (mut writing, waited) =
            slot.written.wait_timeout_while(writing, TURN, |writing| *writing).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::new(Code::Busy, "Other writes to this space are taking long. Try again in a moment."));
        }
        *writing = true;
        drop(writing);
        Ok(Turn(slot))
    }

    /// Closes the space's connections: idle ones now, those in use when they come back. Waits for these up to `patience`,
    /// and says whether all are closed. There will be no more: a space that was shut is never opened again.
    pub fn shut(&self, space: SpaceId, patience: Duration) -> bool {
        let slot = self.slot(space);
        slot.shut.store(true, Ordering::SeqCst);
        slot.close_idle();
        slot.empty_within(patience)
    }

    /// Waits up to `patience` for the space's connections to come back, and closes them. It may be opened again.
    pub fn leave(&self, space: SpaceId, patience: Duration) {
        let slot = self.slot(space);
        slot.empty_within(patience);
        slot.close_idle();
    }

    /// Closes everything idle, writing logs back into their files.
    pub fn close(&self) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).iter().map(|(_, slot)| slot.clone()).collect();
        slots.iter().for_each(|slot| slot.close_idle());
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        lock(&self.places.count).taken
    }

    fn slot(&self, space: SpaceId) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        slots.get_or_insert(space, || Arc::new(Slot::new(self.places.clone()))).clone()
    }

    /// A place for one more connection; where all are taken, that of one which nobody uses.
    fn place(&self) -> Result<Place> {
        let deadline = Instant::now() + TURN;
        let mut count = lock(&self.places.count);
        while count.taken >= self.max {
            let seen = count.changes;
            drop(count);
            if let Some(victim) = self.victim() {
                // With the closer that far behind, whoever opens pays for the closing: that slows the churn down.
                if let Err(TrySendError::Full(connection) | TrySendError::Disconnected(connection)) =
                    self.closer.try_send(victim)
                {
                    drop(connection);
                }
                count = lock(&self.places.count);
                continue;
            }
            count = lock(&self.places.count);
            if count.changes == seen {
                let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                    return Err(Error::new(
                        Code::Overloaded,
                        "The server has too much open just now. Try again in a moment.",
                    ));
                };
                count = self.places.changed.wait_timeout(count, rest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        count.taken += 1;
        Ok(Place(self.places.clone()))
    }

    fn shrink(&self) {
        let tenth = (self.open() / 10).max(1);
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
        Some(victim.connection)
    }
}

impl Slot {
    fn new(places: Arc<Places>) -> Self {
        Slot {
            idle: Mutex::new(Vec::new()),
            lent: Mutex::new(0),
            returned: Condvar::new(),
            writing: Mutex::new(false),
            written: Condvar::new(),
            shut: AtomicBool::new(false),
            places,
        }
    }

    /// Waits until none of its connections is lent. Says whether it came to that.
    fn empty_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut lent = lock(&self.lent);
        while *lent > 0 {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return false };
            lent = self.returned.wait_timeout(lent, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn close_idle(&self) {
        // Taken out first: closing may take the disk some time, and the lock is for moments.
        let idle = std::mem::take(&mut *lock(&self.idle));
        if self.shut.load(Ordering::SeqCst) {
            idle.iter().for_each(Idle::abandon);
        }
        drop(idle);
    }
}

/// A place held in a slot while a connection of it is opened and used.
pub struct Loan(Arc<Slot>);

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
            drop(kept);
            slot.places.change(|_| {});
        } else if slot.shut.load(Ordering::SeqCst) {
            idle.abandon();
        }
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
