//! Calls in gRPC to a router without a socket, as one caller.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, Response};
use tower::{Service, ServiceExt as _};

use crate::caller::IDENTITY;

/// What a generated client calls through: the routes of a service, with the identity that an edge would write.
#[derive(Clone, Debug)]
pub struct Direct {
    router: Router,
    identity: String,
}

impl Direct {
    /// Calls `router` with the signed `identity`; an empty one is left out.
    #[must_use]
    pub fn new(router: &Router, identity: &str) -> Self {
        Self { router: router.clone(), identity: identity.to_owned() }
    }
}

impl Service<Request<tonic::body::Body>> for Direct {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let mut request = request.map(Body::new);
        if !self.identity.is_empty() {
            request.headers_mut().insert(IDENTITY, HeaderValue::from_str(&self.identity).unwrap());
        }
        Box::pin(self.router.clone().oneshot(super::as_the_edge(request)))
    }
}
