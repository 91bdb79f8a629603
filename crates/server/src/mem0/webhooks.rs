//! Where a project wants to hear of changes. A service's key sets that up; a user's credential may not.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use locule::project::{NewWebhook, Webhook, WebhookChange, WebhookEvent, WebhookId};
use locule::{Error, Result};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::account::{opaque, project};
use super::client::{Body, Client};
use super::projects::check_project;
use super::wire;
use crate::app::App;
use crate::extract::{Acting, ReadMemories, WriteMemories, in_path};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(change, delete))
}

/// The project, or the webhook, of a path.
struct Of {
    project: Option<String>,
    webhook: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Of {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Of { project: in_path(parts, "project"), webhook: in_path(parts, "webhook") })
    }
}

impl Of {
    fn webhook(&self) -> Result<WebhookId> {
        WebhookId::try_from(self.webhook.as_deref().unwrap_or_default())
    }
}

/// How a webhook is shown, and to whom.
struct Shown {
    owner: String,
    project: String,
}

impl Shown {
    fn to<A: Acting>(client: &Client<A>) -> Self {
        let (app, principal) = (client.app(), client.principal());
        Shown { owner: opaque(app, principal), project: project(app, principal) }
    }

    fn object(&self, webhook: &Webhook) -> Value {
        json!({
            "webhook_id": webhook.id.as_str(),
            "name": webhook.name,
            "url": webhook.url,
            "event_types": webhook.event_types,
            "owner": self.owner,
            "is_active": webhook.is_active,
            "project": self.project,
            "created_at": wire::time(webhook.created_at),
            "updated_at": wire::time(webhook.updated_at),
        })
    }
}

/// What is told when nobody says of what.
const MEMORIES: [WebhookEvent; 4] =
    [WebhookEvent::MemoryAdd, WebhookEvent::MemoryUpdate, WebhookEvent::MemoryDelete, WebhookEvent::MemoryCategorize];

/// The kinds of event that a body names.
fn events(body: &Map<String, Value>) -> Result<Option<Vec<WebhookEvent>>> {
    let refuse = || Error::invalid("`event_types` is a list such as [\"memory_add\", \"memory_update\"].");
    let listed = match body.get("event_types") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(refuse()),
    };
    let names = listed.iter().map(|name| name.as_str().ok_or_else(refuse)).collect::<Result<Vec<_>>>()?;
    let mut events = names.into_iter().map(WebhookEvent::try_from).collect::<Result<Vec<_>>>()?;
    let mut seen = Vec::new();
    events.retain(|event| {
        !seen.contains(event) && {
            seen.push(*event);
            true
        }
    });
    Ok(Some(events))
}

fn text(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A project's webhooks.
#[utoipa::path(get, path = "/mem0/api/v1/webhooks/projects/{project}", tag = "mem0", params(("project" = String, Path)), responses((status = 200, body = Object)))]
async fn list(client: Client<ReadMemories>, of: Of) -> Result<Json<Value>, Refusal> {
    check_project(&client, of.project.as_deref())?;
    let shown = Shown::to(&client);
    let webhooks = client.manage(|engine, management| engine.webhooks(&management)).await?;
    Ok(Json(webhooks.iter().map(|webhook| shown.object(webhook)).collect()))
}

/// Have changes told. The answer has the secret that deliveries are signed with; no later one has.
#[utoipa::path(post, path = "/mem0/api/v1/webhooks/projects/{project}", tag = "mem0", params(("project" = String, Path)),
    request_body = Object, responses((status = 201, body = Object)))]
async fn create(client: Client<WriteMemories>, of: Of, Body(body): Body) -> Result<(StatusCode, Json<Value>), Refusal> {
    check_project(&client, of.project.as_deref())?;
    let new = NewWebhook {
        name: text(&body, "name").unwrap_or_else(|| "webhook".to_owned()),
        url: text(&body, "url").unwrap_or_default(),
        event_types: events(&body)?.unwrap_or_else(|| MEMORIES.to_vec()),
    };
    new.check()?;
    let shown = Shown::to(&client);
    let made = client.manage(move |engine, management| engine.add_webhook(&management, new)).await?;
    let mut object = shown.object(&made);
    object["secret"] = json!(made.secret.reveal());
    Ok((StatusCode::CREATED, Json(object)))
}

/// Change a webhook.
#[utoipa::path(put, path = "/mem0/api/v1/webhooks/{webhook}", tag = "mem0", params(("webhook" = String, Path)), request_body = Object, responses((status = 200, body = Object)))]
async fn change(client: Client<WriteMemories>, of: Of, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let change = WebhookChange {
        name: text(&body, "name"),
        url: text(&body, "url"),
        event_types: events(&body)?,
        is_active: wire::flag(body.get("is_active")),
    };
    change.check()?;
    client.manage(move |engine, management| engine.change_webhook(&management, &of.webhook()?, change)).await?;
    Ok(Json(json!({"message": "Webhook updated successfully"})))
}

/// Have nothing told there any more.
#[utoipa::path(delete, path = "/mem0/api/v1/webhooks/{webhook}", tag = "mem0", params(("webhook" = String, Path)), responses((status = 200, body = Object)))]
async fn delete(client: Client<WriteMemories>, of: Of) -> Result<Json<Value>, Refusal> {
    client.manage(move |engine, management| engine.delete_webhook(&management, &of.webhook()?)).await?;
    Ok(Json(json!({"message": "Webhook deleted successfully"})))
}
