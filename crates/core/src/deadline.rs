//! By when the work of this thread has to be done. Whoever starts a unit of work says so once, and whatever waits in it, for a
//! database or for a turn, waits no longer, without a parameter in every call between the two. It also tells when the work began,
//! so that what need be asked only once in it is asked once.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static UNIT: Cell<Option<Unit>> = const { Cell::new(None) };
}

/// A unit of work.
#[derive(Clone, Copy)]
struct Unit {
    began: Instant,
    end: Instant,
}

/// Does `work`, in which nothing waits beyond `end`, nor beyond what was said outside of this.
pub fn within<T>(end: Instant, work: impl FnOnce() -> T) -> T {
    let before = UNIT.get();
    let _restored = Restored(before);
    let outermost = Unit { began: Instant::now(), end };
    UNIT.set(Some(before.map_or(outermost, |before| Unit { end: before.end.min(end), ..before })));
    work()
}

/// When the unit of work began that this is part of, if it is part of one. What was true at any later moment may be answered
/// from for all of it: nobody can tell such an answer from one that came sooner.
pub fn began() -> Option<Instant> {
    UNIT.get().map(|unit| unit.began)
}

/// How long to wait for what is given `most` at other times.
///
/// ```
/// use std::time::{Duration, Instant};
/// use locule_core::deadline;
///
/// let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// assert_eq!(deadline::rest(hour), hour);
/// assert!(deadline::within(Instant::now() + second, || deadline::rest(hour)) <= second);
/// ```
pub fn rest(most: Duration) -> Duration {
    UNIT.get().map_or(most, |unit| most.min(unit.end.saturating_duration_since(Instant::now())))
}

/// Says again what was said outside, also if the work panics.
struct Restored(Option<Unit>);

impl Drop for Restored {
    fn drop(&mut self) {
        UNIT.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_end_counts_and_goes_with_its_work() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let now = Instant::now();
        within(now + second, || {
            within(now + minute, || assert!(rest(minute) <= second));
            let _ = std::panic::catch_unwind(|| within(now, || std::panic::resume_unwind(Box::new("a fault"))));
            assert!(rest(minute) > Duration::ZERO);
        });
        assert_eq!(rest(minute), minute);
        assert_eq!(within(now, || rest(minute)), Duration::ZERO);
    }
}
