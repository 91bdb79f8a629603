//! Exports and summaries: what is remembered, in the form that was asked for. A model writes it where there is one; where there is
//! none it is what can be told without. Either way it is made behind the answer.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use locule::infer::Selection;
use locule::job::{Job, JobKind, JobStatus};
use locule::{Code, Error, JobId, MemoryId, Result};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asking::{Asking, asking};
use super::client::{Body, Client};
use super::filter::Surface;
use super::ids::Ids;
use super::remember::{done, failed, status};
use crate::app::App;
use crate::extract::{ReadMemories, WriteMemories};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(get)).routes(routes!(summary))
}

/// Which memories, and in what form.
fn selection(client: &Client<WriteMemories>, body: &Map<String, Value>) -> Result<(Selection, Vec<String>)> {
    let Asking { filter, users } = asking(client, body, Surface::Platform, true)?;
    let schema = match body.get("schema") {
        // Some clients send the schema as text.
        Some(Value::String(text)) => serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("`schema` is a JSON schema, or one as text: {error}.")))?,
        Some(schema) => schema.clone(),
        None => Value::Null,
    };
    if !(schema.is_object() || schema.is_null()) {
        return Err(Error::invalid("`schema` is a JSON schema: {\"type\": \"object\", \"properties\": {…}}."));
    }
    let instructions = body.get("export_instructions").and_then(Value::as_str).map(str::to_owned);
    Ok((Selection { filter, schema, instructions }, users))
}

/// Have an export made.
#[utoipa::path(post, path = "/mem0/v1/exports", tag = "mem0", request_body = Object, responses((status = 201, body = Object)))]
async fn create(client: Client<WriteMemories>, Body(body): Body) -> Result<(StatusCode, Json<Value>), Refusal> {
    let (selection, users) = selection(&client, &body)?;
    let caller = client.caller(users).await?;
    let job = caller.write(move |engine, scope| engine.select(scope, JobKind::Export, &selection)).await?;
    let message = "Memory export request received. The export will be ready in a few seconds.";
    Ok((StatusCode::CREATED, Json(json!({"message": message, "id": job.id}))))
}

/// An export: the one with this id, or the latest. One that is being made is waited for, as long as a request may take.
#[utoipa::path(post, path = "/mem0/v1/exports/get", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn get(client: Client<ReadMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let ids = Ids::of_body(&body)?;
    let (id, caller) = match body.get("memory_export_id").or_else(|| body.get("id")).and_then(Value::as_str) {
        Some(id) => {
            let id: MemoryId = id.parse().map_err(|_| Error::invalid("memory_export_id should be a valid UUID"))?;
            let caller = client.caller_of(id, ids.users()).await.map_err(no_export)?;
            (JobId::from_bytes(*id.as_bytes()), caller)
        }
        None if body.get("filters").is_none_or(Value::is_null) && ids.is_empty() => {
            let fix = "Say which export: give its `memory_export_id`, or the `filters` it was made with.";
            return Err(Error::invalid(fix).into());
        }
        None => {
            let users = asking(&client, &body, Surface::Platform, true)?.users;
            let caller = client.caller(users).await?;
            let latest = caller.again().read(|engine, scope| engine.latest_job(scope, JobKind::Export)).await?;
            (latest.ok_or_else(nothing)?.id, caller)
        }
    };
    let job = done(&caller, id).await.map_err(no_export)?.job;
    if job.kind != JobKind::Export {
        return Err(nothing().into());
    }
    Ok(Json(Value::Object(outcome(job)?)))
}

fn nothing() -> Error {
    Error::new(Code::NotFound, "No memory export request found")
}

fn no_export(Refusal(error): Refusal) -> Refusal {
    Refusal(if error.code() == Code::NotFound { nothing() } else { error })
}

/// A summary of what is remembered.
#[utoipa::path(post, path = "/mem0/v1/summary", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn summary(client: Client<WriteMemories>, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let (selection, users) = selection(&client, &body)?;
    let caller = client.caller(users).await?;
    let job = caller.again().write(move |engine, scope| engine.select(scope, JobKind::Summarize, &selection)).await?;
    let event = done(&caller, job.id).await?;
    Ok(Json(Value::Object(outcome(event.job)?)))
}

/// What came of a job, or how it stands.
fn outcome(job: Job) -> Result<Map<String, Value>> {
    match job.status {
        JobStatus::Succeeded => Ok(job.results.unwrap_or_default()),
        JobStatus::Failed => Err(failed(&job)),
        other => Ok(Map::from_iter([
            ("status".to_owned(), json!(status(other))),
            ("event_id".to_owned(), json!(job.id)),
            ("message".to_owned(), json!("It is still being made. Ask for it again in a moment.")),
        ])),
    }
}
