//! The operators' listener: users, figures and metrics; never content.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use locule::policy::Act;
use locule::{Error, Receipt, UserRecord, limit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{Id, Json, Operating, Query};
use crate::problem::Refusal;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, erase))
        .routes(routes!(suspend))
        .routes(routes!(resume))
        .routes(routes!(statistics))
        .routes(routes!(metrics))
}

/// A user, as operators see them.
#[derive(Serialize, ToSchema)]
struct UserOut {
    user_id: String,
    issuer: String,
    /// `open`, `suspended` or `erasing`.
    state: &'static str,
    #[schema(value_type = String)]
    created_at: jiff::Timestamp,
    /// As of `as_of`, like `size_bytes`.
    memories: u64,
    size_bytes: u64,
    #[schema(value_type = Option<String>)]
    as_of: Option<jiff::Timestamp>,
}

impl From<UserRecord> for UserOut {
    fn from(user: UserRecord) -> Self {
        UserOut {
            user_id: user.identity.subject.as_str().to_owned(),
            issuer: user.identity.issuer.as_str().to_owned(),
            state: user.state_word(),
            created_at: user.created_at,
            memories: user.published.memories,
            size_bytes: user.published.size_bytes,
            as_of: user.published_at,
        }
    }
}

/// A user to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserIn {
    user_id: String,
}

/// Create a user. Answers the one there is if there is one.
#[utoipa::path(post, path = "/operator/users", tag = "operators", request_body = UserIn, responses((status = 201, body = UserOut)))]
async fn create(operating: Operating, Json(body): Json<UserIn>) -> Result<Response, Refusal> {
    let user =
        operating.run(move |engine, operator| engine.create_user(operator, &engine.identity(&body.user_id)?)).await?;
    Ok((StatusCode::CREATED, axum::Json(UserOut::from(user))).into_response())
}

/// Which page of users.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsersQuery {
    /// How many, 1 to 1,000; 100 if left out.
    limit: Option<usize>,
    /// The last `user_id` of the page before.
    after: Option<String>,
}

/// Users.
#[derive(Serialize, ToSchema)]
struct UsersOut {
    users: Vec<UserOut>,
}

/// List users, in the order of their ids.
#[utoipa::path(get, path = "/operator/users", tag = "operators", params(UsersQuery), responses((status = 200, body = UsersOut)))]
async fn list(operating: Operating, Query(query): Query<UsersQuery>) -> Result<axum::Json<UsersOut>, Refusal> {
    let limit = query.limit.unwrap_or(100);
    if limit == 0 {
        return Err(Error::invalid("`limit` is a number from 1 to 1000.").into());
    }
    limit::PAGE.check(limit)?;
    let users = operating
        .run(move |engine, operator| {
            let after = query.after.map(|after| engine.identity(&after)).transpose()?;
            engine.users(operator, after.as_ref(), limit)
        })
        .await?;
    Ok(axum::Json(UsersOut { users: users.into_iter().map(UserOut::from).collect() }))
}

/// One user.
#[utoipa::path(get, path = "/operator/users/{id}", tag = "operators", params(("id" = String, Path)), responses((status = 200, body = UserOut)))]
async fn show(operating: Operating, Id(id): Id) -> Result<axum::Json<UserOut>, Refusal> {
    let user = operating.run(move |engine, operator| engine.user(operator, &engine.identity(&id)?)).await?;
    Ok(axum::Json(user.into()))
}

/// Erase a user.
#[utoipa::path(delete, path = "/operator/users/{id}", tag = "operators", params(("id" = String, Path)), responses((status = 200, body = Object)))]
async fn erase(operating: Operating, Id(id): Id) -> Result<axum::Json<Receipt>, Refusal> {
    let receipt = operating
        .run(move |engine, operator| {
            let erasure = engine.gate().system_erase(operator, engine.identity(&id)?, Act::Erase.as_str())?;
            engine.erase(erasure)
        })
        .await?;
    Ok(axum::Json(receipt))
}

/// Shut a user's space. Its data is kept.
#[utoipa::path(post, path = "/operator/users/{id}/suspend", tag = "operators", params(("id" = String, Path)), responses((status = 204)))]
async fn suspend(operating: Operating, Id(id): Id) -> Result<StatusCode, Refusal> {
    operating.run(move |engine, operator| engine.suspend(operator, &engine.identity(&id)?, true)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open a suspended space again.
#[utoipa::path(post, path = "/operator/users/{id}/resume", tag = "operators", params(("id" = String, Path)), responses((status = 204)))]
async fn resume(operating: Operating, Id(id): Id) -> Result<StatusCode, Refusal> {
    operating.run(move |engine, operator| engine.suspend(operator, &engine.identity(&id)?, false)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Figures over all users.
#[derive(Serialize, ToSchema)]
struct StatisticsOut {
    users: u64,
    suspended: u64,
    memories: u64,
    size_bytes: u64,
    /// The oldest publication these figures rest on.
    #[schema(value_type = Option<String>)]
    as_of: Option<jiff::Timestamp>,
    open_connections: usize,
    vector_bytes: usize,
}

/// Figures over all users, from what spaces publish; nobody's space is opened for them.
#[utoipa::path(get, path = "/operator/statistics", tag = "operators", responses((status = 200, body = StatisticsOut)))]
async fn statistics(operating: Operating) -> Result<axum::Json<StatisticsOut>, Refusal> {
    let (figures, (open_connections, vector_bytes)) =
        operating.run(|engine, operator| Ok((engine.figures(operator)?, engine.held()))).await?;
    Ok(axum::Json(StatisticsOut {
        users: figures.users,
        suspended: figures.suspended,
        memories: figures.memories,
        size_bytes: figures.size_bytes,
        as_of: figures.as_of,
        open_connections,
        vector_bytes,
    }))
}

/// Figures in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operators", responses((status = 200, body = String)))]
async fn metrics(operating: Operating) -> Result<Response, Refusal> {
    let app = operating.app_arc();
    let (figures, held) = operating.run(|engine, operator| Ok((engine.figures(operator)?, engine.held()))).await?;
    let text = app.metrics.text(app.pool.waiting(), held, &figures);
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
