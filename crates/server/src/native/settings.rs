//! `/api/{user_id}/settings`: how what a user tells is to be remembered; and what somebody thinks of a memory.

use std::sync::Arc;

use locule::memory::Metadata;
use locule::settings::Settings;
use locule::{Feedback, Result};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::memory_id;
use crate::app::App;
use crate::extract::{Caller, Id, Json, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get, change)).routes(routes!(feedback, rate))
}

/// Settings on the wire: what is set, and nothing else.
pub fn shown(settings: &Settings) -> Result<axum::Json<Value>, Refusal> {
    Ok(axum::Json(Value::Object(settings.object()?)))
}

/// The user's own settings. Where they say nothing, those of the project count.
#[utoipa::path(get, path = "/api/{user_id}/settings", tag = "settings",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`custom_instructions`, `agent_custom_instructions`, `custom_categories` (`[{\"name\", \"description\"}]`), as far as they are set"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(caller: Caller<ReadMemories>) -> Result<axum::Json<Value>, Refusal> {
    shown(&caller.read(|engine, scope| engine.settings(scope)).await?)
}

/// Change them, as RFC 7396 says: each name replaces, `null` takes away. As they are after.
#[utoipa::path(patch, path = "/api/{user_id}/settings", tag = "settings", request_body = Object,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object), (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change(caller: Caller<WriteMemories>, Json(change): Json<Metadata>) -> Result<axum::Json<Value>, Refusal> {
    shown(&caller.write(move |engine, scope| engine.change_settings(scope, &change)).await?)
}

/// What was said of a memory.
#[utoipa::path(get, path = "/api/{user_id}/memories/{id}/feedback", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = Object, description = "`feedback` (`POSITIVE`, `NEGATIVE`, `VERY_NEGATIVE` or null) and `feedback_reason`"),
              (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn feedback(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<Feedback>, Refusal> {
    Ok(axum::Json(caller.read(move |engine, scope| engine.feedback(scope, memory_id(&id))).await?))
}

/// Say what you think of a memory, in place of what was said before; with nulls, nothing.
#[utoipa::path(put, path = "/api/{user_id}/memories/{id}/feedback", tag = "memories", request_body = Object,
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn rate(
    caller: Caller<WriteMemories>,
    Id(id): Id,
    Json(feedback): Json<Feedback>,
) -> Result<axum::Json<Feedback>, Refusal> {
    feedback.check()?;
    let said = feedback.clone();
    caller.write(move |engine, scope| engine.give_feedback(scope, memory_id(&id), &feedback)).await?;
    Ok(axum::Json(said))
}
