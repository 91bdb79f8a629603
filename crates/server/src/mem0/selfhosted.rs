//! The paths of mem0's own server, which have no version before them: the same memories, everything done when it is answered.

use std::sync::Arc;

use axum::Json;
use locule::{ListQuery, Result};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asking::{Asking, asking};
use super::client::{Body, Client, Params};
use super::deletion::selected;
use super::entities::{self, Named};
use super::filter::Surface;
use super::ids::Ids;
use super::memories::{caller_of, change, found, lines, memory_not_found, owner};
use super::remember::Adding;
use super::wire;
use crate::app::App;
use crate::extract::{Erase, Id, ReadMemories, WriteMemories};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(add, list, delete_all))
        .routes(routes!(get, update, delete))
        .routes(routes!(history))
        .routes(routes!(search))
        .routes(routes!(list_entities))
        .routes(routes!(delete_entity))
}

/// How many come when nobody says.
const TOP_K_DEFAULT: usize = 20;

/// Remember what was said.
#[utoipa::path(post, path = "/mem0/memories", tag = "mem0 self-hosted", request_body = Object, responses((status = 200, body = Object)))]
async fn add(client: Client<WriteMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let outcome = Adding::read(&body)?.store(client, true).await?;
    let mut answer = outcome.pending().unwrap_or_else(|| json!({}));
    answer["results"] = json!(outcome.results()?);
    Ok(Json(answer))
}

/// List memories, newest first.
#[utoipa::path(get, path = "/mem0/memories", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn list(client: Client<ReadMemories>, params: Params) -> Result<Json<Value>, Refusal> {
    let ids = Ids::of_query(&params)?;
    let limit = wire::number(params.get("top_k").map(Value::from).as_ref(), "top_k")?.unwrap_or(TOP_K_DEFAULT);
    if limit == 0 {
        return Ok(Json(json!({"results": []})));
    }
    let query = ListQuery { filter: ids.filter(), limit, ..ListQuery::default() };
    query.check()?;
    let caller = client.caller(ids.users()).await?;
    let (owner, page) = caller.read(move |engine, scope| Ok((owner(&scope), engine.list(scope, &query)?))).await?;
    let results: Vec<_> = page.memories.into_iter().map(|memory| wire::memory(memory, &owner)).collect();
    Ok(Json(json!({ "results": results })))
}

/// Delete all memories of a user, or those of an agent, an application or a run of theirs, in one transaction.
#[utoipa::path(delete, path = "/mem0/memories", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn delete_all(client: Client<WriteMemories>, params: Params) -> Result<Json<Value>, Refusal> {
    let ids = selected(&params, client.is_service() && !client.acts_for_somebody())?;
    let filter = ids.filter();
    let caller = client.caller(ids.users()).await?;
    caller.write(move |engine, scope| engine.delete_all(scope, filter.as_ref())).await?;
    Ok(Json(json!({"message": "All relevant memories deleted"})))
}

/// One memory.
#[utoipa::path(get, path = "/mem0/memories/{id}", tag = "mem0 self-hosted", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn get(client: Client<ReadMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    let (id, caller) = caller_of(client, &id, &params).await?;
    let read = caller.read(move |engine, scope| Ok((owner(&scope), engine.get(scope, id)?))).await;
    let (owner, memory) = read.map_err(memory_not_found)?;
    let mut object = wire::memory(memory, &owner);
    object.insert("score".to_owned(), Value::Null);
    Ok(Json(Value::Object(object)))
}

/// Change a memory.
#[utoipa::path(put, path = "/mem0/memories/{id}", tag = "mem0 self-hosted", params(("id" = String, Path)), request_body = Object, responses((status = 200, body = Object)))]
async fn update(
    client: Client<WriteMemories>,
    Id(id): Id,
    params: Params,
    Body(body): Body,
) -> Result<Json<Value>, Refusal> {
    wire::memory_id(&id)?;
    let change = change(&body)?;
    let (id, caller) = caller_of(client, &id, &params).await?;
    caller.write(move |engine, scope| engine.update(scope, id, &change)).await.map_err(memory_not_found)?;
    Ok(Json(json!({"message": "Memory updated successfully!"})))
}

/// Delete a memory, and its texts from its history.
#[utoipa::path(delete, path = "/mem0/memories/{id}", tag = "mem0 self-hosted", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn delete(client: Client<WriteMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    let (id, caller) = caller_of(client, &id, &params).await?;
    caller.write(move |engine, scope| engine.delete(scope, id)).await.map_err(memory_not_found)?;
    Ok(Json(json!({"message": "Memory deleted successfully"})))
}

/// What happened to a memory, oldest first; nothing, where it is not here.
#[utoipa::path(get, path = "/mem0/memories/{id}/history", tag = "mem0 self-hosted", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn history(client: Client<ReadMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    Ok(Json(Value::Array(lines(client, &id, &params).await?)))
}

/// Search by meaning and by words. A key of a filter that is no field is one of the metadata.
#[utoipa::path(post, path = "/mem0/search", tag = "mem0 self-hosted", request_body = Object, responses((status = 200, body = Object)))]
async fn search(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let asking: Asking = asking(&client, &body, Surface::SelfHosted, true)?;
    let results = found(client, &body, asking, TOP_K_DEFAULT).await?;
    Ok(Json(json!({ "results": results })))
}

/// List entities.
#[utoipa::path(get, path = "/mem0/entities", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn list_entities(client: Client<ReadMemories>, params: Params) -> Result<Json<Value>, Refusal> {
    let named = |mut entity: Value| {
        entity["id"] = entity["name"].take();
        let plain: Map<String, Value> = ["id", "type", "total_memories", "created_at", "updated_at"]
            .into_iter()
            .map(|key| (key.to_owned(), entity[key].take()))
            .collect();
        Value::Object(plain)
    };
    let entities = entities::visible(client, params.users()).await?;
    Ok(Json(entities.into_iter().map(named).collect()))
}

/// Delete an entity.
#[utoipa::path(delete, path = "/mem0/entities/{kind}/{name}", tag = "mem0 self-hosted",
    params(("kind" = String, Path), ("name" = String, Path)), responses((status = 200, body = Object)))]
async fn delete_entity(
    writing: Client<WriteMemories>,
    erasing: Client<Erase>,
    named: Named,
    params: Params,
) -> Result<Json<Value>, Refusal> {
    entities::remove(writing, erasing, named, &params).await?;
    Ok(Json(json!({"message": "Entity deleted"})))
}
