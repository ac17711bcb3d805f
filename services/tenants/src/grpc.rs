//! Answers authorizers: `cutover.tenants.v1`.
//!
//! The answer to one tenant is one row by its key. An authorizer waits 100 ms for it, so nothing here waits for anything but
//! the database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::TenantId;
use kit::startup::StartError;
use kit::work::Work;
use proto::tenants::v1::tenants_server::{Tenants as Protocol, TenantsServer};
use proto::tenants::v1::{GetTenantRequest, Status as Wire, Tenant as Answer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use validity::tenant::Standing;

use crate::settings::TENANTS_GRPC_ADDRESS;
use crate::tenants::Tenants;

/// How many lookups are answered at once; more are refused, which the authorizer takes as "unavailable". An authorizer opens
/// at most 384, and each takes under a millisecond.
const MAX_LOOKUPS: usize = 1_024;

/// How many lookups one connection may have open: an authorizer has one connection.
const MAX_STREAMS: u32 = 512;

/// How long one lookup may take. The authorizer has given up long before.
const LOOKUP_WITHIN: Duration = Duration::from_secs(1);

/// A request has 40 bytes.
const MAX_REQUEST_BYTES: usize = 4_096;

/// A peer that vanished silently is noticed after this and the library's own 20 s.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Answers lookups.
#[derive(Clone, Debug)]
struct Lookups {
    tenants: Tenants,
    slots: Arc<Semaphore>,
}

#[tonic::async_trait]
impl Protocol for Lookups {
    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<Answer>, Status> {
        let Ok(_slot) = self.slots.try_acquire() else {
            return Err(Status::new(Code::ResourceExhausted, "too many lookups at once"));
        };
        let id = request.into_inner().id;
        // The ids of this platform are UUIDs in one spelling; any other text names no tenant.
        let known = id.parse::<identity::TenantId>().ok().and_then(|id| TenantId::try_from(&id).ok());
        let Some(tenant) = known else { return Err(Status::not_found("no such tenant")) };
        let found = tokio::time::timeout(LOOKUP_WITHIN, self.tenants.find(tenant)).await;
        let found = found.map_err(|_| Status::deadline_exceeded("the database is too slow"))?;
        let found = found.map_err(|error| {
            tracing::error!(error = %kit::answer::Chain(&error), "a tenant cannot be looked up");
            Status::unavailable("the tenant cannot be looked up")
        })?;
        let Some(tenant) = found else { return Err(Status::not_found("no such tenant")) };
        let version = u64::try_from(tenant.version).map_err(|_| Status::unavailable("no valid version"))?;
        let status = match tenant.standing.at_the_edge() {
            Standing::Active => Wire::Active,
            Standing::Suspended => Wire::Suspended,
            Standing::Deleted => Wire::Deleted,
        };
        Ok(Response::new(Answer { id, status: status.into(), version }))
    }
}

/// Listens on `address` and answers with the states of `tenants` as a part of `work`: at the stop, running lookups are answered.
/// Returns the address, which has its port when `address` leaves it open.
///
/// # Errors
/// [`StartError::PortInUse`] and [`StartError::Listen`].
pub async fn serve(address: SocketAddr, tenants: Tenants, work: &Work) -> Result<SocketAddr, StartError> {
    let variable = TENANTS_GRPC_ADDRESS.name;
    let failed = |source: std::io::Error| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            StartError::PortInUse { address, variable }
        } else {
            StartError::Listen { address, variable, source }
        }
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let lookups = Lookups { tenants, slots: Arc::new(Semaphore::new(MAX_LOOKUPS)) };
    let service = TenantsServer::new(lookups)
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_REQUEST_BYTES);
    let server = Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(service);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    work.run(|mut stop| async move {
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        if let Err(error) = server.serve_with_incoming_shutdown(incoming, stopped).await {
            tracing::error!(error = %kit::answer::Chain(&error), "authorizers are no longer answered");
        }
    });
    tracing::info!(address = %bound, "authorizers are answered");
    Ok(bound)
}
