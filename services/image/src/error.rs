//! Every refusal, with the status and the body that clients of the file host know.

use std::io;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kit::answer;
use kit::disk::PathFault;

use crate::path::InvalidPath;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller has no valid identity.
    #[error("not signed in")]
    Unauthenticated,
    /// The caller's role is too low, or the path leads out of the root.
    #[error("permission denied")]
    Forbidden,
    /// There is no such file.
    #[error("no such file")]
    Absent,
    /// The upload is not valid; the text gives the reason.
    #[error("{0}")]
    Invalid(&'static str),
    /// Made-up pictures take no uploads.
    #[error("pictures are made up here; an upload needs IMAGE_ROOT")]
    MadeUp,
    /// The path has no such method.
    #[error("no such method")]
    NoSuchMethod,
    /// The disk failed.
    #[error("the disk failed")]
    Disk(#[source] io::Error),
    /// A picture could not be made up.
    #[error("a picture could not be made up: {0}")]
    Encoding(String),
}

impl From<InvalidPath> for Error {
    fn from(invalid: InvalidPath) -> Self {
        match invalid {
            InvalidPath::Outside => Self::Forbidden,
            InvalidPath::Absent => Self::Absent,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match PathFault::of(&error) {
            Some(PathFault::Absent) => Self::Absent,
            // This includes a link that leads out of the root.
            Some(PathFault::Closed) => Self::Forbidden,
            None => Self::Disk(error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthenticated => answer::text(StatusCode::UNAUTHORIZED, "Unauthenticated"),
            Self::Forbidden => answer::text(StatusCode::FORBIDDEN, "Permission denied"),
            Self::Absent => answer::text(StatusCode::NOT_FOUND, ""),
            Self::Invalid(why) => answer::text(StatusCode::BAD_REQUEST, why),
            Self::MadeUp => answer::text(StatusCode::FORBIDDEN, "Pictures are made up here"),
            Self::NoSuchMethod => answer::text(StatusCode::METHOD_NOT_ALLOWED, ""),
            Self::Disk(_) | Self::Encoding(_) => answer::internal(&self),
        }
    }
}
