//! The work pool: blocking work on a bounded number of threads, shared fairly between spaces.
//!
//! Whoever asks most does not get most: the threads go round the spaces that have something waiting, one unit of work
//! each. A space writes one thing at a time, as its file does, so that a second write waits here and not on a thread; it
//! reads as many at a time as there are processors. A client that goes away takes nothing with it: work that has begun
//! runs to its end, and knows by when that has to be ([`deadline`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use locule::{Code, Error, Result, deadline};
use tokio::sync::oneshot;

/// What a unit of work does to its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only looks.
    Read,
    /// It may change something.
    Write,
}

/// Whose turn a unit of work takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share(pub u64);

/// How much may wait for one space, and in all, before more is turned away.
const WAITING_PER_SHARE: usize = 512;
const WAITING: usize = 8_192;

type Job = Box<dyn FnOnce() + Send>;

/// The pool. Its threads end when it is dropped.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    something: Condvar,
    readers_max: usize,
}

#[derive(Default)]
struct State {
    queues: HashMap<Share, Queue>,
    /// The shares that have a unit of work which may begin, in the order of their turns. Each stands here once.
    turns: VecDeque<Share>,
    waiting: usize,
    stopped: bool,
}

#[derive(Default)]
struct Queue {
    reads: VecDeque<Job>,
    writes: VecDeque<Job>,
    reading: usize,
    writing: bool,
    has_turn: bool,
    /// Reads and writes of one share take turns too.
    write_next: bool,
}

impl Pool {
    /// A pool of so many threads.
    pub fn new(workers: usize) -> Self {
        let readers_max = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared { state: Mutex::default(), something: Condvar::new(), readers_max });
        for _ in 0..workers.max(1) {
            let shared = shared.clone();
            std::thread::spawn(move || shared.work());
        }
        Pool { shared }
    }

    /// Runs `work` when its turn comes, and answers what it gives; after `allowed` an error, though the work goes on.
    pub async fn run<T: Send + 'static>(
        &self,
        share: Share,
        kind: Kind,
        allowed: Duration,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (give, take) = oneshot::channel();
        // What waits for something gives up a little sooner than we, so that its own reason is what the caller hears.
        let end = Instant::now() + allowed - allowed / 10;
        self.shared.push(
            share,
            kind,
            Box::new(move || {
                // Nobody waits any more: what has not begun need not.
                if !give.is_closed() {
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| deadline::within(end, work)));
                    let _ = give.send(done.unwrap_or_else(|_| Err(Error::internal("the work panicked"))));
                }
            }),
        )?;
        match tokio::time::timeout(allowed, take).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal("the work was dropped")),
            Err(_) => {
                Err(Error::new(Code::Deadline, "This took longer than the server allows. Ask for less at a time."))
            }
        }
    }

    /// How many units of work wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.something.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it; if something ever does, the queues are whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, share: Share, kind: Kind, job: Job) -> Result<()> {
        let mut state = self.lock();
        if state.waiting >= WAITING {
            return Err(Error::new(
                Code::Overloaded,
                "The server has more to do than it can take. Try again in a moment.",
            ));
        }
        let queue = state.queues.entry(share).or_default();
        if queue.reads.len() + queue.writes.len() >= WAITING_PER_SHARE {
            return Err(Error::new(
                Code::RateLimited,
                "Too many requests of yours are waiting. Try again in a moment.",
            ));
        }
        match kind {
            Kind::Read => queue.reads.push_back(job),
            Kind::Write => queue.writes.push_back(job),
        }
        state.waiting += 1;
        if state.give_turn(share, self.readers_max) {
            drop(state);
            self.something.notify_one();
        }
        Ok(())
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return;
            }
            let Some((share, kind, job)) = state.take(self.readers_max) else {
                state = self.something.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            job();
            state = self.lock();
            if state.finish(share, kind, self.readers_max) {
                // The turn just given may as well be taken by this thread; wake another only if there are more.
                if state.turns.len() > 1 {
                    self.something.notify_one();
                }
            }
        }
    }
}

impl State {
    /// Puts the share in the row of turns if it has work that may begin; says whether it was put there.
    fn give_turn(&mut self, share: Share, readers_max: usize) -> bool {
        let Some(queue) = self.queues.get_mut(&share) else { return false };
        if queue.has_turn || queue.next(readers_max).is_none() {
            return false;
        }
        queue.has_turn = true;
        self.turns.push_back(share);
        true
    }

