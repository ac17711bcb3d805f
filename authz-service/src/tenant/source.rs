//! Where the state of one tenant can be asked for.

use std::time::Duration;

use identity::TenantId;
use prometheus::IntCounter;
use tokio::time::Instant;
use validity::tenant::{Record, Standing};

/// What is known of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its state.
    pub standing: Standing,
    /// How long that may be relied on when nobody says that it changed; absent when for as long as the directory is
    /// fresh.
    pub until: Option<Instant>,
}

/// What a source said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The state, or that there is no such tenant.
    pub record: Option<Record>,
    /// How much longer the answer may be used, when whoever gave it remembered it.
    pub good_for: Option<Duration>,
}

/// Why a source has no answer. Never remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// It cannot be reached, or refuses.
    #[error("it cannot be reached")]
    Down,
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Slow,
    /// It answered what no tenants service answers.
    #[error("it returned an invalid response")]
    Wrong,
    /// More questions are open than may be.
    #[error("too many questions are open")]
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

/// Counts of one layer of the tenant directory.
#[derive(Clone, Debug)]
pub struct LookupCounts {
    /// It had an answer.
    pub hit: IntCounter,
    /// It had none, and whoever is behind it had one.
    pub miss: IntCounter,
    /// It, or whoever is behind it, failed.
    pub failed: IntCounter,
}

/// A directory of tenants that is asked for one at a time: the service itself, or Redis before it.
#[tonic::async_trait]
pub trait TenantSource: std::fmt::Debug + Send + Sync + 'static {
    /// The state of `tenant`. Answers or fails within a bounded time.
    async fn look_up(&self, tenant: TenantId) -> Result<Answer, SourceFault>;
}
