//! The paths of mem0's older clients (Python 0.1 and 1.0, npm 2): the same memories, with ids at the top of the body and in
//! shapes of their own. Everything is done when it is answered.

use std::sync::Arc;

use axum::Json;
use locule::{Result, SearchQuery};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asking::{Asking, asking};
use super::client::{Body, Client, Params};
use super::filter::Surface;
use super::ids::Ids;
use super::memories::{Listed, found, page_of};
use super::page::{Links, Page};
use super::remember::Adding;
use crate::app::App;
use crate::extract::{ReadMemories, WriteMemories};
use crate::problem::Refusal;

/// The routes that stand alone.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(search_v1)).routes(routes!(list_v2)).routes(routes!(search_v2))
}

/// Whether the answer is an object with `results`, and not a bare list.
fn in_results(body: &Map<String, Value>) -> bool {
    body.get("output_format").and_then(Value::as_str) == Some("v1.1")
}

/// Remember what was said.
#[utoipa::path(post, path = "/mem0/v1/memories", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
pub async fn add(client: Client<WriteMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let outcome = Adding::read(&body)?.store(client, true).await?;
    let mut results = outcome.results()?;
    results.extend(outcome.pending());
    Ok(Json(if in_results(&body) { json!({"results": results, "relations": []}) } else { json!(results) }))
}

/// List memories: all of them, or a page where the query asks for one.
#[utoipa::path(get, path = "/mem0/v1/memories", tag = "mem0", responses((status = 200, body = Object)))]
pub async fn list_of_query(client: Client<ReadMemories>, params: Params, links: Links) -> Result<Json<Value>, Refusal> {
    let ids = Ids::of_query(&params)?;
    let asking = Asking { filter: ids.filter(), users: ids.users() };
    listed(client, &params, &Map::new(), asking, &links).await
}

/// The same with filters.
#[utoipa::path(post, path = "/mem0/v2/memories", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn list_v2(
    client: Client<ReadMemories>,
    params: Params,
    links: Links,
    Body(body): Body,
) -> Result<Json<Value>, Refusal> {
    let asking = asking(&client, &body, Surface::Platform, true)?;
    listed(client, &params, &body, asking, &links).await
}

/// The most that an answer without pages holds.
const ALL: usize = 1000;

async fn listed(
    client: Client<ReadMemories>,
    params: &Params,
    body: &Map<String, Value>,
    asking: Asking,
    links: &Links,
) -> Result<Json<Value>, Refusal> {
    let page = Page::up_to(params, body, ALL, ALL)?;
    let Listed { results, total } = page_of(client, body, asking, page).await?;
    Ok(Json(if page.asked_for { page.envelope(total, results, links) } else { Value::Array(results) }))
}

/// Search.
#[utoipa::path(post, path = "/mem0/v1/memories/search", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn search_v1(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let asking = asking(&client, &body, Surface::Platform, true)?;
    let results = found(client, &body, asking, SearchQuery::LIMIT_DEFAULT).await?;
    Ok(Json(if in_results(&body) { json!({ "results": results }) } else { json!(results) }))
}

/// Search with filters.
#[utoipa::path(post, path = "/mem0/v2/memories/search", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn search_v2(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let asking = asking(&client, &body, Surface::Platform, true)?;
    Ok(Json(json!(found(client, &body, asking, SearchQuery::LIMIT_DEFAULT).await?)))
}
