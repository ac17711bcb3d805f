//! Dispatches calls on one port to the two gRPC services and the lease feed.
//!
//! Nearly every call is a check, so the choice is one comparison of the path. tonic's own router matches patterns
//! and boxes each request and each answer once more.

use std::convert::Infallible;

use axum::Router;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};

use crate::envoy::service::Checks;
use crate::server::connections::PendingResponse;

/// The path prefix of gRPC's health protocol.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Checks and health. Every other gRPC call is answered with `UNIMPLEMENTED`.
#[derive(Clone, Debug)]
pub(super) struct Services<H> {
    pub(super) checks: Checks,
    pub(super) health: H,
    /// The feeds of leases and streams over plain HTTP.
    pub(super) feeds: Router,
}

impl<H> Services<H>
where
    H: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = PendingResponse>
        + Clone,
{
    /// Answers `request`. Every service here is always ready; each connection bounds the number of open
    /// calls.
    pub(super) fn answer(&self, request: Request<Body>) -> PendingResponse {
        let path = request.uri().path();
        if path.starts_with(HEALTH) {
            self.health.clone().call(request)
        } else if path == lease::PATH || path == lease::STREAMS_PATH {
            let answer = self.feeds.clone().call(request.map(axum::body::Body::new));
            Box::pin(async { answer.await.map(|answer| answer.map(Body::new)) })
        } else {
            self.checks.clone().call(request)
        }
    }
}
