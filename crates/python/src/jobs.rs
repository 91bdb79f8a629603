//! What stands beside a space's memories: jobs, runs, settings, and what somebody thinks of a memory; in the words of the native
//! REST face.

use locule::memory::Metadata;
use locule::{Act, Error, Feedback, Found, Job, JobId, JobKind, JobQuery, JobStatus, MemoryId, Result, Run, RunQuery};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::space::Space;
use crate::wire;

/// A job, and if it was asked for alone, the memories that came of it.
#[derive(Serialize)]
struct JobOut {
    #[serde(flatten)]
    job: Job,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Vec<FoundOut>>,
}

/// A memory that came of a job, as it is now.
#[derive(Serialize)]
struct FoundOut {
    id: MemoryId,
    memory: Option<String>,
    existing: bool,
}

impl From<Job> for JobOut {
    fn from(job: Job) -> Self {
        JobOut { job, found: None }
    }
}

impl From<(Job, Vec<Found>)> for JobOut {
    fn from((job, found): (Job, Vec<Found>)) -> Self {
        let found = found.into_iter().map(|Found { id, memory, existing }| FoundOut { id, memory, existing });
        JobOut { job, found: Some(found.collect()) }
    }
}

/// Which page of which jobs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsIn {
    kind: Option<String>,
    status: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl JobsIn {
    fn read(self) -> Result<JobQuery> {
        let before = self.cursor.map(|cursor| cursor.parse::<JobId>()).transpose();
        let query = JobQuery {
            kind: self.kind.as_deref().map(JobKind::try_from).transpose()?,
            status: self.status.as_deref().map(JobStatus::try_from).transpose()?,
            limit: self.limit.unwrap_or(JobQuery::default().limit),
            before: before.map_err(|_| wrong_cursor())?,
            offset: 0,
        };
        query.check()?;
        Ok(query)
    }
}

/// A page of jobs, newest first.
#[derive(Serialize)]
struct JobsOut {
    jobs: Vec<JobOut>,
    total: u64,
    next_cursor: Option<JobId>,
}

/// Which page of runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsIn {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl RunsIn {
    fn read(self) -> Result<RunQuery> {
        let after = self.cursor.map(|cursor| cursor.parse::<i64>()).transpose().map_err(|_| wrong_cursor())?;
        let query = RunQuery { limit: self.limit.unwrap_or(RunQuery::default().limit), after };
        query.check()?;
        Ok(query)
    }
}

/// A page of runs.
#[derive(Serialize)]
struct RunsOut {
    runs: Vec<Run>,
    total: u64,
    next_cursor: Option<String>,
}

fn wrong_cursor() -> Error {
    Error::invalid("`cursor` is a `next_cursor` of an earlier page.")
}

/// What is no id of a job is one that nobody has.
fn job_id(text: &str) -> JobId {
    JobId::from_bytes(*wire::memory_id(text).as_bytes())
}

#[pymethods]
impl Space {
    /// One page of jobs.
    fn jobs(&self, py: Python<'_>, page: &str, named: Vec<String>) -> PyResult<String> {
        let query = Self::read(py, || wire::read::<JobsIn>(page)?.read())?;
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            let page = engine.jobs(scope, &query)?;
            let jobs = page.jobs.into_iter().map(JobOut::from).collect();
            wire::write(&JobsOut { jobs, total: page.total, next_cursor: page.next })
        })
    }

    /// One job, with the memories that came of it.
    fn job(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            wire::write(&JobOut::from(engine.job_with_memories(scope, job_id(id))?))
        })
    }

    /// Has a job that failed be tried again.
    fn replay_job(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.change(py, named, |engine, scope| wire::write(&JobOut::from(engine.replay_job(scope, job_id(id))?)))
    }

    /// Removes a job.
    fn delete_job(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<()> {
        self.change(py, named, |engine, scope| engine.delete_job(scope, job_id(id)))
    }

    /// One page of runs.
    fn runs(&self, py: Python<'_>, page: &str, named: Vec<String>) -> PyResult<String> {
        let query = Self::read(py, || wire::read::<RunsIn>(page)?.read())?;
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            let page = engine.runs(scope, &query)?;
            let next_cursor = page.next.map(|place| place.to_string());
            wire::write(&RunsOut { runs: page.runs, total: page.total, next_cursor })
        })
    }

    /// Deletes all memories of a run; says how many.
    fn end_run(&self, py: Python<'_>, run_id: &str, named: Vec<String>) -> PyResult<u64> {
        self.change(py, named, |engine, scope| engine.end_run(scope, run_id))
    }

    /// Removes the memories that have expired; says how many.
    fn delete_expired(&self, py: Python<'_>, named: Vec<String>) -> PyResult<u64> {
        self.change(py, named, |engine, scope| engine.clean_up(scope))
    }

    /// The user's own settings.
    fn settings(&self, py: Python<'_>, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, named, |engine, scope| wire::write(&engine.settings(scope)?.object()?))
    }

    /// Changes them; answers what they are then.
    fn change_settings(&self, py: Python<'_>, change: &str, named: Vec<String>) -> PyResult<String> {
        let change = Self::read(py, || wire::read::<Metadata>(change))?;
        self.change(py, named, |engine, scope| wire::write(&engine.change_settings(scope, &change)?.object()?))
    }

    /// What was said of a memory.
    fn feedback(&self, py: Python<'_>, id: &str, named: Vec<String>) -> PyResult<String> {
        self.look(py, Act::ReadMemories, named, |engine, scope| {
            wire::write(&engine.feedback(scope, wire::memory_id(id))?)
        })
    }

    /// Says what somebody thinks of a memory.
    fn give_feedback(&self, py: Python<'_>, id: &str, feedback: &str, named: Vec<String>) -> PyResult<()> {
        let feedback = Self::read(py, || {
            let feedback = wire::read::<Feedback>(feedback)?;
            feedback.check()?;
            Ok(feedback)
        })?;
        self.change(py, named, |engine, scope| engine.give_feedback(scope, wire::memory_id(id), &feedback))
    }
}
