//! Who a client is here: the answer to its first question, which its constructor asks.

use std::sync::Arc;

use axum::Json;
use locule::{Identity, Principal, Result, Role, Subject};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::Client;
use crate::app::App;
use crate::extract::ReadMemories;
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(ping))
}

/// The organisation of everybody here.
pub const ORGANIZATION: &str = "org_locule";

/// What names a credential and tells nobody whose it is: no e-mail address, since the clients hand that on to a company
/// that counts their use.
pub fn opaque(app: &App, principal: &Principal) -> String {
    match principal.actor() {
        locule::audit::Actor::User(identity) => app.engine.pseudonym(identity),
        actor => actor.name().to_owned(),
    }
}

/// The project of a credential: a service's is its issuer's, whatever its key; a user has one of their own.
pub fn project(app: &App, principal: &Principal) -> String {
    if principal.role() == Role::Service
        && let Some(issuer) = principal.issuer().cloned()
        && let Ok(subject) = Subject::try_from("project")
    {
        return format!("prj_all_{}", app.engine.pseudonym(&Identity { issuer, subject }));
    }
    format!("prj_{}", opaque(app, principal))
}

/// Whether the credential is good, and what it belongs to.
#[utoipa::path(get, path = "/mem0/v1/ping", tag = "mem0", responses((status = 200, body = Object)))]
async fn ping(client: Client<ReadMemories>) -> Result<Json<Value>, Refusal> {
    let (app, principal) = (client.app(), client.principal());
    Ok(Json(json!({
        "status": "ok",
        "org_id": ORGANIZATION,
        "project_id": project(app, principal),
        "user_email": format!("key-{}", opaque(app, principal)),
    })))
}
