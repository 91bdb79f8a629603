//! Which process holds an open engine. A forked child has copies of its locks, connections and threads' work, of which nothing
//! may be touched: not used, and not even closed.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use locule::Engine;
use locule::work::Workers;

use crate::failure::Failure;

/// How many engines are open in the process that opened them, and which that is. A database library keeps what it knows of
/// its files per process, and a child inherits that while its parent has one open: it must not open any either.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// An engine that can be closed while others use it: they finish, and nobody begins.
pub struct Owner {
    held: RwLock<Option<Arc<Held>>>,
    process: u32,
}

impl Owner {
    /// Opens an installation for this process.
    pub fn open(open: impl FnOnce() -> locule::Result<Engine>) -> Result<Self, Failure> {
        let process = std::process::id();
        if OPEN.load(Ordering::Acquire) > 0 && PROCESS.load(Ordering::Acquire) != process {
            return Err(Failure::Forked);
        }
        let held = Held::new(open()?, process);
        PROCESS.store(process, Ordering::Release);
        OPEN.fetch_add(1, Ordering::AcqRel);
        Ok(Owner { held: RwLock::new(Some(Arc::new(held))), process })
    }

    /// Does `work` with the engine.
    pub fn with<T>(&self, work: impl FnOnce(&Engine) -> Result<T, Failure>) -> Result<T, Failure> {
        self.check_process()?;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Failure::Closed)?;
        work(held.engine.as_ref().ok_or(Failure::Closed)?)
    }

    /// Closes it. Closing twice is closing once, and in a forked child it is nothing at all.
    pub fn close(&self) -> Result<(), Failure> {
        if self.check_process().is_err() {
            return Ok(());
        }
        let held = self.held.write().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever is in a call still has it, and the last of them ends it.
        match held.and_then(Arc::into_inner) {
            Some(held) => held.end(),
            None => Ok(()),
        }
    }

    /// Before any lock is taken: one that another thread held at the fork is held for ever in the child.
    fn check_process(&self) -> Result<(), Failure> {
        if self.process == std::process::id() { Ok(()) } else { Err(Failure::Forked) }
    }
}

/// An engine, those who do its jobs, and the process they may be closed in.
struct Held {
    /// `None` when it is being dropped.
    engine: Option<Arc<Engine>>,
    /// There are some where a model is configured: without one nothing is done behind an answer.
    workers: Option<Workers>,
    process: u32,
}

impl Held {
    fn new(engine: Engine, process: u32) -> Self {
        let engine = Arc::new(engine);
        let workers = engine.chat().is_some().then(|| engine.start_workers());
        Held { engine: Some(engine), workers, process }
    }

    /// Has the workers finish what they are at, and tells the directory the last figures.
    fn end(mut self) -> Result<(), Failure> {
        drop(self.workers.take());
        match &self.engine {
            Some(engine) => Ok(engine.close()?),
            None => Ok(()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (engine, workers) = (self.engine.take(), self.workers.take());
        let is_waited_for = workers.is_some();
        if self.process != std::process::id() {
            std::mem::forget((engine, workers));
            return;
        }
        let end = move || {
            drop(workers);
            drop(engine);
            OPEN.fetch_sub(1, Ordering::AcqRel);
        };
        // Python drops it where it stands, with the interpreter's lock: nobody is to wait there for a model.
        if is_waited_for {
            std::thread::spawn(end);
        } else {
            end();
        }
    }
}
