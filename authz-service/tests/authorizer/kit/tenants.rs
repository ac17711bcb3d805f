//! A tenants service of the test's own: real gRPC, ruled by the test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::tenants::v1::tenants_server::{Tenants, TenantsServer};
use proto::tenants::v1::{GetTenantRequest, Tenant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use validity::tenant::{Change, Standing};

use super::within_async;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    #[default]
    Well,
    /// Not at all.
    Never,
    /// About another tenant.
    AboutAnother,
    /// With a status that says nothing.
    Vaguely,
    /// With an error.
    Internal,
    /// As it should, once it is let go.
    Held,
}

#[derive(Debug, Default)]
struct State {
    tenants: HashMap<String, (Standing, u64)>,
    asked: HashMap<String, u64>,
    manner: Manner,
}

#[derive(Clone, Debug, Default)]
struct Service(Arc<Mutex<State>>, Arc<tokio::sync::Notify>);

#[tonic::async_trait]
impl Tenants for Service {
    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<Tenant>, Status> {
        let id = request.into_inner().id;
        let (known, manner) = {
            let mut state = self.0.lock().unwrap();
            *state.asked.entry(id.clone()).or_default() += 1;
            (state.tenants.get(&id).copied(), state.manner)
        };
        let (standing, version) = known.ok_or_else(|| Status::not_found("no such tenant"))?;
        let status = match standing {
            Standing::Active => 1,
            Standing::Suspended => 2,
            Standing::Deleted => 3,
        };
        match manner {
            Manner::Well => Ok(Response::new(Tenant { id, status, version })),
            Manner::Never => std::future::pending().await,
            Manner::AboutAnother => {
                Ok(Response::new(Tenant { id: super::SUSPENDED.to_owned(), status, version }))
            }
            Manner::Vaguely => Ok(Response::new(Tenant { id, status: 0, version })),
            Manner::Held => {
                self.1.notified().await;
                Ok(Response::new(Tenant { id, status, version }))
            }
            Manner::Internal => Err(Status::internal("broken")),
        }
    }
}

/// A running tenants service.
pub(crate) struct TenantsService {
    service: Service,
    pub(crate) address: SocketAddr,
    /// Its own, so that its connections end with it.
    runtime: Option<Runtime>,
}

impl TenantsService {
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), Service::default()).await
    }

    async fn start_at(address: SocketAddr, service: Service) -> Self {
        let listen = async || TcpListener::bind(address).await.ok();
        let listener = within_async(Duration::from_mins(1), listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(TenantsServer::new(service.clone()));
        let listener = listener.into_std().unwrap();
        let builder = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = builder.unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { service, address, runtime: Some(runtime) }
    }

    /// Ends it with all its connections.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Starts it again where it was, with what it knew.
    pub(crate) async fn restart(&mut self) {
        *self = Self::start_at(self.address, self.service.clone()).await;
    }

    pub(crate) fn set(&self, tenant: &str, standing: Standing, version: u64) -> Change {
        self.service.0.lock().unwrap().tenants.insert(tenant.to_owned(), (standing, version));
        Change { tenant: tenant.parse().unwrap(), status: standing, version }
    }

    pub(crate) fn answer(&self, manner: Manner) {
        self.service.0.lock().unwrap().manner = manner;
    }

    /// Lets go of the answer that is held.
    pub(crate) fn let_go(&self) {
        self.service.1.notify_waiters();
    }

    /// How often it was asked about `tenant`.
    pub(crate) fn asked(&self, tenant: &str) -> u64 {
        self.service.0.lock().unwrap().asked.get(tenant).copied().unwrap_or_default()
    }

    /// The edge file's line.
    pub(crate) fn line(&self, more: &str) -> String {
        format!("tenants: {{ grpc: \"http://{}\"{more} }}", self.address)
    }
}

impl Drop for TenantsService {
    fn drop(&mut self) {
        self.stop();
    }
}
