//! Events: what became of what was asked for. A job is one. An add that is done when it is answered leaves none of its own: its
//! first memory tells it, under the memory's id.

use std::sync::Arc;

use axum::Json;
use locule::job::JobKind;
use locule::{Code, Engine, Error, Memory, Result, Told};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Client, Params};
use super::page::{Links, Page};
use super::remember::{self, Event};
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

/// The event that a job is.
fn of_job(event: &Event) -> Value {
    let Event { job, results } = event;
    let latency = job.completed_at.map(|end| (end.as_microsecond() - job.created_at.as_microsecond()) / 1_000);
    let kind = match job.kind {
        JobKind::Extract => "ADD",
        JobKind::Export => "EXPORT",
        JobKind::Summarize => "SUMMARY",
        JobKind::Deliver => "WEBHOOK",
    };
    json!({
        "id": job.id,
        "event_type": kind,
        "status": remember::status(job.status),
        "payload": job.payload,
        "results": results,
        "error": job.error,
        "created_at": wire::time(job.created_at),
        "updated_at": wire::time(job.updated_at),
        "started_at": job.started_at.map(wire::time),
        "completed_at": job.completed_at.map(wire::time),
        "latency": latency,
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
    let found = caller.read(move |engine, scope| engine.told(scope, id)).await.map_err(not_found)?;
    Ok(Json(match found {
        Told::Job(job, memories) => of_job(&Event::of(job, &memories)),
        Told::Memory(memory) => of_memory(&memory),
    }))
}

/// Events, a page at a time: the jobs, newest first, and after them what memories tell. A service that names nobody has none
/// of its own.
#[utoipa::path(get, path = "/mem0/v1/events", tag = "mem0", responses((status = 200, body = Object)))]
async fn list(client: Client<ReadMemories>, params: Params, links: Links) -> Result<Json<Value>, Refusal> {
    let page = Page::of(&params, &Map::new())?;
    let users = params.users();
    if users.is_empty() && !client.acts_for_somebody() {
        return Ok(Json(page.envelope(0, Vec::new(), &links)));
    }
    let (limit, offset) = (page.size, page.offset());
    let caller = client.caller(users).await?;
    let told = move |engine: &Engine, scope| engine.events(scope, limit, offset);
    let (jobs, memories, total) = caller.read(told).await?;
    page.check(total)?;
    let jobs = jobs.into_iter().map(|job| of_job(&Event::of(job, &[])));
    let events = jobs.chain(memories.iter().map(of_memory)).collect();
    Ok(Json(page.envelope(total, events, &links)))
}
