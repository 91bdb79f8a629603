//! `/api/{user_id}/relationships`, and the neighbours of a memory.

use std::sync::Arc;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use locule::memory::Metadata;
use locule::{
    Direction, Error, MemoryId, Neighbour, NeighbourQuery, NewRelationship, Related, Relationship, RelationshipId,
    RelationshipQuery, Strength,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::{MemoryOut, memory_id};
use crate::app::App;
use crate::extract::{Caller, Id, Json, Query, ReadMemories, WriteMemories};
use crate::problem::{Problem, Refusal};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, delete)).routes(routes!(neighbours))
}

/// A relationship: the source stands so to the target.
#[derive(Debug, Serialize, ToSchema)]
struct RelationshipOut {
    /// UUIDv7; rises in the order of adding.
    #[schema(value_type = String)]
    id: RelationshipId,
    /// The memory it leads from.
    #[schema(value_type = String)]
    source_memory_id: MemoryId,
    /// The memory it leads to.
    #[schema(value_type = String)]
    target_memory_id: MemoryId,
    /// How the one stands to the other.
    #[schema(example = "supports")]
    relationship_type: String,
    /// How strongly, 0 to 1, in hundredths.
    #[schema(value_type = f64)]
    strength: Strength,
    /// Whatever the application keeps beside it.
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// RFC 3339, UTC.
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// In an answer to an add: whether it was there already, and nothing was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<bool>,
}

impl From<Relationship> for RelationshipOut {
    fn from(relationship: Relationship) -> Self {
        let Relationship { id, source_memory_id, target_memory_id, relationship_type, strength, metadata, created_at } =
            relationship;
        RelationshipOut {
            id,
            source_memory_id,
            target_memory_id,
            relationship_type,
            strength,
            metadata,
            created_at,
            existing: None,
        }
    }
}

impl From<Related> for RelationshipOut {
    fn from(related: Related) -> Self {
        RelationshipOut { existing: Some(related.existing), ..related.relationship.into() }
    }
}

/// A relationship to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RelationshipIn {
    /// The memory it leads from.
    source_memory_id: String,
    /// The memory it leads to, another one.
    target_memory_id: String,
    /// How the one stands to the other, 1 to 255 bytes.
    #[schema(example = "supports")]
    relationship_type: String,
    /// How strongly, 0 to 1; 1 if left out. Kept in hundredths.
    #[serde(default)]
    strength: Option<f64>,
    /// A JSON object, at most 65,536 bytes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

impl RelationshipIn {
    /// The relationship, and the user it names.
    fn read(self) -> Result<(NewRelationship, Option<String>), Error> {
        let relationship = NewRelationship {
            source_memory_id: memory_id(&self.source_memory_id),
            target_memory_id: memory_id(&self.target_memory_id),
            relationship_type: self.relationship_type,
            strength: self.strength.map_or(Ok(Strength::FULL), Strength::of)?,
            metadata: self.metadata.unwrap_or_default(),
        };
        relationship.check()?;
        Ok((relationship, self.user_id))
    }
}

/// One relationship, or a list of them (`{"relationships": [ … ]}`, 1 to 1,000, all or none).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddIn {
    /// Several relationships, in place of all the other fields.
    #[serde(default)]
    relationships: Option<Vec<RelationshipIn>>,
    /// The memory it leads from.
    #[serde(default)]
    source_memory_id: Option<String>,
    /// The memory it leads to, another one.
    #[serde(default)]
    target_memory_id: Option<String>,
    /// How the one stands to the other, 1 to 255 bytes.
    #[serde(default)]
    #[schema(example = "supports")]
    relationship_type: Option<String>,
    /// How strongly, 0 to 1; 1 if left out. Kept in hundredths.
    #[serde(default)]
    strength: Option<f64>,
    /// A JSON object, at most 65,536 bytes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// If given, the caller's own id.
    #[serde(default)]
    user_id: Option<String>,
}

