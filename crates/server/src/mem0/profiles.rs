//! Profiles: what mem0 makes of all of a user's memories. They are not made here, and every question says so.

use std::sync::Arc;

use axum::Json;
use locule::{Error, Result};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Body, Client};
use super::memories::owner;
use crate::app::App;
use crate::extract::{ReadMemories, WriteMemories, in_path};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(profile))
        .routes(routes!(settings, set))
        .routes(routes!(start))
        .routes(routes!(job))
}

fn not_enabled() -> Refusal {
    Error::invalid("profiles are not enabled").into()
}

/// The name in a path.
struct Name(String);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Name(in_path(parts, "name").unwrap_or_default()))
    }
}

/// A user's profile: none.
#[utoipa::path(get, path = "/mem0/v2/entities/user/{name}/profile", tag = "mem0", params(("name" = String, Path)), responses((status = 200, body = Object)))]
async fn profile(client: Client<ReadMemories>, Name(name): Name) -> Result<Json<Value>, Refusal> {
    let owner = client.caller(vec![name]).await?.read(|_, scope| Ok(owner(&scope))).await?;
    Ok(Json(json!({
        "profile": {},
        "status": "not_enabled",
        "entity_type": "user",
        "entity_id": owner,
        "updated_at": null,
        "generation_count": 0,
    })))
}

/// Whether profiles are made: they are not.
#[utoipa::path(get, path = "/mem0/v2/profiles/settings", tag = "mem0", responses((status = 200, body = Object)))]
async fn settings(_client: Client<ReadMemories>) -> Json<Value> {
    Json(
        json!({"enabled": false, "capabilities": {}, "entities": {"user": {"schema": null, "custom_instructions": null}}}),
    )
}

/// Have them made, or not: only the second can be had.
#[utoipa::path(post, path = "/mem0/v2/profiles/settings", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn set(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let asks_for_something = body.get("enabled") == Some(&Value::Bool(true)) || body.get("entities").is_some();
    if asks_for_something { Err(not_enabled()) } else { Ok(settings(client).await) }
}

/// Make some: no.
#[utoipa::path(post, path = "/mem0/v2/profiles/jobs", tag = "mem0", request_body = Object, responses((status = 400, body = Object)))]
async fn start(_client: Client<WriteMemories>) -> Result<Json<Value>, Refusal> {
    Err(not_enabled())
}

/// How the making goes: it does not.
#[utoipa::path(get, path = "/mem0/v2/profiles/jobs/{id}", tag = "mem0", params(("id" = String, Path)), responses((status = 400, body = Object)))]
async fn job(_client: Client<ReadMemories>) -> Result<Json<Value>, Refusal> {
    Err(not_enabled())
}
