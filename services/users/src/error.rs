//! Every refusal, with the status and the text that clients know (`contracts/http/users_me.hurl`).

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::answer;
use kit::peer::CallFailed;
use sea_orm::DbErr;
use tonic::Status;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The person does not exist, or is not in the caller's tenant. The caller cannot tell which.
    #[error("no such person")]
    NotFound,
    /// No route has this path.
    #[error("no such path")]
    NoSuchPath,
    /// Name, handle or e-mail address belongs to another account.
    #[error("already taken")]
    Taken,
    /// The caller's role is too low.
    #[error("the role is too low")]
    Forbidden,
    /// The body is not valid for the route; the text gives the reason.
    #[error("{0}")]
    Invalid(String),
    /// What the request is about does not exist; the text names it.
    #[error("{0}")]
    Missing(&'static str),
    /// The person has expressed the same before.
    #[error("already liked")]
    Liked,
    /// The legacy backend has this route, and ends the connection without an answer.
    #[error("the legacy backend does not answer this")]
    Unanswered,
    /// The library did not answer.
    #[error("the library did not answer")]
    Library(#[source] CallFailed),
    /// A person has no handle, and none could be given.
    #[error("a person has no handle, and none could be given")]
    NoHandle,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] DbErr),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, text): (StatusCode, Cow<'static, str>) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found user".into()),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "Not found".into()),
            Self::Taken => (StatusCode::CONFLICT, "Already exist user".into()),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Permission Denied".into()),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, why.into()),
            Self::Missing(what) => (StatusCode::NOT_FOUND, what.into()),
            Self::Liked => (StatusCode::CONFLICT, "Already exists like".into()),
            // Not 502 or 503, which an edge makes of an ended connection: a few of those in a row are a failing address to
            // it, and any person could cause them.
            Self::Unanswered => (StatusCode::INTERNAL_SERVER_ERROR, answer::INTERNAL_TEXT.into()),
            Self::NoHandle | Self::Library(_) | Self::Store(_) => return answer::internal(&self),
        };
        answer::text(status, text)
    }
}

impl From<Error> for Status {
    /// The status that a gRPC client reads where an HTTP client reads the status of [`Error::into_response`].
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound | Error::Missing(_) => Self::not_found(text),
            Error::NoSuchPath | Error::Unanswered => Self::unimplemented(text),
            Error::Taken | Error::Liked => Self::already_exists(text),
            Error::Forbidden => Self::permission_denied(text),
            Error::Invalid(_) => Self::invalid_argument(text),
            Error::NoHandle | Error::Library(_) | Error::Store(_) => kit::grpc::internal(&error),
        }
    }
}
