//! What runs beside the routes: workers of the outbox, the consumer of the bus, the schedule. It ends when the routes have.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use events::Exchange;
use events::bus::{Bus, Handler, Subscription};
use events::outbox::{Counts, Worker};
use events::relay::Relay;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::jobs;
use crate::queue::{Arriving, Queue};
use crate::sending::{SERVICE, Sending};
use crate::settings::Settings;

/// Workers that send. Each sends sixteen messages at a time, which is what one process needs; more processes add more.
const SENDERS: usize = 2;

/// How long running sendings have to end: a delivery's own limit, and some for its mark.
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// The running work. Clones share it.
#[derive(Clone, Debug)]
pub struct Work {
    stop: watch::Sender<bool>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Default for Work {
    fn default() -> Self {
        Self { stop: watch::Sender::new(false), tasks: Arc::default() }
    }
}

/// The counts of the workers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Of those that send messages.
    pub messages: Vec<Arc<Counts>>,
    /// Of the one that publishes events.
    pub events: Vec<Arc<Counts>>,
}

impl Work {
    /// Starts the work, and returns its counts.
    pub fn start(
        &self,
        settings: &Settings,
        queue: &Queue,
        sending: &Sending,
        clock: &Arc<dyn Clock>,
    ) -> Tally {
        let database = queue.database();
        let bus = Bus::open(settings.broker.clone(), settings.topology.clone(), SERVICE);
        let mut tally = Tally::default();
        for _ in 0..SENDERS {
            let worker = Worker::new(database.clone(), queue.outbox(), sending.clone());
            tally.messages.push(worker.counts());
            self.spawn(worker.run(self.stop.subscribe()));
        }
        let relay = Worker::new(database.clone(), queue.outbox(), Relay::new(bus.clone()));
        tally.events.push(relay.counts());
        self.spawn(relay.run(self.stop.subscribe()));
        if let Ok(every) = "#".parse() {
            let subscription = Subscription {
                consumer: SERVICE.to_owned(),
                exchange: Exchange::Notifications,
                patterns: vec![every],
            };
            let handler = Handler {
                handle: Arriving(queue.clone()),
                database: database.clone(),
                clock: Arc::clone(clock),
            };
            self.spawn(bus.consume(subscription, handler, self.stop.subscribe()));
        }
        self.spawn(jobs::run(database, Arc::clone(clock), self.stop.subscribe()));
        tally
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().push(tokio::spawn(work));
    }

    /// Ends the work. What is being sent is finished, for at most 25 seconds.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let all = async {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the work ended early");
                }
            }
        };
        if timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!(
                "messages were still being sent {STOP_WITHIN:?} after the stop; their marks say so"
            );
        }
    }
}
