//! Every refusal, with its status and text.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use events::outbox::OutboxError;
use events::store::StoreError;
use http::StatusCode;
use kit::answer;
use sea_orm::DbErr;

use crate::standing::{NotFrom, UnknownStanding};
use crate::tenant::InvalidText;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant does not exist, or the caller acts for another one. The caller cannot tell which.
    #[error("no such tenant")]
    NotFound,
    /// The caller may not change tenants.
    #[error("the service may not change tenants")]
    Forbidden,
    /// Another tenant has this id.
    #[error("already taken")]
    Taken,
    /// The change leads nowhere from the tenant's standing.
    #[error(transparent)]
    Standing(#[from] NotFrom),
    /// Other requests change this tenant at the same time, one after another.
    #[error("other requests change this tenant at the moment")]
    Busy,
    /// The body or the query is not valid; the text gives the reason.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] DbErr),
    /// The events of a change could not be written with it.
    #[error("the event cannot be written")]
    Outbox(#[from] OutboxError),
    /// The history of a tenant cannot be written or read.
    #[error("the history cannot be used")]
    History(#[from] StoreError),
    /// A row of the database contains what this service never writes.
    #[error("a stored tenant cannot be read: {0}")]
    Unreadable(String),
}

impl From<UnknownStanding> for Error {
    fn from(error: UnknownStanding) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<InvalidText> for Error {
    fn from(error: InvalidText) -> Self {
        Self::Invalid(error.to_string().into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, text): (StatusCode, Cow<'static, str>) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found tenant".into()),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Permission denied".into()),
            Self::Taken => (StatusCode::CONFLICT, "Already exists tenant".into()),
            Self::Standing(error) => (StatusCode::CONFLICT, error.to_string().into()),
            Self::Busy => (StatusCode::CONFLICT, "Changed at the same time, try again".into()),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, why),
            Self::Store(_) | Self::Outbox(_) | Self::History(_) | Self::Unreadable(_) => {
                return answer::internal(&self);
            }
        };
        answer::text(status, text)
    }
}
