//! The two gRPC services behind one port, and what ended of leases.
//!
//! Nearly every call is a check, so the choice is one comparison of the path. tonic's own router matches patterns
//! and boxes each request and each answer once more.

use std::convert::Infallible;

use axum::Router;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};

use crate::envoy::service::Checks;
use crate::server::connections::Answer;

/// The paths of gRPC's health protocol begin so.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Checks, and whether they should be sent here. Whatever is neither is `UNIMPLEMENTED`.
#[derive(Clone, Debug)]
pub(super) struct Services<H> {
    pub(super) checks: Checks,
    pub(super) health: H,
    /// What ended of leases, over plain HTTP.
    pub(super) feeds: Router,
}

impl<H> Services<H>
where
    H: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer> + Clone,
{
    /// The answer to `request`. Every service here is always ready; how many calls are open is bounded for each
    /// connection.
    pub(super) fn answer(&self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        if path.starts_with(HEALTH) {
            self.health.clone().call(request)
        } else if path == lease::PATH {
            let answer = self.feeds.clone().call(request.map(axum::body::Body::new));
            Box::pin(async { answer.await.map(|answer| answer.map(Body::new)) })
        } else {
            self.checks.clone().call(request)
        }
    }
}