impl AddIn {
    /// The relationships, whether they came as a list, and the users that are named.
    fn read(self) -> Result<(Vec<NewRelationship>, bool, Vec<String>), Error> {
        let mut users: Vec<String> = self.user_id.into_iter().collect();
        // A field beside a list is for none of its relationships: it is refused, not dropped.
        let is_bare = self.strength.is_none() && self.metadata.is_none();
        let parts = (self.relationships, self.source_memory_id, self.target_memory_id, self.relationship_type);
        let (relationships, many) = match parts {
            (Some(relationships), None, None, None) if is_bare => (relationships, true),
            (None, Some(source_memory_id), Some(target_memory_id), Some(relationship_type)) => {
                let relationship = RelationshipIn {
                    source_memory_id,
                    target_memory_id,
                    relationship_type,
                    strength: self.strength,
                    metadata: self.metadata,
                    user_id: None,
                };
                (vec![relationship], false)
            }
            _ => {
                return Err(Error::invalid(
                    "The body is {\"source_memory_id\": \"…\", \"target_memory_id\": \"…\", \"relationship_type\": \"…\"}, or \
                     {\"relationships\": [{…}, …]}.",
                ));
            }
        };
        let mut ready = Vec::with_capacity(relationships.len());
        for relationship in relationships {
            let (relationship, user) = relationship.read()?;
            users.extend(user);
            ready.push(relationship);
        }
        Ok((ready, many, users))
    }
}

/// Relationships.
#[derive(Serialize, ToSchema)]
struct RelationshipsOut {
    relationships: Vec<RelationshipOut>,
}

