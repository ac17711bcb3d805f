//! Every refusal, with its status and text.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::answer;
use sea_orm::DbErr;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The dead letter does not exist.
    #[error("the dead letter does not exist")]
    NotFound,
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
            Self::Invalid(why) => answer::text(StatusCode::BAD_REQUEST, why),
            Self::Store(_) => answer::internal(&self),
        }
    }
}
