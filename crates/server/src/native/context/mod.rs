//! `/api/{user_id}/context`: what agents share; its topics and agents in [`agents`], its changes as they happen in [`changes`],
//! and the tools for models in [`tools`].

mod agents;
mod changes;
mod tools;

use std::sync::Arc;

use locule::Error;
use locule::context::{Entry, EntryQuery, Json as Value, Listed, Name, Push, Statistics};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Caller, Json, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, push, edit, remove))
        .routes(routes!(read))
        .routes(routes!(remove_one))
        .routes(routes!(append))
        .routes(routes!(expire))
        .routes(routes!(statistics))
        .merge(agents::routes())
        .merge(changes::routes())
        .merge(tools::routes())
}

/// Which entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those that this agent may read; without it, all of them.
    agent: Option<String>,
    /// Only those that were pushed to this topic.
    topic: Option<String>,
    /// Only the one of this key.
    key: Option<String>,
    /// Whether to read the values too; `true` if left out.
    values: Option<bool>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// Entries, in the order in which they were last written; without their values only `key`, `topics`, `created_at`, `revision`.
#[derive(Serialize)]
#[serde(untagged)]
enum Entries {
    Read { entries: Vec<Entry> },
    Listed { entries: Vec<Listed> },
}

/// Read entries: all that an agent may read, those of a topic, or one.
#[utoipa::path(get, path = "/api/{user_id}/context", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ListQuery),
    responses((status = 200, body = Object, description = "`{\"entries\": [{key, value, audience, topics, writer, metadata, ttl_s, created_at, revision}]}`; `audience` is `null` for everybody"),
              (status = 413, body = Problem, description = "The values are too many for one answer"),
              (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn list(caller: Caller<ReadMemories>, Query(query): Query<ListQuery>) -> Result<axum::Json<Entries>, Refusal> {
    let ListQuery { agent, topic, key, values, user_id } = query;
    let name = |text: Option<String>| text.as_deref().map(Name::of);
    entries(caller.also_names(user_id), name(agent), name(topic), name(key).map(|key| vec![key]), values).await
}

/// Which entries, in a body: a key may be any text, and longer than an address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadIn {
    /// Only those that this agent may read; without it, all of them.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    agent: Option<Name>,
    /// Only those that were pushed to this topic.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    topic: Option<Name>,
    /// Only those of these keys, 1,000 at most, and in their order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    keys: Option<Vec<Name>>,
    /// Whether to read the values too; `true` if left out.
    #[serde(default)]
    values: Option<bool>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// Read entries: the same, for keys that do not fit into an address, and for several at once.
#[utoipa::path(post, path = "/api/{user_id}/context/read", tag = "context", request_body = ReadIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`entries`, as above"),
              (status = 413, body = Problem, description = "The values are too many for one answer"),
              (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn read(caller: Caller<ReadMemories>, Json(body): Json<ReadIn>) -> Result<axum::Json<Entries>, Refusal> {
    let ReadIn { agent, topic, keys, values, user_id } = body;
    entries(caller.also_names(user_id), agent, topic, keys, values).await
}

async fn entries(
    caller: Caller<ReadMemories>,
    agent: Option<Name>,
    topic: Option<Name>,
    keys: Option<Vec<Name>>,
    values: Option<bool>,
) -> Result<axum::Json<Entries>, Refusal> {
    let values = values.unwrap_or(true);
    let bytes_max = Some(locule::limit::CONTEXT_ANSWER_BYTES.max);
    let wanted = EntryQuery { agent, topic, keys, bytes_max, ..EntryQuery::default() };
    let found = caller.read(move |engine, scope| {
        Ok(if values {
            Entries::Read { entries: engine.context_entries(scope, &wanted)? }
        } else {
            Entries::Listed { entries: engine.list_context(scope, &wanted)? }
        })
    });
    Ok(axum::Json(found.await?))
}

/// An entry to write.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PushIn {
    /// Any text.
    #[schema(value_type = String, example = "plan")]
    key: Name,
    /// Any JSON value, at most 8 MiB as ASCII. Numbers stay as they are written.
    #[schema(value_type = Object)]
    value: Value,
    /// Agents that may read it. With no agents and no topics, everybody may.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    agents: Vec<Name>,
    /// Topics whose followers may read it: those that follow them now.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    topics: Vec<Name>,
    /// After how many seconds it is gone; never, if left out.
    #[serde(default)]
    ttl_s: Option<f64>,
    /// The agent that writes, which is held to what it may.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    sender: Option<Name>,
    /// Whether the sender may read it too, where not everybody may.
    #[serde(default)]
    include_sender: bool,
    /// A JSON object to keep beside it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Write only if the entry has this revision; 0 if there is to be none. Otherwise 409.
    #[serde(default)]
    expected_revision: Option<u64>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

impl PushIn {
    fn read(self) -> (Push, Option<String>) {
        let PushIn { key, value, agents, topics, ttl_s, sender, include_sender, metadata, expected_revision, user_id } =
            self;
        (Push { key, value, agents, topics, ttl_s, sender, include_sender, metadata, expected_revision }, user_id)
    }
}

/// Write an entry, in place of the one of its key: value, audience, topics and time to live.
#[utoipa::path(post, path = "/api/{user_id}/context", tag = "context", request_body = PushIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "The entry"),
              (status = 409, body = Problem, description = "It has been changed meanwhile"),
              (status = 403, body = Problem, description = "Not your space; or the sender may not post to a topic, or not write over this entry"),
              (status = 422, body = Problem), (status = 413, body = Problem), (status = 401, body = Problem)))]
