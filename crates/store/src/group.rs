//! Group commit: those who wait for the same disk share one sync.
//!
//! The first to come becomes the leader and runs what has queued up in one transaction; those who come meanwhile queue
//! for the next. Each job runs inside a savepoint of its own, so that one which fails takes nobody with it.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use locule_core::{Code, Error, Result, deadline};

use crate::tx::Tx;

/// What one of those who wait wants done in the transaction. It neither begins nor ends it.
pub type Job = Box<dyn FnOnce(&dyn Tx) -> Result<()> + Send>;

/// A connection on which a group's transaction runs.
pub trait Bearer: Send {
    /// Begins the transaction.
    fn begin(&self) -> Result<()>;

    /// Ends it, durably.
    fn commit(&self) -> Result<()>;

    /// Marks where a job begins.
    fn mark(&self) -> Result<()>;

    /// Keeps what was done since the mark.
    fn keep(&self) -> Result<()>;

    /// Undoes what was done since the mark, and the mark.
    fn undo(&self) -> Result<()>;

    /// Whether the transaction has ended by itself.
    fn is_over(&self) -> bool;

    /// What a job sees of it.
    fn tx(&self) -> &dyn Tx;
}

/// What opens the connection, at first and after a failure.
pub type Opener<C> = Box<dyn Fn() -> Result<C> + Send + Sync>;

/// A connection whose writes are committed in groups.
pub struct Group<C> {
    queue: Mutex<VecDeque<(Job, Sender<Result<()>>)>>,
    /// None after a failure: whatever state it was in, nobody meets it again. Whoever waits for it may give up.
    connection: parking_lot::Mutex<Option<C>>,
    open: Opener<C>,
}

/// How long somebody waits for those before them, if the work has not to be done sooner.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many jobs one transaction takes.
const GROUP_MAX: usize = 256;

impl<C: Bearer> Group<C> {
    /// Writes go to a connection that `open` gives.
    pub fn new(open: Opener<C>) -> Self {
        Group { queue: Mutex::default(), connection: parking_lot::Mutex::new(None), open }
    }

    /// Runs `job` and returns when its effect is durable.
    pub fn run(&self, job: Job) -> Result<()> {
        let (done, finished) = channel();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back((job, done));
        self.lead_until(&finished)
    }

    /// Runs `work` on the connection between two groups, outside any transaction.
    pub fn between<T>(&self, work: impl FnOnce(&C) -> Result<T>) -> Result<T> {
        let mut held = self.connection.lock();
        let connection = held.take().map_or_else(|| (self.open)(), Ok)?;
        let result = work(&connection);
        *held = Some(connection);
        result
    }

    /// Leads groups until our own job is among those finished.
    fn lead_until(&self, finished: &Receiver<Result<()>>) -> Result<()> {
        let Some(mut held) = self.connection.try_lock_for(deadline::rest(PATIENCE)) else {
            // What has queued up may still be done, and nobody is told that it was.
            return Err(Error::new(
                Code::Busy,
                "Others who write to the directory are taking long. Try again in a moment.",
            ));
        };
        loop {
            match finished.try_recv() {
                // The leader before us may have taken our job along,
                Ok(result) => return result,
                // or have panicked with it.
                Err(TryRecvError::Disconnected) => return Err(Error::internal("the group was given up")),
                Err(TryRecvError::Empty) => {}
            }
            let jobs: Vec<_> = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let count = queue.len().min(GROUP_MAX);
                queue.drain(..count).collect()
            };
            // Taken out while it is in use, so that a panic closes it and with it what was begun.
            match self.begun(held.take()) {
                Ok(connection) => *held = run_group(&connection, jobs).then_some(connection),
                Err(error) => jobs.into_iter().for_each(|(_, done)| drop(done.send(Err(again(&error))))),
            }
        }
    }

    /// A connection on which the transaction has begun.
    fn begun(&self, kept: Option<C>) -> Result<C> {
        if let Some(kept) = kept {
            let asked = Instant::now();
            match kept.begin() {
                // Nothing was done on it yet: a new one may try.
                Err(error) if was_dead(&error, asked) => drop(kept),
                begun => return begun.map(|()| kept),
            }
        }
        let fresh = (self.open)()?;
        fresh.begin()?;
        Ok(fresh)
    }
}

