//! Group commit: those who wait for the same disk share one sync.
//!
//! The first to come becomes the leader and runs what has queued up in one transaction; those who come meanwhile queue
//! for the next. Each job runs inside a savepoint of its own, so that one which fails takes nobody with it.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use locule_core::{Error, Result};
use rusqlite::Connection;

use crate::error::of_sqlite;
use crate::sqlite::bind::batch;

type Job = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

/// A connection whose writes are committed in groups.
pub struct Group {
    queue: Mutex<VecDeque<(Job, Sender<Result<()>>)>>,
    connection: Mutex<Connection>,
}

/// How many jobs one transaction takes.
const GROUP_MAX: usize = 256;

impl Group {
    /// Writes go to `connection`.
    pub fn new(connection: Connection) -> Self {
        Group { queue: Mutex::new(VecDeque::new()), connection: Mutex::new(connection) }
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

    /// Leads groups until our own job is among those finished.
    fn lead_until(&self, finished: &Receiver<Result<()>>) -> Result<()> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // The leader before us may have taken our job along.
            if let Ok(result) = finished.try_recv() {
                return result;
            }
            let jobs: Vec<_> = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let count = queue.len().min(GROUP_MAX);
                queue.drain(..count).collect()
            };
            run_group(&connection, jobs);
        }
    }
}

fn run_group(connection: &Connection, jobs: Vec<(Job, Sender<Result<()>>)>) {
    let mut waiting = Vec::with_capacity(jobs.len());
    let begun = batch(connection, "BEGIN IMMEDIATE");
    for (job, done) in jobs {
        let result = match &begun {
            Ok(()) => in_savepoint(connection, job),
            Err(error) => Err(again(error)),
        };
        waiting.push((result, done));
    }
    let committed = begun.and_then(|()| batch(connection, "COMMIT"));
    if committed.is_err() && !connection.is_autocommit() {
        let _ = batch(connection, "ROLLBACK");
    }
    for (result, done) in waiting {
        let result = match &committed {
            Ok(()) => result,
            Err(error) => Err(again(error)),
        };
        let _ = done.send(result);
    }
}

fn in_savepoint(connection: &Connection, job: Job) -> Result<()> {
    batch(connection, "SAVEPOINT job")?;
    match job(connection) {
        Ok(()) => batch(connection, "RELEASE job"),
        Err(error) => {
            connection.execute_batch("ROLLBACK TO job; RELEASE job").map_err(of_sqlite)?;
            Err(error)
        }
    }
}

/// The same error for another of those it struck.
fn again(error: &Error) -> Error {
    Error::new(error.code(), error.detail().to_owned())
}
