//! What mem0's own server has beside memories: its configuration, its accounts and its keys.
//!
//! What changes the whole installation (its configuration, all users' memories at once, who has an account) is no right of a
//! user's or a service's here, and is refused in words that say who may.

use std::sync::Arc;

use axum::Json;
use locule::auth::KeyRecord;
use locule::infer;
use locule::{Code, Error, Result, Role, limit};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::account::opaque;
use super::client::{Body, Client};
use super::wire;
use crate::app::App;
use crate::extract::{ReadMemories, WriteMemories};
use crate::pool::Kind;
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(reset))
        .routes(routes!(configuration, configure))
        .routes(routes!(providers))
        .routes(routes!(generate_instructions))
        .routes(routes!(setup_status))
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(me, change_me))
        .routes(routes!(change_password))
        .routes(routes!(onboarding_complete))
        .routes(routes!(keys, create_key))
        .routes(routes!(revoke_key))
        .routes(routes!(requests))
}

/// For whoever runs the installation alone.
pub fn operators_do(what: &str) -> Refusal {
    Error::new(Code::NotAllowed, format!("No credential of this face may do that: whoever runs Locule {what}.")).into()
}

/// Delete everybody's memories: nobody may, here.
#[utoipa::path(post, path = "/mem0/reset", tag = "mem0 self-hosted", responses((status = 403, body = Object)))]
async fn reset(_client: Client<WriteMemories>) -> Result<Json<Value>, Refusal> {
    Err(operators_do("erases users one by one, with `locule user erase`"))
}

/// The configuration, as far as it is everybody's business.
#[utoipa::path(get, path = "/mem0/configure", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn configuration(client: Client<ReadMemories>) -> Result<Json<Value>, Refusal> {
    let engine = &client.app().engine;
    let model = engine.embedder().model();
    let llm = engine
        .chat()
        .map(|chat| json!({"provider": "openai", "config": {"model": chat.model(), "api_key": "[redacted]"}}));
    let embedder = json!({"provider": "locule", "config": {"model": model.id, "embedding_dims": model.dimension}});
    Ok(Json(json!({"version": "v1.1", "embedder": embedder, "llm": llm, "vector_store": {"provider": "locule"}})))
}

/// Change it: nobody may, here.
#[utoipa::path(post, path = "/mem0/configure", tag = "mem0 self-hosted", responses((status = 403, body = Object)))]
async fn configure(_client: Client<WriteMemories>) -> Result<Json<Value>, Refusal> {
    Err(operators_do("configures it in locule.toml, and `locule config` shows what is in force"))
}

/// What models can be configured.
#[utoipa::path(get, path = "/mem0/configure/providers", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn providers(_client: Client<ReadMemories>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({"llm": ["openai"], "embedder": ["locule", "openai"]})))
}

/// Have the model write custom instructions for an application. This one is asked to wait for a model, and does.
#[utoipa::path(post, path = "/mem0/generate-instructions", tag = "mem0 self-hosted", request_body = Object,
    responses((status = 200, body = Object), (status = 400, body = Object), (status = 503, body = Object)))]
async fn generate_instructions(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let app = client.app().clone();
    if app.engine.chat().is_none() {
        return Err(Error::invalid(
            "No model is configured here that could write instructions: whoever runs Locule sets `chat.model`. You can \
             write `custom_instructions` yourself.",
        )
        .into());
    }
    let use_case = body.get("use_case").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    if use_case.is_empty() || use_case.chars().count() > limit::USE_CASE_CHARS.max {
        return Err(Error::invalid(format!(
            "`use_case` says in up to {} characters what the application is for.",
            limit::USE_CASE_CHARS.max
        ))
        .into());
    }
    let share = app.share(client.principal(), None);
    app.check_rate(share)?;
    let engine = app.engine.clone();
    let ask = move || {
        let chat = engine.chat().ok_or_else(|| Error::internal("a model that went away"))?;
        infer::guidance(&chat.say(&infer::guide(&use_case))?).map_err(|unusable| {
            Error::new(Code::ProviderUnavailable, format!("The model's answer cannot be used: {}.", unusable.0))
        })
    };
    let written = app.pool.run(share, Kind::Read, app.deadline, ask).await?;
    Ok(Json(json!({
        "custom_instructions": written.custom_instructions,
        "test_message": written.test_message,
    })))
}

