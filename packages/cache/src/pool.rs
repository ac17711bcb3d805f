//! Bounds the use of a source, such as the connections that one service may hold, and finds callers that never give back.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::metrics::Metrics;

/// The places of one service at one source.
#[derive(Clone, Debug)]
pub struct Pool {
    name: &'static str,
    places: Arc<Semaphore>,
    wait: Duration,
    longest: Duration,
    metrics: Metrics,
}

/// No place became free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all places of the pool {pool} are taken")]
pub struct Exhausted {
    pool: &'static str,
}

/// A place in use. It is free again when this is dropped.
#[derive(Debug)]
pub struct Checkout {
    _place: OwnedSemaphorePermit,
    watch: AbortHandle,
    pool: &'static str,
    metrics: Metrics,
}

impl Pool {
    /// Makes a pool of `size` places. A caller waits for one at most `wait`; one that keeps it for more than `longest` is
    /// logged with its place in the code, and counted.
    #[must_use]
    pub fn new(name: &'static str, size: usize, wait: Duration, longest: Duration, metrics: Metrics) -> Self {
        Self { name, places: Arc::new(Semaphore::new(size)), wait, longest, metrics }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Exhausted`].
    #[track_caller]
    pub fn checkout(&self) -> impl Future<Output = Result<Checkout, Exhausted>> + Send + use<> {
        let (pool, caller) = (self.clone(), Location::caller());
        async move {
            let place = tokio::time::timeout(pool.wait, Arc::clone(&pool.places).acquire_owned()).await;
            let Ok(Ok(place)) = place else {
                pool.metrics.exhausted.with_label_values(&[pool.name]).inc();
                return Err(Exhausted { pool: pool.name });
            };
            let Self { name, longest, metrics, .. } = pool;
            metrics.in_use.with_label_values(&[name]).inc();
            let overdue = metrics.overdue.with_label_values(&[name]);
            let watch = tokio::spawn(async move {
                tokio::time::sleep(longest).await;
                overdue.inc();
                tracing::error!(pool = name, held_by = %caller, "a place of the pool is held for more than {longest:?}");
            });
            Ok(Checkout { _place: place, watch: watch.abort_handle(), pool: name, metrics })
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.watch.abort();
        self.metrics.in_use.with_label_values(&[self.pool]).dec();
    }
}
