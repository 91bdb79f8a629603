//! `/api/{user_id}/jobs`: work that the space asked for and that is done behind the answer.

use std::sync::Arc;

use axum::http::StatusCode;
use locule::job::{Job, JobKind, JobQuery, JobStatus};
use locule::memory::Metadata;
use locule::{Error, Found, JobId, MemoryId, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::memory_id;
use crate::app::App;
use crate::extract::{Caller, Id, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, delete)).routes(routes!(replay))
}

/// A job.
#[derive(Serialize, ToSchema)]
pub struct JobOut {
    /// UUIDv7; rises in the order of adding.
    #[schema(value_type = String)]
    id: JobId,
    /// `extract`, `export`, `summarize` or `deliver`.
    #[schema(value_type = String, example = "extract")]
    kind: JobKind,
    /// `pending`, `running`, `succeeded` or `failed`.
    #[schema(value_type = String, example = "succeeded")]
    status: JobStatus,
    /// What it was given; empty once it has succeeded.
    #[schema(value_type = Object)]
    payload: Metadata,
    /// What came of it. An extraction names its memories by their ids.
    #[schema(value_type = Option<Object>)]
    results: Option<Metadata>,
    /// Why it failed, or why the last attempt did.
    error: Option<String>,
    /// How often it was begun.
    attempts: u32,
    /// From when on something is to be done; `null` when it is done. RFC 3339, UTC.
    #[schema(value_type = Option<String>)]
    due_at: Option<jiff::Timestamp>,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    updated_at: jiff::Timestamp,
    /// When it was last begun.
    #[schema(value_type = Option<String>)]
    started_at: Option<jiff::Timestamp>,
    /// When it succeeded or failed.
    #[schema(value_type = Option<String>)]
    completed_at: Option<jiff::Timestamp>,
    /// Where one job is asked for: the memories that came of it, as they are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Vec<FoundOut>>,
}

/// A memory that came of a job.
#[derive(Serialize, ToSchema)]
struct FoundOut {
    /// Which.
    #[schema(value_type = String)]
    id: MemoryId,
    /// What it says; `null` if it is there no more.
    memory: Option<String>,
    /// Whether it was there before.
    existing: bool,
}

impl From<Found> for FoundOut {
    fn from(Found { id, memory, existing }: Found) -> Self {
        FoundOut { id, memory, existing }
    }
}

impl From<Job> for JobOut {
    fn from(job: Job) -> Self {
        let Job { id, kind, status, payload, results, error, attempts, .. } = job;
        let Job { due_at, created_at, updated_at, started_at, completed_at, .. } = job;
        JobOut {
            id,
            kind,
            status,
            payload,
            results,
            error,
            attempts,
            due_at,
            created_at,
            updated_at,
            started_at,
            completed_at,
            found: None,
        }
    }
}

/// A page of jobs, newest first.
#[derive(Serialize, ToSchema)]
struct JobsOut {
    jobs: Vec<JobOut>,
    /// How many match in all, exactly.
    total: u64,
    /// Give this as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Which page of which jobs.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// How many, 1 to 1,000; 100 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only of this status.
    status: Option<String>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// What is no id of a job is one that nobody has.
fn job_id(text: &str) -> JobId {
    JobId::from_bytes(*memory_id(text).as_bytes())
}

/// List jobs, newest first, a page at a time. What is done goes after seven days.
#[utoipa::path(get, path = "/api/{user_id}/jobs", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), PageQuery),
    responses((status = 200, body = JobsOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn list(caller: Caller<ReadMemories>, Query(page): Query<PageQuery>) -> Result<axum::Json<JobsOut>, Refusal> {
    let before = page.cursor.map(|cursor| cursor.parse::<JobId>()).transpose();
    let query = JobQuery {
        kind: page.kind.as_deref().map(JobKind::try_from).transpose()?,
        status: page.status.as_deref().map(JobStatus::try_from).transpose()?,
        limit: page.limit.unwrap_or(JobQuery::default().limit),
        before: before.map_err(|_| Error::invalid("`cursor` is a `next_cursor` of an earlier page."))?,
        offset: 0,
    };
    query.check()?;
    let page = caller.also_names(page.user_id).read(move |engine, scope| engine.jobs(scope, &query)).await?;
    Ok(axum::Json(JobsOut {
        jobs: page.jobs.into_iter().map(JobOut::from).collect(),
        total: page.total,
        next_cursor: page.next.map(|id| id.to_string()),
    }))
}

/// One job, with the memories that came of it.
#[utoipa::path(get, path = "/api/{user_id}/jobs/{id}", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = JobOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<JobOut>, Refusal> {
    let (job, found) = caller.read(move |engine, scope| engine.job_with_memories(scope, job_id(&id))).await?;
    let found = found.into_iter().map(FoundOut::from).collect();
    Ok(axum::Json(JobOut { found: Some(found), ..job.into() }))
}

/// Remove a job, whatever has become of it. If it is under way, nothing comes of it.
#[utoipa::path(delete, path = "/api/{user_id}/jobs/{id}", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete(caller: Caller<WriteMemories>, Id(id): Id) -> Result<StatusCode, Refusal> {
    caller.write(move |engine, scope| engine.delete_job(scope, job_id(&id))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Have a job that failed be tried again, from the beginning.
#[utoipa::path(post, path = "/api/{user_id}/jobs/{id}/replay", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 202, body = JobOut), (status = 404, body = Problem), (status = 409, body = Problem, description = "It has not failed"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn replay(caller: Caller<WriteMemories>, Id(id): Id) -> Result<(StatusCode, axum::Json<JobOut>), Refusal> {
    let job = caller.write(move |engine, scope| engine.replay_job(scope, job_id(&id))).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(job.into())))
}
