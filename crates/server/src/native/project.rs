//! `/project`: what is so of a service's application as a whole: how what its users tell is to be remembered, and who hears of
//! changes. Only a service's key comes here; a user has settings of their own.

use std::sync::Arc;

use axum::http::StatusCode;
use locule::memory::Metadata;
use locule::project::{NewWebhook, Webhook, WebhookChange, WebhookEvent, WebhookId};
use locule::{Project, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Id, Json, Managing};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get, change)).routes(routes!(list, create)).routes(routes!(
        get_webhook,
        change_webhook,
        delete_webhook
    ))
}

/// A project.
#[derive(Serialize, ToSchema)]
struct ProjectOut {
    /// `custom_instructions`, `agent_custom_instructions`, `custom_categories` (`[{"name", "description"}]`), as far as they are
    /// set. A user's own settings come before them.
    #[schema(value_type = Object)]
    settings: Metadata,
    /// When it was first changed. RFC 3339, UTC.
    #[schema(value_type = Option<String>)]
    created_at: Option<jiff::Timestamp>,
    /// When it was last changed.
    #[schema(value_type = Option<String>)]
    updated_at: Option<jiff::Timestamp>,
}

impl TryFrom<Project> for ProjectOut {
    type Error = locule::Error;

    fn try_from(project: Project) -> Result<Self> {
        let Project { settings, created_at, updated_at } = project;
        Ok(ProjectOut { settings: settings.object()?, created_at, updated_at })
    }
}

/// A webhook.
#[derive(Serialize, ToSchema)]
struct WebhookOut {
    /// `wh_…`
    id: String,
    /// What people call it.
    name: String,
    /// Where changes are told.
    url: String,
    /// Which: `memory_add`, `memory_update`, `memory_delete`, `memory_categorize`.
    #[schema(value_type = Vec<String>)]
    event_types: Vec<WebhookEvent>,
    /// Whether they are told at all.
    is_active: bool,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    updated_at: jiff::Timestamp,
    /// What deliveries are signed with: in the answer that made the webhook, and in no later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<Webhook> for WebhookOut {
    fn from(webhook: Webhook) -> Self {
        let Webhook { id, name, url, event_types, is_active, created_at, updated_at, secret: _ } = webhook;
        let id = id.as_str().to_owned();
        WebhookOut { id, name, url, event_types, is_active, created_at, updated_at, secret: None }
    }
}

/// A project's webhooks.
#[derive(Serialize, ToSchema)]
struct WebhooksOut {
    webhooks: Vec<WebhookOut>,
}

/// A webhook to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookIn {
    /// What people call it.
    #[schema(example = "the shop")]
    name: String,
    /// Where changes are told.
    #[schema(example = "https://shop.example.com/memories")]
    url: String,
    /// Which: `memory_add`, `memory_update`, `memory_delete`, `memory_categorize`.
    #[schema(value_type = Vec<String>)]
    event_types: Vec<WebhookEvent>,
}

/// A change to a webhook: what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChangeIn {
    /// Another name.
    #[serde(default)]
    name: Option<String>,
    /// Another place.
    #[serde(default)]
    url: Option<String>,
    /// Other events.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Vec<WebhookEvent>>,
    /// Whether they are told at all.
    #[serde(default)]
    is_active: Option<bool>,
}

/// The project of this key.
#[utoipa::path(get, path = "/project", tag = "project",
    responses((status = 200, body = ProjectOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(managing: Managing) -> Result<axum::Json<ProjectOut>, Refusal> {
    Ok(axum::Json(managing.run(|engine, right| engine.project(right)?.try_into()).await?))
}

/// Change its settings, as RFC 7396 says: each name replaces, `null` takes away.
#[utoipa::path(patch, path = "/project", tag = "project", request_body = Object,
    responses((status = 200, body = ProjectOut), (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change(managing: Managing, Json(change): Json<Metadata>) -> Result<axum::Json<ProjectOut>, Refusal> {
    let changed = managing.run(move |engine, right| engine.change_project(right, &change)?.try_into()).await?;
    Ok(axum::Json(changed))
}

/// Its webhooks, the oldest first.
#[utoipa::path(get, path = "/project/webhooks", tag = "project",
    responses((status = 200, body = WebhooksOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn list(managing: Managing) -> Result<axum::Json<WebhooksOut>, Refusal> {
    let webhooks = managing.run(|engine, right| engine.webhooks(right)).await?;
    Ok(axum::Json(WebhooksOut { webhooks: webhooks.into_iter().map(WebhookOut::from).collect() }))
}

/// Have changes told. The answer has the secret that deliveries are signed with.
#[utoipa::path(post, path = "/project/webhooks", tag = "project", request_body = WebhookIn,
    responses((status = 201, body = WebhookOut), (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn create(
    managing: Managing,
    Json(WebhookIn { name, url, event_types }): Json<WebhookIn>,
) -> Result<(StatusCode, axum::Json<WebhookOut>), Refusal> {
    let new = NewWebhook { name, url, event_types };
    let made = managing.run(move |engine, right| engine.add_webhook(right, new)).await?;
    let secret = Some(made.secret.reveal().to_owned());
    Ok((StatusCode::CREATED, axum::Json(WebhookOut { secret, ..made.into() })))
}

/// One of its webhooks.
#[utoipa::path(get, path = "/project/webhooks/{id}", tag = "project", params(("id" = String, Path)),
    responses((status = 200, body = WebhookOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get_webhook(managing: Managing, Id(id): Id) -> Result<axum::Json<WebhookOut>, Refusal> {
    let webhook = managing.run(move |engine, right| engine.webhook(right, &WebhookId::try_from(&*id)?)).await?;
    Ok(axum::Json(webhook.into()))
}

/// Change one.
#[utoipa::path(patch, path = "/project/webhooks/{id}", tag = "project", params(("id" = String, Path)), request_body = WebhookChangeIn,
    responses((status = 200, body = WebhookOut), (status = 404, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change_webhook(
    managing: Managing,
    Id(id): Id,
    Json(change): Json<WebhookChangeIn>,
) -> Result<axum::Json<WebhookOut>, Refusal> {
    let WebhookChangeIn { name, url, event_types, is_active } = change;
    let change = WebhookChange { name, url, event_types, is_active };
    let changed =
        managing.run(move |engine, right| engine.change_webhook(right, &WebhookId::try_from(&*id)?, change)).await?;
    Ok(axum::Json(changed.into()))
}

/// Have nothing told there any more.
#[utoipa::path(delete, path = "/project/webhooks/{id}", tag = "project", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete_webhook(managing: Managing, Id(id): Id) -> Result<StatusCode, Refusal> {
    managing.run(move |engine, right| engine.delete_webhook(right, &WebhookId::try_from(&*id)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}
