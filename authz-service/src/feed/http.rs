//! The feed over HTTP: `POST` [`PATH`], on the port of the checks, because that is where Envoy reaches every replica.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the feed |
//! | 400 | the body is not a valid request |
//! | 405 | another method |
//! | 408 | the body did not arrive within [`PATIENCE`] |
//! | 413 | the body is longer than [`MAX_BODY_BYTES`] |
//! | 503 | an invalidation may have been missed, see [`is_fresh`](Authorizer::is_fresh) |
//!
//! On any status but 200 the guard must not use leases. Answers are text; nothing in them is secret: a tag is a hash of an
//! id, and a revision stands in every log line.

use std::sync::Arc;
use std::time::Duration;

use ::lease::{FeedRequest, PATH};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clock::Clock;
use tokio::time::{Instant, timeout};

use crate::authorizer::Authorizer;
use crate::feed::{self, Unanswered};
use crate::observe::metrics::Metrics;

/// The same limit as for a check. A report of every route of a large edge has a few hundred kilobytes.
pub const MAX_BODY_BYTES: usize = 1_048_576;

/// How long the body may take. The guard gives up after 150 ms.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The sources of the feed.
#[derive(Clone, Debug)]
pub struct Feeds {
    /// The authorizer.
    pub authorizer: Arc<Authorizer>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Feeds {
    /// The router with its one route.
    pub fn router(self) -> Router {
        Router::new().route(PATH, post(answer)).with_state(self)
    }
}

async fn answer(State(feeds): State<Feeds>, body: Body) -> Response {
    let Feeds { authorizer, metrics, clock } = feeds;
    let counts = &metrics.parts.feeds;
    let refused = |status: StatusCode, what: String| {
        counts.refused.inc();
        (status, format!("{what}\n")).into_response()
    };
    let body = match timeout(PATIENCE, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        // Too long, or broken off; in the second case the client reads no answer.
        Ok(Err(error)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned()),
    };
    let request = match std::str::from_utf8(&body).map(FeedRequest::decode) {
        Ok(Ok(request)) => request,
        Ok(Err(malformed)) => return refused(StatusCode::BAD_REQUEST, malformed.to_string()),
        Err(_) => return refused(StatusCode::BAD_REQUEST, "not UTF-8".to_owned()),
    };
    match feed::answer(&authorizer, &metrics, &request, clock.now(), Instant::now()) {
        Ok(feed) => match feed.encode() {
            Ok(text) => {
                counts.answered.inc();
                text.into_response()
            }
            Err(unfit) => {
                counts.stale.inc();
                tracing::error!(%unfit, "cannot encode the feed: every lease ends");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        },
        Err(stale @ Unanswered::Stale) => {
            counts.stale.inc();
            (StatusCode::SERVICE_UNAVAILABLE, format!("{stale}\n")).into_response()
        }
        Err(many @ Unanswered::TooMany) => refused(StatusCode::BAD_REQUEST, many.to_string()),
    }
}
