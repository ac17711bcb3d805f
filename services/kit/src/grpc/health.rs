//! The standard health service of gRPC (`grpc.health.v1`), with the answer of `/readyz`. An edge whose backend is of the
//! protocol `grpc` checks it.

use axum::Router;
use axum::extract::Request;
use tonic::codegen::BoxStream;
use tonic::{Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::ServiceExt as _;

use crate::ready::{self, Ready};

/// A request names a service.
const MAX_REQUEST_BYTES: usize = 1024;

/// Returns the route of the health service. It needs no identity, as `/readyz` needs none.
pub(crate) fn health(ready: Ready) -> Router {
    let server = HealthServer::new(Probe(ready)).max_decoding_message_size(MAX_REQUEST_BYTES);
    let calls = server.map_request(|request: Request| request.map(tonic::body::Body::new));
    Router::new().route_service("/grpc.health.v1.Health/{call}", calls)
}

struct Probe(Ready);

#[tonic::async_trait]
impl Health for Probe {
    type WatchStream = BoxStream<HealthCheckResponse>;

    /// Answers for the whole service, whichever part of it is named: it is ready as a whole or not at all.
    async fn check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status =
            if ready::answers(&self.0).await { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    /// Not offered: a client then checks from time to time (gRPC health checking protocol, "Watch").
    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("check from time to time"))
    }
}
