//! Every refusal, with its status and text.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::answer;
use kit::removal::NotAllowed;
use sea_orm::DbErr;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The dead letter does not exist.
    #[error("the dead letter does not exist")]
    NotFound,
    /// The service may not do this.
    #[error("the service may not do this")]
    Forbidden,
    /// The request is not valid; the text gives the reason.
    #[error("{0}")]
    Invalid(String),
    /// The key has another message already.
    #[error("the key has another message already")]
    Conflict,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] DbErr),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => answer::text(StatusCode::NOT_FOUND, "Not found"),
            Self::Conflict => answer::text(StatusCode::CONFLICT, self.to_string()),
            Self::Forbidden => answer::text(StatusCode::FORBIDDEN, "Permission Denied"),
            Self::Invalid(why) => answer::text(StatusCode::BAD_REQUEST, why),
            Self::Store(_) => answer::internal(&self),
        }
    }
}

impl From<NotAllowed> for Error {
    fn from(not: NotAllowed) -> Self {
        match not {
            NotAllowed::Caller => Self::Forbidden,
            NotAllowed::Tenant => Self::NotFound,
        }
    }
}
