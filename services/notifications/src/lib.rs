//! Tells people what happened: push messages (FCM) and letters (SES), and runs jobs on a schedule.
//!
//! * [`message`]: what is told, and its limits.
//! * [`queue`]: from a request or an event to a row of the outbox, and [`key`]: its name.
//! * [`sending`]: from a row to the provider, with a mark before and after.
//! * [`push`]: Firebase Cloud Messaging. Letters are sent by the package `mail`.
//! * [`jobs`]: the schedule, and one runner among several processes.
//! * [`removal`]: what goes with a tenant that leaves.
//! * [`work`]: what runs beside the routes.
//! * [`routes`]: every path, with its answers. [`metrics`]: counts for Prometheus.
//!
//! Nothing is lost, because a message is a row until its provider accepted it. Nothing is sent twice as far as the providers
//! allow: see [`sending`].

pub mod error;
pub mod jobs;
pub mod key;
pub mod message;
pub mod metrics;
pub mod migrations;
pub mod push;
pub mod queue;
pub mod removal;
pub mod routes;
pub mod sending;
pub mod settings;
pub mod work;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use kit::caller::Words;
use kit::startup::{About, HeaderCase, Service, StartError};
use kit::work::Work;

use crate::queue::Queue;
use crate::sending::Sending;
use crate::settings::Settings;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: sending::SERVICE,
    purpose: "Tells people: push messages and letters, each once, and jobs on a schedule.\n\nCommand: `notifications openapi \
              public|internal` prints the description of the routes.",
    variables: settings::VARIABLES,
};

/// The bodies of this service's refusals.
pub const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };

/// Assembles the service from its environment, and starts its work.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader, work: Work) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let router = router(settings, Arc::new(SystemClock), &work).await?;
    Ok(Service {
        router,
        address,
        address_variable: settings::NOTIFICATIONS_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}

/// Assembles the service without a socket, at the time of `clock`, and starts its work.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn router(
    settings: Settings,
    clock: Arc<dyn Clock>,
    work: &Work,
) -> Result<axum::Router, StartError> {
    let gate = settings.base.gate(ABOUT.name, WORDS, Arc::clone(&clock))?;
    let providers = settings.providers(&clock)?;
    let database = settings.base.open_database(ABOUT.name).await?;
    migrations::run(&database).await?;
    let queue = Queue::new(database.clone(), Arc::clone(&clock));
    let (outbox, gone) = (queue.outbox().clone(), metrics::gone_devices()?);
    let sending = Sending::new(database.clone(), outbox, Arc::clone(&clock), providers, gone.clone());
    let tally = work::start(work, &settings, &queue, &sending, &clock);
    let metrics = metrics::start(&database, Arc::clone(&clock), tally, gone)?;
    Ok(routes::router(routes::App::new(database, queue, gate, clock), &metrics))
}