/// Add relationships between your memories: one, or up to 1,000 at once, all or none. Where the same source stands so to
/// the same target already, that one is answered as it is, with `existing: true`. A memory has at most 1,000.
#[utoipa::path(post, path = "/api/{user_id}/relationships", tag = "relationships", request_body = AddIn,
    params(("user_id" = String, Path, description = "Your own id, or `me`")),
    responses((status = 201, body = RelationshipOut, description = "The relationship; `{\"relationships\": […]}` for a list"),
              (status = 404, body = Problem, description = "One of the memories is not in your space"),
              (status = 422, body = Problem), (status = 413, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn add(caller: Caller<WriteMemories>, uri: Uri, Json(body): Json<AddIn>) -> Result<Response, Refusal> {
    let (relationships, many, users) = body.read()?;
    let related = caller.also_names(users).write(move |engine, scope| engine.relate(scope, relationships)).await?;
    let mut relationships: Vec<RelationshipOut> = related.into_iter().map(RelationshipOut::from).collect();
    if many || relationships.len() != 1 {
        return Ok((StatusCode::CREATED, axum::Json(RelationshipsOut { relationships })).into_response());
    }
    let relationship = relationships.remove(0);
    let location = format!("{}/{}", uri.path(), relationship.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(relationship)).into_response())
}

/// Which page of which relationships.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Only those of this memory.
    memory_id: Option<String>,
    /// Beside `memory_id`, only those that lead from it (`out`) or to it (`in`); `both` if left out.
    #[param(value_type = Option<String>)]
    direction: Option<Direction>,
    /// Only those of this type.
    relationship_type: Option<String>,
    /// How many, 1 to 1,000; 100 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// A page of relationships, newest first.
#[derive(Serialize, ToSchema)]
struct PageOut {
    relationships: Vec<RelationshipOut>,
    /// How many match in all, exactly.
    total: u64,
    /// Give this as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// List relationships, newest first, a page at a time: all of them, or those of one memory.
#[utoipa::path(get, path = "/api/{user_id}/relationships", tag = "relationships",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), PageQuery),
    responses((status = 200, body = PageOut), (status = 422, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn list(caller: Caller<ReadMemories>, Query(page): Query<PageQuery>) -> Result<axum::Json<PageOut>, Refusal> {
    if page.direction.is_some() && page.memory_id.is_none() {
        return Err(Error::invalid("`direction` is seen from a memory: give `memory_id` with it.").into());
    }
    let before = page.cursor.map(|cursor| cursor.parse::<RelationshipId>()).transpose();
    let query = RelationshipQuery {
        memory: page.memory_id.map(|id| (memory_id(&id), page.direction.unwrap_or_default())),
        relationship_type: page.relationship_type,
        limit: page.limit.unwrap_or(RelationshipQuery::LIMIT_DEFAULT),
        before: before.map_err(|_| Error::invalid("`cursor` is a `next_cursor` of an earlier page."))?,
    };
    query.check()?;
    let page = caller.also_names(page.user_id).read(move |engine, scope| engine.relationships(scope, &query)).await?;
    Ok(axum::Json(PageOut {
        relationships: page.relationships.into_iter().map(RelationshipOut::from).collect(),
        total: page.total,
        next_cursor: page.next.map(|id| id.to_string()),
    }))
}

/// One relationship.
#[utoipa::path(get, path = "/api/{user_id}/relationships/{id}", tag = "relationships",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 200, body = RelationshipOut), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn get(caller: Caller<ReadMemories>, Id(id): Id) -> Result<axum::Json<RelationshipOut>, Refusal> {
    let relationship = caller.read(move |engine, scope| engine.relationship(scope, id_of(&id))).await?;
    Ok(axum::Json(relationship.into()))
}

/// Delete a relationship; its memories stay.
#[utoipa::path(delete, path = "/api/{user_id}/relationships/{id}", tag = "relationships",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn delete(caller: Caller<WriteMemories>, Id(id): Id) -> Result<StatusCode, Refusal> {
    caller.write(move |engine, scope| engine.unrelate(scope, id_of(&id))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far to go, and which way.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WalkQuery {
    /// From source to target (`out`), from target to source (`in`), or either way (`both`, if left out).
    #[param(value_type = Option<String>)]
    direction: Option<Direction>,
    /// How many relationships far, 1 or 2; 1 if left out.
    hops: Option<usize>,
    /// Along this type only.
    relationship_type: Option<String>,
    /// How many memories at most, 1 to 1,000; 100 if left out.
    limit: Option<usize>,
    /// If given, the caller's own id.
    user_id: Option<String>,
}

/// A memory that was reached from another.
#[derive(Serialize, ToSchema)]
struct NeighbourOut {
    #[serde(flatten)]
    memory: MemoryOut,
    /// How many relationships away it is.
    distance: usize,
    /// The relationships that lead to it, from where the walk began: of the shortest ways the strongest.
    path: Vec<RelationshipOut>,
}

impl From<Neighbour> for NeighbourOut {
    fn from(neighbour: Neighbour) -> Self {
        let path: Vec<_> = neighbour.path.into_iter().map(RelationshipOut::from).collect();
        NeighbourOut { memory: neighbour.memory.into(), distance: path.len(), path }
    }
}

/// The neighbours of a memory: the nearer first, of equally near ones the more strongly related, then the newer.
#[derive(Serialize, ToSchema)]
struct NeighboursOut {
    neighbours: Vec<NeighbourOut>,
    /// Whether there are more than were asked for.
    more: bool,
}

/// The memories that relationships lead to from this one, one or two hops away.
#[utoipa::path(get, path = "/api/{user_id}/memories/{id}/neighbours", tag = "relationships",
    params(("user_id" = String, Path, description = "Your own id, or `me`"), ("id" = String, Path), WalkQuery),
    responses((status = 200, body = NeighboursOut), (status = 404, body = Problem), (status = 422, body = Problem),
              (status = 403, body = Problem), (status = 401, body = Problem)))]
async fn neighbours(
    caller: Caller<ReadMemories>,
    Id(id): Id,
    Query(walk): Query<WalkQuery>,
) -> Result<axum::Json<NeighboursOut>, Refusal> {
    let usual = NeighbourQuery::default();
    let query = NeighbourQuery {
        direction: walk.direction.unwrap_or_default(),
        hops: walk.hops.unwrap_or(usual.hops),
        relationship_type: walk.relationship_type,
        limit: walk.limit.unwrap_or(usual.limit),
    };
    query.check()?;
    let found = caller
        .also_names(walk.user_id)
        .read(move |engine, scope| engine.neighbours(scope, memory_id(&id), &query))
        .await?;
    let neighbours = found.neighbours.into_iter().map(NeighbourOut::from).collect();
    Ok(axum::Json(NeighboursOut { neighbours, more: found.more }))
}

/// The id, or one that nothing has: a malformed id is looked for like any other, and answers alike.
fn id_of(text: &str) -> RelationshipId {
    text.parse().unwrap_or(RelationshipId::from_bytes([0; 16]))
}
