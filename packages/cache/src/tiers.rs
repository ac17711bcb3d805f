//! Memory in front of Redis in front of the source.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache as Memory;
use redis_connection::{Address, Primaries};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ended::Ended;
use crate::key::{InvalidKey, Key, Scope};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::shared::{CHANNEL, Shared, Unusable};

/// How long a subscription to invalidations may take to begin.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the subscription is checked; a dead connection that says nothing is found so.
const PULSE: Duration = Duration::from_secs(1);

/// The pause before a lost subscription is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// The bounds of a cache. The default has its reasons at each field.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most values in memory. 10,000 accounts of 300 bytes are 3 MB.
    pub values: u64,
    /// The most readers of the source at once: a fraction of a pool of eight connections would be too few when Redis is
    /// gone, and more than 32 only wait in front of that pool.
    pub loads: usize,
    /// How long a reader waits for its turn at the source: less than a caller's own patience of two seconds.
    pub wait: Duration,
    /// When a reader that is still at the source counts as stuck.
    pub longest: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { values: 10_000, loads: 32, wait: Duration::from_secs(1), longest: Duration::from_secs(5) }
    }
}

/// Why a value could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// The source failed.
    #[error("{0}")]
    Source(E),
    /// Too many readers wait for the source.
    #[error("too many readers wait for the source; try again")]
    Busy,
}

/// Values of one type. All clones are one cache.
#[derive(Clone)]
pub struct Cache<V> {
    inner: Arc<Inner<V>>,
}

struct Inner<V> {
    name: &'static str,
    memory: Memory<String, Entry<V>>,
    shared: Option<Shared>,
    sources: Pool,
    metrics: Metrics,
    ended: Ended,
}

/// A value in memory, or the knowledge that there is none.
#[derive(Clone)]
struct Entry<V> {
    value: Option<V>,
    lives: Duration,
    /// The number of the last invalidation before it was read.
    since: u64,
}

struct ByEntry;

impl<V> Expiry<String, Entry<V>> for ByEntry {
    fn expire_after_create(&self, _: &String, entry: &Entry<V>, _: Instant) -> Option<Duration> {
        Some(entry.lives)
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl<V> Cache<V>
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Makes a cache. With `redis`, replicas share values and invalidations; without it, a single replica is correct. It needs
    /// a tokio runtime, and follows invalidations until its last clone is dropped.
    #[must_use]
    pub fn new(name: &'static str, bounds: Bounds, redis: Option<&Address>, metrics: Metrics) -> Self {
        let memory = Memory::builder().max_capacity(bounds.values).expire_after(ByEntry).build();
        let sources = Pool::new(name, bounds.loads, bounds.wait, bounds.longest, metrics.clone());
        let shared = redis.map(Shared::new);
        let inner = Arc::new(Inner { name, memory, shared, sources, metrics, ended: Ended::default() });
        if let Some(address) = redis {
            tokio::spawn(follow(Arc::downgrade(&inner), address.clone()));
        }
        Self { inner }
    }

    /// Returns the value of `key`; `load` reads it from the source if no tier has it, and returns `None` if there is none.
    /// Of many callers for one key, one reads.
    ///
    /// # Errors
    /// [`LoadError`], shared by the callers that waited for the same reader. It is not kept.
    pub async fn get<E: Send + Sync + 'static>(
        &self,
        key: &Key,
        load: impl Future<Output = Result<Option<V>, E>> + Send,
    ) -> Result<Option<V>, Arc<LoadError<E>>> {
        let inner = &*self.inner;
        let began = inner.ended.now();
        let mut load = pin!(load);
        loop {
            let mut is_read = false;
            let read = async {
                is_read = true;
                inner.read(key, load.as_mut()).await
            };
            let entry = inner.memory.try_get_with_by_ref(key.as_str(), read).await?;
            if is_read {
                return Ok(entry.value);
            }
            if entry.since >= began || inner.ended.is_current(key, entry.since) {
                inner.count("memory");
                return Ok(entry.value);
            }
            // It was read before an invalidation that had returned before this call. `load` was not polled, and is there for
            // the next turn.
            if !entry.lives.is_zero() {
                inner.memory.invalidate(key.as_str()).await;
            }
        }
    }

