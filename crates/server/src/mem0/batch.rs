//! `/v1/batch/`: several changes or deletions, all or none.

use std::sync::Arc;

use axum::Json;
use locule::{Change, Error, MemoryId, Result};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Body, Client, Params};
use super::memories::change;
use super::wire;
use crate::app::App;
use crate::extract::WriteMemories;
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(update, delete))
}

/// How many items one call may have.
const ITEMS_MAX: usize = 1000;

/// The items of a body, each with its id.
fn items(body: &Map<String, Value>) -> Result<Vec<(MemoryId, Map<String, Value>)>> {
    let listed = body.get("memories").or_else(|| body.get("memory_ids"));
    let Some(Value::Array(items)) = listed else {
        return Err(Error::invalid("`memories` is a list: [{\"memory_id\": \"…\", \"text\": \"…\"}]."));
    };
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(Error::invalid(format!("A batch has 1 to {ITEMS_MAX} memories.")));
    }
    let read = |item: &Value| {
        let (id, item) = match item {
            Value::String(id) => (Some(id.as_str()), Map::new()),
            Value::Object(item) => (item.get("memory_id").or(item.get("id")).and_then(Value::as_str), item.clone()),
            _ => (None, Map::new()),
        };
        let id = id.ok_or_else(|| Error::invalid("Every item of a batch has a `memory_id`."))?;
        Ok((wire::memory_id(id)?, item))
    };
    items.iter().map(read).collect()
}

/// Change several memories.
#[utoipa::path(put, path = "/mem0/v1/batch", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn update(client: Client<WriteMemories>, params: Params, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let items = items(&body)?;
    let first = items[0].0;
    let changes = items.into_iter().map(|(id, item)| Ok((id, change(&item)?)));
    let changes = changes.collect::<Result<Vec<(MemoryId, Change)>>>()?;
    let count = changes.len();
    let caller = client.caller_of(first, params.users()).await?;
    caller.write(move |engine, scope| engine.update_many(scope, changes)).await?;
    Ok(Json(json!({"message": format!("Successfully updated {count} memories")})))
}

/// Delete several memories.
#[utoipa::path(delete, path = "/mem0/v1/batch", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn delete(client: Client<WriteMemories>, params: Params, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let ids: Vec<MemoryId> = items(&body)?.into_iter().map(|(id, _)| id).collect();
    let count = ids.len();
    let caller = client.caller_of(ids[0], params.users()).await?;
    caller.write(move |engine, scope| engine.delete_many(scope, &ids)).await?;
    Ok(Json(json!({"message": format!("Successfully deleted {count} memories")})))
}
