//! A job as its row has it: sealed, where the space is.

use std::borrow::Cow;

use locule_core::Result;
use locule_core::job::{Job, JobKind, JobStatus, written};
use locule_core::memory::Metadata;

use crate::content::Place;
use crate::error::corrupt;
use crate::tx::{Row, Tx, Value};

/// The columns that [`job`] reads, in its order.
pub const COLUMNS: &str = "id, kind, status, payload, results, error, attempts, due_at, created_at, updated_at, \
     started_at, completed_at";

/// What the columns with content are called for the seal.
pub const PAYLOAD: &str = "space_jobs.payload";
pub const RESULTS: &str = "space_jobs.results";
pub const ERROR: &str = "space_jobs.error";

/// The job in [`COLUMNS`].
pub fn job(row: &dyn Row) -> Result<Job> {
    let id = row.job_id(0)?;
    let content = |column: usize, name: &'static str| {
        if row.is_null(column) { Ok(None) } else { row.text_of(column, Place(name, id.as_bytes())).map(Some) }
    };
    Ok(Job {
        id,
        kind: JobKind::try_from(row.text(1)?).map_err(corrupt)?,
        status: JobStatus::try_from(row.text(2)?).map_err(corrupt)?,
        payload: content(3, PAYLOAD)?.map(|text| object(&text)).transpose()?.unwrap_or_default(),
        results: content(4, RESULTS)?.map(|text| object(&text)).transpose()?,
        error: content(5, ERROR)?.map(Cow::into_owned),
        attempts: row.integer(6)?.try_into().map_err(corrupt)?,
        due_at: row.maybe_moment(7)?,
        created_at: row.moment(8)?,
        updated_at: row.moment(9)?,
        started_at: row.maybe_moment(10)?,
        completed_at: row.maybe_moment(11)?,
    })
}

fn object(text: &str) -> Result<Metadata> {
    serde_json::from_str(text).map_err(corrupt)
}

/// The content of a job, as texts.
struct Content {
    payload: Option<String>,
    results: Option<String>,
    error: Option<String>,
}

impl Content {
    fn of(job: &Job) -> Self {
        Content {
            // What has succeeded was given nothing any more.
            payload: (job.status != JobStatus::Succeeded).then(|| written(&job.payload)),
            results: job.results.as_ref().map(written),
            error: job.error.clone(),
        }
    }

    fn size_bytes(&self) -> usize {
        [&self.payload, &self.results, &self.error].into_iter().flatten().map(String::len).sum()
    }
}

/// Bytes of a job as the quota counts them.
pub fn size(job: &Job) -> u64 {
    Content::of(job).size_bytes() as u64
}

/// Writes a new row.
pub fn insert(tx: &dyn Tx, job: &Job) -> Result<()> {
    put(
        tx,
        "INSERT INTO space_jobs (status, payload, results, error, attempts, due_at, size_bytes, updated_at, started_at,
             completed_at, id, kind, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        job,
        &[Value::Text(job.kind.as_str()), Value::Moment(job.created_at)],
    )
}

/// Writes what has changed of a row.
pub fn update(tx: &dyn Tx, job: &Job) -> Result<()> {
    put(
        tx,
        "UPDATE space_jobs SET status = $1, payload = $2, results = $3, error = $4, attempts = $5, due_at = $6,
             size_bytes = $7, updated_at = $8, started_at = $9, completed_at = $10 WHERE id = $11",
        job,
        &[],
    )
}

fn put(tx: &dyn Tx, sql: &str, job: &Job, more: &[Value]) -> Result<()> {
    let content = Content::of(job);
    let sealed = |name, text: &Option<String>| {
        text.as_ref().map(|text| tx.text(Place(name, job.id.as_bytes()), text).into_owned())
    };
    let (payload, results) = (sealed(PAYLOAD, &content.payload), sealed(RESULTS, &content.results));
    let error = sealed(ERROR, &content.error);
    let mut values = vec![
        Value::Text(job.status.as_str()),
        Value::text(payload.as_deref()),
        Value::text(results.as_deref()),
        Value::text(error.as_deref()),
        Value::Integer(job.attempts.into()),
        Value::moment(job.due_at),
        Value::Integer(content.size_bytes() as i64),
        Value::Moment(job.updated_at),
        Value::moment(job.started_at),
        Value::moment(job.completed_at),
        Value::Id(job.id.as_bytes()),
    ];
    values.extend_from_slice(more);
    tx.run(sql, &values)
}
