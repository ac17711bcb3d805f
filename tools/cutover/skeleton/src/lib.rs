//! One note for each person.
//!
//! * [`notes`]: every query about notes.
//! * [`migrations`]: the tables.
//! * [`routes`]: every path, with its answers. [`metrics`]: counts for Prometheus.
//! * [`error`]: every refusal, with its status and body.

pub mod error;
pub mod metrics;
pub mod migrations;
pub mod notes;
pub mod routes;
pub mod settings;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use kit::Metrics;
use kit::caller::Words;
use kit::startup::{About, HeaderCase, Service, StartError};

use crate::metrics::Counts;
use crate::notes::Notes;
use crate::settings::Settings;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About =
    About { name: "skeleton", purpose: "One note for each person.", variables: settings::VARIABLES };

/// The bodies of the gate's refusals.
pub const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };

/// Assembles the service from its environment.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let router = router(settings, Arc::new(SystemClock)).await?;
    let address_variable = settings::SKELETON_ADDRESS.name;
    Ok(Service { router, address, address_variable, header_case: HeaderCase::Lower })
}

/// Assembles the service without a socket, at the time of `clock`.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn router(settings: Settings, clock: Arc<dyn Clock>) -> Result<axum::Router, StartError> {
    let gate = settings.base.gate(ABOUT.name, WORDS, clock)?;
    let database = settings.base.open_database(ABOUT.name).await?;
    migrations::run(&database).await?;
    let metrics = Metrics::new(ABOUT.name)?;
    metrics.show_database(&database)?;
    let counts = Counts::new(metrics.registry())?;
    Ok(routes::router(Notes::new(database), gate, counts, &metrics))
}
