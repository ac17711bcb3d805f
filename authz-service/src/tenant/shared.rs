//! Caches tenants in Redis, before a source: replicas share their lookups.

use std::sync::Arc;
use std::time::Duration;

use identity::TenantId;
use redis_connection::Connection;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use validity::tenant::{Record, SharedTenants};

use crate::source::channel::Channel;
use crate::tenant::source::{LookupCounts, SourceFault, TenantReply, TenantSource};

/// During a request Redis gets a quarter of Envoy's timeout; then the source is queried instead.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// A Redis whose subscription has been silent for this long is not queried: each query would cost
/// [`PATIENCE`], and its answer would be worth no more than the subscription.
const ALIVE_WITHIN: Duration = Duration::from_secs(4);

/// How many writes may be in progress. A dropped write only costs another replica one more lookup.
const MAX_WRITES: usize = 64;

/// The Redis layer.
pub struct SharedLayer {
    redis: Connection,
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
    /// Caches the answers of `source` in `redis` for `keep`, as long as `channel` is alive.
    #[must_use]
    pub fn new(
        redis: Connection,
        source: Arc<dyn TenantSource>,
        channel: Arc<Channel>,
        keep: Duration,
        counts: LookupCounts,
    ) -> Self {
        let writes = Arc::new(Semaphore::new(MAX_WRITES));
        Self { redis, shared: Arc::default(), source, channel, keep, writes, counts }
    }

    /// Returns `None` for everything but a valid answer: the source decides then.
    async fn read(&self, tenant: &TenantId) -> Option<(Record, Duration)> {
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
                tracing::debug!(%error, "cannot read the state of a tenant from Redis");
                None
            }
            Err(_) => {
                self.counts.failed.inc();
                None
            }
        }
    }

    /// Writes in the background, outside the request.
    fn keep(&self, tenant: TenantId, record: Record) {
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        let (mut redis, shared, keep) = (self.redis.clone(), Arc::clone(&self.shared), self.keep);
        tokio::spawn(async move {
            let written = timeout(validity::PATIENCE, shared.keep(&mut redis, &tenant, record, keep)).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::debug!("cannot write the state of a tenant to Redis");
            }
            drop(permit);
        });
    }
}

#[tonic::async_trait]
impl TenantSource for SharedLayer {
    async fn look_up(&self, tenant: &TenantId) -> Result<TenantReply, SourceFault> {
        let alive = self.channel.is_alive(Instant::now(), ALIVE_WITHIN);
        if alive && let Some((record, left)) = self.read(tenant).await {
            return Ok(TenantReply { record: Some(record), good_for: Some(left.min(self.keep)) });
        }
        let answer = self.source.look_up(tenant).await?;
        // The absence of a tenant is not shared: its later creation would have to clear it everywhere.
        if alive && let Some(record) = answer.record {
            self.keep(tenant.clone(), record);
        }
        Ok(answer)
    }
}
