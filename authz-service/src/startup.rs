//! From settings and an edge to an authorizer whose sources are watched.

mod stores;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clock::Clock;
use edge_config::Edge;
use edge_config::edge::KeySource;
use identity::assertion::Signer;
use identity::keyset::KeyFileError;
use prometheus::IntCounter;

use crate::admin::Admin;
use crate::admin::metrics::Metrics;
use crate::audit::{Audit, Sinks, broker};
use crate::authorizer::Authorizer;
use crate::credential::api_key::{ApiKeyFile, ApiKeyRing};
use crate::credential::assertion::{Assertions, ServiceKeys};
use crate::credential::cache::{NoRandomness, TokenCache};
use crate::credential::issuers::IssuerKeys;
use crate::credential::keys::KeyFormat;
use crate::credential::keys::file::KeyFile;
use crate::credential::keys::url::KeyUrl;
use crate::credential::legacy::LegacySessions;
use crate::credential::signed::SignedRequests;
use crate::credential::signed::keys::{SigningKeyFile, SigningKeys};
use crate::credential::signed::nonces::Nonces;
use crate::envoy::service::Checks;
use crate::identity_headers::IdentityWriter;
use crate::lease::Leases;
use crate::lease::ended::Ended;
use crate::limit::Limits;
use crate::limit::shared::Shared;
use crate::push::subscriber::Subscriber;
use crate::reload::{EdgeFile, Environment, Outcome, Target};
use crate::session::tenant_changes::TenantChanges;
use crate::settings::RedisUrl;
use crate::snapshot::{Snapshot, Snapshots, UnusableEdge};
use crate::source::Watchers;
use crate::telling::Telling;
use crate::telling::spans::{self, CannotExport, Exporting};
use crate::tenant::service::UnusableAddress;

/// What [`assemble`] needs beside the edge.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The key that identities are signed with.
    pub identity_key: PathBuf,
    /// How many verified tokens are remembered.
    pub token_cache: usize,
    /// How many signed identities are remembered.
    pub identity_cache: usize,
    /// Whether allows may be used again where a policy says so.
    pub leases: bool,
    /// Counts log lines that were dropped, see [`dropped_log_lines`].
    pub dropped_log_lines: IntCounter,
    /// The Redis that replicas share.
    pub redis: Option<RedisUrl>,
}

/// The count of dropped log lines. It is older than all other metrics, because the log opens first.
///
/// # Errors
/// When the name is not one that Prometheus allows: a defect.
pub fn dropped_log_lines() -> Result<IntCounter, prometheus::Error> {
    IntCounter::new("authz_log_lines_dropped_total", "Log lines dropped because nobody read them")
}

/// An authorizer that is ready to be served. The watchers stop when this is dropped.
#[derive(Debug)]
pub struct Assembled {
    /// The gRPC service.
    pub checks: Checks,
    /// The admin interface.
    pub admin: Admin,
    /// Keys behind URLs, to be run by the server; empty when all keys are in files.
    pub key_urls: Vec<KeyUrl>,
    /// The subscription to changes, to be run by the server; absent without Redis.
    pub subscriber: Option<Subscriber>,
    watchers: Watchers,
}

impl Assembled {
    /// Follows the edge file at `path`, which `edge` was read from, see [`reload`](crate::reload).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn follow(&mut self, path: &Path, environment: Environment, edge: &Edge) -> io::Result<()> {
        let telling = Arc::clone(&self.admin.telling);
        let target = Target {
            snapshots: Arc::clone(&self.admin.authorizer.snapshots),
            assertions: Arc::clone(&self.admin.authorizer.assertions),
            metrics: Arc::clone(&self.admin.metrics),
            standing: Arc::clone(&self.admin.edge_file),
            listener: Arc::new(move |outcome| {
                let Some(audit) = telling.audit() else { return };
                match *outcome {
                    Outcome::Applied(revision) => audit.edge_reload("applied", revision, None),
                    Outcome::Refused { stays, why } => audit.edge_reload("refused", stays, Some(why)),
                }
            }),
        };
        let clock = Arc::clone(&self.admin.clock);
        self.watchers.watch(EdgeFile::new(path, environment, edge.clone(), clock, target))
    }

    /// Opens the audit: to `file`, and to `broker` when there is one. Keep the sinks until everything is told.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open_audit(&self, file: &Path, broker: Option<broker::Address>) -> io::Result<Sinks> {
        let mut sinks = Sinks::default();
        let mut audit = Audit::new(Arc::clone(&self.admin.clock));
        audit.to_file(file, self.admin.metrics.audit("file"), &mut sinks)?;
        if let Some(address) = broker {
            audit.to_broker(address, self.admin.metrics.audit("amqp"), &mut sinks)?;
        }
        self.admin.telling.open(audit);
        Ok(sinks)
    }

    /// Sends a span for each decision to the collector at `endpoint`. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`CannotExport`].
    pub fn open_spans(&self, endpoint: &str) -> Result<Exporting, CannotExport> {
        let edge = self.admin.authorizer.snapshots.newest();
        let (spans, exporting) = spans::open(endpoint, &edge.edge, self.admin.metrics.spans())?;
        self.admin.telling.open_spans(spans);
        Ok(exporting)
    }

    /// Takes it apart; keep the watchers for as long as decisions are made.
    #[must_use]
    pub fn into_parts(self) -> (Checks, Admin, Vec<KeyUrl>, Option<Subscriber>, Watchers) {
        let Self { checks, admin, key_urls, subscriber, watchers } = self;
        (checks, admin, key_urls, subscriber, watchers)
    }
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

