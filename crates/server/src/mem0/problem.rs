//! Refusals and faults as mem0's clients read them: `detail` is a text, and the status picks the class of the exception.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use locule::{Code, Error};
use serde_json::json;

/// The status that makes mem0's clients raise what fits: 400 a `ValidationError`, 413 a `MemoryQuotaExceededError`, and what
/// may be tried again a `NetworkError`.
fn status(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::QuotaExceeded | Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::StorageFull => StatusCode::SERVICE_UNAVAILABLE,
        code => crate::problem::status(code),
    }
}

/// The error as a response. What exists elsewhere and what exists nowhere answer with the same bytes: the id of the request
/// stands in the header alone then.
pub fn respond(error: &Error, request_id: &str) -> Response {
    let code = error.code();
    let status = status(code);
    if status.is_server_error() {
        tracing::warn!(?error, "a request failed");
    }
    let mut body = json!({"detail": error.detail(), "code": code.as_str()});
    if !matches!(code, Code::NotFound | Code::NotYourSpace) {
        body["request_id"] = json!(request_id);
    }
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    let headers = response.headers_mut();
    if let Some(seconds) = code.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
