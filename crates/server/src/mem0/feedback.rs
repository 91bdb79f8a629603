//! What somebody thinks of a memory.

use std::sync::Arc;

use axum::Json;
use locule::{Error, Feedback, Rating, Result};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Body, Client, Params};
use super::memories::{caller_of, memory_not_found};
use crate::app::App;
use crate::extract::WriteMemories;
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(rate))
}

/// Say whether a memory is any good, or take back what was said.
#[utoipa::path(post, path = "/mem0/v1/feedback", tag = "mem0", request_body = Object, responses((status = 200, body = Object)))]
async fn rate(client: Client<WriteMemories>, params: Params, Body(body): Body) -> Result<Json<Value>, Refusal> {
    let id = body.get("memory_id").and_then(Value::as_str).unwrap_or_default();
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(format!("`{name}` is a text, or null."))),
    };
    let rating = text("feedback")?.map(|word| Rating::try_from(&*word.to_ascii_uppercase())).transpose()?;
    let feedback = Feedback { feedback: rating, feedback_reason: text("feedback_reason")? };
    feedback.check()?;
    let (id, caller) = caller_of(client, id, &params).await?;
    let said = json!({"id": id, "feedback": feedback.feedback, "feedback_reason": feedback.feedback_reason});
    caller.write(move |engine, scope| engine.give_feedback(scope, id, &feedback)).await.map_err(memory_not_found)?;
    Ok(Json(said))
}
