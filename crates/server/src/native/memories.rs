//! `/api/{user_id}/memories`

use std::sync::Arc;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use locule::{Error, Event, ListQuery, MemoryId, Remembered, SearchQuery, filter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::jobs::JobOut;
use super::wire::{AddIn, ChangeIn, DeletedOut, Embedding, MemoryOut, Which, memory_id};
use crate::app::App;
use crate::extract::{Caller, Id, Json, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, add, delete_all))
        .routes(routes!(search))
        .routes(routes!(clean_up))
        .routes(routes!(get, update, delete))
        .routes(routes!(history))
        .routes(routes!(promote))
}

/// Memories.
#[derive(Serialize, ToSchema)]
struct MemoriesOut {
    memories: Vec<MemoryOut>,
    /// `false` where a model was to find something and there is none: they are what was said, word for word.
    #[serde(skip_serializing_if = "Option::is_none")]
    inferred: Option<bool>,
}

/// Add memories: one, or up to 1,000 at once, all or none. They are durable when this answers. A text that is there
/// already with the same agent, run and app is answered as it is, with `existing: true`.
///
/// With `infer`, a model finds out what is worth remembering, behind the answer: that is the job, which is durable then.
#[utoipa::path(post, path = "/api/{user_id}/memories", tag = "memories", request_body = AddIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 201, body = MemoryOut, description = "The memory; `{\"memories\": […]}` for a list"),
              (status = 202, body = JobOut, description = "With `infer`: the job"),
              (status = 422, body = Problem), (status = 413, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn add(caller: Caller<WriteMemories>, uri: Uri, Json(body): Json<AddIn>) -> Result<Response, Refusal> {
    if body.infer {
        return infer(caller, body).await;
    }
    let (memories, many, users) = body.read()?;
    let added = caller.also_names(users).write(move |engine, scope| engine.add(scope, memories)).await?;
    let mut memories: Vec<MemoryOut> = added.into_iter().map(MemoryOut::from).collect();
    if many || memories.len() != 1 {
        return Ok((StatusCode::CREATED, axum::Json(MemoriesOut { memories, inferred: None })).into_response());
    }
    let memory = memories.remove(0);
    let location = format!("{}/{}", uri.path(), memory.id());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(memory)).into_response())
}

