//! The people: their own account (`/users/@me`), new ones, and looking one up for another service.
//!
//! * [`account`]: what is stored of a person, and every query about it.
//! * [`migrations`]: the tables, growing out of the legacy's.
//! * [`seed`]: the people that a development edge starts with.
//! * [`routes`]: every path on one page, and what it answers.
//! * [`error`]: every way to refuse, with its status and text.

pub mod account;
pub mod error;
pub mod migrations;
pub mod routes;
pub mod seed;
pub mod settings;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use identity::assertion::Verifier;
use kit::caller::{Gate, Words};
use kit::startup::{About, Service, StartError};

use crate::account::Accounts;
use crate::settings::Settings;

/// The service as its `main` names it.
pub const ABOUT: About = About {
    name: "users",
    purpose: "The people behind the edge: their own account, and looking one up for another service.",
    variables: settings::VARIABLES,
};

/// The words in which this service refuses.
pub const WORDS: Words = Words {
    // Misspelt since the first client library; clients compare it.
    unauthenticated: "Unauthoirzed",
    not_found: "Not found",
};

/// Puts the service together from its environment.
///
/// # Errors
/// [`StartError`], naming what to mend.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let router = router(settings, Arc::new(SystemClock)).await?;
    Ok(Service { router, address, address_variable: settings::USERS_ADDRESS.name })
}

/// The service without a socket, at the time of `clock`.
///
/// # Errors
/// [`StartError`], naming what to mend.
pub async fn router(settings: Settings, clock: Arc<dyn Clock>) -> Result<axum::Router, StartError> {
    let verifier =
        Verifier::new(ABOUT.name).trust_file(&settings.edge, &settings.home.key("identity.jwks.json"))?;
    let gate = Gate::new(verifier, Arc::clone(&clock), WORDS);
    let file = settings.home.database(ABOUT.name);
    let database = kit::store::open(settings.database_url.as_deref(), &file).await?;
    migrations::run(&database).await?;
    let accounts = Accounts::new(database, clock);
    if let Some(path) = &settings.seed {
        seed::apply(path, &accounts).await?;
    }
    Ok(routes::router(accounts, gate))
}
