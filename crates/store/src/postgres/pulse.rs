//! Whether a server is heard of. What one journey has waited for in vain, no other waits for as well: while a server is silent,
//! one journey at a time tries it and all others fail at once, until one is answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use locule_core::{Result, deadline};

use crate::error::silent;

/// How long a journey tries a server that was silent. Short, for one that set out on a way that leads nowhere any more would
/// otherwise keep the next from noticing that there is another.
const TRY: Duration = Duration::from_secs(3);

/// A journey that ended sooner says nothing about the server: there was hardly any time left for it.
const TELLING: Duration = Duration::from_millis(500);

/// One server's, for all who have connections to it.
pub struct Pulse {
    start: Instant,
    /// When it was last heard of, in microseconds from the start.
    heard: AtomicU64,
    is_silent: AtomicBool,
    silence: Mutex<Silence>,
}

#[derive(Default)]
struct Silence {
    /// How many there were, with the one that lasts.
    count: u64,
    tried: bool,
}

/// A question on its way to the server.
pub struct Journey<'a> {
    pulse: &'a Pulse,
    began: Instant,
    tries: bool,
}

impl Pulse {
    /// Of a server that is taken to be well.
    pub fn new() -> Self {
        Pulse {
            start: Instant::now(),
            heard: AtomicU64::new(0),
            is_silent: AtomicBool::new(false),
            silence: Mutex::default(),
        }
    }

    /// Sets out, unless the server is silent and somebody is trying it already.
    pub fn journey(&self) -> Result<Journey<'_>> {
        let mut tries = false;
        if self.is_silent() {
            let mut silence = self.silence();
            // It may have been heard of by now.
            tries = self.is_silent();
            if tries && std::mem::replace(&mut silence.tried, true) {
                return Err(silent());
            }
        }
        Ok(Journey { pulse: self, began: Instant::now(), tries })
    }

    /// Whether nobody has heard of it for as long as somebody was patient.
    pub fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Acquire)
    }

    /// Passes unless a journey would not even set out. For those who would otherwise wait in a row behind the one that tries.
    pub fn check(&self) -> Result<()> {
        if self.is_silent() && self.silence().tried { Err(silent()) } else { Ok(()) }
    }

    /// How many silences there were. A connection that is older than the last one may lead nowhere.
    pub fn silences(&self) -> u64 {
        self.silence().count
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn microseconds(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.start).as_micros() as u64
    }
}

impl Journey<'_> {
    /// How long to wait for the answer, for which others have this much patience.
    pub fn patience(&self, usual: Duration) -> Duration {
        deadline::rest(if self.tries { usual.min(TRY) } else { usual })
    }

    /// The server has said something, whatever it was.
    pub fn answered(self) {
        let pulse = self.pulse;
        pulse.heard.store(pulse.microseconds(Instant::now()), Ordering::Relaxed);
        if pulse.is_silent.load(Ordering::Relaxed) {
            let _silence = pulse.silence();
            pulse.is_silent.store(false, Ordering::Release);
        }
    }

    /// It has said nothing for as long as there was patience. It is silent if nobody else has heard of it lately either: then
    /// it was not only slow with this one question. (Its last words to others may have come after this question went out.)
    pub fn in_vain(self) {
        let pulse = self.pulse;
        let waited = self.began.elapsed();
        let heard_lately = pulse.heard.load(Ordering::Relaxed) >= pulse.microseconds(self.began + waited / 2);
        if heard_lately || waited < TELLING {
            return;
        }
        let mut silence = pulse.silence();
        if !pulse.is_silent.swap(true, Ordering::AcqRel) {
            silence.count += 1;
            silence.tried = false;
            tracing::warn!("the database is silent; requests that need it are turned away until it answers");
        }
    }
}

impl Drop for Journey<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.pulse.silence().tried = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(8);

    /// A journey that has been under way for so long.
    fn since(pulse: &Pulse, ago: Duration) -> Journey<'_> {
        let mut journey = pulse.journey().unwrap();
        journey.began = Instant::now().checked_sub(ago).unwrap();
        journey
    }

    fn pulse() -> Pulse {
        Pulse { start: Instant::now().checked_sub(LONG * 10).unwrap(), ..Pulse::new() }
    }

    #[test]
    fn while_a_server_is_silent_one_tries_it_and_the_others_fail_at_once() {
        let pulse = pulse();
        since(&pulse, LONG).in_vain();
        assert_eq!(pulse.silences(), 1);
        let trying = pulse.journey().unwrap();
        assert_eq!(trying.patience(LONG), TRY);
        assert!(pulse.journey().is_err() && pulse.check().is_err());
        // In vain again: it is still the same silence, and the next one tries.
        trying.in_vain();
        assert!(pulse.check().is_ok());
        let trying = pulse.journey().unwrap();
        assert!(pulse.journey().is_err());
        trying.answered();
        assert_eq!((pulse.silences(), pulse.journey().unwrap().patience(LONG)), (1, LONG));
        assert!(pulse.journey().is_ok() && pulse.check().is_ok());
    }

    #[test]
    fn one_slow_question_is_no_silence() {
        let pulse = pulse();
        let slow = since(&pulse, LONG);
        pulse.journey().unwrap().answered();
        slow.in_vain();
        // Nor is one for which there was hardly any time.
        since(&pulse, Duration::from_millis(100)).in_vain();
        assert_eq!(pulse.silences(), 0);
    }

    #[test]
    fn last_words_to_others_are_not_taken_for_a_sign_of_life() {
        let pulse = pulse();
        let journey = since(&pulse, LONG);
        pulse.heard.store(pulse.microseconds(journey.began) + 10_000, Ordering::Relaxed);
        journey.in_vain();
        assert_eq!(pulse.silences(), 1);
    }

    #[test]
    fn whoever_is_heard_of_after_all_is_silent_no_longer() {
        let pulse = pulse();
        let (patient, impatient) = (since(&pulse, LONG), since(&pulse, LONG));
        impatient.in_vain();
        patient.answered();
        assert!(pulse.journey().is_ok() && pulse.journey().is_ok());
    }
}
