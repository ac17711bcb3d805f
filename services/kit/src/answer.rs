//! Answers in the form that clients know.
//!
//! An error is bare text: **no** `content-type`, no trailing newline. Success without a body is 201 with
//! `content-length: 0`, or 204 without any length (`contracts/cookies/session.hurl`). Tests check both on a
//! socket (`testing/wire.rs`), because the HTTP library has other defaults.

use std::borrow::Cow;
use std::error::Error;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

/// The body of a 500. It never contains more: details belong in the log.
pub const INTERNAL_TEXT: &str = "Internal server error";

/// The body of a 503, when the answer would take too long.
pub const UNAVAILABLE_TEXT: &str = "Service unavailable";

/// Answers with bare text, without a content type.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Response {
    let body = match text.into() {
        Cow::Borrowed(text) => Body::from(text),
        Cow::Owned(text) => Body::from(text),
    };
    with_status(status, body)
}

/// Answers 201 with an empty body.
#[must_use]
pub fn created() -> Response {
    with_status(StatusCode::CREATED, Body::empty())
}

/// Answers 204 without a body.
#[must_use]
pub fn no_content() -> Response {
    with_status(StatusCode::NO_CONTENT, Body::empty())
}

/// Answers 500 and logs the whole chain of causes (the log line carries the request id).
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
