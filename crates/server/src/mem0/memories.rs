//! Memories as mem0's newer clients ask for them: `/v3/memories/…`, and by id `/v1/memories/{id}/`.

use std::sync::Arc;

use axum::Json;
use locule::memory::EventKind;
use locule::{Change, Code, Error, Event, ListQuery, Result, Right, Scope, SearchQuery};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asking::{Asking, asking};
use super::client::{Body, Client, Params};
use super::filter::{Surface, both};
use super::ids::Ids;
use super::page::{Links, Page};
use super::remember::{self, Adding};
use super::wire;
use crate::app::App;
use crate::extract::{Acting, Caller, Id, ReadMemories, WriteMemories};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(list))
        .routes(routes!(search))
        .routes(routes!(get, update, delete))
        .routes(routes!(history))
}

/// Whose space a scope is for, as answers name them.
pub fn owner<R: Right>(scope: &Scope<R>) -> String {
    scope.origin().owner().map(|owner| owner.subject.as_str().to_owned()).unwrap_or_default()
}

/// Remember what was said. Where a model is to find out what is worth it, that is done behind the answer, unless the body asks
/// to wait for it (`async_mode: false`).
#[utoipa::path(post, path = "/mem0/v3/memories/add", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn add(client: Client<WriteMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let adding = Adding::read(&body)?;
    let (infer, wait) = (adding.infer, adding.wait.unwrap_or(false));
    let outcome = adding.store(client, wait).await?;
    Ok(Json(remember::answer(&outcome, infer)))
}

/// A page of memories, and what the request says of it.
pub struct Listed {
    /// The memory objects.
    pub results: Vec<Value>,
    /// How many match.
    pub total: u64,
}

/// Lists.
pub async fn page_of(
    client: Client<ReadMemories>,
    body: &Map<String, Value>,
    asking: Asking,
    page: Page,
) -> Result<Listed, Refusal> {
    let Asking { filter, users } = asking;
    let fields = wire::fields(body);
    let query = ListQuery { filter, limit: page.size, before: None, offset: page.offset() };
    let caller = client.caller(users).await?;
    let (owner, found) = caller.read(move |engine, scope| Ok((owner(&scope), engine.list(scope, &query)?))).await?;
    page.check(found.total)?;
    let results = found.memories.into_iter().map(|memory| wire::only(wire::memory(memory, &owner), &fields));
    Ok(Listed { results: results.collect(), total: found.total })
}

/// List memories, newest first, a page at a time.
#[utoipa::path(post, path = "/mem0/v3/memories", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn list(
    client: Client<ReadMemories>,
    params: Params,
    links: Links,
    Body(body): Body,
) -> Result<Json<Value>, Refusal> {
    let asking = asking(&client, &body, Surface::Platform, true)?;
    let page = Page::of(&params, &body)?;
    let Listed { results, total } = page_of(client, &body, asking, page).await?;
    Ok(Json(page.envelope(total, results, &links)))
}

/// How many hits at most.
const TOP_K_MAX: usize = 1000;

/// Searches.
pub async fn found(
    client: Client<ReadMemories>,
    body: &Map<String, Value>,
    asking: Asking,
    top_k_default: usize,
) -> Result<Vec<Value>, Refusal> {
    let Asking { filter, users } = asking;
    let text = body.get("query").and_then(Value::as_str).unwrap_or_default().to_owned();
    let asked = body.get("top_k").or_else(|| body.get("limit"));
    let limit = wire::number(asked, "top_k")?.unwrap_or(top_k_default);
    if !(1..=TOP_K_MAX).contains(&limit) {
        return Err(Error::invalid(format!("`top_k` is a number from 1 to {TOP_K_MAX}.")).into());
    }
    let cosine_min = match body.get("threshold") {
        None | Some(Value::Null) => None,
        // Nothing is cut off by zero, whatever lies on the other side.
        Some(Value::Number(number)) => number.as_f64().map(|number| number as f32).filter(|least| *least != 0.0),
        Some(_) => return Err(Error::invalid("`threshold` is a number from 0 to 1.").into()),
    };
    let query = SearchQuery { limit, cosine_min, filter, ..SearchQuery::text(text) };
    query.check()?;
    let fields = wire::fields(body);
    let explain = wire::flag(body.get("explain")).unwrap_or(false);
    let caller = client.caller(users).await?;
    let (owner, hits) = caller.read(move |engine, scope| Ok((owner(&scope), engine.search(scope, &query)?))).await?;
    Ok(hits.into_iter().map(|hit| wire::only(wire::hit(hit, &owner, explain), &fields)).collect())
}

/// Search by meaning and by words.
#[utoipa::path(post, path = "/mem0/v3/memories/search", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn search(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let asking = asking(&client, &body, Surface::Platform, false)?;
    let results = found(client, &body, asking, SearchQuery::LIMIT_DEFAULT).await?;
    Ok(Json(json!({ "results": results })))
}

/// The caller for the memory of a path.
pub async fn caller_of<A: Acting>(
    client: Client<A>,
    id: &str,
    params: &Params,
) -> Result<(locule::MemoryId, Caller<A>), Refusal> {
    let id = wire::memory_id(id)?;
    Ok((id, client.caller_of(id, params.users()).await.map_err(memory_not_found)?))
}

