//! What an assembly needs, and why there can be none.

use std::io;
use std::path::PathBuf;

use identity::keyset::KeyFileError;
use prometheus::IntCounter;

use crate::credential::cache::NoRandomness;
use crate::settings::RedisUrl;
use crate::snapshot::UnusableEdge;
use crate::tenant::service::UnusableAddress;

/// What [`assemble`](super::assemble) needs beside the edge.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The key that identities are signed with.
    pub identity_key: PathBuf,
    /// How many verified tokens are remembered.
    pub token_cache: usize,
    /// How many signed identities are remembered.
    pub identity_cache: usize,
    /// How many revoked sessions are held, and how many persons and tenants beside them.
    pub revocations: usize,
    /// Whether allows may be used again where a policy says so.
    pub leases: bool,
    /// Counts log lines that were dropped, see [`dropped_log_lines`](super::dropped_log_lines).
    pub dropped_log_lines: IntCounter,
    /// The Redis that replicas share.
    pub redis: Option<RedisUrl>,
}

/// Why nothing can be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The edge cannot be decided on.
    #[error(transparent)]
    Edge(#[from] UnusableEdge),
    /// The private key is missing or of no use.
    #[error(transparent)]
    IdentityKey(#[from] KeyFileError),
    /// The address of Redis.
    #[error("REDIS_URL cannot be used ({0}); write redis://HOST:PORT")]
    Limits(#[from] redis::RedisError),
    /// The HTTP client for keys.
    #[error("{0}")]
    KeyUrl(String),
    /// What the legacy is asked with.
    #[error("legacy_sessions: {0}")]
    Legacy(String),
    /// The address of the Redis that remembers nonces.
    #[error("{0}")]
    Nonces(String),
    /// The system gave no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The system gave no thread.
    #[error("no thread to watch a source with: {0}")]
    Thread(#[from] io::Error),
    /// `REDIS_URL` is no address.
    #[error(transparent)]
    RedisUrl(#[from] validity::UnusableUrl),
    /// The edge file wants Redis and there is none.
    #[error("`tenants` has `redis: true` and REDIS_URL is not set; set it, or remove the field")]
    NoRedis,
    /// Nobody would notice a signed request that is used at each replica once.
    #[error(
        "`authorizer` has {0} replicas and `signatures` needs one memory of what was used; set REDIS_URL, or run one"
    )]
    NoncesApart(u32),
    /// The tenants service has no address.
    #[error(transparent)]
    Tenants(#[from] UnusableAddress),
    /// Two metrics of one name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}
