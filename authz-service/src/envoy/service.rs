//! The gRPC service that Envoy calls: `envoy.service.auth.v3.Authorization`.
//!
//! Not the generated server, because of its cost for each check: that one fills a message with many fields
//! that no decision reads, and boxes each call twice. The wire format is the same ([`codec`](super::codec)).

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use clock::Clock;
use futures_util::FutureExt as _;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::Grpc;
use tonic::{Response, Status};
use tower::service_fn;

use crate::authorizer::Authorizer;
use crate::check::{CheckInput, MalformedCheck};
use crate::envoy::codec::CheckCodec;
use crate::envoy::pieces::Pieces;
use crate::envoy::question::Question;
use crate::envoy::{request, response};
use crate::failure::Failure;
use crate::observe::Observers;
use crate::verdict::{Verdict, last_words};

/// The only method.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Envoy sends at most 60 KB of headers, and the body of a signed request, which may have a megabyte; a
/// larger check is not Envoy's.
const MAX_CHECK_BYTES: usize = 1_310_720;

/// Answers checks.
#[derive(Clone, Debug)]
pub struct Checks {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    authorizer: Arc<Authorizer>,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
}

impl Checks {
    /// A service that decides with `authorizer`, and passes each verdict to `observers`.
    #[must_use]
    pub fn new(authorizer: Arc<Authorizer>, clock: Arc<dyn Clock>, observers: Arc<Observers>) -> Self {
        Self { parts: Arc::new(Parts { authorizer, clock, observers }) }
    }

    /// Answers `question` with an encoded `CheckResponse`.
    pub async fn answer(&self, question: &Question) -> Vec<u8> {
        self.parts.answer(question, None).await
    }
}

impl Parts {
    async fn answer(&self, question: &Question, traceparent: Option<&str>) -> Vec<u8> {
        let started = Instant::now();
        let input = request::read(question);
        // A defect must not cause silence that could count as consent: it is a failure like others. Pinned in
        // place, because it is large, and each wrapper around it would move it once more.
        let deciding = pin!(self.decide(&input));
        let verdict = AssertUnwindSafe(deciding).catch_unwind().await.unwrap_or_else(|_| {
            let answers =
                input.as_ref().ok().and_then(|input| self.authorizer.snapshots.answers(input.route));
            Verdict::failed(Failure::Panicked, answers.unwrap_or_else(last_words))
        });
        let (route, policy) = match &input {
            Ok(input) => (input.route, input.policy),
            Err(_) => ("-", "-"),
        };
        let took = started.elapsed();
        self.observers.observe(&verdict, input.as_ref().ok(), traceparent, &*self.clock, took);
        response::write(&verdict, route, policy)
    }

    async fn decide(&self, input: &Result<CheckInput<'_>, MalformedCheck>) -> Verdict {
        match input {
            Ok(input) => self.authorizer.decide(input, self.clock.now()).await,
            Err(malformed) => {
                tracing::error!(%malformed, "malformed check: Envoy's configuration was not written by `cutover render`");
                Verdict::failed(Failure::MalformedCheck, last_words())
            }
        }
    }
}

impl Service<http::Request<Body>> for Checks {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(async { Ok(Status::unimplemented("there is only Check").into_http()) });
        }
        let parts = Arc::clone(&self.parts);
        Box::pin(async move {
            let check = service_fn(|question: tonic::Request<Question>| {
                let parts = Arc::clone(&parts);
                async move {
                    let traceparent =
                        question.metadata().get("traceparent").and_then(|line| line.to_str().ok());
                    Ok::<_, Status>(Response::new(parts.answer(question.get_ref(), traceparent).await))
                }
            });
            let mut grpc = Grpc::new(CheckCodec)
                .max_decoding_message_size(MAX_CHECK_BYTES)
                .max_encoding_message_size(MAX_CHECK_BYTES);
            Ok(grpc.unary(check, request).await.map(|body| Body::new(Pieces::of(body))))
        })
    }
}
