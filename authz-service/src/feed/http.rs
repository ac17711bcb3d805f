//! The feeds over HTTP: `POST` [`PATH`] for leases and [`STREAMS_PATH`] for open streams, on the port of the checks, because
//! that is where Envoy reaches every replica.
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
//! On any status but 200 the guard must not use leases, and streams are not judged. Answers are text; nothing in them
//! is secret: a tag is a hash of an
//! id, and a revision stands in every log line.

use std::sync::Arc;
use std::time::Duration;

use ::lease::{FeedRequest, Malformed, PATH, STREAMS_PATH, StreamsRequest, Unfit};
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
    /// The router.
    pub fn router(self) -> Router {
        Router::new().route(PATH, post(answer)).route(STREAMS_PATH, post(about_streams)).with_state(self)
    }

    /// The request in `body`, or the refusal of another body.
    async fn read<T>(
        &self,
        body: Body,
        decode: impl FnOnce(&str) -> Result<T, Malformed>,
    ) -> Result<T, Response> {
        let body = match timeout(PATIENCE, to_bytes(body, MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => body,
            // Too long, or broken off; in the second case the client reads no answer.
            Ok(Err(error)) => return Err(self.refused(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string())),
            Err(_) => {
                return Err(self.refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"));
            }
        };
        match std::str::from_utf8(&body).map(decode) {
            Ok(Ok(request)) => Ok(request),
            Ok(Err(malformed)) => Err(self.refused(StatusCode::BAD_REQUEST, &malformed.to_string())),
            Err(_) => Err(self.refused(StatusCode::BAD_REQUEST, "not UTF-8")),
        }
    }

    fn refused(&self, status: StatusCode, what: &str) -> Response {
        self.metrics.parts.feeds.refused.inc();
        (status, format!("{what}\n")).into_response()
    }

    fn answered(&self, answer: Result<Result<String, Unfit>, Unanswered>) -> Response {
        let counts = &self.metrics.parts.feeds;
        match answer {
            Ok(Ok(text)) => {
                counts.answered.inc();
                text.into_response()
            }
            Ok(Err(unfit)) => {
                counts.stale.inc();
                tracing::error!(%unfit, "cannot encode the feed: every lease ends");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
            Err(stale @ Unanswered::Stale) => {
                counts.stale.inc();
                (StatusCode::SERVICE_UNAVAILABLE, format!("{stale}\n")).into_response()
            }
            Err(many @ Unanswered::TooMany) => self.refused(StatusCode::BAD_REQUEST, &many.to_string()),
        }
    }
}

async fn answer(State(feeds): State<Feeds>, body: Body) -> Response {
    let request = match feeds.read(body, FeedRequest::decode).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let Feeds { authorizer, metrics, clock } = &feeds;
    let feed = feed::answer(authorizer, metrics, &request, clock.now(), Instant::now());
    feeds.answered(feed.map(|feed| feed.encode()))
}

async fn about_streams(State(feeds): State<Feeds>, body: Body) -> Response {
    let request = match feeds.read(body, StreamsRequest::decode).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let reply = feed::about_streams(&feeds.authorizer, &request, feeds.clock.now(), Instant::now()).await;
    feeds.answered(reply.map(|reply| reply.encode()))
}
