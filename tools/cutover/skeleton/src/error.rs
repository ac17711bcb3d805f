//! Every refusal, with its status and body.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::answer;
use sea_orm::DbErr;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The person has no note.
    #[error("no note")]
    NotFound,
    /// The body is not valid; the text gives the reason.
    #[error("{0}")]
    Invalid(String),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] DbErr),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => answer::text(StatusCode::NOT_FOUND, "No note"),
            Self::Invalid(why) => answer::text(StatusCode::BAD_REQUEST, why),
            Self::Store(_) => answer::internal(&self),
        }
    }
}
