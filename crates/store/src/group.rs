//! Group commit: those who wait for the same disk share one sync.
//!
//! The first to come becomes the leader and runs what has queued up in one transaction; those who come meanwhile queue
//! for the next. Each job runs inside a savepoint of its own, so that one which fails takes nobody with it.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};

use locule_core::{Error, Result};
use rusqlite::Connection;

use crate::sqlite::bind::batch;

type Job = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

/// What opens the connection, at first and after a failure.
pub type Opener = Box<dyn Fn() -> Result<Connection> + Send + Sync>;

/// A connection whose writes are committed in groups.
pub struct Group {
    queue: Mutex<VecDeque<(Job, Sender<Result<()>>)>>,
    /// None after a failure: whatever state it was in, nobody meets it again.
    connection: Mutex<Option<Connection>>,
    open: Opener,
}

/// How many jobs one transaction takes.
const GROUP_MAX: usize = 256;

impl Group {
    /// Writes go to a connection that `open` gives.
    pub fn new(open: Opener) -> Self {
        Group { queue: Mutex::default(), connection: Mutex::default(), open }
    }

    /// Runs `job` and returns when its effect is durable.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let (give, take) = channel();
        let job: Job = Box::new(move |connection| {
            let made = job(connection)?;
            let _ = give.send(made);
            Ok(())
        });
        let (done, finished) = channel();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back((job, done));
        self.lead_until(&finished)?;
        take.recv().map_err(Error::internal)
    }

    /// Runs `work` on the connection between two groups, outside any transaction.
    pub fn between<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = held.take().map_or_else(|| (self.open)(), Ok)?;
        let result = work(&connection);
        *held = Some(connection);
        result
    }

    /// Leads groups until our own job is among those finished.
    fn lead_until(&self, finished: &Receiver<Result<()>>) -> Result<()> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
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
            match held.take().map_or_else(|| (self.open)(), Ok) {
                Ok(connection) => *held = run_group(&connection, jobs).then_some(connection),
                Err(error) => jobs.into_iter().for_each(|(_, done)| drop(done.send(Err(again(&error))))),
            }
        }
    }
}

/// Says whether the connection may be used again.
fn run_group(connection: &Connection, jobs: Vec<(Job, Sender<Result<()>>)>) -> bool {
    let mut waiting = Vec::with_capacity(jobs.len());
    let mut fate = batch(connection, "BEGIN IMMEDIATE");
    for (job, done) in jobs {
        let result = match &fate {
            Ok(()) => in_savepoint(connection, job),
            Err(error) => Err(again(error)),
        };
        // A full or failing disk ends the whole transaction, and with it what others have done in it.
        if let Err(error) = &result
            && fate.is_ok()
            && connection.is_autocommit()
        {
            fate = Err(again(error));
        }
        waiting.push((result, done));
    }
    let committed = fate.and_then(|()| batch(connection, "COMMIT"));
    for (result, done) in waiting {
        let result = match &committed {
            Ok(()) => result,
            Err(error) => Err(again(error)),
        };
        let _ = done.send(result);
    }
    committed.is_ok()
}

fn in_savepoint(connection: &Connection, job: Job) -> Result<()> {
    batch(connection, "SAVEPOINT job")?;
    job(connection).and_then(|()| batch(connection, "RELEASE job")).inspect_err(|_| {
        // Where this fails, the transaction is over as a whole, which the leader sees.
        let _ = batch(connection, "ROLLBACK TO job; RELEASE job");
    })
}

/// The same error for another of those it struck.
fn again(error: &Error) -> Error {
    Error::new(error.code(), error.detail().to_owned())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::of_sqlite;
    use crate::sqlite::open;

    fn group() -> Group {
        Group::new(Box::new(open::in_memory))
    }

    fn count(group: &Group) -> Result<i64> {
        group.run(|connection| {
            connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0)).map_err(of_sqlite)
        })
    }

    #[test]
    fn a_job_that_fails_takes_nobody_with_it() -> Result<()> {
        let group = group();
        group.run(|connection| batch(connection, "CREATE TABLE kept (number INTEGER)"))?;
        let failed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..64 {
                let (group, failed) = (&group, &failed);
                scope.spawn(move || {
                    let done = group.run(move |connection| {
                        batch(connection, "INSERT INTO kept VALUES (1)")?;
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
                        group.run(move |_| if number % 4 == 0 { resume_unwind(Box::new("a fault")) } else { Ok(()) })
                    }));
                });
            }
        });
        group.run(|connection| batch(connection, "CREATE TABLE kept (number INTEGER)"))?;
        assert_eq!(count(&group)?, 0);
        Ok(())
    }

    #[test]
    fn a_transaction_that_ends_early_is_acknowledged_to_nobody() -> Result<()> {
        let group = group();
        let ended = group.run(|connection| {
            batch(connection, "CREATE TABLE kept (number INTEGER); ROLLBACK")?;
            Err::<(), _>(Error::new(locule_core::Code::StorageFull, "the disk is full"))
        });
        assert_eq!(ended.map_err(|error| error.code()), Err(locule_core::Code::StorageFull));
        assert!(count(&group).is_err());
        Ok(())
    }
}
