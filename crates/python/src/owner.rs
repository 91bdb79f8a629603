//! Which process holds an open engine. A forked child has copies of its locks, connections and threads' work, of which nothing
//! may be touched: not used, and not even closed.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use locule::{Config, Engine};

use crate::failure::Failure;

/// How many engines are open in the process that opened them, and which that is. A database library keeps what it knows of
/// its files per process, and a child inherits that while its parent has one open: it must not open any either.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// An engine that can be closed while others use it: they finish, and nobody begins.
pub struct Owner {
    engine: RwLock<Option<Arc<Held>>>,
    process: u32,
}

impl Owner {
    /// Opens an installation for this process.
    pub fn open(config: impl FnOnce() -> locule::Result<Config>) -> Result<Self, Failure> {
        let process = std::process::id();
        if OPEN.load(Ordering::Acquire) > 0 && PROCESS.load(Ordering::Acquire) != process {
            return Err(Failure::Forked);
        }
        let engine = Engine::open(config()?)?;
        PROCESS.store(process, Ordering::Release);
        OPEN.fetch_add(1, Ordering::AcqRel);
        let held = Arc::new(Held { engine: Some(engine), process });
        Ok(Owner { engine: RwLock::new(Some(held)), process })
    }

    /// Does `work` with the engine.
    pub fn with<T>(&self, work: impl FnOnce(&Engine) -> Result<T, Failure>) -> Result<T, Failure> {
        self.check_process()?;
        let held = self.engine.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Failure::Closed)?;
        work(held.engine.as_ref().ok_or(Failure::Closed)?)
    }

    /// Closes it. Closing twice is closing once, and in a forked child it is nothing at all.
    pub fn close(&self) -> Result<(), Failure> {
        if self.check_process().is_err() {
            return Ok(());
        }
        let held = self.engine.write().unwrap_or_else(PoisonError::into_inner).take();
        match held.as_ref().and_then(|held| held.engine.as_ref()) {
            Some(engine) => Ok(engine.close()?),
            None => Ok(()),
        }
    }

    /// Before any lock is taken: one that another thread held at the fork is held for ever in the child.
    fn check_process(&self) -> Result<(), Failure> {
        if self.process == std::process::id() { Ok(()) } else { Err(Failure::Forked) }
    }
}

/// An engine, and the process it may be closed in.
struct Held {
    /// `None` when it is being dropped.
    engine: Option<Engine>,
    process: u32,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            drop(self.engine.take());
            OPEN.fetch_sub(1, Ordering::AcqRel);
        } else {
            std::mem::forget(self.engine.take());
        }
    }
}
