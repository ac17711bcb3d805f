//! Redis before a source: what one replica asked for, the others need not.

use std::sync::Arc;
use std::time::Duration;

use identity::TenantId;
use redis::aio::ConnectionManager;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use validity::tenant::{Record, SharedTenants};

use crate::source::channel::Channel;
use crate::tenant::source::{Answer, LookupCounts, SourceFault, TenantSource};

/// On a request's way Redis gets a quarter of what Envoy waits; then the source is asked instead.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// A Redis whose subscription was silent for this long is not asked at all: each question would cost
/// [`PATIENCE`], and its answer would be worth no more than the subscription.
const ALIVE_WITHIN: Duration = Duration::from_secs(4);

/// Writes that may be under way. What is not written is asked for once more by another replica, nothing worse.
const MAX_WRITES: usize = 64;

/// The Redis layer.
pub struct SharedLayer {
    redis: ConnectionManager,
    shared: Arc<SharedTenants>,
    source: Arc<dyn TenantSource>,
    channel: Arc<Channel>,
    keep: Duration,
    writes: Arc<Semaphore>,
    counts: LookupCounts,
}

impl std::fmt::Debug for SharedLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedLayer").field("source", &self.source).finish_non_exhaustive()
    }
}

impl SharedLayer {
    /// Keeps what `source` says in `redis` for `keep`, as long as `channel` is alive.
    #[must_use]
    pub fn new(
        redis: ConnectionManager,
        source: Arc<dyn TenantSource>,
        channel: Arc<Channel>,
        keep: Duration,
        counts: LookupCounts,
    ) -> Self {
        let writes = Arc::new(Semaphore::new(MAX_WRITES));
        Self { redis, shared: Arc::default(), source, channel, keep, writes, counts }
    }

    /// Says `None` for everything that is not a clear answer: the source has the last word.
    async fn read(&self, tenant: TenantId) -> Option<(Record, Duration)> {
        let mut redis = self.redis.clone();
        match timeout(PATIENCE, self.shared.read(&mut redis, tenant)).await {
            Ok(Ok(Some(found))) => {
                self.counts.hit.inc();
                Some(found)
            }
            Ok(Ok(None)) => {
                self.counts.miss.inc();
                None
            }
            Ok(Err(error)) => {
                self.counts.failed.inc();
                tracing::debug!(%error, "Redis cannot say which state a tenant has");
                None
            }
            Err(_) => {
                self.counts.failed.inc();
                None
            }
        }
    }

    /// Writes beside the request's way.
    fn keep(&self, tenant: TenantId, record: Record) {
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        let (mut redis, shared, keep) = (self.redis.clone(), Arc::clone(&self.shared), self.keep);
        tokio::spawn(async move {
            let written = timeout(validity::PATIENCE, shared.keep(&mut redis, tenant, record, keep)).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::debug!("Redis did not take the state of a tenant");
            }
            drop(permit);
        });
    }
}

#[tonic::async_trait]
impl TenantSource for SharedLayer {
    async fn look_up(&self, tenant: TenantId) -> Result<Answer, SourceFault> {
        let alive = self.channel.is_alive(Instant::now(), ALIVE_WITHIN);
        if alive && let Some((record, left)) = self.read(tenant).await {
            return Ok(Answer { record: Some(record), good_for: Some(left.min(self.keep)) });
        }
        let answer = self.source.look_up(tenant).await?;
        // That there is no such tenant is not shared: whoever creates one would have to clear it everywhere.
        if alive && let Some(record) = answer.record {
            self.keep(tenant, record);
        }
        Ok(answer)
    }
}