/// Assembles the authorizer for `edge`, reads every source once, and watches them from then on. A source that
/// is missing does not prevent the start: `/readyz` names it, and decisions that need it are refused. With Redis or a
/// tenants service it needs a tokio runtime around it.
///
/// # Errors
/// [`AssemblyError`], naming the file and the mend.
pub fn assemble(edge: &Edge, needs: &Needs, clock: &Arc<dyn Clock>) -> Result<Assembled, AssemblyError> {
    let snapshot = Snapshot::new(edge)?;
    let signer = Signer::from_file(&edge.name, &needs.identity_key)?;
    let metrics = Arc::new(Metrics::new(&snapshot, &needs.dropped_log_lines)?);
    let mut watchers = Watchers::default();
    let telling = Arc::new(Telling::default());

    // Before anything is read, so that nothing that ends later is missed.
    let ended = Arc::new(Ended::default());

    let keys = Arc::new(IssuerKeys::new(edge.sessions.as_ref(), &ended));
    let mut key_urls = Vec::new();
    for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.issuers) {
        let Some(ring) = keys.ring(&issuer.issuer) else { continue };
        let (ring, clock, reloads) = (Arc::clone(ring), Arc::clone(clock), metrics.reloads("keys"));
        let format = KeyFormat::of(issuer);
        match &issuer.keys {
            KeySource::File(path) | KeySource::Pem { path, .. } => {
                watchers.watch(KeyFile::new(path, ring, clock, reloads).reading(format))?;
            }
            KeySource::Url(url) => {
                let url = KeyUrl::new(url, ring, clock, reloads).map_err(AssemblyError::KeyUrl)?;
                key_urls.push(url.reading(format));
            }
        }
    }

    let mut api_keys = None;
    if let Some(rules) = &edge.api_keys {
        let ring = Arc::new(ApiKeyRing::default());
        let reloads = metrics.reloads("api_keys");
        watchers.watch(ApiKeyFile::new(&rules.file, Arc::clone(&ring), Arc::clone(clock), reloads))?;
        api_keys = Some(ring);
    }
    let legacy = match &edge.legacy_sessions {
        None => None,
        Some(rules) => {
            Some(Arc::new(LegacySessions::new(rules, metrics.legacy()).map_err(AssemblyError::Legacy)?))
        }
    };

    let assertions = Arc::new(Assertions::default());
    let reloads = metrics.reloads("services");
    watchers.watch(ServiceKeys::new(edge, Arc::clone(&assertions), Arc::clone(clock), reloads))?;

    let mut signed = None;
    if let Some(rules) = &edge.signatures {
        let keys = Arc::new(SigningKeys::default());
        let reloads = metrics.reloads("signing-keys");
        watchers.watch(SigningKeyFile::new(&rules.keys, Arc::clone(&keys), Arc::clone(clock), reloads))?;
        let nonces = match &needs.redis {
            Some(url) => Nonces::redis(&url.0, &edge.name).map_err(AssemblyError::Nonces)?,
            None if edge.authorizer.replicas > 1 => {
                return Err(AssemblyError::NoncesApart(edge.authorizer.replicas));
            }
            None => Nonces::embedded(clock.now()),
        };
        signed = Some(SignedRequests::new(rules.clone(), keys, nonces));
    }

    let stores = stores::assemble(edge, needs, clock, &metrics, &telling, &ended, &mut watchers)?;
    let stores::Stores { tenants, revocations, channel, subscriber } = stores;

    let shared = needs.redis.as_ref().map(|url| Shared::new(&url.0, &edge.name)).transpose()?;
    let authorizer = Arc::new(Authorizer {
        snapshots: Arc::new(Snapshots::new(snapshot)),
        keys,
        api_keys,
        legacy,
        tokens: TokenCache::new(needs.token_cache, metrics.token_hits.clone(), metrics.token_misses.clone())?,
        assertions,
        signed,
        revocations,
        tenants,
        tenant_changes: TenantChanges::new(metrics.tenant_changes.clone()),
        limits: Limits::new(shared, edge.authorizer.replicas, metrics.limits()),
        identities: IdentityWriter::new(
            signer,
            needs.identity_cache,
            metrics.identity_hits.clone(),
            metrics.identity_misses.clone(),
        ),
        leases: Leases { on: needs.leases, ended },
    });
    let checks =
        Checks::new(Arc::clone(&authorizer), Arc::clone(&metrics), Arc::clone(clock), Arc::clone(&telling));
    let admin = Admin {
        authorizer,
        metrics,
        clock: Arc::clone(clock),
        started: clock.now(),
        edge_file: Arc::default(),
        telling,
        draining: Arc::new(AtomicBool::new(false)),
        push: channel,
    };
    Ok(Assembled { checks, admin, key_urls, subscriber, watchers })
}
