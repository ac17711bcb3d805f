//! Whether a service can do its work at the moment, for every kind of probe.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a probe waits for a dependency before it answers "not ready".
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Checks whether the service can do its work at the moment.
pub type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Whether `ready` says so within a second.
pub(crate) async fn answers(ready: &Ready) -> bool {
    tokio::time::timeout(PROBE_TIMEOUT, ready()).await.unwrap_or(false)
}
