//! Entities: users, and the agents, applications and runs within each user's space.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use locule::filter::{Field, Filter, Scalar, Test};
use locule::{Entity, EntityKind, Error, Known, Result};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Client, Params};
use super::memories::owner;
use super::page::{Links, Page};
use super::wire;
use crate::app::App;
use crate::extract::{Erase, ReadMemories, WriteMemories, in_path};
use crate::pool::Kind;
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(delete_v1)).routes(routes!(get, delete))
}

/// The kind and the name in a path.
pub struct Named {
    kind: String,
    name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let part = |name: &str| in_path(parts, name).unwrap_or_default();
        Ok(Named { kind: part("kind"), name: part("name") })
    }
}

/// A kind of entity that is a label of memories, and the column it is.
fn label(kind: EntityKind) -> (&'static str, Field) {
    match kind {
        EntityKind::Agent => ("agent", Field::AgentId),
        EntityKind::App => ("app", Field::AppId),
        EntityKind::Run => ("run", Field::RunId),
    }
}

impl Named {
    /// The label it is; `None` for a user.
    fn label(&self) -> Result<Option<EntityKind>> {
        match self.kind.as_str() {
            "user" => Ok(None),
            "agent" => Ok(Some(EntityKind::Agent)),
            "app" => Ok(Some(EntityKind::App)),
            "run" => Ok(Some(EntityKind::Run)),
            _ => Err(Error::invalid("The type of an entity is user, agent, app or run.")),
        }
    }
}

fn of_label(entity: &Entity, owner: &str) -> Value {
    let (kind, _) = label(entity.kind);
    json!({
        "id": format!("{kind}:{}", entity.name),
        "name": entity.name,
        "type": kind,
        "owner": owner,
        "metadata": null,
        "total_memories": entity.memories,
        "created_at": wire::time(entity.first_memory),
        "updated_at": wire::time(entity.latest_change),
    })
}

fn of_user(known: &Known) -> Value {
    let subject = known.subject.as_str();
    json!({
        "id": format!("user:{subject}"),
        "name": subject,
        "type": "user",
        "owner": subject,
        "metadata": null,
        "total_memories": known.memories,
        "created_at": wire::time(known.created_at),
        "updated_at": wire::time(known.published_at.unwrap_or(known.created_at)),
    })
}

/// What somebody may see of entities: a user their own labels and themselves, last, since whoever deletes one after the other
/// is gone after that; a service its users.
pub async fn visible(client: Client<ReadMemories>, users: Vec<String>) -> Result<Vec<Value>, Refusal> {
    if users.is_empty() && !client.acts_for_somebody() {
        let (app, principal) = (client.app().clone(), client.principal().clone());
        let share = app.share(&principal, None);
        app.check_rate(share)?;
        let engine = app.engine.clone();
        let charges = move || {
            // What spaces have become since they last said so.
            engine.publish()?;
            engine.gate().charges(&principal)
        };
        let charges = app.pool.run(share, Kind::Read, app.deadline, charges).await?;
        // As with the others: an entity is what has memories.
        return Ok(charges.iter().filter(|known| known.memories > 0).map(of_user).collect());
    }
    let caller = client.caller(users).await?;
    let (owner, statistics, labels) = caller
        .read(|engine, scope| {
            let owner = owner(&scope);
            let (statistics, labels) = engine.census(scope)?;
            Ok((owner, statistics, labels))
        })
        .await?;
    let mut entities: Vec<Value> = labels.iter().map(|entity| of_label(entity, &owner)).collect();
    if let (Some(first), Some(latest)) = (statistics.first_memory, statistics.latest_memory) {
        entities.push(json!({
            "id": format!("user:{owner}"),
            "name": owner,
            "type": "user",
            "owner": owner,
            "metadata": null,
            "total_memories": statistics.memory_count,
            "created_at": wire::time(first),
            "updated_at": wire::time(latest),
        }));
    }
    Ok(entities)
}

/// The most entities of one page, which is also how many come when nobody says: clients read the first page alone.
const PAGE: usize = 10_000;

/// List entities.
#[utoipa::path(get, path = "/mem0/v1/entities", tag = "mem0", responses((status = 200, body = Object)))]
async fn list(client: Client<ReadMemories>, params: Params, links: Links) -> Result<Json<Value>, Refusal> {
    let page = Page::up_to(&params, &serde_json::Map::new(), PAGE, PAGE)?;
    let mut entities = visible(client, params.users()).await?;
    if let Some(kind) = params.get("type").or_else(|| params.get("entity_type")) {
        entities.retain(|entity| entity["type"] == kind.trim_end_matches('s'));
    }
    let total = entities.len() as u64;
    page.check(total)?;
    let results = entities.into_iter().skip(page.offset()).take(page.size).collect();
    Ok(Json(page.envelope(total, results, &links)))
}

/// One entity, as a list of one.
#[utoipa::path(get, path = "/mem0/v2/entities/{kind}/{name}", tag = "mem0",
    params(("kind" = String, Path), ("name" = String, Path)), responses((status = 200, body = Object)))]
async fn get(client: Client<ReadMemories>, named: Named, params: Params) -> Result<Json<Value>, Refusal> {
    let kind = named.label()?;
    let users = if kind.is_none() { vec![named.name.clone()] } else { params.users() };
    let mut entities = visible(client, users).await?;
    entities.retain(|entity| entity["type"] == named.kind && entity["name"] == named.name);
    if entities.is_empty() {
        return Err(Error::new(locule::Code::NotFound, "Entity not found").into());
    }
    Ok(Json(Value::Array(entities)))
}

/// Deletes an entity with all that is its own. A user is erased: the space's key is destroyed, and their tokens end.
pub async fn remove(
    writing: Client<WriteMemories>,
    erasing: Client<Erase>,
    named: Named,
    params: &Params,
) -> Result<(), Refusal> {
    let Some(kind) = named.label()? else {
        let caller = erasing.caller(vec![named.name]).await?;
        caller.erase(|engine, erasure| engine.erase(erasure)).await?;
        return Ok(());
    };
    let (_, field) = label(kind);
    let filter = Filter::Field(field, Test::In(vec![Scalar::Text(named.name)]));
    let caller = writing.caller(params.users()).await?;
    caller.write(move |engine, scope| engine.delete_all(scope, Some(&filter))).await?;
    Ok(())
}

/// Delete an entity.
#[utoipa::path(delete, path = "/mem0/v2/entities/{kind}/{name}", tag = "mem0",
    params(("kind" = String, Path), ("name" = String, Path)), responses((status = 200, body = Object)))]
async fn delete(
    writing: Client<WriteMemories>,
    erasing: Client<Erase>,
    named: Named,
    params: Params,
) -> Result<Json<Value>, Refusal> {
    remove(writing, erasing, named, &params).await?;
    Ok(Json(json!({"message": "Entity deleted successfully!"})))
}

/// Delete an entity, at the older path.
#[utoipa::path(delete, path = "/mem0/v1/entities/{kind}/{name}", tag = "mem0",
    params(("kind" = String, Path), ("name" = String, Path)), responses((status = 200, body = Object)))]
async fn delete_v1(
    writing: Client<WriteMemories>,
    erasing: Client<Erase>,
    named: Named,
    params: Params,
) -> Result<Json<Value>, Refusal> {
    remove(writing, erasing, named, &params).await?;
    Ok(Json(json!({"message": "Entity deleted successfully!"})))
}
