//! What happened, for Prometheus. Without a registry the counters count all the same.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// The counters of caches and pools.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Reads by the tier that had the value: `memory`, `shared`, `source`.
    pub(crate) reads: IntCounterVec,
    /// Invalidations by who began them: `own`, `other`.
    pub(crate) invalidations: IntCounterVec,
    /// Invalidations that did not reach Redis, so that other replicas may have an old value for a while.
    pub(crate) lost: IntCounterVec,
    /// Failed questions to Redis.
    pub(crate) failures: IntCounterVec,
    /// Places of a pool in use.
    pub(crate) in_use: IntGaugeVec,
    /// Callers that found no place in time.
    pub(crate) exhausted: IntCounterVec,
    /// Places that were held for too long.
    pub(crate) overdue: IntCounterVec,
}

impl Metrics {
    /// Creates the counters, and lists them in `registry`.
    ///
    /// # Errors
    /// If the registry has counters of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let in_use = IntGaugeVec::new(Opts::new("pool_in_use", "Places in use"), &["pool"])?;
        registry.register(Box::new(in_use.clone()))?;
        Ok(Self {
            reads: counter("cache_reads_total", "Reads by the tier that had the value", &["cache", "tier"])?,
            invalidations: counter(
                "cache_invalidations_total",
                "Invalidations by origin",
                &["cache", "from"],
            )?,
            lost: counter(
                "cache_invalidations_lost_total",
                "Invalidations that did not reach Redis",
                &["cache"],
            )?,
            failures: counter("cache_redis_failures_total", "Failed requests to Redis", &["cache"])?,
            in_use,
            exhausted: counter("pool_exhausted_total", "Callers that found no place in time", &["pool"])?,
            overdue: counter("pool_overdue_total", "Places that were held for too long", &["pool"])?,
        })
    }
}
