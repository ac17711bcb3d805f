//! The state of tenants in Redis.
//!
//! `tenant:{id}:status` contains `run|version|status` and expires. *run* is the run id of the Redis that
//! accepted the write: after a restart (or a failover) a change may have been missed, so entries from before
//! are void. *version* grows with each change, so that an older answer that arrives late never replaces a
//! newer one.

use std::time::Duration;

use identity::TenantId;
use redis::aio::ConnectionLike;
use redis::{RedisResult, Script};
use serde::{Deserialize, Serialize};

/// The channel of published changes.
pub const CHANNEL: &str = "cutover:tenants";

/// Whether a tenant may use the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The tenant may use the product.
    Active,
    /// The tenant may not use it for now.
    Suspended,
    /// The tenant may never use it again.
    Deleted,
}

impl Standing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleted].into_iter().find(|standing| standing.as_str() == text)
    }
}

/// A state of a tenant, with its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The state.
    pub standing: Standing,
    /// The version of the state; a larger version is newer. Below 2^53, the largest exact integer in Lua.
    pub version: u64,
}

/// A published change: `{"tenant": ID, "status": "suspended", "version": 7}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The tenant.
    pub tenant: TenantId,
    /// The new state.
    pub status: Standing,
    /// The version of the new state.
    pub version: u64,
}

impl Change {
    /// Returns the new state with its version.
    #[must_use]
    pub const fn record(&self) -> Record {
        Record { standing: self.status, version: self.version }
    }
}

/// Returns the key of `tenant`.
#[must_use]
pub fn key(tenant: &TenantId) -> String {
    format!("tenant:{tenant}:status")
}

const READ: &str = r"
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local value = redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if not value or left <= 0 then return false end
local writer, version, status = string.match(value, '^(%x+)|(%d+)|(%l+)$')
if writer ~= run then return false end
return {status, version, tostring(left)}
";

/// Takes KEYS[1], then version, status, time to live in ms, and for an announcement channel and event.
const WRITE: &str = r"
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local value = redis.pcall('GET', KEYS[1])
local newer = false
if type(value) == 'string' then
  local writer, version = string.match(value, '^(%x+)|(%d+)|%l+$')
  newer = writer == run and tonumber(version) > tonumber(ARGV[1])
end
if not newer then
  redis.call('SET', KEYS[1], run .. '|' .. ARGV[1] .. '|' .. ARGV[2], 'PX', ARGV[3])
end
if ARGV[4] then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return newer and 0 or 1
";

/// Reads and writes the shared states.
#[derive(Debug)]
pub struct SharedTenants {
    read: Script,
    write: Script,
}

impl Default for SharedTenants {
    fn default() -> Self {
        Self { read: Script::new(READ), write: Script::new(WRITE) }
    }
}

impl SharedTenants {
    /// Returns the state of `tenant`, and for how long it may still be used.
    ///
    /// # Errors
    /// The error of Redis, also when the key holds a value of another type.
    pub async fn read(
        &self,
        redis: &mut impl ConnectionLike,
        tenant: &TenantId,
    ) -> RedisResult<Option<(Record, Duration)>> {
        let found: Option<(String, u64, u64)> = self.read.key(key(tenant)).invoke_async(redis).await?;
        Ok(found.and_then(|(status, version, left)| {
            let standing = Standing::read(&status)?;
            Some((Record { standing, version }, Duration::from_millis(left)))
        }))
    }

    /// Stores the source's answer about `tenant`, unless a newer one is stored.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn keep(
        &self,
        redis: &mut impl ConnectionLike,
        tenant: &TenantId,
        record: Record,
        good_for: Duration,
    ) -> RedisResult<()> {
        let mut call = self.write.key(key(tenant));
        call.arg(record.version).arg(record.standing.as_str()).arg(millis(good_for));
        call.invoke_async::<u8>(redis).await.map(|_| ())
    }

    /// Publishes `change` to every replica, in one step with the shared state. The writer is the authority on
    /// tenants. It announces after its own store has the change, and repeats this until it succeeds.
    ///
    /// # Errors
    /// The error of Redis. It is then unknown whether the change was announced.
    pub async fn announce(
        &self,
        redis: &mut impl ConnectionLike,
        change: &Change,
        good_for: Duration,
    ) -> RedisResult<()> {
        let mut call = self.write.key(key(&change.tenant));
        call.arg(change.version).arg(change.status.as_str()).arg(millis(good_for));
        call.arg(CHANNEL).arg(serde_json::to_string(change).map_err(std::io::Error::from)?);
        call.invoke_async::<u8>(redis).await.map(|_| ())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
