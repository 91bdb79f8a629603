//! Refusals and faults on the wire: RFC 9457 problem details, from one table.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use locule::{Code, Error};
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal or a fault, as `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI for this kind of problem.
    #[schema(example = "urn:locule:problem:not_found")]
    #[serde(rename = "type")]
    kind: String,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do.
    detail: String,
    /// A stable word for programs.
    #[schema(example = "not_found")]
    code: &'static str,
    /// What finds the request in the log. Left out (it is in the `x-request-id` header) where the answer must be the same
    /// to the byte for what exists elsewhere and what exists nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Seconds after which trying again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
}

/// The status that tells what a caller can do.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated | Code::SpaceErased => StatusCode::UNAUTHORIZED,
        Code::NotYourSpace | Code::NotAllowed | Code::SpaceSuspended => StatusCode::FORBIDDEN,
        Code::SpaceMoved => StatusCode::GONE,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Conflict | Code::ModelMismatch => StatusCode::CONFLICT,
        Code::RateLimited | Code::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        Code::Overloaded
        | Code::Busy
        | Code::SpaceMoving
        | Code::ProviderUnavailable
        | Code::BackendUnavailable
        | Code::StorageError
        | Code::SpaceCorrupt
        | Code::KeyUnavailable
        | Code::SchemaTooNew => StatusCode::SERVICE_UNAVAILABLE,
        Code::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        // Codes that come later and are not placed here yet are faults of ours.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error on its way out: [`crate::layer`] makes it a [`Problem`], since the request's id is known there.
#[derive(Debug)]
pub struct Refusal(pub Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code()).into_response();
        response.extensions_mut().insert(Arc::new(self.0));
        response
    }
}

/// The problem as a response.
pub fn respond(error: &Error, request_id: &str) -> Response {
    let code = error.code();
    let status = status(code);
    if status.is_server_error() {
        tracing::warn!(?error, "a request failed");
    }
    let uniform = matches!(code, Code::NotFound | Code::NotYourSpace);
    let problem = Problem {
        kind: format!("urn:locule:problem:{}", code.as_str()),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: error.detail().to_owned(),
        code: code.as_str(),
        request_id: (!uniform).then(|| request_id.to_owned()),
        retry_after: code.retry_after_s(),
    };
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    let headers = response.headers_mut();
    if let Some(seconds) = code.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    response
}
