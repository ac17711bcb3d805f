//! Reads a whole request body of bounded size ([`crate::surface::MAX_BODY_BYTES`]).

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::answer;

/// The bytes of a body. The handler checks the content type, because the services differ in it.
#[derive(Clone, Debug)]
pub struct Body(pub Bytes);

/// A body that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The body is longer than the limit.
    TooLong,
    /// The client stopped in the middle, or framed the body wrongly.
    Broken,
}

impl IntoResponse for Unreadable {
    fn into_response(self) -> Response {
        match self {
            Self::TooLong => answer::text(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
            Self::Broken => answer::text(StatusCode::BAD_REQUEST, "Bad Request"),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Unreadable;

    async fn from_request(request: Request, state: &S) -> Result<Self, Unreadable> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Unreadable::TooLong
            } else {
                Unreadable::Broken
            }
        })
    }
}