/// Whether a connection may have died while nobody used it: then it says so at once.
pub fn was_dead(error: &Error, asked: Instant) -> bool {
    const AT_ONCE: Duration = Duration::from_secs(1);
    error.code() == Code::BackendUnavailable && asked.elapsed() < AT_ONCE
}

/// Runs the jobs in the transaction that was begun. Says whether the connection may be used again.
fn run_group(connection: &impl Bearer, jobs: Vec<(Job, Sender<Result<()>>)>) -> bool {
    let mut waiting = Vec::with_capacity(jobs.len());
    let mut fate = Ok(());
    for (job, done) in jobs {
        let result = match &fate {
            Ok(()) => in_savepoint(connection, job),
            Err(error) => Err(again(error)),
        };
        // A full or failing disk ends the whole transaction, and with it what others have done in it.
        if let Err(error) = &result
            && fate.is_ok()
            && connection.is_over()
        {
            fate = Err(again(error));
        }
        waiting.push((result, done));
    }
    let committed = fate.and_then(|()| connection.commit());
    for (result, done) in waiting {
        let result = match &committed {
            Ok(()) => result,
            Err(error) => Err(again(error)),
        };
        let _ = done.send(result);
    }
    committed.is_ok()
}

fn in_savepoint(connection: &impl Bearer, job: Job) -> Result<()> {
    connection.mark()?;
    job(connection.tx()).and_then(|()| connection.keep()).inspect_err(|_| {
        // Where this fails, the transaction is over as a whole, which the leader sees.
        let _ = connection.undo();
    })
}

/// The same error for another of those it struck.
pub fn again(error: &Error) -> Error {
    Error::new(error.code(), error.detail().to_owned())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::sqlite::bind::Apart;
    use crate::sqlite::open;

    fn group() -> Group<Apart> {
        Group::new(Box::new(|| open::in_memory().map(Apart)))
    }

    fn run(group: &Group<Apart>, job: impl FnOnce(&dyn Tx) -> Result<()> + Send + 'static) -> Result<()> {
        group.run(Box::new(job))
    }

    fn make(group: &Group<Apart>) -> Result<()> {
        run(group, |tx| tx.execute("CREATE TABLE kept (number INTEGER)", &[]).map(drop))
    }

    fn count(group: &Group<Apart>) -> Result<i64> {
        let count = group
            .between(|connection| connection.tx().first("SELECT count(*) FROM kept", &[], |row| row.integer(0)))?;
        Ok(count.unwrap_or_default())
    }

    #[test]
    fn a_job_that_fails_takes_nobody_with_it() -> Result<()> {
        let group = group();
        make(&group)?;
        let failed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..64 {
                let (group, failed) = (&group, &failed);
                scope.spawn(move || {
                    let done = run(group, move |tx| {
                        tx.execute("INSERT INTO kept VALUES (1)", &[])?;
                        if number % 4 == 0 { Err(Error::not_found()) } else { Ok(()) }
                    });
                    failed.fetch_add(usize::from(done.is_err()), Ordering::Relaxed);
                });
            }
        });
        assert_eq!((failed.into_inner(), count(&group)?), (16, 48));
        Ok(())
    }

    #[test]
    fn a_panic_ends_nothing_but_itself() -> Result<()> {
        let group = group();
        std::thread::scope(|scope| {
            for number in 0..32 {
                let group = &group;
                // Each either does its work or is told that it was not done; nobody waits for ever.
                scope.spawn(move || {
                    let _ = catch_unwind(AssertUnwindSafe(|| {
                        run(group, move |_| if number % 4 == 0 { resume_unwind(Box::new("a fault")) } else { Ok(()) })
                    }));
                });
            }
        });
        make(&group)?;
        assert_eq!(count(&group)?, 0);
        Ok(())
    }

    #[test]
    fn a_transaction_that_ends_early_is_acknowledged_to_nobody() -> Result<()> {
        let group = group();
        let ended = run(&group, |tx| {
            tx.execute("CREATE TABLE kept (number INTEGER)", &[])?;
            tx.execute("ROLLBACK", &[])?;
            Err(Error::new(locule_core::Code::StorageFull, "the disk is full"))
        });
        assert_eq!(ended.map_err(|error| error.code()), Err(locule_core::Code::StorageFull));
        assert!(count(&group).is_err());
        Ok(())
    }
}
