//! `/project`: what is so of an application as a whole. For service keys alone.

use std::sync::Arc;

use axum::http::StatusCode;
use locule::memory::Metadata;
use locule::{NewWebhook, Project, Result, Webhook, WebhookChange, WebhookEvent, WebhookId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::settings::{SettingsOut, check_names};
use crate::app::App;
use crate::extract::{Id, Json, Managing};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get, change)).routes(routes!(webhooks, add_webhook)).routes(routes!(
        webhook,
        change_webhook,
        delete_webhook
    ))
}

/// The project of the application that a service key belongs to.
#[derive(Serialize, ToSchema)]
struct ProjectOut {
    #[serde(flatten)]
    settings: SettingsOut,
    /// When it was first changed; `null` before. RFC 3339, UTC.
    #[schema(value_type = Option<String>)]
    created_at: Option<jiff::Timestamp>,
    /// When it was last changed.
    #[schema(value_type = Option<String>)]
    updated_at: Option<jiff::Timestamp>,
}

impl From<Project> for ProjectOut {
    fn from(Project { settings, created_at, updated_at }: Project) -> Self {
        ProjectOut { settings: settings.into(), created_at, updated_at }
    }
}

/// How what the application's users tell is to be remembered, where they say nothing themselves.
#[utoipa::path(get, path = "/project", tag = "project",
    responses((status = 200, body = ProjectOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(managing: Managing) -> Result<axum::Json<ProjectOut>, Refusal> {
    let project = managing.read(|engine, right| engine.project(right)).await?;
    Ok(axum::Json(project.into()))
}

/// Change the project's settings: what is named replaces, `null` takes away, the rest stays.
#[utoipa::path(patch, path = "/project", tag = "project", request_body = SettingsOut,
    responses((status = 200, body = ProjectOut), (status = 422, body = Problem), (status = 413, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change(managing: Managing, Json(change): Json<Metadata>) -> Result<axum::Json<ProjectOut>, Refusal> {
    check_names(&change)?;
    let project = managing.write(move |engine, right| engine.change_project(right, &change)).await?;
    Ok(axum::Json(project.into()))
}

/// Where the application hears of changes.
#[derive(Serialize, ToSchema)]
struct WebhookOut {
    /// `wh_` and 26 characters.
    #[schema(value_type = String)]
    id: WebhookId,
    name: String,
    url: String,
    /// Of what it is told.
    #[schema(value_type = Vec<String>, example = json!(["memory_add"]))]
    event_types: Vec<WebhookEvent>,
    /// Whether it is told at all.
    is_active: bool,
    /// What deliveries are signed with. Only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    updated_at: jiff::Timestamp,
}

impl From<Webhook> for WebhookOut {
    fn from(webhook: Webhook) -> Self {
        let Webhook { id, name, url, event_types, secret: _, is_active, created_at, updated_at } = webhook;
        WebhookOut { id, name, url, event_types, is_active, secret: None, created_at, updated_at }
    }
}

/// The webhooks, the oldest first.
#[derive(Serialize, ToSchema)]
struct WebhooksOut {
    webhooks: Vec<WebhookOut>,
}

/// List the project's webhooks.
#[utoipa::path(get, path = "/project/webhooks", tag = "project",
    responses((status = 200, body = WebhooksOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn webhooks(managing: Managing) -> Result<axum::Json<WebhooksOut>, Refusal> {
    let webhooks = managing.read(|engine, right| engine.webhooks(right)).await?;
    Ok(axum::Json(WebhooksOut { webhooks: webhooks.into_iter().map(WebhookOut::from).collect() }))
}

/// A webhook to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookIn {
    /// What people call it.
    #[schema(example = "our application")]
    name: String,
    /// Where it is told.
    #[schema(example = "https://example.com/hooks/memories")]
    url: String,
    /// Of what: `memory_add`, `memory_update`, `memory_delete`, `memory_categorize`.
    #[schema(value_type = Vec<String>, example = json!(["memory_add", "memory_delete"]))]
    event_types: Vec<WebhookEvent>,
}

/// Make a webhook. The answer has the secret that its deliveries are signed with, and no other answer has.
#[utoipa::path(post, path = "/project/webhooks", tag = "project", request_body = WebhookIn,
    responses((status = 201, body = WebhookOut), (status = 422, body = Problem), (status = 413, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn add_webhook(
    managing: Managing,
    Json(body): Json<WebhookIn>,
) -> Result<(StatusCode, axum::Json<WebhookOut>), Refusal> {
    let WebhookIn { name, url, event_types } = body;
    let new = NewWebhook { name, url, event_types };
    new.check()?;
    let webhook = managing.write(move |engine, right| engine.add_webhook(right, new)).await?;
    let secret = Some(webhook.secret.reveal().to_owned());
    Ok((StatusCode::CREATED, axum::Json(WebhookOut { secret, ..webhook.into() })))
}

/// One webhook.
#[utoipa::path(get, path = "/project/webhooks/{id}", tag = "project", params(("id" = String, Path)),
    responses((status = 200, body = WebhookOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn webhook(managing: Managing, Id(id): Id) -> Result<axum::Json<WebhookOut>, Refusal> {
    let webhook = managing.read(move |engine, right| engine.webhook(right, &webhook_id(&id)?)).await?;
    Ok(axum::Json(webhook.into()))
}

/// A change to a webhook: what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChangeIn {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Vec<WebhookEvent>>,
    #[serde(default)]
    is_active: Option<bool>,
}

/// Change a webhook. Its secret stays.
#[utoipa::path(patch, path = "/project/webhooks/{id}", tag = "project", request_body = WebhookChangeIn,
    params(("id" = String, Path)),
    responses((status = 200, body = WebhookOut), (status = 404, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change_webhook(
    managing: Managing,
    Id(id): Id,
    Json(body): Json<WebhookChangeIn>,
) -> Result<axum::Json<WebhookOut>, Refusal> {
    let WebhookChangeIn { name, url, event_types, is_active } = body;
    let change = WebhookChange { name, url, event_types, is_active };
    change.check()?;
    let work = move |engine: &locule::Engine, right: &locule::Management| {
        engine.change_webhook(right, &webhook_id(&id)?, change)
    };
    Ok(axum::Json(managing.write(work).await?.into()))
}

/// Remove a webhook. What waits to be told to it is told no more.
#[utoipa::path(delete, path = "/project/webhooks/{id}", tag = "project", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete_webhook(managing: Managing, Id(id): Id) -> Result<StatusCode, Refusal> {
    managing.write(move |engine, right| engine.delete_webhook(right, &webhook_id(&id)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn webhook_id(text: &str) -> Result<WebhookId> {
    WebhookId::try_from(text)
}
