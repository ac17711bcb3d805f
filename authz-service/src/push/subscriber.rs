//! Keeps the subscription alive, and passes its messages on.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use prometheus::IntCounter;
use redis::{Msg, RedisError};
use redis_connection::{Address, Messages, Primaries, Pulse};
use tokio::time::{Instant, sleep};
use validity::PATIENCE;
use validity::revocation::{self, Revocation, SharedRevocations};
use validity::tenant::{self, Change};

use crate::backoff::Backoff;
use crate::ended::Ended;
use crate::session::revocations::Revocations;
use crate::source::channel::Channel;
use crate::tenant::memory::Memory;

/// The interval of pings: four of them fit into the time that leases wait for a sign of life
/// ([`FRESH`](crate::ended::FRESH)). For Redis ten pings a second are nothing.
const PULSE: Duration = Duration::from_millis(100);

/// After this long without an answer to a ping the connection counts as dead.
pub const SILENCE: Duration = Duration::from_secs(2);

/// Pulses between two sweeps of expired entries: about 20 s.
const PULSES_PER_SWEEP: u32 = 200;

/// The interval of checks for room, when some revocations found none.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(2);

/// How often sentinels or the nodes of a cluster are asked for the primaries. A primary that was replaced closes its connections;
/// one that was cut off from the others cannot, and a change elsewhere would have no effect here.
const LOOK_FOR_PRIMARIES: Duration = Duration::from_secs(1);

/// The first wait before a reconnect; each further wait is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait: a Redis that is back is found soon, and a dead one is tried every two seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Counts of the subscription to changes.
#[derive(Clone, Debug)]
pub struct PushCounts {
    /// Subscriptions, also repeated ones.
    pub subscribed: IntCounter,
    /// Losses, also of attempts that never subscribed.
    pub lost: IntCounter,
    /// Valid messages.
    pub messages: IntCounter,
    /// Malformed messages and stored values.
    pub bad: IntCounter,
}

/// The subscription of one replica.
#[derive(Debug)]
pub struct Subscriber {
    /// The Redis.
    pub address: Address,
    /// The state of the subscription, for decisions.
    pub channel: Arc<Channel>,
    /// Receives changes of tenants; absent when they are not shared through Redis.
    pub tenants: Option<Arc<Memory>>,
    /// Receives revocations; absent when the edge has none.
    pub revocations: Option<Arc<Revocations>>,
    /// Records that an invalidation may have been missed.
    pub ended: Arc<Ended>,
    /// The clock, for expiry.
    pub clock: Arc<dyn Clock>,
    /// Its counters.
    pub counts: PushCounts,
}

#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("the connection was closed")]
    Closed,
    #[error("another server has become a primary")]
    Replaced,
}

impl Subscriber {
    /// Subscribes, again and again. Ends only when it is aborted.
    pub async fn run(self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let began = Instant::now();
            let Err(lost) = Box::pin(self.follow()).await;
            self.counts.lost.inc();
            if self.channel.lost(lost.to_string()) {
                tracing::error!(%lost, "lost the subscription to changes");
            }
            // The subscription held for a while: this is a new fault, not the same one.
            if began.elapsed() > LONGEST_WAIT * 2 {
                backoff.reset();
            }
            sleep(backoff.wait()).await;
        }
    }

    async fn follow(&self) -> Result<std::convert::Infallible, Lost> {
        let asked = Instant::now();
        let primaries = Primaries::of(&self.address).await?;
        let subscription = primaries.subscribe(&[tenant::CHANNEL, revocation::CHANNEL], PATIENCE).await?;
        let (mut pulse, mut messages) = subscription.split();
        // All messages from here on arrive, so they correct the entries that are read now.
        if let Some(revocations) = &self.revocations {
            revocations.begin_again(self.clock.now());
            self.read_revocations(&primaries, |page| revocations.add(page, self.clock.now())).await?;
            revocations.whole_is_read();
        }
        self.begin();
        self.channel.received(asked);
        self.counts.subscribed.inc();
        tracing::info!("subscribed to changes");
        tokio::select! {
            lost = self.pulse(&mut pulse) => lost,
            lost = self.make_use_of_room(&primaries) => lost,
            lost = self.listen(&mut messages) => lost,
            lost = watch(&primaries) => lost,
        }
    }

    /// Earlier messages may not have arrived.
    fn begin(&self) {
        self.channel.begin();
        self.ended.restart(Instant::now());
    }

    /// Reads everything in Redis, page by page: each page has a deadline, the whole has none.
    async fn read_revocations(
        &self,
        primaries: &Primaries,
        take: impl FnMut(Vec<Revocation>),
    ) -> Result<(), Lost> {
        let bad = SharedRevocations::default().read_pages(primaries, take).await?;
        self.counts.bad.inc_by(bad);
        Ok(())
    }

    /// Reads everything again once there is room for revocations that had none, while messages continue to
    /// arrive.
    async fn make_use_of_room(&self, primaries: &Primaries) -> Result<std::convert::Infallible, Lost> {
        let Some(revocations) = &self.revocations else { return std::future::pending().await };
        loop {
            sleep(LOOK_FOR_ROOM).await;
            if revocations.has_room_again(self.clock.now()) {
                revocations.begin_again(self.clock.now());
                self.read_revocations(primaries, |page| revocations.add_again(page, self.clock.now()))
                    .await?;
                revocations.whole_is_read();
            }
        }
    }

    /// Pings on the same connections that carry the messages.
    async fn pulse(&self, pulse: &mut Pulse) -> Result<std::convert::Infallible, Lost> {
        let mut pulses: u32 = 0;
        loop {
            sleep(PULSE).await;
            let asked = Instant::now();
            pulse.beat(SILENCE).await?;
            self.channel.received(asked);
            pulses = pulses.wrapping_add(1);
            if pulses.is_multiple_of(PULSES_PER_SWEEP)
                && let Some(revocations) = &self.revocations
            {
                revocations.sweep(self.clock.now());
            }
        }
    }

    async fn listen(&self, messages: &mut Messages) -> Result<std::convert::Infallible, Lost> {
        loop {
            let message = messages.next().await.ok_or(Lost::Closed)?;
            if self.take(&message).await {
                self.counts.messages.inc();
            } else {
                self.counts.bad.inc();
                // The message could concern any tenant, so the channel vouches for none.
                self.begin();
                tracing::error!(channel = message.get_channel_name(), "malformed push message");
            }
        }
    }

    async fn take(&self, message: &Msg) -> bool {
        let payload = message.get_payload_bytes();
        if message.get_channel_name() == tenant::CHANNEL {
            let Ok(change) = serde_json::from_slice::<Change>(payload) else { return false };
            if let Some(tenants) = &self.tenants {
                tenants.change(&change).await;
            }
            return true;
        }
        let Ok(revocation) = serde_json::from_slice::<Revocation>(payload) else { return false };
        if let Some(revocations) = &self.revocations {
            revocations.add(vec![revocation], self.clock.now());
        }
        true
    }
}

/// Ends when others than `primaries` take writes. While neither a sentinel nor a node answers, those that do answer count.
async fn watch(primaries: &Primaries) -> Result<std::convert::Infallible, Lost> {
    loop {
        sleep(LOOK_FOR_PRIMARIES).await;
        match primaries.are_current().await {
            Ok(true) => {}
            Ok(false) => return Err(Lost::Replaced),
            Err(error) => tracing::debug!(%error, "cannot ask for the primaries"),
        }
    }
}
