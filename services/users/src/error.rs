//! Every refusal, with the status and the text that clients know (`contracts/http/users_me.hurl`).

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::answer;
use sea_orm::DbErr;

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
            Self::NoHandle | Self::Store(_) => return answer::internal(&self),
        };
        answer::text(status, text)
    }
}