/// The one answer to the id of a memory that is not here.
pub fn memory_not_found(Refusal(error): Refusal) -> Refusal {
    let is_plain = error.code() == Code::NotFound && error.detail() == Error::not_found().detail();
    Refusal(if is_plain { Error::new(Code::NotFound, "Memory not found") } else { error })
}

/// One memory.
#[utoipa::path(get, path = "/mem0/v1/memories/{id}", tag = "mem0", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn get(client: Client<ReadMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    let (id, caller) = caller_of(client, &id, &params).await?;
    let read = caller.read(move |engine, scope| Ok((owner(&scope), engine.get(scope, id)?))).await;
    let (owner, memory) = read.map_err(memory_not_found)?;
    Ok(Json(Value::Object(wire::memory(memory, &owner))))
}

/// The change that a body asks for.
pub fn change(body: &Map<String, Value>) -> Result<Change> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let change = Change {
        memory: text("text").or_else(|| text("data")),
        metadata: wire::metadata(body)?,
        expiration: wire::expiration(body)?,
        created_at: body.get("timestamp").filter(|value| !value.is_null()).map(wire::moment).transpose()?,
        ..Change::default()
    };
    if change == Change::default() {
        return Err(Error::invalid(
            "Nothing to change: give at least one of text, metadata, timestamp, expiration_date.",
        ));
    }
    change.check()?;
    Ok(change)
}

/// Change a memory.
#[utoipa::path(put, path = "/mem0/v1/memories/{id}", tag = "mem0", params(("id" = String, Path)), request_body = Object, responses((status = 200, body = Object)))]
async fn update(
    client: Client<WriteMemories>,
    Id(id): Id,
    params: Params,
    Body(body): Body,
) -> Result<Json<Value>, Refusal> {
    // Which memory comes before what to make of it: a bad id is told whatever the body says.
    wire::memory_id(&id)?;
    let change = change(&body)?;
    let (id, caller) = caller_of(client, &id, &params).await?;
    let written = caller.write(move |engine, scope| Ok((owner(&scope), engine.update(scope, id, &change)?))).await;
    let (owner, memory) = written.map_err(memory_not_found)?;
    Ok(Json(Value::Object(wire::memory(memory, &owner))))
}

/// Delete a memory, and its texts from its history.
#[utoipa::path(delete, path = "/mem0/v1/memories/{id}", tag = "mem0", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn delete(client: Client<WriteMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    let (id, caller) = caller_of(client, &id, &params).await?;
    caller.write(move |engine, scope| engine.delete(scope, id)).await.map_err(memory_not_found)?;
    let mut answer = json!({"message": "Memory deleted successfully!"});
    if params.get("delete_linked").is_some_and(|linked| linked.eq_ignore_ascii_case("true")) {
        answer["cascade_count"] = json!(0);
    }
    Ok(Json(answer))
}

/// What happened to a memory, oldest first; nothing, where it is not here.
#[utoipa::path(get, path = "/mem0/v1/memories/{id}/history", tag = "mem0", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn history(client: Client<ReadMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    Ok(Json(Value::Array(lines(client, &id, &params).await?)))
}

/// The lines of a memory's history.
pub async fn lines(client: Client<ReadMemories>, id: &str, params: &Params) -> Result<Vec<Value>, Refusal> {
    let nothing = |refusal: Refusal| if refusal.0.code() == Code::NotFound { Ok(Vec::new()) } else { Err(refusal) };
    let (id, caller) = match caller_of(client, id, params).await {
        Ok(found) => found,
        Err(refusal) => return nothing(refusal),
    };
    let read = caller.read(move |engine, scope| Ok((owner(&scope), engine.history(scope, id)?))).await;
    let (owner, events) = match read {
        Ok(read) => read,
        Err(refusal) => return nothing(refusal),
    };
    let created_at = events.first().map(|event| wire::time(event.at));
    let line = |(number, event): (usize, &Event)| {
        let kind = match event.event {
            EventKind::Add => "ADD",
            EventKind::Update => "UPDATE",
            EventKind::Delete => "DELETE",
        };
        let said = event.new_memory.as_ref().or(event.old_memory.as_ref());
        json!({
            "id": format!("{id}:{number}"),
            "memory_id": id,
            "input": said.map(|text| json!([{"role": "user", "content": text}])),
            "old_memory": event.old_memory,
            "new_memory": event.new_memory,
            "user_id": owner,
            "categories": null,
            "event": kind,
            "metadata": null,
            "created_at": created_at,
            "updated_at": wire::time(event.at),
            "is_deleted": event.event == EventKind::Delete,
            "actor_id": null,
            "role": null,
        })
    };
    Ok(events.iter().enumerate().map(line).collect())
}

/// The condition of a deletion: the labels that the request names, and its metadata.
pub fn doomed(ids: &Ids, metadata: Option<&str>) -> Result<Option<locule::Filter>> {
    let Some(text) = metadata else { return Ok(ids.filter()) };
    let metadata: Value =
        serde_json::from_str(text).map_err(|_| Error::invalid("`metadata` is a JSON object, as text."))?;
    let filter = locule::filter::parse(&json!({ "metadata": metadata }))?.filter;
    Ok(both(ids.filter(), Some(filter)))
}
