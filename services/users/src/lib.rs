//! Accounts: people read and change their own (`/users/@me`), new ones are created, and services look them
//! up. Activity: what people like, read and are told.
//!
//! * [`account`]: accounts, and every query about them.
//! * [`activity`]: what people like, read and are told, and every query about it.
//! * [`catalogue`]: the books, at the library.
//! * [`migrations`]: the tables, which extend those of the legacy backend.
//! * [`seed`]: the initial people of a development edge.
//! * [`routes`]: every path on one page, with its answers.
//! * [`tenants`]: the tenants of people whom the legacy backend made.
//! * [`error`]: every refusal, with its status and text.

pub mod account;
pub mod activity;
pub mod catalogue;
pub mod error;
pub mod migrations;
mod moment;
pub mod routes;
pub mod seed;
pub mod settings;
pub mod tenants;

use std::sync::Arc;
use std::time::Duration;

use broker_connection::Address;
use clock::{Clock, SystemClock, UnixTime};
use events::bus::{Handler, Subscription, Topology};
use events::{Bus, Exchange};
use kit::caller::Words;
use kit::peer::Peer;
use kit::startup::{About, HeaderCase, Service, StartError};
use sea_orm::DatabaseConnection;
use tokio::sync::watch;

use crate::account::Accounts;
use crate::activity::Activity;
use crate::catalogue::Catalogue;
use crate::routes::App;
use crate::settings::Settings;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "users",
    purpose: "Accounts: people read and change their own, and services look them up.\n\nCommands: `users tenants` \
              names the tenants of existing people (`users tenants --help`); `users openapi public|internal` prints the \
              description of the routes.",
    variables: settings::VARIABLES,
};

/// The bodies of this service's refusals.
pub const WORDS: Words = Words {
    // Misspelt since the first client library; clients compare it.
    unauthenticated: "Unauthoirzed",
    not_found: "Not found",
};

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
        address_variable: settings::USERS_ADDRESS.name,
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
    check_rule(&settings)?;
    let peer = Peer::new(&settings.base, ABOUT.name, &settings.service_edge_url, Arc::clone(&clock))?;
    let activity = Activity::new(database.clone(), Arc::clone(&clock));
    listen(settings.broker, settings.topology, &database, &clock);
    let accounts = Accounts::new(database, clock).with_rule(settings.tenant_rule);
    if let Some(path) = &settings.seed {
        seed::apply(path, &accounts).await?;
    }
    let app = App { accounts, activity, catalogue: Catalogue::new(peer), gate };
    Ok(routes::router(app, settings.surface, settings.activity_surface))
}

/// Checks that the tenants of a rule exist, where the listing of tenants is beside the keys. A person must not get a
/// tenant that a typing error made up, because a tenant is never changed afterwards.
fn check_rule(settings: &Settings) -> Result<(), StartError> {
    let listing = settings.base.home.path().join("tenants.yaml");
    let Some(rule) = settings.tenant_rule.as_ref().filter(|_| listing.exists()) else { return Ok(()) };
    let known = tenants::known::KnownTenants::read(&listing).map_err(StartError::File)?;
    match rule.tenants().find(|tenant| !known.has(*tenant)) {
        None => Ok(()),
        Some(tenant) => Err(StartError::File(format!(
            "{}: the tenant {tenant} is not in {}; correct the rule, or add the tenant",
            settings::USERS_TENANT_RULE.name,
            listing.display()
        ))),
    }
}

/// Handles the events of other services until the runtime ends. Without a broker none arrives: the others run in processes of
/// their own.
fn listen(
    broker: Option<Address>,
    topology: Topology,
    database: &DatabaseConnection,
    clock: &Arc<dyn Clock>,
) {
    let (Some(broker), Ok(gone)) = (broker, activity::devices::GONE.parse()) else { return };
    let bus = Bus::open(Some(broker), topology, ABOUT.name);
    let subscription =
        Subscription { consumer: ABOUT.name.to_owned(), exchange: Exchange::Events, patterns: vec![gone] };
    let handler =
        Handler { handle: activity::devices::Gone, database: database.clone(), clock: Arc::clone(clock) };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        bus.consume(subscription, handler, stopped).await;
        drop(stop);
    });
    tokio::spawn(forget_handled(database.clone(), Arc::clone(clock)));
}

/// How often marks of handled events are deleted. They are harmless; an hour keeps a deletion small.
const HOUSEKEEPING: Duration = Duration::from_hours(1);

/// How long a mark stays: longer than any queue or outbox keeps an event ([`events::handled::purge`]).
const MARKS_STAY: Duration = Duration::from_hours(30 * 24);

/// The most marks of one deletion, which locks them.
const MAX_DELETED: u32 = 10_000;

/// Deletes old marks of handled events until the runtime ends.
async fn forget_handled(database: DatabaseConnection, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        let before = UnixTime::from_seconds(clock.now().seconds().saturating_sub(MARKS_STAY.as_secs()));
        if let Err(error) = events::handled::purge(&database, before, MAX_DELETED).await {
            tracing::warn!(%error, "cannot delete marks of handled events");
        }
    }
}
