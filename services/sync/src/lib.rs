//! Takes books and pictures from programs outside, such as the crawler, and puts them into the library and the directory of
//! pictures.
//!
//! The edge has proved the caller: its address is allowed, its signature is valid, and its nonce was not used before. This
//! service trusts the signed identity of that program, as every service does, and never sees the key.
//!
//! * [`jobs`]: what a program has delivered, so that it goes on after an end at any point.
//! * [`library`]: books go to the library through its route for services, with a service token.
//! * [`files`]: pictures come in parts, and appear whole or not at all.
//! * [`routes`]: every path, with its answers. [`events`]: progress as server-sent events.
//! * [`migrations`]: the tables. [`error`]: every refusal.

pub mod error;
pub mod events;
pub mod files;
pub mod jobs;
pub mod library;
pub mod migrations;
pub mod routes;
pub mod settings;

pub use settings::ABOUT;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use kit::Metrics;
use kit::caller::Words;
use kit::startup::{HeaderCase, Service, StartError};

use crate::files::Files;
use crate::jobs::Jobs;
use crate::library::Library;
use crate::settings::Settings;

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
    Ok(Service {
        router,
        address,
        address_variable: settings::SYNC_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}

/// Assembles the service without a socket, at the time of `clock`.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn router(settings: Settings, clock: Arc<dyn Clock>) -> Result<axum::Router, StartError> {
    let gate = settings.base.gate(ABOUT.name, WORDS, Arc::clone(&clock))?;
    let database = settings.base.open_database(ABOUT.name).await?;
    migrations::run(&database).await?;
    let metrics = Metrics::new(ABOUT.name)?;
    metrics.show_database(&database)?;
    let library = Library::new(&settings, Arc::clone(&clock))?;
    let files = Files::open(&settings.root, Arc::clone(&clock)).map_err(|error| {
        StartError::File(format!(
            "cannot use the directory {} of {}: {error}; create it, or name another one",
            settings.root.display(),
            settings::SYNC_ROOT.name
        ))
    })?;
    Ok(routes::router(Jobs::new(database, library, clock), files, gate, &metrics))
}
