//! Whether anything has changed: one question to the database serves all who ask it at the same time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use locule_core::{Error, Result, deadline};

use crate::error::silent;
use crate::group::again;

/// What the directory is marked with, as long as no answer changes. One it had before is never had again.
pub type Mark = [u8; 16];

/// How long somebody waits for a look that is under way, if the work has not to be done sooner. A look gives up by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The looks at the mark, one after the other.
pub struct Checks {
    state: Mutex<State>,
    ended: Condvar,
    look: Box<dyn Fn() -> Result<Mark> + Send + Sync>,
    /// Whether the database is silent: then one looks, and nobody waits for them.
    is_silent: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Looks are numbered 1, 2, 3 … in the order in which they begin.
struct State {
    begun: u64,
    ended: u64,
    outcome: Result<Mark>,
    /// When the last that has ended began, unless something was written from here since.
    seen: Option<Instant>,
    /// When the one under way began.
    under_way: Option<Instant>,
}

impl Checks {
    /// Looks as `look` does.
    pub fn new(
        look: Box<dyn Fn() -> Result<Mark> + Send + Sync>,
        is_silent: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        let state = State {
            begun: 0,
            ended: 0,
            outcome: Err(Error::internal("nobody has looked yet")),
            seen: None,
            under_way: None,
        };
        Checks { state: Mutex::new(state), ended: Condvar::new(), look, is_silent }
    }

    /// Something was written from here, or somebody has reason to think that it was elsewhere: what was seen is not what is.
    pub fn outdate(&self) {
        let mut state = self.lock();
        (state.seen, state.under_way) = (None, None);
    }

    /// The mark as it was at a moment after this call began, or after the unit of work began that it is part of, with the
    /// number of the look that saw it.
    ///
    /// A look that is under way may have seen what was there before somebody else's write returned, so it does not serve. The
    /// next does, for everybody who has come by the time it begins.
    pub fn fresh(&self) -> Result<(u64, Mark)> {
        let mut state = self.lock();
        if let (Some(began), Some(seen), Ok(mark)) = (deadline::began(), state.seen, &state.outcome)
            && seen >= began
        {
            return Ok((state.ended, *mark));
        }
        let next = state.begun + 1;
        loop {
            if state.ended >= next {
                return match &state.outcome {
                    Ok(mark) => Ok((state.ended, *mark)),
                    Err(error) => Err(again(error)),
                };
            }
            if state.ended < state.begun {
                if (self.is_silent)() {
                    return Err(silent());
                }
                let waited = self.ended.wait_timeout(state, deadline::rest(PATIENCE));
                let (again, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                if waited.timed_out() {
                    return Err(silent());
                }
                state = again;
                continue;
            }
            state.begun += 1;
            state.under_way = Some(Instant::now());
            drop(state);
            let mut look = Look { checks: self, outcome: Err(Error::internal("a look was given up")) };
            look.outcome = (self.look)();
            drop(look);
            state = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look under way. However it ends, it does, and nobody waits for it for ever.
struct Look<'a> {
    checks: &'a Checks,
    outcome: Result<Mark>,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let mut state = self.checks.lock();
        state.ended = state.begun;
        state.seen = state.under_way.take();
        state.outcome = std::mem::replace(&mut self.outcome, Ok([0; 16]));
        self.checks.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_look_is_never_older_than_the_question_and_serves_many() {
        let (value, looks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let checks = Checks::new(
            Box::new({
                let (value, looks) = (value.clone(), looks.clone());
                move || {
                    looks.fetch_add(1, Ordering::Relaxed);
                    let seen = value.load(Ordering::SeqCst);
                    std::thread::sleep(Duration::from_micros(200));
                    let mut mark = [0; 16];
                    mark[..8].copy_from_slice(&seen.to_be_bytes());
                    Ok(mark)
                }
            }),
            Box::new(|| false),
        );
        let asks = 500;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..asks {
                        let before = value.fetch_add(1, Ordering::SeqCst) + 1;
                        let (_, mark) = checks.fresh().unwrap();
                        let seen = u64::from_be_bytes(mark[..8].try_into().unwrap());
                        assert!(seen >= before, "{seen} was seen after {before} was written");
                    }
                });
            }
        });
        let looks = looks.load(Ordering::Relaxed);
        assert!(looks < 8 * asks / 2, "{looks} looks for {} questions", 8 * asks);
    }

    #[test]
    fn a_unit_of_work_looks_once_unless_something_was_written() {
        let looks = Arc::new(AtomicU64::new(0));
        let count = looks.clone();
        let look = move || Ok([count.fetch_add(1, Ordering::Relaxed) as u8; 16]);
        let checks = Checks::new(Box::new(look), Box::new(|| false));
        let end = Instant::now() + PATIENCE;
        let ask = || checks.fresh().unwrap().1[0];
        assert_eq!((ask(), ask()), (0, 1), "without a unit each question has its own look");
        deadline::within(end, || {
            assert_eq!((ask(), ask(), ask()), (2, 2, 2));
            deadline::within(end, || assert_eq!(ask(), 2));
            checks.outdate();
            assert_eq!((ask(), ask()), (3, 3));
        });
        // What one unit has seen is no answer for the next, which may have come after somebody's write.
        deadline::within(end, || assert_eq!((ask(), ask()), (4, 4)));
        assert_eq!(looks.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_look_that_fails_or_panics_is_over() {
        let count = AtomicU64::new(0);
        let checks = Checks::new(
            Box::new(move || match count.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => resume_unwind(Box::new("a fault")),
                1 => Err(Error::not_found()),
                _ => Ok([7; 16]),
            }),
            Box::new(|| false),
        );
        for _ in 0..3 {
            assert!(catch_unwind(AssertUnwindSafe(|| checks.fresh())).is_err());
            assert!(checks.fresh().is_err());
            assert_eq!(checks.fresh().unwrap().1, [7; 16]);
        }
    }
}
