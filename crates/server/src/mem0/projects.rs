//! A project's settings. A service's project is its issuer's application; a user has settings of their own, in their own space,
//! and these are what the project's paths are about for them.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;
use locule::memory::Metadata;
use locule::settings::Settings;
use locule::{Code, Error, Result, infer};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::account::{ORGANIZATION, opaque, project};
use super::client::{Body, Client, Params};
use super::installation::operators_do;
use super::wire;
use crate::app::App;
use crate::extract::{Acting, ReadMemories, WriteMemories, in_path};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(get, change, delete)).routes(routes!(
        members,
        add_member,
        change_member,
        remove_member
    ))
}

/// The organisation and the project of a path: a claim, which has to be what the credential belongs to.
struct Claimed {
    organization: Option<String>,
    project: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Claimed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Claimed { organization: in_path(parts, "org"), project: in_path(parts, "project") })
    }
}

impl Claimed {
    fn check<A: Acting>(&self, client: &Client<A>) -> Result<()> {
        check_project(client, self.project.as_deref())?;
        match &self.organization {
            Some(organization) if organization != ORGANIZATION => Err(not_yours()),
            _ => Ok(()),
        }
    }
}

/// Passes the project that a credential belongs to.
pub fn check_project<A: Acting>(client: &Client<A>, claimed: Option<&str>) -> Result<()> {
    match claimed {
        Some(claimed) if claimed != project(client.app(), client.principal()) => Err(not_yours()),
        _ => Ok(()),
    }
}

fn not_yours() -> Error {
    Error::new(
        Code::NotYourSpace,
        "This credential does not belong to that project. The answer to `ping` names its own.",
    )
}

/// The settings as mem0's clients know them, and since when.
struct Kept {
    settings: Settings,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

/// The fields that mem0's clients ask of a project, whatever is set.
const FIELDS: [&str; 9] = [
    "name",
    "description",
    "custom_instructions",
    "custom_categories",
    "agent_custom_instructions",
    "multilingual",
    "decay",
    "memory_depth",
    "usecase_setting",
];

/// The settings that the caller has.
async fn kept(client: Client<ReadMemories>) -> Result<Kept, Refusal> {
    if client.is_service() {
        let project = client.manage(|engine, management| engine.project(&management)).await?;
        let locule::project::Project { settings, created_at, updated_at } = project;
        return Ok(Kept { settings, created_at, updated_at });
    }
    let settings = client.caller(Vec::new()).await?.read(|engine, scope| engine.settings(scope)).await?;
    Ok(Kept { settings, created_at: None, updated_at: None })
}

/// A project.
#[utoipa::path(get, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), responses((status = 200, body = Object)))]
async fn get(client: Client<ReadMemories>, claimed: Claimed, params: Params) -> Result<Json<Value>, Refusal> {
    claimed.check(&client)?;
    let id = project(client.app(), client.principal());
    let member = member(&client);
    let Kept { settings, created_at, updated_at } = kept(client).await?;
    let mut fields = FIELDS.map(|name| (name.to_owned(), Value::Null)).into_iter().collect::<Map<_, _>>();
    fields.extend(settings.object()?);
    fields.insert("custom_categories".to_owned(), categories(&settings));
    fields.insert("project_id".to_owned(), json!(id));
    fields.insert("user_role".to_owned(), member["role"].clone());
    fields.insert("members".to_owned(), json!([member]));
    fields.insert("created_at".to_owned(), json!(created_at.map(wire::time)));
    fields.insert("updated_at".to_owned(), json!(updated_at.map(wire::time)));
    let asked = params.all("fields");
    if !asked.is_empty() {
        let only = asked.into_iter().map(|name| (name.to_owned(), fields.get(name).cloned().unwrap_or(Value::Null)));
        fields = only.collect();
    }
    Ok(Json(Value::Object(fields)))
}

/// Categories as mem0's clients write and read them.
fn categories(settings: &Settings) -> Value {
    let Some(categories) = &settings.custom_categories else { return Value::Null };
    categories.iter().map(|category| json!({ &category.name: category.description })).collect()
}

/// The change that a body asks for: what is null or empty is taken away.
fn wanted(body: Map<String, Value>) -> Result<Metadata> {
    let mut change = Metadata::new();
    for (name, value) in body {
        if name == "org_id" || name == "project_id" {
            continue;
        }
        let is_empty = matches!(&value, Value::String(text) if text.trim().is_empty())
            || matches!(&value, Value::Array(items) if items.is_empty());
        let value = match &*name {
            _ if is_empty => Value::Null,
            "custom_categories" if !value.is_null() => json!(infer::categories(&value)?),
            _ => value,
        };
        change.insert(name, value);
    }
    Ok(change)
}

async fn changed(client: Client<WriteMemories>, change: Metadata) -> Result<(), Refusal> {
    if client.is_service() {
        client.manage(move |engine, management| engine.change_project(&management, &change)).await?;
    } else {
        let caller = client.caller(Vec::new()).await?;
        caller.write(move |engine, scope| engine.change_settings(scope, &change)).await?;
    }
    Ok(())
}

/// Change a project's settings; a user, their own.
#[utoipa::path(patch, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), request_body = Object, responses((status = 200, body = Object)))]
async fn change(client: Client<WriteMemories>, claimed: Claimed, Body(body): Body) -> Result<Json<Value>, Refusal> {
    claimed.check(&client)?;
    changed(client, wanted(body)?).await?;
    Ok(Json(json!({"message": "Updated project settings"})))
}

/// There is one project for each issuer, and it is there: what is given becomes its name and description.
#[utoipa::path(post, path = "/mem0/api/v1/orgs/organizations/{org}/projects", tag = "mem0",
    params(("org" = String, Path)), request_body = Object, responses((status = 200, body = Object)))]
