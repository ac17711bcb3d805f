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

pub use settings::ABOUT;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use events::bus::{Handler, Subscription};
use events::outbox::Worker;
use events::outbox::metrics::{Kind, Rows};
use events::relay::Relay;
use events::{Bus, Outbox, Source};
use kit::Metrics;
use kit::caller::Words;
use kit::startup::{HeaderCase, Service, StartError};
use kit::work::Work;
use sea_orm::DatabaseConnection;
use uuid::Uuid;

use crate::account::Accounts;
use crate::activity::news::News;
use crate::activity::{Activity, devices};
use crate::catalogue::Catalogue;
use crate::routes::App;
use crate::settings::Settings;

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
pub async fn assemble(reader: kit::settings::Reader, work: Work) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let router = router(settings, Arc::new(SystemClock), &work).await?;
    Ok(Service {
        router,
        address,
        address_variable: settings::USERS_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}

/// Assembles the service without a socket, at the time of `clock`, and starts to send and to handle events as a part of `work`.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn router(
    settings: Settings,
    clock: Arc<dyn Clock>,
    work: &Work,
) -> Result<axum::Router, StartError> {
    let gate = settings.base.gate(ABOUT.name, WORDS, Arc::clone(&clock))?;
    let database = settings.base.open_database(ABOUT.name).await?;
    migrations::run(&database).await?;
    check_rule(&settings)?;
    let peer = settings.base.peer(ABOUT.name, &settings.service_edge_url, Arc::clone(&clock))?;
    // Without a broker no event leaves and none arrives: the other services run in processes of their own.
    let metrics = Metrics::new(ABOUT.name)?;
    metrics.show_database(&database)?;
    let news = match settings.broker {
        None => None,
        Some(broker) => {
            let bus = Bus::open(Some(broker), settings.topology, ABOUT.name);
            Some(exchange(&bus, &database, &clock, work, &metrics)?)
        }
    };
    let activity = Activity::new(database.clone(), Arc::clone(&clock)).with_news(news.clone());
    let accounts = Accounts::new(database, clock).with_rule(settings.tenant_rule).with_news(news);
    if let Some(path) = &settings.seed {
        seed::apply(path, &accounts).await?;
    }
    let app = App { accounts, activity, catalogue: Catalogue::new(&peer), gate, metrics };
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

/// Starts to publish this service's events to `bus` and to handle those of others, as a part of `work`. Returns what writes
/// its events.
fn exchange(
    bus: &Bus,
    database: &DatabaseConnection,
    clock: &Arc<dyn Clock>,
    work: &Work,
    metrics: &Metrics,
) -> Result<News, StartError> {
    let outbox = Outbox::new(Arc::clone(clock));
    let relay = Worker::new(database.clone(), &outbox, Relay::new(bus.clone()));
    let kinds = vec![Kind::events(vec![relay.counts()])];
    let rows = Rows::new(ABOUT.name, kinds, database.clone(), Arc::clone(clock), metrics.registry())?;
    metrics.read_with("outbox", move || {
        let rows = rows.clone();
        async move { rows.read().await }
    });
    work.run(|stop| relay.run(stop));
    work.run_until_stopped(events::outbox::keep_house(database.clone(), Arc::clone(clock)));
    let subscription = Subscription::of(ABOUT.name).map_err(|error| StartError::File(error.to_string()))?;
    let handler = Handler { handle: devices::Gone, database: database.clone(), clock: Arc::clone(clock) };
    work.run(|stop| bus.consume(subscription, handler, stop));
    work.run_until_stopped(events::handled::keep_house(database.clone(), Arc::clone(clock)));
    let instance = format!("{}-{}", std::process::id(), Uuid::new_v4().simple());
    Ok(News::new(outbox, Source { service: ABOUT.name.to_owned(), instance }))
}
