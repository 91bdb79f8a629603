//! The tools for models: their schemas, and calling them.

use std::sync::Arc;

use locule::context::tools::{self, Call};
use locule::context::{Json as Value, Name};
use locule::{Code, Error};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Caller, Id, Json, Query, ReadMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(schemas)).routes(routes!(call))
}

/// For what framework, and for whom.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SchemasQuery {
    /// `openai` (if left out), `anthropic`, `langchain` or `langgraph`.
    framework: Option<String>,
    /// Only the tools of this role: `readonly`, `contributor`, `moderator` or `admin` (if left out).
    role: Option<String>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// The schemas.
#[derive(Serialize, ToSchema)]
struct SchemasOut {
    /// One for each tool.
    #[schema(value_type = Vec<Object>)]
    tools: Vec<serde_json::Value>,
}

/// The schemas of the seven tools, as a framework takes them.
#[utoipa::path(get, path = "/api/{user_id}/context/tools", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), SchemasQuery),
    responses((status = 200, body = SchemasOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn schemas(
    caller: Caller<ReadMemories>,
    Query(query): Query<SchemasQuery>,
) -> Result<axum::Json<SchemasOut>, Refusal> {
    let allowed = tools::of_role(query.role.as_deref().unwrap_or("admin"))?;
    let schemas = tools::schemas(query.framework.as_deref().unwrap_or("openai"), allowed)?;
    // Nothing of theirs is in it, and yet it is theirs that was asked for.
    caller.also_names(query.user_id).read(|_, _| Ok(())).await?;
    Ok(axum::Json(SchemasOut { tools: schemas }))
}

/// A call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallIn {
    /// The agent that calls: what the model says of itself does not count.
    #[schema(value_type = String)]
    agent: Name,
    /// What the model gave: an object.
    #[serde(default)]
    #[schema(value_type = Object)]
    arguments: Option<Value>,
    /// Only if the tool is one of this role; any, if left out.
    #[serde(default)]
    role: Option<String>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// Call a tool for an agent. The answer is for the model, with `success` and, where that is `false`, `error`.
#[utoipa::path(post, path = "/api/{user_id}/context/tools/{id}", tag = "context", request_body = CallIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path, description = "The tool's name")),
    responses((status = 200, body = Object, description = "What the model is to see"),
              (status = 403, body = Problem, description = "Not your space, or not a tool of this role"),
              (status = 404, body = Problem, description = "No such tool"), (status = 422, body = Problem), (status = 401, body = Problem)))]
async fn call(
    caller: Caller<ReadMemories>,
    Id(tool): Id,
    Json(body): Json<CallIn>,
) -> Result<axum::Json<Value>, Refusal> {
    let CallIn { agent, arguments, role, user_id } = body;
    let arguments = arguments.map_or_else(|| Value::of("{}"), Ok)?;
    if !tools::NAMES.contains(&tool.as_str()) {
        return Err(Error::not_found().into());
    }
    let allowed = tools::of_role(role.as_deref().unwrap_or("admin"))?;
    if !allowed.contains(&tool.as_str()) {
        return Err(Error::new(Code::NotAllowed, format!("`{tool}` is not a tool of this role.")).into());
    }
    let call = Call { tool, agent, arguments };
    Ok(axum::Json(caller.also_names(user_id).call(move |engine, rights| engine.call_tool(rights, &call)).await?))
}
