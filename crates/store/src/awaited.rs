//! A layout on a cluster that is looked at before anything is served from it, and that a server may start without: until the
//! cluster answers and is what it should be, its users are told to come again, and everybody else is served.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use locule_core::id::SpaceId;
use locule_core::{Code, Error, Result};

use crate::error::{is_not_set_up, silent};
use crate::layout::{Destroyed, Layout};
use crate::tx::Tx;

/// What must be so before a cluster is served from. One for all layouts on it.
pub struct Trial {
    cluster: String,
    check: Box<dyn Fn() -> Result<()> + Send + Sync>,
    passed: AtomicBool,
    trying: Mutex<()>,
}

impl Trial {
    /// By this check, which has not been made yet.
    pub fn new(cluster: &str, check: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Trial {
            cluster: cluster.to_owned(),
            check: Box::new(check),
            passed: AtomicBool::new(false),
            trying: Mutex::default(),
        }
    }

    /// As a server starts: a cluster that does not answer is waited for; one that is not set up, or holds its users apart no
    /// more, is refused.
    pub fn begin(&self) -> Result<()> {
        match (self.check)() {
            Ok(()) => self.passed.store(true, Ordering::Release),
            Err(error) if error.code() == Code::BackendUnavailable && !is_not_set_up(&error) => {
                tracing::warn!(cluster = self.cluster, %error, "the cluster does not answer; its users wait until it does");
            }
            Err(error) => {
                let said = format!("The cluster {}: {}", self.cluster, error.detail());
                return Err(Error::new(error.code(), said).because(error));
            }
        }
        Ok(())
    }

    /// Passes once the cluster has answered and is what it should be. One at a time looks; everybody else is told at once.
    fn pass(&self) -> Result<()> {
        if self.passed.load(Ordering::Acquire) {
            return Ok(());
        }
        let Ok(_trying) = self.trying.try_lock() else { return Err(silent()) };
        if self.passed.load(Ordering::Acquire) {
            return Ok(());
        }
        match (self.check)() {
            Ok(()) => {
                tracing::info!(cluster = self.cluster, "the cluster answers, and its users are served");
                self.passed.store(true, Ordering::Release);
                Ok(())
            }
            Err(error) if error.code() == Code::BackendUnavailable => Err(error),
            Err(error) => {
                tracing::error!(cluster = self.cluster, %error, "the cluster answers, and nothing is served from it");
                Err(silent())
            }
        }
    }
}

/// A layout on such a cluster.
pub struct Awaited {
    layout: Box<dyn Layout>,
    trial: Arc<Trial>,
}

impl Awaited {
    /// This layout, on the cluster of this trial.
    pub fn new(layout: Box<dyn Layout>, trial: Arc<Trial>) -> Self {
        Awaited { layout, trial }
    }
}

impl Layout for Awaited {
    fn read(&self, space: SpaceId) -> Result<Box<dyn Tx>> {
        self.trial.pass()?;
        self.layout.read(space)
    }

    fn write(&self, space: SpaceId) -> Result<Box<dyn Tx>> {
        self.trial.pass()?;
        self.layout.write(space)
    }

    fn read_empty(&self) -> Result<Box<dyn Tx>> {
        self.layout.read_empty()
    }

    fn create(&self, space: SpaceId) -> Result<()> {
        self.trial.pass()?;
        self.layout.create(space)
    }

    fn shut(&self, space: SpaceId, patience: Duration) {
        self.layout.shut(space, patience);
    }

    fn leave(&self, space: SpaceId, patience: Duration) {
        self.layout.leave(space, patience);
    }

    fn destroy(&self, space: SpaceId) -> Result<Destroyed> {
        self.trial.pass()?;
        self.layout.destroy(space)
    }

    fn tidy(&self, space: SpaceId) {
        self.layout.tidy(space);
    }

    fn residue(&self, space: SpaceId) -> Vec<String> {
        // Where it cannot be looked, something may be left.
        match self.trial.pass() {
            Ok(()) => self.layout.residue(space),
            Err(_) => vec![self.layout.whereabouts(space)],
        }
    }

    fn only_here(&self, space: SpaceId) -> Result<Vec<String>> {
        self.trial.pass()?;
        self.layout.only_here(space)
    }

    fn whereabouts(&self, space: SpaceId) -> String {
        self.layout.whereabouts(space)
    }

    fn close(&self) {
        self.layout.close();
    }

    fn open_connections(&self) -> usize {
        self.layout.open_connections()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Answers with these codes in turn, and well after them.
    fn trial(codes: &'static [Code]) -> (Trial, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let check = move || match codes.get(counter.fetch_add(1, Ordering::SeqCst)) {
            Some(code) => Err(Error::new(*code, "not now")),
            None => Ok(()),
        };
        (Trial::new("east", check), asked)
    }

    #[test]
    fn a_cluster_that_is_away_is_waited_for_and_looked_at_when_it_is_back() {
        let (trial, asked) = trial(&[Code::BackendUnavailable, Code::BackendUnavailable, Code::NotAllowed]);
        trial.begin().unwrap();
        for _ in 0..2 {
            // Away, and then back with something wrong: either way nobody is served.
            assert_eq!(trial.pass().unwrap_err().code(), Code::BackendUnavailable);
        }
        trial.pass().unwrap();
        trial.pass().unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_cluster_that_holds_nobody_apart_stops_the_start() {
        let (trial, _) = trial(&[Code::NotAllowed]);
        let refused = trial.begin().unwrap_err();
        assert_eq!(refused.code(), Code::NotAllowed);
        assert!(refused.detail().contains("east"), "{refused}");
    }

    #[test]
    fn one_looks_and_the_others_are_told_at_once() {
        let (trial, asked) = trial(&[]);
        let looking = trial.trying.lock().unwrap();
        assert_eq!(trial.pass().unwrap_err().code(), Code::BackendUnavailable);
        drop(looking);
        trial.pass().unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
