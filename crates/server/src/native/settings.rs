//! `/api/{user_id}/settings`, and what somebody thinks of a memory.

use std::sync::Arc;

use locule::memory::Metadata;
use locule::{Category, Error, Feedback, Rating, Settings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::memory_id;
use crate::app::App;
use crate::extract::{Caller, Id, Json, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get, change)).routes(routes!(feedback, give_feedback))
}

/// How what is told is to be remembered. `null` where nothing is set.
#[derive(Serialize, ToSchema)]
pub struct SettingsOut {
    /// What to remember and what not, in words for a model.
    #[schema(example = "Remember what I eat. Leave out what others eat.")]
    custom_instructions: Option<String>,
    /// The same for what agents say of themselves.
    agent_custom_instructions: Option<String>,
    /// What memories are sorted into.
    custom_categories: Option<Vec<CategoryOut>>,
}

/// Something that memories are sorted into.
#[derive(Serialize, ToSchema)]
pub struct CategoryOut {
    /// The label that memories get.
    #[schema(example = "food")]
    name: String,
    /// What belongs there.
    description: Option<String>,
}

impl From<Settings> for SettingsOut {
    fn from(settings: Settings) -> Self {
        let Settings { custom_instructions, agent_custom_instructions, custom_categories, others: _ } = settings;
        let category = |Category { name, description }| CategoryOut { name, description };
        SettingsOut {
            custom_instructions,
            agent_custom_instructions,
            custom_categories: custom_categories.map(|categories| categories.into_iter().map(category).collect()),
        }
    }
}

/// A change that names settings that there are, and no other.
pub fn check_names(change: &Metadata) -> Result<(), Error> {
    const NAMES: [&str; 3] = ["custom_instructions", "agent_custom_instructions", "custom_categories"];
    match change.keys().find(|name| !NAMES.contains(&name.as_str())) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!("The settings are `{}`.", NAMES.join("`, `")))),
    }
}

/// A user's own settings. What they leave unset, the application's project says.
#[utoipa::path(get, path = "/api/{user_id}/settings", tag = "settings",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = SettingsOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(caller: Caller<ReadMemories>) -> Result<axum::Json<SettingsOut>, Refusal> {
    let settings = caller.read(|engine, scope| engine.settings(scope)).await?;
    Ok(axum::Json(settings.into()))
}

/// Change a user's own settings: what is named replaces, `null` takes away, the rest stays.
#[utoipa::path(patch, path = "/api/{user_id}/settings", tag = "settings", request_body = SettingsOut,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = SettingsOut), (status = 422, body = Problem), (status = 413, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change(
    caller: Caller<WriteMemories>,
    Json(change): Json<Metadata>,
) -> Result<axum::Json<SettingsOut>, Refusal> {
    check_names(&change)?;
    let settings = caller.write(move |engine, scope| engine.change_settings(scope, &change)).await?;
    Ok(axum::Json(settings.into()))
}

/// What somebody thinks of a memory; `null` where nobody has said anything.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FeedbackBody {
    /// `POSITIVE`, `NEGATIVE` or `VERY_NEGATIVE`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "POSITIVE")]
    feedback: Option<Rating>,
    /// Why.
    #[serde(default)]
    feedback_reason: Option<String>,
}

impl From<Feedback> for FeedbackBody {
    fn from(Feedback { feedback, feedback_reason }: Feedback) -> Self {
        FeedbackBody { feedback, feedback_reason }
    }
}

/// What was said of a memory.
#[utoipa::path(get, path = "/api/{user_id}/memories/{id}/feedback", tag = "memories",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = FeedbackBody), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn feedback(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<FeedbackBody>, Refusal> {
    let feedback = caller.read(move |engine, scope| engine.feedback(scope, memory_id(&id))).await?;
    Ok(axum::Json(feedback.into()))
}

/// Say something of a memory, in place of what was said before; nulls take it back. The memory stays as it is.
#[utoipa::path(put, path = "/api/{user_id}/memories/{id}/feedback", tag = "memories", request_body = FeedbackBody,
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = FeedbackBody), (status = 404, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn give_feedback(
    caller: Caller<WriteMemories>,
    Id(id): Id,
    Json(body): Json<FeedbackBody>,
) -> Result<axum::Json<FeedbackBody>, Refusal> {
    let feedback = Feedback { feedback: body.feedback, feedback_reason: body.feedback_reason };
    feedback.check()?;
    let given = feedback.clone();
    caller.write(move |engine, scope| engine.give_feedback(scope, memory_id(&id), &feedback)).await?;
    Ok(axum::Json(given.into()))
}