async fn push(caller: Caller<WriteMemories>, Json(body): Json<PushIn>) -> Result<axum::Json<Entry>, Refusal> {
    let (push, user) = body.read();
    Ok(axum::Json(caller.also_names(user).write(move |engine, scope| engine.push_context(scope, push)).await?))
}

/// Append a value to the list of a key, or begin one. However many append at once, nothing is lost. An entry that is there keeps
/// its audience, topics and time to live.
#[utoipa::path(post, path = "/api/{user_id}/context/append", tag = "context", request_body = PushIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "The entry"),
              (status = 409, body = Problem, description = "Its value is no list"),
              (status = 422, body = Problem), (status = 413, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn append(caller: Caller<WriteMemories>, Json(body): Json<PushIn>) -> Result<axum::Json<Entry>, Refusal> {
    let (push, user) = body.read();
    if push.expected_revision.is_some() {
        return Err(Error::invalid("Appending needs no `expected_revision`: nothing is lost by it.").into());
    }
    Ok(axum::Json(caller.also_names(user).write(move |engine, scope| engine.append_context(scope, push)).await?))
}

/// Change the value of an entry, which keeps its audience, topics and time to live; begin one, as the body says, where there is
/// none. With `expected_revision` it is written on the value that was read, or not at all.
#[utoipa::path(patch, path = "/api/{user_id}/context", tag = "context", request_body = PushIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "The entry"),
              (status = 409, body = Problem, description = "It has been changed meanwhile"),
              (status = 403, body = Problem, description = "Not your space; or the sender may not write over this entry"),
              (status = 422, body = Problem), (status = 413, body = Problem), (status = 401, body = Problem)))]
async fn edit(caller: Caller<WriteMemories>, Json(body): Json<PushIn>) -> Result<axum::Json<Entry>, Refusal> {
    let (push, user) = body.read();
    Ok(axum::Json(caller.also_names(user).write(move |engine, scope| engine.edit_context(scope, push)).await?))
}

/// What to remove.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RemoveQuery {
    /// The entry of this key.
    key: Option<String>,
    /// With `key`: only if this agent may read the entry or has written it.
    agent: Option<String>,
    /// In place of `key`, `true`: all entries, and all agents with what they follow and may.
    all: Option<bool>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// What was removed.
#[derive(Serialize, ToSchema)]
struct RemovedOut {
    /// Whether it was there.
    removed: bool,
}

/// Remove an entry, or everything.
#[utoipa::path(delete, path = "/api/{user_id}/context", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), RemoveQuery),
    responses((status = 200, body = RemovedOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn remove(
    caller: Caller<WriteMemories>,
    Query(query): Query<RemoveQuery>,
) -> Result<axum::Json<RemovedOut>, Refusal> {
    let caller = caller.also_names(query.user_id);
    let removed = match (query.key, query.agent, query.all) {
        (Some(key), agent, None) => {
            let agent = agent.as_deref().map(Name::of);
            caller.write(move |engine, scope| engine.remove_context(scope, &Name::of(&key), agent.as_ref())).await?
        }
        (None, None, Some(true)) => {
            caller.write(|engine, scope| engine.clear_context(scope)).await?;
            true
        }
        _ => {
            return Err(
                Error::invalid("Say which entry with `key`, or that it is to be everything with `all=true`.").into()
            );
        }
    };
    Ok(axum::Json(RemovedOut { removed }))
}

/// What to remove, in a body: a key may be any text, and longer than an address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RemoveIn {
    /// The entry of this key.
    #[schema(value_type = String)]
    key: Name,
    /// Only if this agent may read the entry or has written it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    agent: Option<Name>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

/// Remove an entry whose key does not fit into an address.
#[utoipa::path(post, path = "/api/{user_id}/context/remove", tag = "context", request_body = RemoveIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = RemovedOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn remove_one(
    caller: Caller<WriteMemories>,
    Json(body): Json<RemoveIn>,
) -> Result<axum::Json<RemovedOut>, Refusal> {
    let RemoveIn { key, agent, user_id } = body;
    let remove = move |engine: &locule::Engine, scope| engine.remove_context(scope, &key, agent.as_ref());
    Ok(axum::Json(RemovedOut { removed: caller.also_names(user_id).write(remove).await? }))
}

/// How many entries went.
#[derive(Serialize, ToSchema)]
struct ExpiredOut {
    /// How many.
    removed: u64,
}

/// Remove what has expired. Nobody could read it; it goes by itself a few minutes later.
#[utoipa::path(delete, path = "/api/{user_id}/context/expired", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = ExpiredOut), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn expire(caller: Caller<WriteMemories>) -> Result<axum::Json<ExpiredOut>, Refusal> {
    let removed = caller.write(|engine, scope| engine.remove_expired_context(scope)).await?;
    Ok(axum::Json(ExpiredOut { removed }))
}

/// Figures over the context.
#[utoipa::path(get, path = "/api/{user_id}/context/statistics", tag = "context",
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 200, body = Object, description = "`total_items`, `active_items`, `expired_items`, `global_items`, `private_items`, `total_topics`, `agents_with_topics`"),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn statistics(caller: Caller<ReadMemories>) -> Result<axum::Json<Statistics>, Refusal> {
    Ok(axum::Json(caller.read(|engine, scope| engine.context_statistics(scope)).await?))
}
