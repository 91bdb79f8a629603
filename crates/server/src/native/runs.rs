//! `/api/{user_id}/runs`

use std::sync::Arc;

use locule::{Error, Run, RunQuery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::DeletedOut;
use crate::app::App;
use crate::extract::{Caller, Id, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(end))
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
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// A run (conversation, task), as its memories tell of it.
#[derive(Serialize, ToSchema)]
struct RunOut {
    /// Its name.
    run_id: String,
    /// How many memories it has.
    memories: u64,
    /// When the first of them was added. RFC 3339, UTC.
    #[schema(value_type = String)]
    first_memory: jiff::Timestamp,
    /// When the latest was.
    #[schema(value_type = String)]
    latest_memory: jiff::Timestamp,
    /// From when on none of them is seen; `null` if some are to stay.
    #[schema(value_type = Option<String>)]
    expiration: Option<jiff::Timestamp>,
}

impl From<Run> for RunOut {
    fn from(run: Run) -> Self {
        let Run { run_id, memories, first_memory, latest_memory, expiration } = run;
        RunOut { run_id, memories, first_memory, latest_memory, expiration }
    }
}

/// A page of runs.
#[derive(Serialize, ToSchema)]
struct RunsOut {
    runs: Vec<RunOut>,
    /// How many there are in all, exactly.
    total: u64,
    /// Give this as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// List the runs that have memories, those that were added to last first, a page at a time.
#[utoipa::path(get, path = "/api/{user_id}/runs", tag = "runs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), PageQuery),
    responses((status = 200, body = RunsOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn list(caller: Caller<ReadMemories>, Query(page): Query<PageQuery>) -> Result<axum::Json<RunsOut>, Refusal> {
    let after = page.cursor.map(|cursor| cursor.parse::<i64>()).transpose();
    let after = after.map_err(|_| Error::invalid("`cursor` is a `next_cursor` of an earlier page."))?;
    let query = RunQuery { limit: page.limit.unwrap_or(RunQuery::default().limit), after };
    query.check()?;
    let page = caller.also_names(page.user_id).read(move |engine, scope| engine.runs(scope, &query)).await?;
    Ok(axum::Json(RunsOut {
        runs: page.runs.into_iter().map(RunOut::from).collect(),
        total: page.total,
        next_cursor: page.next.map(|place| place.to_string()),
    }))
}

/// End a run: all its memories are deleted, in one transaction. Of a run that is not there, none are.
#[utoipa::path(delete, path = "/api/{user_id}/runs/{id}", tag = "runs",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path, description = "The `run_id`")),
    responses((status = 200, body = DeletedOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn end(caller: Caller<WriteMemories>, Id(run_id): Id) -> Result<axum::Json<DeletedOut>, Refusal> {
    let deleted = caller.write(move |engine, scope| engine.end_run(scope, &run_id)).await?;
    Ok(axum::Json(DeletedOut { deleted }))
}
