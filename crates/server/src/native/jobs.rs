//! `/api/{user_id}/jobs`

use std::sync::Arc;

use axum::http::StatusCode;
use locule::memory::Metadata;
use locule::{Error, Job, JobId, JobKind, JobQuery, JobStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Caller, Id, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, delete)).routes(routes!(replay))
}

/// A job: work that was asked for and that is done behind the answer.
#[derive(Serialize, ToSchema)]
pub struct JobOut {
    /// UUIDv7; rises in the order of adding.
    #[schema(value_type = String, example = "0199b1c2-7f3e-7abc-8def-0123456789ab")]
    id: JobId,
    /// What kind of work: `extract`, `export`, `summarize` or `deliver`.
    #[schema(value_type = String, example = "extract")]
    kind: JobKind,
    /// What has become of it: `pending`, `running`, `succeeded` or `failed`.
    #[schema(value_type = String, example = "pending")]
    status: JobStatus,
    /// What it was given. It is gone once the job has succeeded; of one that failed it is kept.
    #[schema(value_type = Object)]
    payload: Metadata,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    results: Option<Metadata>,
    /// Why it failed, or why the last attempt did.
    error: Option<String>,
    /// How often it was begun.
    attempts: u32,
    /// When it was added. RFC 3339, UTC.
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// When anything of this last changed.
    #[schema(value_type = String)]
    updated_at: jiff::Timestamp,
    /// When it was last begun.
    #[schema(value_type = Option<String>)]
    started_at: Option<jiff::Timestamp>,
    /// When it succeeded or failed. Seven days later it goes.
    #[schema(value_type = Option<String>)]
    completed_at: Option<jiff::Timestamp>,
}

impl From<Job> for JobOut {
    fn from(job: Job) -> Self {
        let Job { id, kind, status, payload, results, error, attempts, due_at: _, created_at, updated_at, .. } = job;
        let (started_at, completed_at) = (job.started_at, job.completed_at);
        JobOut { id, kind, status, payload, results, error, attempts, created_at, updated_at, started_at, completed_at }
    }
}

/// Which page.
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

/// A page of jobs, newest first.
#[derive(Serialize, ToSchema)]
struct JobsOut {
    jobs: Vec<JobOut>,
    /// How many match in all, exactly.
    total: u64,
    /// Give this as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// List jobs, newest first, a page at a time.
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

/// One job.
#[utoipa::path(get, path = "/api/{user_id}/jobs/{id}", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = JobOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<JobOut>, Refusal> {
    let job = caller.read(move |engine, scope| engine.job(scope, job_id(&id))).await?;
    Ok(axum::Json(job.into()))
}

/// Remove a job, whatever has become of it. If it is just being done, nothing comes of that.
#[utoipa::path(delete, path = "/api/{user_id}/jobs/{id}", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete(caller: Caller<WriteMemories>, Id(id): Id) -> Result<StatusCode, Refusal> {
    caller.write(move |engine, scope| engine.delete_job(scope, job_id(&id))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a job that failed again, from the beginning, with what it was given.
#[utoipa::path(post, path = "/api/{user_id}/jobs/{id}/replay", tag = "jobs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = JobOut), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn replay(caller: Caller<WriteMemories>, Id(id): Id) -> Result<axum::Json<JobOut>, Refusal> {
    let job = caller.write(move |engine, scope| engine.replay_job(scope, job_id(&id))).await?;
    Ok(axum::Json(job.into()))
}

/// What is no id is looked for like one that nobody has, so that the answer takes as long.
fn job_id(text: &str) -> JobId {
    text.parse().unwrap_or_else(|_| JobId::from_bytes([0; 16]))
}
