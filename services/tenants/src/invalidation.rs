//! Pushes changed states to the edge, through Redis ([`validity::tenant`]).
//!
//! A row of the outbox is written with the change, and a worker delivers it until Redis has it. Delivering it twice, or two
//! changes in the wrong order, is harmless: each carries its version, and a larger version wins.

use std::fmt;
use std::time::Duration;

use events::outbox::{Deliver, Item, Outcome};
use redis_connection::Connection;
use validity::tenant::{Change, SharedTenants};

use crate::error::Error;
use crate::tenant::Tenant;

/// The kind of the rows.
pub const KIND: &str = "tenant-state";

/// How long an announced state may be used in Redis: the default of `tenants.redis_seconds` in the edge file, whose replicas
/// write the same key after their own lookups.
const KEPT_FOR: Duration = Duration::from_secs(900);

/// Returns the payload and the idempotency key of the row about `tenant`.
///
/// # Errors
/// [`Error::Unreadable`], when the version is below 1, which this service never writes.
pub fn row(tenant: &Tenant) -> Result<(String, String), Error> {
    let version = u64::try_from(tenant.version).map_err(|error| Error::Unreadable(error.to_string()))?;
    let change = Change { tenant: tenant.id.into(), status: tenant.standing.at_the_edge(), version };
    let payload = serde_json::to_string(&change).map_err(|error| Error::Unreadable(error.to_string()))?;
    Ok((payload, format!("{KIND}:{}:{version}", tenant.id)))
}

/// Delivers the rows to Redis.
pub struct Invalidations {
    redis: Connection,
    shared: SharedTenants,
}

impl fmt::Debug for Invalidations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalidations").finish_non_exhaustive()
    }
}

impl Invalidations {
    /// Delivers to the Redis behind `redis`.
    #[must_use]
    pub fn new(redis: Connection) -> Self {
        Self { redis, shared: SharedTenants::default() }
    }
}

impl Deliver for Invalidations {
    fn kinds(&self) -> &'static [&'static str] {
        &[KIND]
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        let change: Change = match serde_json::from_str(&item.payload) {
            Ok(change) => change,
            Err(error) => return Outcome::Refused { error: format!("not a change of a tenant: {error}") },
        };
        let mut redis = self.redis.clone();
        match self.shared.announce(&mut redis, &change, KEPT_FOR).await {
            Ok(()) => Outcome::Delivered,
            Err(error) => Outcome::Unavailable { error: error.to_string() },
        }
    }
}