async fn infer(caller: Caller<WriteMemories>, body: AddIn) -> Result<Response, Refusal> {
    let (conversation, users) = body.conversation()?;
    let remembered = caller.also_names(users).write(move |engine, scope| engine.remember(scope, conversation)).await?;
    Ok(match remembered {
        Remembered::Later(job) => (StatusCode::ACCEPTED, axum::Json(JobOut::from(job))).into_response(),
        Remembered::Now(added) => {
            let memories = added.into_iter().map(MemoryOut::from).collect();
            (StatusCode::CREATED, axum::Json(MemoriesOut { memories, inferred: Some(false) })).into_response()
        }
    })
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
    /// Only of this agent.
    agent_id: Option<String>,
    /// Only of this run.
    run_id: Option<String>,
    /// Only of this application.
    app_id: Option<String>,
    /// A filter, as JSON: `{"metadata.kind": "food"}`.
    filters: Option<String>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// A page of memories, newest first.
#[derive(Serialize, ToSchema)]
struct PageOut {
    memories: Vec<MemoryOut>,
    /// How many match in all, exactly.
    total: u64,
    /// Give this as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// List memories, newest first, a page at a time.
#[utoipa::path(get, path = "/api/{user_id}/memories", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), PageQuery),
    responses((status = 200, body = PageOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn list(caller: Caller<ReadMemories>, Query(page): Query<PageQuery>) -> Result<axum::Json<PageOut>, Refusal> {
    let PageQuery { limit, cursor, agent_id, run_id, app_id, filters, user_id } = page;
    let (filter, users) = Which { agent_id, run_id, app_id, filters, user_id }.read()?;
    let before = cursor.map(|cursor| cursor.parse::<MemoryId>()).transpose();
    let before = before.map_err(|_| Error::invalid("`cursor` is a `next_cursor` of an earlier page."))?;
    let query = ListQuery { filter, limit: limit.unwrap_or(ListQuery::LIMIT_DEFAULT), before, offset: 0 };
    query.check()?;
    let page = caller.also_names(users).read(move |engine, scope| engine.list(scope, &query)).await?;
    Ok(axum::Json(PageOut {
        memories: page.memories.into_iter().map(MemoryOut::from).collect(),
        total: page.total,
        next_cursor: page.next.map(|id| id.to_string()),
    }))
}

/// Delete all memories that match, all of them without a filter, in one transaction. With all of them goes what was to become
/// memories or was made of them: conversations that wait for a model, or were kept when it failed, exports and summaries.
#[utoipa::path(delete, path = "/api/{user_id}/memories", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), Which),
    responses((status = 200, body = DeletedOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete_all(
    caller: Caller<WriteMemories>,
    Query(which): Query<Which>,
) -> Result<axum::Json<DeletedOut>, Refusal> {
    let (filter, users) = which.read()?;
    let deleted =
        caller.also_names(users).write(move |engine, scope| engine.delete_all(scope, filter.as_ref())).await?;
    Ok(axum::Json(DeletedOut { deleted }))
}

/// Remove what has expired, at once and for good. It is seen nowhere as it is, and goes bit by bit with the next writes.
#[utoipa::path(delete, path = "/api/{user_id}/memories/expired", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = DeletedOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn clean_up(caller: Caller<WriteMemories>) -> Result<axum::Json<DeletedOut>, Refusal> {
    let deleted = caller.write(|engine, scope| engine.clean_up(scope)).await?;
    Ok(axum::Json(DeletedOut { deleted }))
}

/// What to look for: words, a vector, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchIn {
    /// In words.
    #[serde(default)]
    #[schema(example = "what food should I avoid?")]
    query: Option<String>,
    /// As a vector of the space's dimension: an array of numbers, or base64 of little-endian 32-bit floats.
    #[serde(default)]
    #[schema(value_type = Option<Vec<f32>>)]
    embedding: Option<Embedding>,
    /// How many hits at most, 1 to 1,000; 10 if left out.
    #[serde(default)]
    limit: Option<usize>,
    /// The least score, 0 to 1; none if left out.
    #[serde(default)]
    threshold: Option<f32>,
    /// Among which memories: `{"agent_id": "chef", "metadata.kind": {"in": ["food", "drink"]}}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filters: Option<serde_json::Value>,
    /// Whether each hit tells what its score is made of.
    #[serde(default)]
    explain: bool,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// What was found, best first.
#[derive(Serialize, ToSchema)]
struct ResultsOut {
    results: Vec<MemoryOut>,
}

/// Search by meaning and by words. Every memory of the space is compared; the best come first.
#[utoipa::path(post, path = "/api/{user_id}/memories/search", tag = "memories", request_body = SearchIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = ResultsOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn search(caller: Caller<ReadMemories>, Json(body): Json<SearchIn>) -> Result<axum::Json<ResultsOut>, Refusal> {
    let parsed = body.filters.as_ref().filter(|json| !json.is_null()).map(filter::parse).transpose()?;
    let (filter, mut users) = parsed.map_or((None, Vec::new()), |parsed| (Some(parsed.filter), parsed.users));
    users.extend(body.user_id);
    let query = SearchQuery {
        text: body.query,
        embedding: body.embedding.map(|embedding| embedding.0),
        limit: body.limit.unwrap_or(SearchQuery::LIMIT_DEFAULT),
        threshold: body.threshold,
        cosine_min: None,
        filter,
    };
    query.check()?;
    let hits = caller.also_names(users).read(move |engine, scope| engine.search(scope, &query)).await?;
    let results = hits.into_iter().map(|hit| MemoryOut::hit(hit, body.explain)).collect();
    Ok(axum::Json(ResultsOut { results }))
}

/// One memory.
#[utoipa::path(get, path = "/api/{user_id}/memories/{id}", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = MemoryOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<MemoryOut>, Refusal> {
    let memory = caller.read(move |engine, scope| engine.get(scope, memory_id(&id))).await?;
    Ok(axum::Json(memory.into()))
}

/// Change a memory.
#[utoipa::path(patch, path = "/api/{user_id}/memories/{id}", tag = "memories", request_body = ChangeIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = MemoryOut), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn update(
    caller: Caller<WriteMemories>,
    Id(id): Id,
    Json(body): Json<ChangeIn>,
) -> Result<axum::Json<MemoryOut>, Refusal> {
    let (change, user) = body.read()?;
    change.check()?;
    let memory =
        caller.also_names(user).write(move |engine, scope| engine.update(scope, memory_id(&id), &change)).await?;
    Ok(axum::Json(memory.into()))
}

/// Delete a memory, and its texts from its history.
#[utoipa::path(delete, path = "/api/{user_id}/memories/{id}", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete(caller: Caller<WriteMemories>, Id(id): Id) -> Result<StatusCode, Refusal> {
    caller.write(move |engine, scope| engine.delete(scope, memory_id(&id))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What happened to a memory, oldest first.
#[derive(Serialize, ToSchema)]
struct HistoryOut {
    #[schema(value_type = Vec<Object>)]
    history: Vec<Event>,
}

/// What happened to a memory, oldest first. Of a deleted one only that it was there, and when.
#[utoipa::path(get, path = "/api/{user_id}/memories/{id}/history", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = HistoryOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn history(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<HistoryOut>, Refusal> {
    let history = caller.read(move |engine, scope| engine.history(scope, memory_id(&id))).await?;
    Ok(axum::Json(HistoryOut { history }))
}

/// Keep a memory for good: it is of no run any more, and does not expire. Where its text is kept already without a run,
/// with the same agent and application, that is a conflict, and both stay as they are.
#[utoipa::path(post, path = "/api/{user_id}/memories/{id}/promote", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = MemoryOut), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn promote(caller: Caller<WriteMemories>, Id(id): Id) -> Result<axum::Json<MemoryOut>, Refusal> {
    let memory = caller.write(move |engine, scope| engine.promote(scope, memory_id(&id))).await?;
    Ok(axum::Json(memory.into()))
}
