//! `DELETE /v1/memories/`: everything that is of the ids in the query, and never everything there is.

use std::sync::Arc;

use axum::Json;
use locule::{Error, Result};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::{Client, Params};
use super::ids::Ids;
use super::memories::doomed;
use super::older;
use crate::app::App;
use crate::extract::WriteMemories;
use crate::problem::Refusal;

/// The routes: those of the older clients at the same path stand with it.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(delete_all, older::add, older::list_of_query))
}

/// Which ids a deletion is for. Real clients send what is none (`filters=[object Object]`, a bare `?`): that is refused, with
/// what to send instead, and never taken for "no condition".
pub fn selected(params: &Params, is_service: bool) -> Result<Ids> {
    let fix = "give at least one of user_id, agent_id, app_id, run_id in the query: DELETE …/memories/?user_id=alice.";
    let ids = Ids::of_query(params)?;
    if !ids.is_empty() {
        if ids.user.as_deref() == Some("*") {
            return Err(Error::invalid(format!("\"*\" is nobody's id: a deletion is for one user; {fix}")));
        }
        if is_service && ids.user.is_none() {
            return Err(Error::invalid(format!("A service key names the user whose memories go: {fix}")));
        }
        return Ok(ids);
    }
    if params.get("filters").is_some() {
        return Err(Error::invalid(format!("A deletion takes no `filters`, and nothing was deleted: {fix}")));
    }
    Err(Error::invalid(format!("Nothing was deleted: {fix}")))
}

/// Delete all memories of a user, or those of an agent, an application or a run of theirs, in one transaction.
#[utoipa::path(delete, path = "/mem0/v1/memories", tag = "mem0", responses((status = 200, body = Object)))]
async fn delete_all(client: Client<WriteMemories>, params: Params) -> Result<Json<Value>, Refusal> {
    // A user's star is all that is theirs.
    let ids = selected(&params, client.is_service() && !client.acts_for_somebody())?;
    let filter = doomed(&ids, params.get("metadata"))?;
    let caller = client.caller(ids.users()).await?;
    let deleted = caller.write(move |engine, scope| engine.delete_all(scope, filter.as_ref())).await?;
    Ok(Json(json!({"message": "Memories deleted successfully!", "count": deleted})))
}
