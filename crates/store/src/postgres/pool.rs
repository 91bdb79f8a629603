//! Open connections, a bounded number of them. Each goes through one door (a login to a database) for as long as it lives;
//! one that is lent out is nobody else's until it is given back, rolled back and reset, or closed.

use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use locule_core::{Code, Error, Result, deadline};
use lru::LruCache;

use super::connection::Connection;

/// How long somebody waits for a connection when all are in use.
const TURN: Duration = Duration::from_secs(5);

/// A connection is not kept for longer, so that one through which a server has grown large goes some time.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// What opens a connection through a door.
pub type Opener<Door> = Box<dyn Fn(Door) -> Result<Connection> + Send + Sync>;

/// All open connections.
pub struct Pool<Door: Hash + Eq + Copy>(Arc<Shared<Door>>);

struct Shared<Door: Hash + Eq + Copy> {
    held: Mutex<Held<Door>>,
    given_back: Condvar,
    max: usize,
    opener: Opener<Door>,
}

struct Held<Door: Hash + Eq + Copy> {
    idle: LruCache<Door, Vec<Kept>>,
    open: usize,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

impl<Door: Hash + Eq + Copy> Pool<Door> {
    /// At most `max` connections, opened by `opener`.
    pub fn new(max: usize, opener: Opener<Door>) -> Self {
        let held = Mutex::new(Held { idle: LruCache::unbounded(), open: 0 });
        Pool(Arc::new(Shared { held, given_back: Condvar::new(), max: max.max(1), opener }))
    }

    /// A connection through this door, one that is open already if there is one.
    pub fn lend(&self, door: Door) -> Result<Lent<Door>> {
        let deadline = Instant::now() + deadline::rest(TURN);
        let mut held = self.0.lock();
        loop {
            if let Some(kept) = held.take(door) {
                return Ok(self.lent(door, kept));
            }
            if held.open < self.0.max || held.close_one() {
                held.open += 1;
                drop(held);
                return self.open(door);
            }
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                return Err(Error::new(
                    Code::Overloaded,
                    "All connections to the database are in use. Try again in a moment.",
                ));
            };
            held = self.0.given_back.wait_timeout(held, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A connection that was opened just now: for whoever found an old one dead.
    pub fn lend_fresh(&self, door: Door) -> Result<Lent<Door>> {
        // The others through this door are most likely dead as well.
        self.close(door);
        self.lend(door)
    }

    /// Closes what is idle behind a door.
    pub fn close(&self, door: Door) {
        let mut held = self.0.lock();
        let closed = held.idle.pop(&door).unwrap_or_default();
        held.open -= closed.len();
        drop(held);
        self.0.given_back.notify_all();
    }

    /// Closes everything idle.
    pub fn close_all(&self) {
        let doors: Vec<Door> = self.0.lock().idle.iter().map(|(door, _)| *door).collect();
        doors.into_iter().for_each(|door| self.close(door));
    }

    /// How many connections are open.
    pub fn count(&self) -> usize {
        self.0.lock().open
    }

    fn open(&self, door: Door) -> Result<Lent<Door>> {
        match (self.0.opener)(door) {
            Ok(connection) => Ok(self.lent(door, Kept { connection, since: Instant::now() })),
            Err(error) => {
                self.0.gone();
                Err(error)
            }
        }
    }

    fn lent(&self, door: Door, kept: Kept) -> Lent<Door> {
        Lent { kept: Some(kept), door, shared: self.0.clone() }
    }
}

impl<Door: Hash + Eq + Copy> Shared<Door> {
    fn lock(&self) -> MutexGuard<'_, Held<Door>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) {
        self.lock().open -= 1;
        self.given_back.notify_one();
    }
}

impl<Door: Hash + Eq + Copy> Held<Door> {
    fn take(&mut self, door: Door) -> Option<Kept> {
        let idle = self.idle.get_mut(&door)?;
        while let Some(kept) = idle.pop() {
            let connection = &kept.connection;
            if !connection.is_spoiled() && !connection.is_stale() && kept.since.elapsed() < LIFETIME {
                return Some(kept);
            }
            self.open -= 1;
        }
        None
    }

    /// Closes the connection that was longest unused, if any is idle.
    fn close_one(&mut self) -> bool {
        while let Some((door, mut idle)) = self.idle.pop_lru() {
            let Some(victim) = idle.pop() else { continue };
            if !idle.is_empty() {
                // Still the longest unused.
                self.idle.put(door, idle);
                self.idle.demote(&door);
            }
            drop(victim);
            self.open -= 1;
            return true;
        }
        false
    }
}

/// A connection that is lent out.
pub struct Lent<Door: Hash + Eq + Copy> {
    kept: Option<Kept>,
    door: Door,
    shared: Arc<Shared<Door>>,
}

impl<Door: Hash + Eq + Copy> Deref for Lent<Door> {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "it is taken out only when it is dropped")]
    fn deref(&self) -> &Connection {
        &self.kept.as_ref().expect("it is lent").connection
    }
}

impl<Door: Hash + Eq + Copy> Drop for Lent<Door> {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        if kept.connection.is_spoiled() {
            drop(kept);
            self.shared.gone();
            return;
        }
        let mut held = self.shared.lock();
        match held.idle.get_mut(&self.door) {
            Some(idle) => idle.push(kept),
            None => drop(held.idle.put(self.door, vec![kept])),
        }
        drop(held);
        self.shared.given_back.notify_one();
    }
}
