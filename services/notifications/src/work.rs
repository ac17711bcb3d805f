//! What runs beside the routes: workers of the outbox, the consumer of the bus, the schedule.

use std::sync::Arc;

use clock::Clock;
use events::bus::{Bus, Handler, Subscription};
use events::outbox::{Counts, Deliver as _, Worker};
use events::relay::Relay;
use kit::work::Work;

use crate::jobs;
use crate::queue::{Arriving, Queue};
use crate::sending::{SERVICE, Sending};
use crate::settings::Settings;

/// The counts of the workers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Of those that send messages, each with the kinds that it sends.
    pub messages: Vec<(&'static [&'static str], Arc<Counts>)>,
    /// Of the one that publishes events.
    pub events: Vec<Arc<Counts>>,
}

/// Starts the work of the service as a part of `work`, and returns its counts.
pub fn start(
    work: &Work,
    settings: &Settings,
    queue: &Queue,
    sending: &Sending,
    clock: &Arc<dyn Clock>,
) -> Tally {
    let database = queue.database();
    let bus = Bus::open(settings.broker.clone(), settings.topology.clone(), SERVICE);
    let mut tally = Tally::default();
    // Each sends sixteen messages at a time, which is what one process needs; more processes add more.
    for sender in sending.of_each_kind() {
        let kinds = sender.kinds();
        let worker = Worker::new(database.clone(), queue.outbox(), sender);
        tally.messages.push((kinds, worker.counts()));
        work.run(|stop| worker.run(stop));
    }
    let relay = Worker::new(database.clone(), queue.outbox(), Relay::new(bus.clone()));
    tally.events.push(relay.counts());
    work.run(|stop| relay.run(stop));
    if let Ok(subscription) = Subscription::of(SERVICE) {
        let handler =
            Handler { handle: Arriving(queue.clone()), database: database.clone(), clock: Arc::clone(clock) };
        work.run(|stop| bus.consume(subscription, handler, stop));
    }
    work.run(|stop| jobs::run(database, Arc::clone(clock), stop));
    tally
}
