//! Doing jobs: what a kind of job implements, and what it is given to do it with.
//!
//! A job is claimed in one transaction of its space and ended in another, in which everything is that it writes: whatever is
//! killed when, a job's effect is there once or not at all. In between, while a model or an endpoint is waited for, nobody's space
//! is held.

mod crew;
mod turns;

use std::time::{Duration, Instant};

use locule_core::id::SpaceId;
use locule_core::job::{Job, JobKind};
use locule_core::memory::Metadata;
use locule_core::{Code, Error, Read, Result, Scope, deadline};
use locule_store::Writer;

pub use self::crew::{Crew, Workers};
use crate::Engine;

/// How jobs of one kind are done.
pub trait Runner: Send + Sync {
    /// Of which kind.
    fn kind(&self) -> JobKind;

    /// Does one. It ends with [`Work::complete`], which is the only way to say that it is done; everything else it does may be
    /// done again, by another server, if this one is killed.
    fn run(&self, work: &Work) -> Result<Done, Failure>;

    /// Whether one more can be done at this moment, or would only wait for others that are being done: whoever waits keeps other
    /// kinds of work from being done.
    fn has_room(&self) -> bool {
        true
    }

    /// How often one is tried before it is given up.
    fn attempts_max(&self) -> u32 {
        5
    }

    /// How long one may take. After that it is somebody else's.
    fn claim(&self) -> Duration {
        Duration::from_secs(5 * 60)
    }
}

/// That a job is done, and durably so.
#[derive(Debug)]
pub struct Done {
    pub(crate) job: Job,
}

/// Why an attempt came to nothing. What is said here is seen by the owner of the space.
#[derive(Debug)]
pub enum Failure {
    /// It may go better another time, and not before so long, if that is said.
    Again {
        /// In a sentence.
        reason: String,
        /// Not before.
        after: Option<Duration>,
    },
    /// It never will.
    Final {
        /// In a sentence.
        reason: String,
    },
    /// The job is not ours any more: its claim has lapsed, or it was deleted. Nothing was written.
    Lost,
}

impl Failure {
    /// It may go better another time.
    pub fn again(reason: impl Into<String>) -> Self {
        Failure::Again { reason: reason.into(), after: None }
    }

    /// It never will.
    pub fn last(reason: impl Into<String>) -> Self {
        Failure::Final { reason: reason.into() }
    }
}

impl From<Error> for Failure {
    /// What may be tried later as a request may be tried later as a job.
    fn from(error: Error) -> Self {
        let reason = error.detail().to_owned();
        match error.code().retry_after_s() {
            Some(seconds) => Failure::Again { reason, after: Some(Duration::from_secs(seconds.into())) },
            None if matches!(error.code(), Code::Deadline | Code::Internal) => Failure::Again { reason, after: None },
            None => Failure::Final { reason },
        }
    }
}

/// One job that was claimed, and the space it is for.
pub struct Work<'a> {
    engine: &'a Engine,
    space: SpaceId,
    job: &'a Job,
}

impl<'a> Work<'a> {
    /// The job as it was claimed: what it was given is its `payload`.
    pub fn job(&self) -> &'a Job {
        self.job
    }

    /// The installation.
    pub fn engine(&self) -> &'a Engine {
        self.engine
    }

    /// The right to look into the space, for one look.
    pub fn reading(&self) -> Result<Scope<Read>, Failure> {
        self.engine.gate().work_read(self.space, self.job.kind.actor())?.ok_or(Failure::Lost)
    }

    /// Ends the job: `change` writes what came of it and gives what the job is to show. Both are there, or neither.
    ///
    /// What takes long has been done before: the space is held meanwhile. An error ends the attempt and leaves nothing.
    pub fn complete(&self, change: impl FnOnce(&mut Writer) -> Result<Option<Metadata>>) -> Result<Done, Failure> {
        deadline::within(Instant::now() + crew::PATIENCE, || {
            let scope = self.engine.gate().work(self.space, self.job.kind.actor())?.ok_or(Failure::Lost)?;
            let space = self.engine.store.spaces.open(scope);
            let mut writer = space.write()?;
            // First of all, so that nothing is written for a job that is somebody else's.
            writer.check_claim(self.job).map_err(lost)?;
            let results = change(&mut writer)?;
            let job = writer.complete_job(self.job, results)?;
            writer.commit()?;
            Ok(Done { job })
        })
    }
}

fn lost(error: Error) -> Failure {
    if error.code() == Code::Conflict { Failure::Lost } else { error.into() }
}
