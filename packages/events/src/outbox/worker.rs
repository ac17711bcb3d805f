//! Delivers rows of the outbox until it is stopped.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Clock;
use futures_util::{StreamExt as _, stream};
use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::outbox::Outbox;
use crate::outbox::claim::{self, Ended, Item, LEASE, MAX_ATTEMPTS};
use crate::pace;

/// How often a worker looks for rows that another process wrote, or that are due again.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// How long one delivery may take: the usual limit of a provider's client, and a third of the [`LEASE`].
pub const DELIVER_WITHIN: Duration = Duration::from_secs(20);

/// Rows of one claim. They are delivered at the same time, so this also bounds the open requests of a worker.
const BATCH: u64 = 16;

/// The first wait after a failed attempt; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// The longest wait that a far side can ask for. Longer than any `Retry-After` of a provider; a wrong one must not park a
/// row for years.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// The first and the longest pause of a worker while the database or the far side is unavailable.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Delivers rows of some kinds.
pub trait Deliver: Send + Sync + 'static {
    /// The kinds of rows that it delivers. Others stay for other workers.
    fn kinds(&self) -> &'static [&'static str];

    /// Delivers one row. It must be safe to deliver the same row twice: after a crash, the first time is not known. It is cut
    /// off after [`Deliver::within`].
    fn deliver(&self, item: &Item) -> impl Future<Output = Outcome> + Send;

    /// How long one delivery may take. One that bounds its request itself may take longer, for marks that it writes
    /// afterwards; the rest of the [`LEASE`] is left for the record of the result.
    fn within(&self) -> Duration {
        DELIVER_WITHIN
    }
}

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Delivered,
    /// It failed and may succeed later: `after` the time that the far side asked for, or else after a doubling wait.
    Failed {
        /// What happened.
        error: String,
        /// The wait that the far side asked for.
        after: Option<Duration>,
    },
    /// The far side cannot be reached. The row did not cause this, so the attempt does not count.
    Unavailable {
        /// What happened.
        error: String,
    },
    /// It can never succeed.
    Refused {
        /// Why.
        error: String,
    },
}

/// What a worker has done since its start.
#[derive(Debug, Default)]
pub struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
}

impl Counts {
    /// Delivered rows.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Attempts that will be repeated.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Rows that were given up.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }
}

/// Delivers rows with `D`.
#[derive(Debug)]
pub struct Worker<D> {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
    wake: watch::Sender<()>,
    deliver: D,
    counts: Arc<Counts>,
}

/// What one turn found.
struct Turn {
    claimed: usize,
    is_unavailable: bool,
}

impl<D: Deliver> Worker<D> {
    /// A worker of the rows of `outbox` in `database`.
    #[must_use]
    pub fn new(database: DatabaseConnection, outbox: &Outbox, deliver: D) -> Self {
        let (clock, wake) = (Arc::clone(&outbox.clock), outbox.wake.clone());
        Self { database, clock, wake, deliver, counts: Arc::default() }
    }

