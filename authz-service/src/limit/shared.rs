//! Counters in Redis, shared by all replicas.
//!
//! One script ([`SCRIPT`]) checks all limits of a request in one round trip. All keys of an edge have one
//! hash tag, so a cluster keeps them on one shard and the script sees them together. Redis must not evict
//! (`maxmemory-policy noeviction`, its default): every key has its own time to live.
//!
//! The cost of a slow or dead Redis: a request waits at most [`PATIENCE`], and after a failure none queries
//! Redis for [`PAUSE`]; then one request tries. So without Redis only one request in each second and replica
//! waits, besides those in flight when it failed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use edge_config::edge::Mode;
use prometheus::IntCounter;
use redis::Script;
use redis_connection::{Address, Bounds, Connection};

use crate::limit::charge::{Charged, Counted};
use crate::limit::gcra::Gcra;

/// How long a request waits for Redis. A response takes under a millisecond; Envoy waits 200 ms for the whole
/// decision.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// The pause after a failure, in which no request queries Redis.
pub const PAUSE: Duration = Duration::from_secs(1);

/// Checks a request against all of its limits.
pub const SCRIPT: &str = include_str!("weigh.lua");

/// Counters in Redis.
pub struct Shared {
    connection: Connection,
    script: Script,
    prefix: String,
    breaker: Breaker,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Shared {
    /// Counters of the edge `edge` in the Redis at `address`. Connects with the first request.
    #[must_use]
    pub fn new(address: &Address, edge: &str) -> Self {
        Self {
            // The next request tries again: the breaker decides about the pause.
            connection: Connection::new(address, Bounds::answer(PATIENCE)),
            script: Script::new(SCRIPT),
            prefix: format!("cutover:{{limits:{edge}}}"),
            breaker: Breaker::new(),
        }
    }

    /// Checks a request against each of `counted`: for each the microseconds to wait, 0 when it allows. When
    /// all allow, up to `more` requests are charged in advance, as [`in_advance`](crate::limit::in_advance)
    /// describes. `None` when Redis does not answer, or is not queried because it failed a moment ago.
    pub async fn charge(&self, counted: &[Counted<'_>], more: u64, failures: &IntCounter) -> Option<Charged> {
        let attempt = self.breaker.attempt()?;
        let answer = tokio::time::timeout(PATIENCE, self.ask(counted, more)).await;
        let what = match answer {
            Ok(Ok((waits, taken, debts)))
                if waits.len() == counted.len() && debts.len() == counted.len() && taken <= more =>
            {
                attempt.succeeded();
                let bucket = |(one, debt): (&Counted<'_>, u64)| Gcra::of(&one.tier.quota).bucket(debt, 0);
                let buckets = counted.iter().zip(debts).map(bucket).collect();
                return Some(Charged { waits, buckets, taken });
            }
            Ok(Ok((waits, taken, _))) => {
                format!(
                    "{} answers for {} limits, {taken} of {more} charged in advance",
                    waits.len(),
                    counted.len()
                )
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        attempt.failed();
        failures.inc();
        tracing::warn!(what, "cannot count limits in Redis; this replica counts alone");
        None
    }

    /// For each of `counted` the microseconds to wait, how many were taken in advance, and for each the microseconds until
    /// its bucket is full again.
    async fn ask(
        &self,
        counted: &[Counted<'_>],
        more: u64,
    ) -> Result<(Vec<u64>, u64, Vec<u64>), redis::RedisError> {
        let mut connection = self.connection.clone();
        let mut invocation = self.script.prepare_invoke();
        for Counted { rule, tier, key, wider: _ } in counted {
            let Gcra { interval, burst } = Gcra::of(&tier.quota);
            let enforced = match rule.mode {
                Mode::Enforce => 1,
                Mode::Shadow => 0,
            };
            invocation
                .key(format!("{}:{}:{}", self.prefix, key.limit, key.of))
                .arg(interval)
                .arg(burst)
                .arg(enforced);
        }
        invocation.arg(more);
        invocation.invoke_async(&mut connection).await
    }
}

/// Lets every request query Redis, or after a failure one in each [`PAUSE`].
#[derive(Debug)]
struct Breaker {
    started: Instant,
    /// Milliseconds since `started` until which no request queries Redis; 0 while it works.
    closed_until: AtomicU64,
}

/// Permission for one query.
struct Attempt<'b>(&'b Breaker);

impl Breaker {
    fn new() -> Self {
        Self { started: Instant::now(), closed_until: AtomicU64::new(0) }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn pause(&self) -> u64 {
        self.elapsed().saturating_add(u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX))
    }

    fn attempt(&self) -> Option<Attempt<'_>> {
        let until = self.closed_until.load(Ordering::Acquire);
        if until == 0 {
            return Some(Attempt(self));
        }
        if self.elapsed() < until {
            return None;
        }
        // One of the current requests tries; the others continue as if it had already failed.
        self.closed_until
            .compare_exchange(until, self.pause(), Ordering::AcqRel, Ordering::Acquire)
            .ok()
            .map(|_| Attempt(self))
    }
}

impl Attempt<'_> {
    fn succeeded(self) {
        self.0.closed_until.store(0, Ordering::Release);
    }

    fn failed(self) {
        self.0.closed_until.store(self.0.pause(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let shared = Shared::new(&Address::parse("redis://:hunter2@127.0.0.1:1/").unwrap(), "dev");
        let shown = format!("{shared:?}");
        assert!(!shown.contains("hunter2") && shown.contains("{limits:dev}"), "{shown}");
    }

    #[test]
    fn after_a_failure_no_request_tries_until_the_pause_is_over_and_then_one() {
        let breaker = Breaker::new();
        let (one, other) = (breaker.attempt().unwrap(), breaker.attempt().unwrap());
        one.succeeded();
        other.failed();
        assert!(breaker.attempt().is_none());
        breaker.closed_until.store(1, Ordering::Release);
        while breaker.elapsed() < 1 {
            std::hint::spin_loop();
        }
        let trial = breaker.attempt().unwrap();
        assert!(breaker.attempt().is_none(), "one tries at a time");
        trial.succeeded();
        assert!(breaker.attempt().is_some());
    }
}
