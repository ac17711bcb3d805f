//! Books: people list, find and read them, and bots add, release and renew them.
//!
//! * [`book`]: a book and its tags. [`search`]: search expressions. Both are pure.
//! * [`books`]: every query about books.
//! * [`migrations`]: the tables, which extend those of the legacy backend.
//! * [`seed`]: the initial books of a development edge.
//! * [`routes`]: every path of both surfaces, with its answers.
//! * [`renewal`]: a book that replaces another one, step by step.
//! * [`people`]: the users service. [`news`]: what it is told about books, once the change is stored. [`tastes`]: what it
//!   announces.
//! * [`error`]: every refusal, with its status and body.
//!
//! The catalogue belongs to the platform: the legacy tables have no owner, and every signed-in person reads the
//! same books. So no query takes a tenant.

pub mod book;
pub mod books;
pub mod error;
pub mod migrations;
pub mod news;
pub mod people;
pub mod renewal;
pub mod routes;
pub mod search;
pub mod seed;
pub mod settings;
pub mod tastes;
pub mod telling;

pub use settings::ABOUT;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use events::outbox::Worker;
use events::outbox::metrics::{Kind, Rows};
use events::{Bus, Outbox};
use kit::Metrics;
use kit::caller::Words;
use kit::generation::Surface;
use kit::startup::{HeaderCase, Service, StartError};
use kit::work::Work;

use crate::books::Books;
use crate::news::News;
use crate::people::People;
use crate::settings::Settings;
use crate::telling::Telling;

/// The bodies of the gate's refusals, which [`routes`] turns into this service's form.
pub const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not Found" };

/// Assembles the service from its environment.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader, work: Work) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let header_case = header_case(settings.surface);
    let router = router(settings, Arc::new(SystemClock), &work).await?;
    Ok(Service { router, address, address_variable: settings::LIBRARY_ADDRESS.name, header_case })
}

/// Returns how a surface writes header names: the legacy library was a Node program.
#[must_use]
pub const fn header_case(surface: Surface) -> HeaderCase {
    match surface {
        Surface::Older => HeaderCase::Title,
        Surface::Later => HeaderCase::Lower,
    }
}

/// Assembles the service without a socket, at the time of `clock`, and starts to tell the users service of books as a part of
/// `work`.
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
    let outbox = Outbox::new(Arc::clone(&clock));
    let news = News { outbox: outbox.clone(), announced: settings.surface.into() };
    let books = Books::new(database.clone(), Arc::clone(&clock), news);
    let peer = settings.base.peer(ABOUT.name, &settings.service_edge_url, Arc::clone(&clock))?;
    let metrics = Metrics::new(ABOUT.name)?;
    metrics.show_database(&database)?;
    let counts = cache::Metrics::new(metrics.registry())?;
    let people = People::new(&peer, settings.redis.as_ref(), settings.dislikes_live, counts);
    // Without a broker no change is announced here, and cached dislikes live for their seconds.
    if let Some(broker) = settings.broker {
        let bus = Bus::open(Some(broker), settings.topology, ABOUT.name);
        let followed = tastes::follow(&bus, people.clone(), &database, &clock, work);
        followed.map_err(|error| StartError::File(error.to_string()))?;
    }
    if let Some(path) = &settings.seed {
        seed::apply(path, &books).await?;
    }
    let telling = Telling { books: books.clone(), people: people.clone() };
    let teller = Worker::new(database.clone(), &outbox, telling);
    let news = Kind { shown: "news", stored: telling::KINDS, workers: vec![teller.counts()] };
    let rows = Rows::new(ABOUT.name, vec![news], database.clone(), Arc::clone(&clock), metrics.registry())?;
    metrics.read_with("outbox", move || {
        let rows = rows.clone();
        async move { rows.read().await }
    });
    work.run(|stop| teller.run(stop));
    work.run_until_stopped(events::outbox::keep_house(database, clock));
    Ok(routes::router(books, people, gate, settings.surface, settings.files.into(), &metrics))
}