/// Whether somebody has yet to set the server up: an installation has its keys from its first start.
#[utoipa::path(get, path = "/mem0/auth/setup-status", tag = "mem0 self-hosted", security(()), responses((status = 200, body = Object)))]
async fn setup_status() -> Json<Value> {
    Json(json!({"needsSetup": false}))
}

/// Nobody signs up or in here: identities are an issuer's.
fn no_accounts() -> Refusal {
    let detail = "There are no accounts and passwords here. A user comes with a token of your identity provider (or of `locule \
                  token`), a program with a key that whoever runs Locule makes (`locule key create`).";
    Error::new(Code::NotAllowed, detail).into()
}

/// Make an account: there are none.
#[utoipa::path(post, path = "/mem0/auth/register", tag = "mem0 self-hosted", security(()), responses((status = 403, body = Object)))]
async fn register() -> Refusal {
    no_accounts()
}

/// Sign in: tokens come from an issuer.
#[utoipa::path(post, path = "/mem0/auth/login", tag = "mem0 self-hosted", security(()), responses((status = 403, body = Object)))]
async fn log_in() -> Refusal {
    no_accounts()
}

/// Renew a token: its issuer does.
#[utoipa::path(post, path = "/mem0/auth/refresh", tag = "mem0 self-hosted", security(()), responses((status = 403, body = Object)))]
async fn refresh() -> Refusal {
    no_accounts()
}

/// Who a credential is.
#[utoipa::path(get, path = "/mem0/auth/me", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn me(client: Client<ReadMemories>) -> Json<Value> {
    let (app, principal) = (client.app(), client.principal());
    let role = match principal.role() {
        Role::Owner => "user",
        Role::Reader => "reader",
        Role::Service => "service",
        Role::Operator => "operator",
    };
    Json(json!({"id": opaque(app, principal), "name": principal.actor().name(), "email": null, "role": role}))
}

/// Change it: its issuer does.
#[utoipa::path(patch, path = "/mem0/auth/me", tag = "mem0 self-hosted", responses((status = 403, body = Object)))]
async fn change_me(_client: Client<ReadMemories>) -> Refusal {
    no_accounts()
}

/// Change a password: there are none.
#[utoipa::path(post, path = "/mem0/auth/change-password", tag = "mem0 self-hosted", responses((status = 403, body = Object)))]
async fn change_password(_client: Client<ReadMemories>) -> Refusal {
    no_accounts()
}

/// That somebody has been shown around: nothing here depends on it.
#[utoipa::path(post, path = "/mem0/auth/onboarding-complete", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn onboarding_complete(_client: Client<ReadMemories>) -> Json<Value> {
    Json(json!({"message": "There is nothing to complete."}))
}

/// A key without its secret.
fn key(record: &KeyRecord) -> Value {
    let id = record.id.as_str();
    json!({
        "id": id,
        "label": record.name,
        "key_prefix": format!("locule_{id}_"),
        "created_at": wire::time(record.created_at),
        "expires_at": record.expires_at.map(wire::time),
    })
}

/// The caller's own keys, without their secrets.
#[utoipa::path(get, path = "/mem0/api-keys", tag = "mem0 self-hosted", responses((status = 200, body = Object)))]
async fn keys(client: Client<ReadMemories>) -> Result<Json<Value>, Refusal> {
    let (app, principal) = (client.app().clone(), client.principal().clone());
    let share = app.share(&principal, None);
    app.check_rate(share)?;
    let engine = app.engine.clone();
    let found = app.pool.run(share, Kind::Read, app.deadline, move || engine.gate().keys(&principal)).await?;
    Ok(Json(found.iter().map(key).collect()))
}

/// Make a key: a stolen token must not be able to outlive itself.
#[utoipa::path(post, path = "/mem0/api-keys", tag = "mem0 self-hosted", responses((status = 403, body = Object)))]
async fn create_key(_client: Client<WriteMemories>) -> Refusal {
    operators_do("makes keys, with `locule key create`")
}

/// End a key.
#[utoipa::path(delete, path = "/mem0/api-keys/{id}", tag = "mem0 self-hosted", params(("id" = String, Path)), responses((status = 403, body = Object)))]
async fn revoke_key(_client: Client<WriteMemories>) -> Refusal {
    operators_do("ends keys, with `locule key revoke`")
}

/// Everybody's requests.
#[utoipa::path(get, path = "/mem0/requests", tag = "mem0 self-hosted", responses((status = 403, body = Object)))]
async fn requests(_client: Client<ReadMemories>) -> Refusal {
    operators_do("sees figures over requests at the operators' `/metrics`, and what was refused with `locule audit`")
}
