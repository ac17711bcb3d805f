//! Nonces in Redis, for every replica.
//!
//! One script does it in one round trip: it reads when this Redis began to remember, and takes the nonce if
//! it is free. The beginning is stored there too; when it is lost, so are nonces, and the memory begins
//! again. Run the Redis with `maxmemory-policy noeviction`: an evicted nonce can be used again.

use std::fmt;
use std::time::Duration;

use ::redis::Script;
use clock::{Clock, UnixTime};
use redis_connection::{Address, Bounds, Connection};

use super::{Spent, Window};
use crate::failure::Failure;

/// A nearby Redis answers within a millisecond. Envoy waits 200 ms for the whole decision.
const PATIENCE: Duration = Duration::from_millis(50);
/// The pause between attempts to record the beginning.
const RETRY: Duration = Duration::from_millis(500);

/// 0: taken, 1: used before, 2: this memory began too late to know. `created` is compared here, because only
/// the script sees `since` and the nonce in the same moment.
const SPEND: &str = "
local since = redis.call('GET', KEYS[1])
if not since then
  redis.call('SET', KEYS[1], ARGV[1])
  return 2
end
if tonumber(ARGV[2]) <= tonumber(since) then return 2 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 0 end
return 1
";

/// The memory.
pub struct Redis {
    connection: Connection,
    script: Script,
    /// Both keys carry it as their hash tag, so that a cluster keeps them on one node.
    space: String,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("space", &self.space).finish_non_exhaustive()
    }
}

impl Redis {
    pub(super) fn new(address: &Address, edge: &str) -> Self {
        Self {
            connection: Connection::new(address, Bounds::answer(PATIENCE)),
            script: Script::new(SPEND),
            space: format!("{{signed:{edge}}}"),
        }
    }

    /// The key of the memory's beginning, in the one place that every replica sees.
    fn since(&self) -> String {
        format!("{}:since", self.space)
    }

    pub(super) async fn begin(&self, clock: &dyn Clock) {
        loop {
            let attempt = async {
                let mut connection = self.connection.clone();
                let now = clock.now().millis();
                let mut command = ::redis::cmd("SET");
                command.arg(self.since()).arg(now).arg("NX");
                command.query_async::<()>(&mut connection).await
            };
            match tokio::time::timeout(PATIENCE * 2, attempt).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::warn!(%error, "the nonce memory is not available yet"),
                Err(_) => tracing::warn!("the nonce memory is not available yet: Redis does not answer"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    pub(super) async fn spend(
        &self,
        key: &str,
        nonce: &str,
        window: Window,
        now: UnixTime,
    ) -> Result<Spent, Failure> {
        // The clock of another replica may be behind by the tolerance, and accept the signature for that much
        // longer.
        let remembered = window.closes.plus(window.skew).since(now).as_millis().max(1);
        let created = window.created.since(UnixTime::from_millis(0)).saturating_sub(window.skew);
        let attempt = async {
            let mut connection = self.connection.clone();
            self.script
                .key(self.since())
                .key(format!("{}:nonce:{key}:{nonce}", self.space))
                .arg(now.millis())
                .arg(u64::try_from(created.as_millis()).unwrap_or(u64::MAX))
                .arg(u64::try_from(remembered).unwrap_or(u64::MAX))
                .invoke_async::<u8>(&mut connection)
                .await
        };
        match tokio::time::timeout(PATIENCE, attempt).await {
            Ok(Ok(0)) => Ok(Spent::Fresh),
            Ok(Ok(1)) => Ok(Spent::Replayed),
            Ok(Ok(_)) => {
                tracing::warn!(
                    "the nonce memory began after a signature was made; the client must sign again"
                );
                Err(Failure::NoncesUnavailable)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the nonce memory is unavailable");
                Err(Failure::NoncesUnavailable)
            }
            Err(_) => {
                tracing::warn!("the nonce memory is unavailable: Redis does not answer");
                Err(Failure::NoncesUnavailable)
            }
        }
    }
}