    /// Returns the counts, which go on counting.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Runs until `stop` is true or its sender is gone. Running deliveries are finished.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut wake = self.wake.subscribe();
        let mut failures = 0_u32;
        let mut is_logged = false;
        while !*stop.borrow() {
            let pause = match self.turn(failures).await {
                // The rows of an outage wait, too: that none is due does not end it.
                Ok(Turn { is_unavailable: false, claimed: 0 }) if failures > 0 => {
                    pace::wait(failures, PAUSES.0, PAUSES.1).min(POLL)
                }
                Ok(Turn { is_unavailable: false, claimed }) => {
                    if std::mem::take(&mut is_logged) {
                        tracing::info!("the outbox is delivered again");
                    }
                    failures = 0;
                    if claimed > 0 {
                        continue;
                    }
                    POLL
                }
                Ok(Turn { is_unavailable: true, .. }) => {
                    failures = failures.saturating_add(1);
                    pace::wait(failures, PAUSES.0, PAUSES.1)
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_logged, true) {
                        tracing::error!(%error, "the outbox cannot be read; retrying");
                    }
                    failures = failures.saturating_add(1);
                    pace::wait(failures, PAUSES.0, PAUSES.1)
                }
            };
            tokio::select! {
                _ = wake.changed(), if failures == 0 => {}
                () = sleep(pause) => {}
                // An error means that the sender is gone, which ends the work, too.
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Delivers what is due, once, and returns the number of rows.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn deliver_due(&self) -> Result<usize, DbErr> {
        self.turn(0).await.map(|turn| turn.claimed)
    }

    /// Delivers what is due, after `failures` turns during which the far side or the database was unavailable.
    async fn turn(&self, failures: u32) -> Result<Turn, DbErr> {
        let lease_ends = Instant::now() + LEASE;
        let items = claim::claim(&self.database, self.deliver.kinds(), self.clock.now(), BATCH).await?;
        let claimed = items.len();
        let most = usize::try_from(BATCH).unwrap_or(1);
        let ended = stream::iter(items).map(|item| async move {
            let ended = self.attempt(&item, failures).await;
            let is_unavailable = matches!(ended, Ended::Unavailable { .. });
            self.record(&item, &ended, lease_ends).await;
            is_unavailable
        });
        // All of them end, also when the first finds the far side unavailable.
        let unavailable = ended.buffer_unordered(most).filter(|is| std::future::ready(*is)).count().await;
        Ok(Turn { claimed, is_unavailable: unavailable > 0 })
    }

    async fn attempt(&self, item: &Item, failures: u32) -> Ended {
        if item.attempt > MAX_ATTEMPTS {
            // The worker of the last attempt did not live to record it.
            return Ended::Dead {
                error: format!("given up: {MAX_ATTEMPTS} attempts ended without a result"),
            };
        }
        let within = self.deliver.within();
        let outcome = timeout(within, self.deliver.deliver(item)).await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::Failed {
            error: format!("no result within {within:?}"),
            after: None,
        });
        match outcome {
            Outcome::Delivered => Ended::Delivered,
            Outcome::Refused { error } => Ended::Dead { error },
            Outcome::Failed { error, .. } if item.attempt == MAX_ATTEMPTS => {
                Ended::Dead { error: format!("given up after {MAX_ATTEMPTS} attempts: {error}") }
            }
            Outcome::Failed { error, after } => {
                let failures = u32::try_from(item.attempt).unwrap_or(1);
                let own = || pace::wait(failures, FIRST_WAIT, LONGEST_WAIT);
                Ended::Again { error, after: after.map_or_else(own, |asked| asked.min(LONGEST_ASKED)) }
            }
            Outcome::Unavailable { error } => {
                // As long as the worker pauses: the attempts of the row do not count the outage.
                Ended::Unavailable {
                    error,
                    after: pace::wait(failures.saturating_add(1), PAUSES.0, PAUSES.1),
                }
            }
        }
    }

    /// Records how the attempt ended. While the database is away, this is tried again for as long as the lease lasts: what
    /// is delivered and not recorded would be delivered twice.
    async fn record(&self, item: &Item, ended: &Ended, until: Instant) {
        let mut failures = 0_u32;
        loop {
            match claim::record(&self.database, item, ended, self.clock.now()).await {
                Ok(true) => return self.count(item, ended),
                Ok(false) => {
                    let is_repeated = failures > 0;
                    tracing::warn!(
                        id = %item.id, is_repeated,
                        "another worker took this row over, or its result was recorded before"
                    );
                    return;
                }
                Err(error) if Instant::now() >= until => {
                    tracing::error!(id = %item.id, %error, "the result of a delivery is lost; it will be delivered again");
                    return;
                }
                Err(_) => {
                    failures = failures.saturating_add(1);
                    sleep(pace::wait(failures, PAUSES.0, PAUSES.1)).await;
                }
            }
        }
    }

    fn count(&self, item: &Item, ended: &Ended) {
        let (kind, attempt) = (item.kind.as_str(), item.attempt);
        let counter = match ended {
            Ended::Delivered => &self.counts.delivered,
            Ended::Again { error, after } => {
                tracing::warn!(id = %item.id, kind, attempt, %error, ?after, "a delivery failed and will be repeated");
                &self.counts.failed
            }
            Ended::Unavailable { error, .. } => {
                tracing::debug!(id = %item.id, kind, %error, "the far side is unavailable");
                &self.counts.failed
            }
            Ended::Dead { error } => {
                tracing::error!(id = %item.id, kind, attempt, %error, "a delivery was given up");
                &self.counts.dead
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
