//! Topics and agents: who follows what, and who may post where.

use std::sync::Arc;

use locule::Error;
use locule::context::{Agent, DeletedTopic, Name, Topic};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Caller, Json, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(topics, delete_topic)).routes(routes!(agents, change_agent))
}

/// The topics.
#[derive(Serialize)]
struct TopicsOut {
    topics: Vec<Topic>,
}

/// The topics that are followed or have entries.
#[utoipa::path(get, path = "/api/{user_id}/context/topics", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`{\"topics\": [{name, subscribers, entries}]}`"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn topics(caller: Caller<ReadMemories>) -> Result<axum::Json<TopicsOut>, Refusal> {
    let topics = caller.read(|engine, scope| engine.context_topics(scope)).await?;
    Ok(axum::Json(TopicsOut { topics }))
}

/// Which topic.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TopicQuery {
    /// Its name.
    topic: String,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// Delete a topic: nobody follows it any more, and entries that were pushed to it alone are gone; others just lose it.
#[utoipa::path(delete, path = "/api/{user_id}/context/topics", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), TopicQuery),
    responses((status = 200, body = Object, description = "`subscribers` and `entries`: how many"),
              (status = 404, body = Problem), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete_topic(
    caller: Caller<WriteMemories>,
    Query(query): Query<TopicQuery>,
) -> Result<axum::Json<DeletedTopic>, Refusal> {
    let delete = move |engine: &locule::Engine, scope| {
        engine.delete_topic(scope, &Name::of(&query.topic))?.ok_or_else(Error::not_found)
    };
    Ok(axum::Json(caller.also_names(query.user_id).write(delete).await?))
}

/// The agents.
#[derive(Serialize)]
struct AgentsOut {
    agents: Vec<Agent>,
}

/// The agents that have written, follow topics, or were told where they may post.
#[utoipa::path(get, path = "/api/{user_id}/context/agents", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`{\"agents\": [{name, topics, posts}]}`; `posts` is `null` or empty where it may post to any topic"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn agents(caller: Caller<ReadMemories>) -> Result<axum::Json<AgentsOut>, Refusal> {
    let agents = caller.read(|engine, scope| engine.context_agents(scope)).await?;
    Ok(axum::Json(AgentsOut { agents }))
}

/// What an agent follows, what it follows no longer, or where it may post: one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentIn {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// The topics that it follows from now on, in place of those before.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    topics: Option<Vec<Name>>,
    /// The topics that it follows no longer; others stay.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    leaves: Option<Vec<Name>>,
    /// The topics that it may post to from now on; to any, if there are none.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    posts: Option<Vec<Name>>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// Say what an agent follows, or where it may post. The agent is made if there is none, unless it only leaves.
#[utoipa::path(put, path = "/api/{user_id}/context/agents", tag = "context", request_body = AgentIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "The agent: `name`, `topics`, `posts`"),
              (status = 422, body = Problem), (status = 413, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn change_agent(caller: Caller<WriteMemories>, Json(body): Json<AgentIn>) -> Result<axum::Json<Agent>, Refusal> {
    let AgentIn { name, topics, leaves, posts, user_id } = body;
    if [&topics, &leaves, &posts].into_iter().flatten().count() != 1 {
        return Err(Error::invalid("Give `topics`, `leaves` or `posts`: one at a time.").into());
    }
    let change = move |engine: &locule::Engine, scope| match (topics, leaves) {
        (Some(topics), _) => engine.subscribe(scope, &name, topics),
        (_, Some(leaves)) => engine.unsubscribe(scope, &name, &leaves).map(|(_, agent)| agent),
        _ => engine.permit(scope, &name, posts.unwrap_or_default()),
    };
    Ok(axum::Json(caller.also_names(user_id).write(change).await?))
}
