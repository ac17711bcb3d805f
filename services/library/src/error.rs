//! Every refusal, with the status and the body that clients of the library know.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use events::outbox::OutboxError;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use kit::answer;
use kit::peer::CallFailed;
use sea_orm::DbErr;
use serde::Serialize;
use tonic::Status;
use utoipa::ToSchema;

use crate::people::Unknown;

/// The content type of a refusal by the framework.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The content type of everything else.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller has no valid identity.
    #[error("not signed in")]
    Unauthenticated,
    /// The caller's role is too low.
    #[error("the role is too low")]
    Forbidden,
    /// No route has this path.
    #[error("no such path")]
    NoSuchPath,
    /// The path has no such method. The older surface answers this; the later one has the router's own answer.
    #[error("no such method")]
    NoSuchMethod,
    /// The book or the tag does not exist; the text names which.
    #[error("{0}")]
    NotFound(&'static str),
    /// A book has this id already.
    #[error("already taken")]
    Taken,
    /// The query or the body is not valid; the text gives the reason.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The body is not valid JSON.
    #[error("the body is not valid JSON")]
    NotJson,
    /// The users service could not be called.
    #[error("the users service failed")]
    People(#[source] CallFailed),
    /// The users service did not say what the caller dislikes.
    #[error("the caller's dislikes are not known")]
    Dislikes(#[source] Unknown),
    /// What people are told could not be stored.
    #[error("the news of a book cannot be stored")]
    Outbox(#[source] OutboxError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] DbErr),
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refusal<'a> {
    /// The kind of the refusal.
    #[schema(example = "Not found resource")]
    name: &'a str,
    /// The reason.
    #[schema(example = "Not found book")]
    message: &'a str,
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, name, message): (StatusCode, &str, Cow<'static, str>) = match self {
            Self::Unauthenticated => return text(StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::NoSuchPath => return text(StatusCode::NOT_FOUND, "Not Found"),
            Self::NoSuchMethod => return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::NotJson => return text(StatusCode::BAD_REQUEST, "Bad Request"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Permission denied", "Permission denied".into()),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "Not found resource", what.into()),
            Self::Taken => (StatusCode::CONFLICT, "Already exists resource", "Already exists book".into()),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, "Invalid payload", why),
            Self::People(_) | Self::Dislikes(_) => {
                tracing::warn!(error = %answer::Chain(&self), "a request needs the users service");
                return text(StatusCode::SERVICE_UNAVAILABLE, answer::UNAVAILABLE_TEXT);
            }
            Self::Store(_) | Self::Outbox(_) => {
                // The answer of `internal` has no JSON; its log line is what counts here.
                drop(answer::internal(&self));
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal", answer::INTERNAL_TEXT.into())
            }
        };
        json(status, &Refusal { name, message: &message })
    }
}

impl From<Error> for Status {
    /// The status that a gRPC client reads where an HTTP client reads the status of [`Error::into_response`].
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Unauthenticated => Self::unauthenticated(text),
            Error::Forbidden => Self::permission_denied(text),
            Error::NoSuchPath | Error::NoSuchMethod => Self::unimplemented(text),
            Error::NotFound(_) => Self::not_found(text),
            Error::Taken => Self::already_exists(text),
            Error::Invalid(_) | Error::NotJson => Self::invalid_argument(text),
            Error::People(_) | Error::Dislikes(_) => Self::unavailable(text),
            Error::Store(_) | Error::Outbox(_) => kit::grpc::internal(&error),
        }
    }
}

/// Answers with plain text.
pub(crate) fn text(status: StatusCode, body: impl Into<Cow<'static, str>>) -> Response {
    typed(answer::text(status, body), PLAIN)
}

/// Answers with JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => typed(answer::text(status, body), JSON),
        Err(error) => answer::internal(&error),
    }
}

/// Gives an answer a content type.
pub(crate) fn typed(mut answer: Response, kind: HeaderValue) -> Response {
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
