//! Jobs: work that a space asked for and that is done behind the answer. A job is durable in its space and nowhere else; what it
//! was given and what came of it are content like a memory's text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::memory::{Metadata, check_limit};
use crate::{Error, Result, limit};

/// What kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Find what is worth remembering in messages.
    Extract,
    /// Make an export in a form that was asked for.
    Export,
    /// Sum memories up.
    Summarize,
    /// Tell a webhook of a change.
    Deliver,
}

impl JobKind {
    /// All of them.
    pub const ALL: [JobKind; 4] = [JobKind::Extract, JobKind::Export, JobKind::Summarize, JobKind::Deliver];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobKind::Extract => "extract",
            JobKind::Export => "export",
            JobKind::Summarize => "summarize",
            JobKind::Deliver => "deliver",
        }
    }

    /// Whose trail entries say that it was done by a job of this kind.
    pub const fn actor(self) -> &'static str {
        match self {
            JobKind::Extract => "job: extract",
            JobKind::Export => "job: export",
            JobKind::Summarize => "job: summarize",
            JobKind::Deliver => "job: deliver",
        }
    }
}

impl TryFrom<&str> for JobKind {
    type Error = Error;

    fn try_from(word: &str) -> Result<Self> {
        let kind = JobKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        kind.ok_or_else(|| Error::invalid("The kind of a job is `extract`, `export`, `summarize` or `deliver`."))
    }
}

/// What has become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It is to be done, for the first time or again.
    Pending,
    /// Somebody is at it.
    Running,
    /// It is done, and so is everything it wrote.
    Succeeded,
    /// It was given up, and nothing was written. What it was given is still there: it can be replayed.
    Failed,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [JobStatus; 4] = [JobStatus::Pending, JobStatus::Running, JobStatus::Succeeded, JobStatus::Failed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobStatus::Pending => "pending",
            JobStatus::Running => "running",
            JobStatus::Succeeded => "succeeded",
            JobStatus::Failed => "failed",
        }
    }

    /// Whether nothing more will become of it by itself.
    pub const fn is_done(self) -> bool {
        matches!(self, JobStatus::Succeeded | JobStatus::Failed)
    }
}

impl TryFrom<&str> for JobStatus {
    type Error = Error;

    fn try_from(word: &str) -> Result<Self> {
        let status = JobStatus::ALL.into_iter().find(|status| status.as_str() == word);
        status.ok_or_else(|| Error::invalid("The status of a job is `pending`, `running`, `succeeded` or `failed`."))
    }
}

/// A job of one space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// UUIDv7; rises in the order of adding.
    pub id: JobId,
    /// What kind of work.
    pub kind: JobKind,
    /// What has become of it.
    pub status: JobStatus,
    /// What it was given; empty once it has succeeded.
    pub payload: Metadata,
    /// What came of it.
    pub results: Option<Metadata>,
    /// Why it failed, or why the last attempt did.
    pub error: Option<String>,
    /// How often it was begun.
    pub attempts: u32,
    /// From when on something is to be done: it, or, while it runs, its claim to lapse. `None` when it is done.
    pub due_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When anything of this last changed.
    pub updated_at: Timestamp,
    /// When it was last begun.
    pub started_at: Option<Timestamp>,
    /// When it succeeded or failed.
    pub completed_at: Option<Timestamp>,
}

/// A job to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// What kind of work.
    pub kind: JobKind,
    /// What it is given.
    pub payload: Metadata,
}

impl NewJob {
    /// A job to be done as soon as may be.
    pub fn new(kind: JobKind, payload: Metadata) -> Self {
        NewJob { kind, payload }
    }

    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        limit::JOB_BYTES.check(written(&self.payload).len())
    }
}

/// What stands in the row.
pub fn written(content: &Metadata) -> String {
    // A map with text for keys can always be written.
    serde_json::to_string(content).unwrap_or_else(|_| "{}".to_owned())
}

/// As much of a reason as is kept.
pub fn shortened(reason: &str) -> String {
    let plain: String = reason.chars().filter(|char| !char.is_control() || *char == '\n').collect();
    let end = plain.floor_char_boundary(limit::JOB_ERROR_BYTES.max.min(plain.len()));
    plain[..end].to_owned()
}

/// Which page of the jobs.
#[derive(Clone, Debug)]
pub struct JobQuery {
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only of this status.
    pub status: Option<JobStatus>,
    /// How many at most, 1 to [`limit::PAGE`].
    pub limit: usize,
    /// Only jobs added before this one: the last id of the page before.
    pub before: Option<JobId>,
    /// How many of them are passed over first.
    pub offset: usize,
}

impl Default for JobQuery {
    fn default() -> Self {
        JobQuery { kind: None, status: None, limit: 100, before: None, offset: 0 }
    }
}

impl JobQuery {
    /// Passes what fits the bounds of [`limit`].
    pub fn check(&self) -> Result<()> {
        check_limit(self.limit, limit::PAGE)
    }
}

/// One page of jobs, newest first.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// How many match in all, exactly.
    pub total: u64,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<JobId>,
}
