//! Keeps the subscription, and hands on what it brings.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use futures_util::StreamExt as _;
use prometheus::IntCounter;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Client, Msg, RedisError};
use tokio::time::{Instant, sleep, timeout};
use validity::PATIENCE;
use validity::revocation::{self, Revocation, SharedRevocations};
use validity::tenant::{self, Change};

use crate::ended::Ended;
use crate::session::revocations::Revocations;
use crate::source::channel::Channel;
use crate::tenant::memory::Memory;

/// Between two signs of life: four of them fit into the time that leases wait for one ([`FRESH`](crate::ended::FRESH)).
/// To Redis ten pings a second are nothing.
const PULSE: Duration = Duration::from_millis(100);

/// A ping that is not answered for this long has nobody at the other end.
pub const SILENCE: Duration = Duration::from_secs(2);

/// Pulses between two sweeps of what has expired: some 20 s.
const PULSES_PER_SWEEP: u32 = 200;

/// Between two looks for room, when some revocations had none.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(2);

/// The first wait before connecting again; each is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// No wait is longer: a Redis that is back is found at once, and a dead one is asked every two seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Counts of the subscription to changes.
#[derive(Clone, Debug)]
pub struct PushCounts {
    /// Subscribed, also again.
    pub subscribed: IntCounter,
    /// Lost, also before it stood.
    pub lost: IntCounter,
    /// Messages that were understood.
    pub messages: IntCounter,
    /// Messages and stored values that were not.
    pub bad: IntCounter,
}

/// The subscription of one replica.
#[derive(Debug)]
pub struct Subscriber {
    /// The Redis.
    pub client: Client,
    /// Told whether the subscription is alive.
    pub channel: Arc<Channel>,
    /// Told about tenants; absent when they are not shared through Redis.
    pub tenants: Option<Arc<Memory>>,
    /// Told about revocations; absent when the edge has none.
    pub revocations: Option<Arc<Revocations>>,
    /// Told when something may have ended unheard.
    pub ended: Arc<Ended>,
    /// The time, for what expires.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub counts: PushCounts,
}

#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("the connection was closed")]
    Closed,
}

impl Subscriber {
    /// Subscribes, again and again. Ends only when it is aborted.
    pub async fn run(self) {
        let mut wait = FIRST_WAIT;
        loop {
            let began = Instant::now();
            let Err(lost) = self.follow().await;
            self.counts.lost.inc();
            if self.channel.lost(lost.to_string()) {
                tracing::error!(%lost, "the subscription to changes is lost");
            }
            // It held for a while: this is a new trouble, not the same one.
            if began.elapsed() > LONGEST_WAIT * 2 {
                wait = FIRST_WAIT;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn follow(&self) -> Result<std::convert::Infallible, Lost> {
        let asked = Instant::now();
        let (mut sink, mut stream) = timeout(PATIENCE, self.client.get_async_pubsub()).await??.split();
        let channels = [tenant::CHANNEL, revocation::CHANNEL];
        // The answers of the subscription come through the stream's driver, not through the stream.
        timeout(PATIENCE, sink.subscribe(&channels[..])).await??;
        // Whatever is pushed from here on arrives: what is read now can only be corrected.
        if let Some(revocations) = &self.revocations {
            revocations.begin_again(self.clock.now());
            self.read_revocations(|page| revocations.add(page, self.clock.now())).await?;
            revocations.whole_is_read();
        }
        self.begin();
        self.channel.heard(asked);
        self.counts.subscribed.inc();
        tracing::info!("subscribed to changes");
        tokio::select! {
            lost = self.pulse(&mut sink) => lost,
            lost = self.make_use_of_room() => lost,
            lost = self.listen(&mut stream) => lost,
        }
    }

    /// What was pushed before may not have arrived.
    fn begin(&self) {
        self.channel.begin();
        self.ended.restart(Instant::now());
    }

    /// Reads everything that Redis holds, page by page: each page has its time, the whole has as long as it needs.
    async fn read_revocations(&self, take: impl FnMut(Vec<Revocation>)) -> Result<(), Lost> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let mut redis = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let bad = SharedRevocations::default().read_pages(&mut redis, take).await?;
        self.counts.bad.inc_by(bad);
        Ok(())
    }

    /// Reads everything again once there is room for revocations that had none, beside what is pushed meanwhile.
    async fn make_use_of_room(&self) -> Result<std::convert::Infallible, Lost> {
        let Some(revocations) = &self.revocations else { return std::future::pending().await };
        loop {
            sleep(LOOK_FOR_ROOM).await;
            if revocations.has_room_again(self.clock.now()) {
                revocations.begin_again(self.clock.now());
                self.read_revocations(|page| revocations.add_again(page, self.clock.now())).await?;
                revocations.whole_is_read();
            }
        }
    }

    /// A ping on the very connection that messages come through.
    async fn pulse(&self, sink: &mut PubSubSink) -> Result<std::convert::Infallible, Lost> {
        let mut pulses: u32 = 0;
        loop {
            sleep(PULSE).await;
            let asked = Instant::now();
            timeout(SILENCE, sink.ping::<redis::Value>()).await??;
            self.channel.heard(asked);
            pulses = pulses.wrapping_add(1);
            if pulses.is_multiple_of(PULSES_PER_SWEEP)
                && let Some(revocations) = &self.revocations
            {
                revocations.sweep(self.clock.now());
            }
        }
    }

    async fn listen(&self, stream: &mut PubSubStream) -> Result<std::convert::Infallible, Lost> {
        loop {
            let message = stream.next().await.ok_or(Lost::Closed)?;
            if self.take(&message).await {
                self.counts.messages.inc();
            } else {
                self.counts.bad.inc();
                // Whose change it was cannot be known, so nobody's state is vouched for.
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