async fn create(client: Client<WriteMemories>, claimed: Claimed, Body(body): Body) -> Result<Json<Value>, Refusal> {
    claimed.check(&client)?;
    let id = project(client.app(), client.principal());
    let named = body.into_iter().filter(|(name, _)| name == "name" || name == "description");
    changed(client, wanted(named.collect())?).await?;
    Ok(Json(json!({"message": "This credential has one project, and this is it.", "project_id": id})))
}

/// Delete everybody's memories: nobody may, here.
#[utoipa::path(delete, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), responses((status = 403, body = Object)))]
async fn delete(_client: Client<WriteMemories>) -> Refusal {
    operators_do("erases users one by one, with `locule user erase`")
}

/// The caller, as a member of its own project.
fn member<A: Acting>(client: &Client<A>) -> Value {
    let role = if client.principal().role() == locule::Role::Reader { "READER" } else { "OWNER" };
    json!({"username": opaque(client.app(), client.principal()), "email": null, "role": role})
}

/// Who belongs to a project: whoever asks, as far as they are told.
#[utoipa::path(get, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}/members", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), responses((status = 200, body = Object)))]
async fn members(client: Client<ReadMemories>, claimed: Claimed) -> Result<Json<Value>, Refusal> {
    claimed.check(&client)?;
    Ok(Json(json!({"members": [member(&client)]})))
}

/// Let somebody in: whoever runs the server makes keys.
#[utoipa::path(post, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}/members", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), responses((status = 403, body = Object)))]
async fn add_member(_client: Client<WriteMemories>) -> Refusal {
    operators_do("makes keys, with `locule key create`")
}

/// Change what somebody may: likewise.
#[utoipa::path(put, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}/members", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), responses((status = 403, body = Object)))]
async fn change_member(_client: Client<WriteMemories>) -> Refusal {
    operators_do("makes keys, with `locule key create`")
}

/// Let somebody in no longer: likewise.
#[utoipa::path(delete, path = "/mem0/api/v1/orgs/organizations/{org}/projects/{project}/members", tag = "mem0",
    params(("org" = String, Path), ("project" = String, Path)), responses((status = 403, body = Object)))]
async fn remove_member(_client: Client<WriteMemories>) -> Refusal {
    operators_do("ends keys, with `locule key revoke`")
}
