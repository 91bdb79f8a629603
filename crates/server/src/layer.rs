//! What surrounds every request: its id, its answer's headers, its line in the log, and a floor under panics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::CorsLayer;

use crate::app::{App, RequestId};
use crate::{mem0, problem};

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const REQUEST_ID_BYTES: usize = 64;

/// How long a browser remembers what it was allowed.
const PREFLIGHT: Duration = Duration::from_secs(600);

/// Wraps every request of the listeners.
pub async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId(given_id(request.headers()).unwrap_or_else(|| app.fresh_id()).into());
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    let is_mem0 = mem0::path::is_ours(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().cloned();

    let mut response = next.run(request).await;

    if let Some(error) = response.extensions_mut().remove::<Arc<locule::Error>>() {
        let respond = if is_mem0 { mem0::problem::respond } else { problem::respond };
        response = respond(&error, &id.0);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization, x-api-key, locule-act-as"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The route and not the path: paths hold user ids.
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    app.metrics.request(&method, route, status, began.elapsed());
    tracing::debug!(request_id = %id.0, %method, route, status, ms = began.elapsed().as_millis() as u64, "request");
    response
}

/// Lets pages of these origins ask in a browser. Nobody is let in by that: who asks brings a credential as everywhere.
pub fn open_to(origins: &[String], router: Router) -> Router {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return router;
    }
    // The headers that mem0's client for browsers sends, and our own.
    let names = [
        "authorization",
        "content-type",
        "idempotency-key",
        "locule-act-as",
        "mem0-user-id",
        "x-api-key",
        "x-application",
        "x-mem0-client",
        "x-mem0-source",
        "x-request-id",
    ];
    let told = [header::RETRY_AFTER, REQUEST_ID];
    router.layer(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(names.map(HeaderName::from_static))
            .expose_headers(told)
            .max_age(PREFLIGHT),
    )
}

/// The id a caller gave, if it is one that may stand in a log and a header.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=REQUEST_ID_BYTES).contains(&id.len())).then(|| id.to_owned())
}