    fn take(&mut self, readers_max: usize) -> Option<(Share, Kind, Job)> {
        while let Some(share) = self.turns.pop_front() {
            let Some(queue) = self.queues.get_mut(&share) else { continue };
            queue.has_turn = false;
            let Some(kind) = queue.next(readers_max) else { continue };
            let job = match kind {
                Kind::Read => {
                    queue.reading += 1;
                    queue.reads.pop_front()
                }
                Kind::Write => {
                    queue.writing = true;
                    queue.writes.pop_front()
                }
            };
            queue.write_next = kind == Kind::Read;
            self.waiting -= 1;
            self.give_turn(share, readers_max);
            return job.map(|job| (share, kind, job));
        }
        None
    }

    /// Notes that a unit of work is done; says whether that lets another begin.
    fn finish(&mut self, share: Share, kind: Kind, readers_max: usize) -> bool {
        let Some(queue) = self.queues.get_mut(&share) else { return false };
        match kind {
            Kind::Read => queue.reading -= 1,
            Kind::Write => queue.writing = false,
        }
        if queue.is_empty() {
            self.queues.remove(&share);
            return false;
        }
        self.give_turn(share, readers_max)
    }
}

impl Queue {
    /// What may begin now.
    fn next(&self, readers_max: usize) -> Option<Kind> {
        let read = !self.reads.is_empty() && self.reading < readers_max;
        let write = !self.writes.is_empty() && !self.writing;
        match (read, write) {
            (true, true) if self.write_next => Some(Kind::Write),
            (true, _) => Some(Kind::Read),
            (false, true) => Some(Kind::Write),
            (false, false) => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty() && self.reading == 0 && !self.writing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// One thread, held by a first job, so that the order of the rest can be seen.
    fn order_of(jobs: &[(u64, Kind)]) -> Vec<u64> {
        let pool = Pool::new(1);
        let (hold, held) = channel::<()>();
        let (begun, beginning) = channel();
        let first: Job = Box::new(move || {
            let _ = begun.send(());
            let _ = held.recv();
        });
        pool.shared.push(Share(0), Kind::Read, first).unwrap();
        beginning.recv().unwrap();
        let (done, doing) = channel();
        for &(share, kind) in jobs {
            let done = done.clone();
            pool.shared.push(Share(share), kind, Box::new(move || done.send(share).unwrap())).unwrap();
        }
        drop(done);
        hold.send(()).unwrap();
        doing.iter().collect()
    }

    #[test]
    fn a_noisy_share_does_not_hold_up_a_quiet_one() {
        let mut jobs = vec![(1, Kind::Read); 50];
        jobs.push((2, Kind::Read));
        jobs.push((3, Kind::Write));
        let order = order_of(&jobs);
        assert_eq!(order.len(), 52);
        assert!(order[..4].contains(&2) && order[..4].contains(&3), "{order:?}");
    }

    #[test]
    fn a_share_writes_one_thing_at_a_time() {
        let mut state = State::default();
        for _ in 0..3 {
            state.queues.entry(Share(1)).or_default().writes.push_back(Box::new(|| {}));
            state.waiting += 1;
        }
        state.give_turn(Share(1), 2);
        assert!(matches!(state.take(2), Some((Share(1), Kind::Write, _))));
        assert!(state.take(2).is_none());
        assert!(state.finish(Share(1), Kind::Write, 2));
        assert!(state.take(2).is_some());
    }

    #[test]
    fn what_is_too_much_is_turned_away() {
        let pool = Pool::new(1);
        let (hold, held) = channel::<()>();
        let (begun, beginning) = channel();
        let first: Job = Box::new(move || {
            let _ = begun.send(());
            let _ = held.recv();
        });
        pool.shared.push(Share(1), Kind::Write, first).unwrap();
        beginning.recv().unwrap();
        for _ in 0..WAITING_PER_SHARE {
            pool.shared.push(Share(1), Kind::Write, Box::new(|| {})).unwrap();
        }
        let refused = pool.shared.push(Share(1), Kind::Write, Box::new(|| {}));
        assert_eq!(refused.map_err(|error| error.code()), Err(Code::RateLimited));
        assert!(pool.shared.push(Share(2), Kind::Write, Box::new(|| {})).is_ok());
        drop(hold);
    }
}
