//! Every refusal, as JSON: `{"error": …}`, and where a program can go on, from where.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kit::answer;
use sea_orm::DbErr;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query or the body is not valid; the text gives the reason.
    #[error("{0}")]
    Invalid(String),
    /// The job expects another batch.
    #[error("the job expects batch {next}")]
    OtherBatch {
        /// The number of the batch.
        next: i64,
    },
    /// The batch was delivered before, with other books.
    #[error("batch {0} was delivered with other content")]
    Changed(i64),
    /// The file expects another part.
    #[error("the file has {received} bytes so far")]
    OtherPart {
        /// The offset of the next part.
        received: u64,
    },
    /// Another request writes this file.
    #[error("another request writes this file")]
    Busy,
    /// The bytes do not have the digest.
    #[error("the bytes do not have the digest; send the file again")]
    Digest,
    /// Too much is under way.
    #[error("too much is under way; try again later")]
    Full,
    /// The library is unreachable, or refuses for now.
    #[error("the library is not available")]
    Library(String),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] DbErr),
    /// The disk failed.
    #[error("the disk failed")]
    Disk(#[from] std::io::Error),
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
pub struct Refusal {
    /// The reason.
    error: String,
    /// The batch that the job expects.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
    /// The bytes of the file that have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut refusal = Refusal { error: self.to_string(), next: None, received: None };
        let status = match &self {
            Self::Invalid(_) | Self::Digest => StatusCode::BAD_REQUEST,
            Self::OtherBatch { next } => {
                refusal.next = Some(*next);
                StatusCode::CONFLICT
            }
            Self::OtherPart { received } => {
                refusal.received = Some(*received);
                StatusCode::CONFLICT
            }
            Self::Changed(_) | Self::Busy => StatusCode::CONFLICT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Library(why) => {
                tracing::warn!(%why, "the library took no books");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(_) | Self::Disk(_) => {
                // The answer of `internal` has no JSON; its log line is what counts here.
                drop(answer::internal(&self));
                answer::INTERNAL_TEXT.clone_into(&mut refusal.error);
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        json(status, &refusal)
    }
}

/// Answers with JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => {
            let mut answer = answer::text(status, body);
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            answer
        }
        Err(error) => answer::internal(&error),
    }
}
