//! Serves checks, health and the lease feed on one port and the admin interface on another, until shutdown.

mod connections;
mod door;
mod services;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use admin_host::{AdminHosts, BadName};
use edge_config::edge::Socket;
use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::admin::Admin;
use crate::authorizer::Authorizer;
use crate::credential::signed::SignedRequests;
use crate::credential::webhook::Webhooks;
use crate::feed::http::Feeds;
use crate::server::services::Services;
use crate::shutdown::ended;
use crate::startup::Assembled;
use crate::tenant::Tenants;
use crate::tls::Tls;

pub use door::{ClosedDoor, Door};

/// How often health is updated from readiness. Envoy checks health four times a second.
const HEALTH_INTERVAL: Duration = Duration::from_millis(200);

/// The same while this replica is not ready: if Envoy checked health just before the update, it would send
/// nothing for another quarter of a second.
const STARTING_INTERVAL: Duration = Duration::from_millis(10);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum CannotListen {
    /// An address that the server cannot listen on.
    #[error("cannot listen on {address} for {what} ({source}); stop what listens there, or set {variable}")]
    Address {
        /// The address.
        address: Socket,
        /// Its purpose.
        what: &'static str,
        /// The variable that changes it.
        variable: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// An address that the server must not listen on.
    #[error(transparent)]
    Door(#[from] ClosedDoor),
}

/// The variable that lists host names of the admin interface.
const ADMIN_HOSTS: &str = "AUTHZ_ADMIN_HOSTS";

/// An invalid host name for the admin interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ADMIN_HOSTS}: `{0}` is not a host name; separate names with commas, without ports")]
pub struct BadHost(pub String);

/// The two sockets.
#[derive(Debug)]
pub struct Listeners {
    /// For checks.
    pub checks: Door,
    /// For the admin interface.
    pub admin: TcpListener,
    /// The host names that the admin interface answers to.
    pub hosts: AdminHosts,
}

impl Listeners {
    /// Listens on both addresses, for checks with `tls` or on this machine alone.
    ///
    /// # Errors
    /// [`CannotListen`], naming the address and the variable that changes it.
    pub async fn bind(
        checks: impl Into<Socket>,
        admin: SocketAddr,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, CannotListen> {
        let failed =
            |address, what, variable| move |source| CannotListen::Address { address, what, variable, source };
        let address = checks.into();
        let checks = Door::open(&address, tls).await.map_err(|error| match error {
            ClosedDoor::System(source) => failed(address, "checks", "AUTHZ_ADDRESS")(source),
            closed @ (ClosedDoor::InTheClear { .. } | ClosedDoor::SocketWithTls { .. }) => closed.into(),
        })?;
        let for_admin = failed(admin.into(), "the admin interface", "AUTHZ_ADMIN_ADDRESS");
        let hosts = AdminHosts::of(admin, ADMIN_HOSTS);
        let admin = TcpListener::bind(admin).await.map_err(for_admin)?;
        Ok(Self { checks, admin, hosts })
    }

    /// The same, with an admin interface that also answers to the names in `list`.
    ///
    /// # Errors
    /// [`BadHost`] with the first invalid host name.
    pub fn answering_to(self, list: &str) -> Result<Self, BadHost> {
        let hosts = self.hosts.allowing(list).map_err(|BadName(name)| BadHost(name))?;
        Ok(Self { hosts, ..self })
    }
}

/// How long the phases of a shutdown take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long checks are still answered, also on new connections, after health reports NOT_SERVING. Envoy
    /// checks health four times a second: within this time it switches to another replica, so that no check
    /// is in flight when the connections end. Without another replica the notice only delays the next start.
    pub notice: Duration,
    /// How long open checks may take to finish after the notice.
    pub drain: Duration,
}

/// Serving ended unexpectedly. Checks are served for as long as the program runs; the admin server can fail.
#[derive(Debug, thiserror::Error)]
#[error("the admin server ended: {0}")]
pub struct ServeError(#[from] std::io::Error);

/// Serves `assembled` on `listeners` until `end` completes. Then health reports NOT_SERVING while everything
/// continues for the `notice` of `patience`; after that no new connection is accepted, every open one
/// receives GOAWAY, and open checks have its `drain` to finish.
///
/// # Errors
/// [`ServeError`] when the admin server ends by itself.
pub async fn serve(
    assembled: Assembled,
    listeners: Listeners,
    patience: Patience,
    end: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (checks, admin, key_urls, subscriber, watchers) = assembled.into_parts();
    let (ending, _) = watch::channel(false);
    let (reporter, health) = health_reporter();
    set_health(&reporter, admin.readiness().ready).await;

    let fetching: Vec<_> = key_urls.into_iter().map(|url| tokio::spawn(url.run())).collect();
    let subscribing = subscriber.map(|subscriber| tokio::spawn(subscriber.run()));
    let reporting = tokio::spawn(report(reporter.clone(), admin.clone()));
    let remembering = tokio::spawn(begin_to_remember(admin.clone()));
    let draining = Arc::clone(&admin.draining);
    let feeds = Feeds {
        authorizer: Arc::clone(&admin.authorizer),
        metrics: Arc::clone(&admin.observers.metrics),
        clock: Arc::clone(&admin.clock),
    };

    let services = Services { checks, health, feeds: feeds.router() };
    let service = move |request| services.answer(request);
    let grpc = connections::serve(listeners.checks, service, ending.subscribe());
    let http = axum::serve(listeners.admin, listeners.hosts.guard(admin.router()));
    let http = http.with_graceful_shutdown(ended(ending.subscribe()));

    let serving = async { tokio::try_join!(grpc.map(Ok), http.into_future()).map(|_| ()) };
    tokio::pin!(serving);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = end => {
            draining.store(true, Ordering::Relaxed);
            stop(&reporting);
            stop(&remembering);
            set_health(&reporter, false).await;
            // During the notice only a failed server ends.
            match tokio::time::timeout(patience.notice, &mut serving).await {
                Ok(ended) => ended,
                Err(_) => {
                    // Fails only when all receivers are gone.
                    let _ = ending.send(true);
                    // The bound is the point: a connection that stays open must not keep the process alive.
                    tokio::time::timeout(patience.drain, &mut serving).await.unwrap_or(Ok(()))
                }
            }
        }
    };
    stop(&reporting);
    fetching.iter().for_each(stop);
    if let Some(subscribing) = &subscribing {
        stop(subscribing);
    }
    drop(watchers);
    Ok(outcome?)
}

fn stop<T>(task: &JoinHandle<T>) {
    task.abort();
}

async fn begin_to_remember(admin: Admin) {
    let nonces = async {
        let Authorizer { signed, webhooks, .. } = &*admin.authorizer;
        let of_webhooks = webhooks.as_ref().map(Webhooks::seen);
        if let Some(nonces) = signed.as_ref().map(SignedRequests::nonces).or(of_webhooks) {
            nonces.begin(&*admin.clock).await;
        }
    };
    let tenants = async {
        match &admin.authorizer.tenants {
            Some(Tenants::Asked(memory)) => memory.begin().await,
            Some(Tenants::Listed(_)) | None => {}
        }
    };
    tokio::join!(nonces, tenants);
}

async fn report(reporter: HealthReporter, admin: Admin) {
    let mut reported = None;
    loop {
        let readiness = admin.readiness();
        if reported != Some(readiness.ready) {
            reported = Some(readiness.ready);
            set_health(&reporter, readiness.ready).await;
            if readiness.ready {
                tracing::info!(revision = readiness.revision, "ready");
            } else {
                tracing::warn!(parts = ?readiness.parts, "not ready");
            }
        }
        tokio::time::sleep(if readiness.ready { HEALTH_INTERVAL } else { STARTING_INTERVAL }).await;
    }
}

async fn set_health(reporter: &HealthReporter, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    reporter.set_service_status("", status).await;
    reporter.set_service_status("envoy.service.auth.v3.Authorization", status).await;
}
