//! Tenants: the authority on who they are and whether they may use the product.
//!
//! * [`standing`]: whether a tenant may use the product, and which change leads where. Pure.
//! * [`tenant`]: a tenant, and who changes one. [`tenants`]: every query about them.
//! * [`invalidation`]: pushes changed states to the edge. [`grpc`]: answers the edge's lookups.
//! * [`offboarding`]: the removal of a tenant from all services, step by step.
//! * [`routes`]: every path on one page, with its answers.
//! * [`migrations`]: the tables. [`error`]: every refusal, with its status and text. [`metrics`]: counts for Prometheus.

pub mod error;
pub mod grpc;
pub mod invalidation;
pub mod metrics;
pub mod migrations;
pub mod offboarding;
pub mod routes;
pub mod settings;
pub mod standing;
pub mod tenant;
pub mod tenants;

use std::net::SocketAddr;
use std::sync::Arc;

use clock::{Clock, SystemClock};
use events::outbox::Worker;
use events::relay::Relay;
use events::{Bus, Outbox, Source};
use identity::ServiceName;
use identity::principal::InvalidServiceName;
use kit::caller::Words;
use kit::startup::{About, HeaderCase, Service, StartError};
use kit::work::Work;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::invalidation::Invalidations;
use crate::metrics::{Steps, Workers};
use crate::offboarding::participants::Participants;
use crate::offboarding::run::Offboarder;
use crate::settings::Settings;
use crate::tenants::{News, Tenants};

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: metrics::SERVICE,
    purpose: "Tenants: the authority on who they are and whether they may use the product.\n\nCommands: `tenants rebuild` \
              makes lost or wrong rows of tenants again of their histories; `tenants openapi internal` prints the description \
              of the routes.",
    variables: settings::VARIABLES,
};

/// The bodies of this service's refusals.
pub const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };

/// Assembles the service from its environment, and starts its workers.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader, work: Work) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let running = start(settings, Arc::new(SystemClock), &work).await?;
    Ok(Service {
        router: running.router,
        address,
        address_variable: settings::TENANTS_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}

/// The service without its socket for services.
#[derive(Debug)]
pub struct Running {
    /// The routes.
    pub router: axum::Router,
    /// Where authorizers are answered.
    pub grpc: SocketAddr,
    /// The bus of its events.
    pub bus: Bus,
}

/// Assembles the service at the time of `clock`, answers authorizers and starts the workers as a part of `work`. A worker that is
/// killed nevertheless loses nothing: what it has not recorded, the next one does again.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn start(settings: Settings, clock: Arc<dyn Clock>, work: &Work) -> Result<Running, StartError> {
    let gate = settings.base.gate(ABOUT.name, WORDS, Arc::clone(&clock))?;
    let me: ServiceName =
        ABOUT.name.parse().map_err(|e: InvalidServiceName| StartError::File(e.to_string()))?;
    let database = settings.base.open_database(ABOUT.name).await?;
    migrations::run(&database).await?;
    let bus = Bus::open(settings.broker, settings.topology, ABOUT.name);
    // Each worker has an outbox of its own: a commit wakes one waiting worker of an outbox, and both have work to do.
    let events = Outbox::new(Arc::clone(&clock));
    let invalidations = settings.redis.as_ref().map(|_| Outbox::new(Arc::clone(&clock)));
    let instance = format!("{}-{}", std::process::id(), Uuid::new_v4().simple());
    let news = News {
        events: events.clone(),
        invalidations: invalidations.clone(),
        source: Source { service: ABOUT.name.to_owned(), instance },
        offboardings: Arc::new(Notify::new()),
        participants: settings.participants.into(),
    };
    let peer = settings.base.peer(ABOUT.name, &settings.service_edge_url, Arc::clone(&clock))?;
    work.run_until_stopped(events::outbox::keep_house(database.clone(), Arc::clone(&clock)));
    let tenants = Tenants::new(database.clone(), Arc::clone(&clock), news);
    let grpc = grpc::serve(settings.grpc_address, tenants.clone(), work).await?;
    let relay = Worker::new(database.clone(), &events, Relay::new(bus.clone()));
    let events = relay.counts();
    work.run(|stop| relay.run(stop));
    let mut pushed = None;
    if let (Some(address), Some(outbox)) = (&settings.redis, &invalidations) {
        let redis = validity::connect_to(address);
        let pushing = Worker::new(database.clone(), outbox, Invalidations::new(redis));
        pushed = Some(pushing.counts());
        work.run(|stop| pushing.run(stop));
    }
    let steps = Steps::new()?;
    let workers = Workers { events, invalidations: pushed };
    let metrics = metrics::start(&database, clock, workers, &steps)?;
    let offboarder = Offboarder::new(tenants.clone(), Participants::new(peer), me, steps);
    work.run(|stop| offboarder.run(stop));
    Ok(Running { router: routes::router(tenants, gate, settings.managers.into(), &metrics), grpc, bus })
}
