//! Answers as the clients know them.
//!
//! An error is bare text: **no** `content-type`, no trailing newline. Success without a body is 201 with
//! `content-length: 0` or 204 without any length (`contracts/cookies/session.hurl`); `tests/wire.rs` holds both on the
//! socket, because the HTTP library below has opinions of its own.

use std::borrow::Cow;
use std::error::Error;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

/// What a client is told when the fault is ours. Never more: details belong in the log.
pub const INTERNAL_TEXT: &str = "Internal server error";

/// What a client is told when the answer would take too long.
pub const UNAVAILABLE_TEXT: &str = "Service unavailable";

/// Bare text without a content type.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Response {
    let body = match text.into() {
        Cow::Borrowed(text) => Body::from(text),
        Cow::Owned(text) => Body::from(text),
    };
    with_status(status, body)
}

/// 201 with an empty body.
#[must_use]
pub fn created() -> Response {
    with_status(StatusCode::CREATED, Body::empty())
}

/// 204.
#[must_use]
pub fn no_content() -> Response {
    with_status(StatusCode::NO_CONTENT, Body::empty())
}

/// 500 for the client, and the whole chain of causes for the log (which carries the request id).
#[must_use]
pub fn internal(error: &(dyn Error + 'static)) -> Response {
    tracing::error!(error = %Chain(error), "request failed");
    text(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL_TEXT)
}

fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// An error with all its causes, on one line.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        // Bounded, because a cycle of causes would never end.
        for _ in 0..8 {
            let Some(error) = cause else { break };
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