    /// Forgets the values of `scope`, here at once, in Redis before this returns, and on other replicas soon after. Call it
    /// after the change is committed.
    ///
    /// When Redis cannot be reached, other replicas may have the old value for [`Kind::memory`](crate::Kind::memory), and Redis,
    /// when it is back, for [`Kind::shared`](crate::Kind::shared). The failure is counted and logged, and not returned: the
    /// change itself is done.
    ///
    /// # Errors
    /// [`InvalidKey`] for a tenant that no key can have.
    pub async fn invalidate(&self, scope: Scope<'_>) -> Result<(), InvalidKey> {
        let beginning = scope.beginning()?;
        let is_key = matches!(scope, Scope::One(_));
        let inner = &*self.inner;
        inner.forget(&beginning, is_key).await;
        inner.metrics.invalidations.with_label_values(&[inner.name, "own"]).inc();
        if let Some(shared) = &inner.shared
            && let Err(why) = shared.raise(&beginning, is_key).await
        {
            inner.metrics.lost.with_label_values(&[inner.name]).inc();
            inner.failed(
                &why,
                "an invalidation did not reach Redis; other replicas may have the old value for a while",
            );
        }
        // A reader may have fetched the old value from Redis in between.
        inner.forget(&beginning, is_key).await;
        Ok(())
    }

    /// Returns how many values are in memory, after expired ones were removed.
    pub async fn len(&self) -> u64 {
        self.inner.memory.run_pending_tasks().await;
        self.inner.memory.entry_count()
    }

    /// Returns whether memory is empty.
    pub async fn is_empty(&self) -> bool {
        self.len().await == 0
    }
}

impl<V> Inner<V>
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads Redis and then the source.
    async fn read<E>(
        &self,
        key: &Key,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Entry<V>, LoadError<E>> {
        let since = self.ended.now();
        let found = match &self.shared {
            Some(shared) => {
                shared.read::<V>(key).await.map_err(|why| self.failed(&why, "Redis is not usable")).ok()
            }
            None => None,
        };
        let generations = found.as_ref().map(|found| found.generations);
        if let Some(value) = found.and_then(|found| found.value) {
            self.count("shared");
            return Ok(self.entry(key, since, value));
        }
        let value = {
            let _place = self.sources.checkout().await.map_err(|_| LoadError::Busy)?;
            load.await.map_err(LoadError::Source)?
        };
        self.count("source");
        if let (Some(shared), Some(generations)) = (&self.shared, generations)
            && let Err(why) = shared.write(key, generations, value.as_ref()).await
        {
            self.failed(&why, "a value did not reach Redis");
        }
        Ok(self.entry(key, since, value))
    }

    fn entry(&self, key: &Key, since: u64, value: Option<V>) -> Entry<V> {
        let lives = if value.is_some() { key.lives().memory } else { key.lives().missing };
        let is_current = self.ended.is_current(key, since);
        Entry { value, lives: if is_current { lives } else { Duration::ZERO }, since }
    }

    async fn forget(&self, beginning: &str, is_key: bool) {
        self.ended.end(beginning);
        if is_key {
            self.memory.invalidate(beginning).await;
        }
        // The values of a wider scope count as absent, and go when they are read or when their time is over.
    }

    fn count(&self, tier: &str) {
        self.metrics.reads.with_label_values(&[self.name, tier]).inc();
    }

    fn failed(&self, why: &Unusable, what: &str) {
        match why {
            Unusable::Failed(why) => {
                self.metrics.failures.with_label_values(&[self.name]).inc();
                tracing::warn!(cache = self.name, why, "{what}");
            }
            Unusable::Paused => {}
        }
    }
}

/// Applies the invalidations of other replicas until the cache is gone.
async fn follow<V>(cache: std::sync::Weak<Inner<V>>, address: Address)
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    while cache.strong_count() > 0 {
        if let Err(error) = follow_once(&cache, &address).await {
            tracing::warn!(%error, "invalidations of other replicas do not arrive; trying again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_once<V>(cache: &std::sync::Weak<Inner<V>>, address: &Address) -> redis::RedisResult<()>
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let subscription = Primaries::of(address).await?.subscribe(&[CHANNEL], SUBSCRIBE_TIMEOUT).await?;
    let (mut pulse, mut messages) = subscription.split();
    if let Some(inner) = cache.upgrade() {
        // Invalidations of the time without a subscription are unknown.
        inner.ended.end_everything();
        inner.memory.invalidate_all();
    }
    let beats = async {
        let mut ticks = tokio::time::interval(PULSE);
        while cache.strong_count() > 0 {
            ticks.tick().await;
            pulse.beat(SUBSCRIBE_TIMEOUT).await?;
        }
        Ok(())
    };
    let changes = async {
        while let Some(message) = messages.next().await
            && let Some(inner) = cache.upgrade()
        {
            let text: String = message.get_payload()?;
            match text.strip_suffix('!') {
                Some(key) => inner.forget(key, true).await,
                None => inner.forget(&text, false).await,
            }
            inner.metrics.invalidations.with_label_values(&[inner.name, "other"]).inc();
        }
        Ok(())
    };
    // Side by side: an answer to a beat arrives among the messages.
    tokio::select! {
        ended = beats => ended,
        ended = changes => ended,
    }
}
