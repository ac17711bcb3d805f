//! The inputs of an assembly, and the reasons why it can fail.

use std::io;
use std::path::PathBuf;

use identity::keyset::KeyFileError;
use prometheus::IntCounter;

use crate::credential::cache::NoRandomness;
use crate::credential::opaque::Queries;
use crate::settings::RedisUrl;
use crate::snapshot::UnusableEdge;
use crate::tenant::service::UnusableAddress;

/// The inputs of [`assemble`](super::assemble) beside the edge.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The key that signs identities.
    pub identity_key: PathBuf,
    /// The capacity of the token cache.
    pub token_cache: usize,
    /// The capacity of the identity cache.
    pub identity_cache: usize,
    /// The room for revoked sessions, and for persons and tenants beside them.
    pub revocations: usize,
    /// Whether introspection endpoints are queried.
    pub introspection: Queries,
    /// Whether leases are granted.
    pub leases: bool,
    /// Counts log lines that were dropped, see [`dropped_log_lines`](super::dropped_log_lines).
    pub dropped_log_lines: IntCounter,
    /// The Redis that replicas share.
    pub redis: Option<RedisUrl>,
}

/// Why the authorizer cannot be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The edge is unusable for decisions.
    #[error(transparent)]
    Edge(#[from] UnusableEdge),
    /// The private key is missing or unusable.
    #[error(transparent)]
    IdentityKey(#[from] KeyFileError),
    /// The HTTP client for keys failed.
    #[error("{0}")]
    KeyUrl(String),
    /// The HTTP client for an introspection endpoint failed.
    #[error("{0}")]
    Introspection(String),
    /// The verifier of legacy sessions failed.
    #[error("legacy_sessions: {0}")]
    Legacy(String),
    /// The system returned no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The system could not start a thread.
    #[error("cannot start a thread to watch a source: {0}")]
    Thread(#[from] io::Error),
    /// `REDIS_URL` is not a valid address.
    #[error(transparent)]
    RedisUrl(#[from] validity::UnusableUrl),
    /// The edge file requires Redis and none is set.
    #[error("`tenants` has `redis: true` and REDIS_URL is not set; set it, or remove the field")]
    NoRedis,
    /// Without shared memory, a signed request could be used once at each replica unnoticed.
    #[error(
        "`authorizer` has {0} replicas and `signatures` needs one nonce memory for all of them; set REDIS_URL, or run one replica"
    )]
    NoncesApart(u32),
    /// The address of the tenants service is invalid.
    #[error(transparent)]
    Tenants(#[from] UnusableAddress),
    /// Two metrics have one name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}
