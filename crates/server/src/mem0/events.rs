//! Events: what became of what was asked for. An add that is done when it is answered leaves none of its own: its first
//! memory tells it, under the memory's id.

use std::sync::Arc;

use axum::Json;
use locule::{Code, Error, ListQuery, Memory, Result};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Client, Params};
use super::page::{Links, Page};
use super::wire;
use crate::app::App;
use crate::extract::{Id, ReadMemories};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(list))
}

/// The event that a memory tells.
fn of_memory(memory: &Memory) -> Value {
    let at = wire::time(memory.created_at);
    json!({
        "id": memory.id,
        "event_type": "ADD",
        "status": "SUCCEEDED",
        "payload": {},
        "results": [{"id": memory.id, "memory": memory.memory, "data": {"memory": memory.memory}, "event": "ADD"}],
        "error": null,
        "created_at": at,
        "updated_at": at,
        "started_at": at,
        "completed_at": at,
        "latency": 0,
    })
}

fn not_found(Refusal(error): Refusal) -> Refusal {
    Refusal(if error.code() == Code::NotFound { Error::new(Code::NotFound, "Event not found") } else { error })
}

/// One event.
#[utoipa::path(get, path = "/mem0/v1/event/{id}", tag = "mem0", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn get(client: Client<ReadMemories>, Id(id): Id, params: Params) -> Result<Json<Value>, Refusal> {
    let id = id.parse().map_err(|_| Error::invalid("event_id should be a valid UUID"))?;
    let caller = client.caller_of(id, params.users()).await.map_err(not_found)?;
    let memory = caller.read(move |engine, scope| engine.get(scope, id)).await.map_err(not_found)?;
    Ok(Json(of_memory(&memory)))
}

/// Events, newest first, a page at a time. A service that names nobody has none of its own.
#[utoipa::path(get, path = "/mem0/v1/events", tag = "mem0", responses((status = 200, body = Object)))]
async fn list(client: Client<ReadMemories>, params: Params, links: Links) -> Result<Json<Value>, Refusal> {
    let page = Page::of(&params, &Map::new())?;
    let users = params.users();
    if users.is_empty() && !client.acts_for_somebody() {
        return Ok(Json(page.envelope(0, Vec::new(), &links)));
    }
    let query = ListQuery { filter: None, limit: page.size, before: None, offset: page.offset() };
    let caller = client.caller(users).await?;
    let found = caller.read(move |engine, scope| engine.list(scope, &query)).await?;
    page.check(found.total)?;
    let events = found.memories.iter().map(of_memory).collect();
    Ok(Json(page.envelope(found.total, events, &links)))
}
