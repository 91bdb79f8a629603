//! The description of the API, generated from the handlers, and the routes that need no credential.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::pool::{Kind, Share};
use crate::problem::Refusal;

/// What stands above the routes.
#[derive(OpenApi)]
#[openapi(info(
    title = "Locule",
    description = "A private, isolated space for every user of an AI application.\n\n\
        Every route under `/api/{user_id}` acts in one space: the caller's own (`me`, or the id in the token), or, for a \
        service key, that of the user the path names. Naming anybody else answers 403, whether they exist or not."
))]
struct Head;

/// The head of the document, with the ways to sign in.
pub fn head() -> utoipa::openapi::OpenApi {
    let mut head = Head::openapi();
    let components = head.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let key = ApiKey::Header(ApiKeyValue::new(crate::extract::API_KEY));
    components.add_security_scheme("key", SecurityScheme::ApiKey(key));
    head.security = Some(vec![
        utoipa::openapi::SecurityRequirement::new("bearer", Vec::<String>::new()),
        utoipa::openapi::SecurityRequirement::new("key", Vec::<String>::new()),
    ]);
    head
}

/// The routes that need no credential.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    let swagger = utoipa_swagger_ui::SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json"));
    let page: axum::Router<Arc<App>> = axum::Router::from(swagger).layer(axum::middleware::map_response(lock_down));
    health().routes(routes!(openapi)).route("/", get(front)).merge(OpenApiRouter::from(page))
}

/// Whether the server is there and can work.
pub fn health() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// The process is there.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// The directory answers: requests can be served.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses((status = 200, body = String), (status = 503)))]
async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    let engine = app.engine.clone();
    app.pool.run(Share(0), Kind::Read, app.deadline, move || engine.check()).await?;
    Ok("ready\n")
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "health", security(()), responses((status = 200, body = Object)))]
async fn openapi(State(app): State<Arc<App>>) -> Response {
    let head = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=60")];
    (head, app.document.clone()).into_response()
}

async fn front() -> Response {
    axum::response::Redirect::temporary("/docs/").into_response()
}

/// The page runs its own scripts and nobody else's, and talks to this server alone.
async fn lock_down(mut response: Response) -> Response {
    const POLICY: &str =
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
