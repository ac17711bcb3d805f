//! What an outbox delivers and holds, for Prometheus. The names begin with that of the service:
//!
//! | metric | labels | value |
//! |---|---|---|
//! | `SERVICE_attempts_total` | `kind`, `result`: `delivered`, `failed`, `dead` | attempts of this process |
//! | `SERVICE_outbox_rows` | `kind`, `state`: `waiting`, `dead` | rows in the table |
//! | `SERVICE_outbox_oldest_seconds` | `kind` | the age of the oldest row that waits; 0 when none does |

use std::sync::Arc;

use clock::Clock;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use sea_orm::{DatabaseConnection, DbErr};

use crate::exchange::Exchange;
use crate::outbox::{Counts, Unfinished, unfinished};

/// Rows that are shown together.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The label.
    pub shown: &'static str,
    /// The kinds of the rows in the table.
    pub stored: &'static [&'static str],
    /// The workers that deliver them in this process.
    pub workers: Vec<Arc<Counts>>,
}

impl Kind {
    /// The events of every exchange, which `relay` publishes: see [`Relay`](crate::relay::Relay).
    #[must_use]
    pub fn events(relay: Vec<Arc<Counts>>) -> Self {
        Self { shown: "event", stored: Exchange::KINDS, workers: relay }
    }
}

/// The rows in the table. Attempts need no reading: they are counted in memory.
#[derive(Clone, Debug)]
pub struct Rows {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
    kinds: Arc<[Kind]>,
    rows: IntGaugeVec,
    oldest: IntGaugeVec,
}

impl Rows {
    /// Adds the metrics of the outbox of `service` in `database` to `registry`. Call [`read`](Self::read) before each scrape.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn new(
        service: &str,
        kinds: Vec<Kind>,
        database: DatabaseConnection,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let attempts = format!("{service}_attempts_total");
        let attempts = Opts::new(attempts, "Deliveries of this process by kind and result");
        let attempts = IntCounterVec::new(attempts, &["kind", "result"])?;
        let rows = Opts::new(format!("{service}_outbox_rows"), "Rows of the outbox that wait, or are dead");
        let rows = IntGaugeVec::new(rows, &["kind", "state"])?;
        let oldest = format!("{service}_outbox_oldest_seconds");
        let oldest = Opts::new(oldest, "The age of the oldest row that waits; 0 when none does");
        let oldest = IntGaugeVec::new(oldest, &["kind"])?;
        let kinds: Arc<[Kind]> = kinds.into();
        registry.register(Box::new(Attempts {
            kinds: Arc::clone(&kinds),
            attempts,
            collecting: Mutex::new(()),
        }))?;
        registry.register(Box::new(rows.clone()))?;
        registry.register(Box::new(oldest.clone()))?;
        Ok(Self { database, clock, kinds, rows, oldest })
    }

    /// Counts the rows that are not delivered.
    ///
    /// # Errors
    /// The error of the database. No row is shown then: an old number would look like a new one.
    pub async fn read(&self) -> Result<(), DbErr> {
        self.rows.reset();
        self.oldest.reset();
        for kind in self.kinds.iter() {
            let mut sum = Unfinished::default();
            for stored in kind.stored {
                let found = unfinished(&self.database, Some(stored)).await?;
                sum.waiting += found.waiting;
                sum.dead += found.dead;
                sum.oldest = [sum.oldest, found.oldest].into_iter().flatten().min();
            }
            self.rows.with_label_values(&[kind.shown, "waiting"]).set(sum.waiting);
            self.rows.with_label_values(&[kind.shown, "dead"]).set(sum.dead);
            let now = i64::try_from(self.clock.now().seconds()).unwrap_or(i64::MAX);
            let seconds = sum.oldest.map_or(0, |since| now.saturating_sub(since.unix_timestamp()).max(0));
            self.oldest.with_label_values(&[kind.shown]).set(seconds);
        }
        Ok(())
    }
}

/// The counts of the workers.
struct Attempts {
    kinds: Arc<[Kind]>,
    attempts: IntCounterVec,
    /// Two collections at once would add the same difference twice.
    collecting: Mutex<()>,
}

impl Collector for Attempts {
    fn desc(&self) -> Vec<&Desc> {
        self.attempts.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _only = self.collecting.lock();
        for Kind { shown, workers, .. } in self.kinds.iter() {
            let sum = |count: fn(&Counts) -> u64| -> u64 { workers.iter().map(|worker| count(worker)).sum() };
            let results = [
                ("delivered", sum(Counts::delivered)),
                ("failed", sum(Counts::failed)),
                ("dead", sum(Counts::dead)),
            ];
            for (result, sum) in results {
                let counter = self.attempts.with_label_values(&[shown, result]);
                counter.inc_by(sum.saturating_sub(counter.get()));
            }
        }
        self.attempts.collect()
    }
}
