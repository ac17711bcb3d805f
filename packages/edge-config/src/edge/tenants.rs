//! The directory of tenants.

use std::path::PathBuf;
use std::time::Duration;

/// The directory of tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantDirectory {
    /// A YAML file, read again whenever it changes.
    File(PathBuf),
    /// The tenants service, queried for one tenant at a time.
    Service(TenantService),
}

impl TenantDirectory {
    /// The file, when tenants are listed in one.
    #[must_use]
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(file) => Some(file),
            Self::Service(_) => None,
        }
    }
}

/// The tenants service and the caches before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantService {
    /// Its gRPC address: `http://host:port`.
    pub url: String,
    /// Whether Redis (`REDIS_URL`) shares answers between replicas and pushes changes to them.
    pub redis: bool,
    /// How long an answer is kept in memory, 1 to 5 minutes.
    pub memory: Duration,
    /// How long an answer is kept in Redis, 5 to 60 minutes.
    pub shared: Duration,
    /// How long an unknown tenant is remembered, 1 to 60 seconds.
    pub negative: Duration,
    /// How long answers are trusted while the channel for pushed changes is silent, 2 to 60 seconds. Without Redis there is
    /// no such channel, and answers are trusted only this long.
    pub untrusted_after: Duration,
}
