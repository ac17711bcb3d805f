//! The sources of a single tenant's state.

use std::time::Duration;

use identity::TenantId;
use prometheus::IntCounter;
use tokio::time::Instant;
use validity::tenant::{Record, Standing};

/// The known state of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownTenant {
    /// Its state.
    pub standing: Standing,
    /// How long the state is valid without further news; absent when it is valid for as long as the directory
    /// is fresh.
    pub until: Option<Instant>,
}

/// The answer of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantReply {
    /// The state, or that there is no such tenant.
    pub record: Option<Record>,
    /// How much longer the answer may be used, when it came from a cache.
    pub good_for: Option<Duration>,
}

/// Why a source has no answer. Never cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// It cannot be reached, or refuses the lookup.
    #[error("it cannot be reached")]
    Down,
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Slow,
    /// It returned an invalid response.
    #[error("it returned an invalid response")]
    Wrong,
    /// Too many lookups are open.
    #[error("too many lookups are open")]
    Busy,
}

impl SourceFault {
    /// The stable code, for metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow => "slow",
            Self::Wrong => "wrong",
            Self::Busy => "busy",
        }
    }
}

/// Counts lookups in one layer of the tenant directory.
#[derive(Clone, Debug)]
pub struct LookupCounts {
    /// The layer had an answer.
    pub hit: IntCounter,
    /// The layer had none, and the next one had.
    pub miss: IntCounter,
    /// The layer, or the next one, failed.
    pub failed: IntCounter,
}

/// A directory that answers for one tenant at a time: the service itself, or Redis before it.
#[tonic::async_trait]
pub trait TenantSource: std::fmt::Debug + Send + Sync + 'static {
    /// The state of `tenant`. Answers or fails within a bounded time.
    async fn look_up(&self, tenant: &TenantId) -> Result<TenantReply, SourceFault>;
}
