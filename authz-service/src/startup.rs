//! Turns settings and an edge into an authorizer whose sources are watched.

pub mod needs;
mod stores;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clock::Clock;
use edge_config::Edge;
use edge_config::edge::KeySource;
use identity::assertion::Signer;
use prometheus::IntCounter;

use crate::admin::Admin;
use crate::authorizer::Authorizer;
use crate::credential::api_key::{self, ApiKeyRing};
use crate::credential::assertion::{Assertions, FirstLook};
use crate::credential::cache::TokenCache;
use crate::credential::issuers::IssuerKeys;
use crate::credential::keys::KeyFormat;
use crate::credential::keys::file;
use crate::credential::keys::url::KeyUrl;
use crate::credential::legacy::LegacySessions;
use crate::credential::opaque::OpaqueTokens;
use crate::credential::opaque::connection::connection;
use crate::credential::opaque::endpoint::Proof;
use crate::credential::opaque::secret::{ClientSecret, SecretFile};
use crate::credential::signed::SignedRequests;
use crate::credential::signed::keys::{SigningKeyFile, SigningKeys};
use crate::credential::signed::nonces::Nonces;
use crate::credential::webhook::Webhooks;
use crate::credential::webhook::secrets::{SecretFiles, Secrets};
use crate::ended::Ended;
use crate::envoy::service::Checks;
use crate::identity_headers::IdentityWriter;
use crate::lease::Leases;
use crate::limit::Limits;
use crate::limit::shared::Shared;
use crate::observe::Observers;
use crate::observe::audit::{Audit, Sinks, broker};
use crate::observe::metrics::Metrics;
use crate::observe::spans::{self, CannotExport, Exporting};
use crate::push::subscriber::Subscriber;
use crate::reload::{EdgeFile, Environment, Outcome, Target};
use crate::session::tenant_changes::TenantChanges;
use crate::snapshot::{Snapshot, Snapshots};
use crate::source::{Source, Watchers};
use crate::startup::needs::{AssemblyError, Needs};

/// The counter of dropped log lines. It exists before all other metrics, because the log opens first.
///
/// # Errors
/// When Prometheus does not allow the name: a defect.
pub fn dropped_log_lines() -> Result<IntCounter, prometheus::Error> {
    IntCounter::new("authz_log_lines_dropped_total", "Log lines dropped because stdout was not read")
}

/// An authorizer that is ready to be served. The watchers stop when this is dropped.
#[derive(Debug)]
pub struct Assembled {
    /// The gRPC service.
    pub checks: Checks,
    /// The admin interface.
    pub admin: Admin,
    /// Keys behind URLs, which the server fetches; empty when all keys are in files.
    pub key_urls: Vec<KeyUrl>,
    /// The subscription to changes, which the server runs; absent without Redis.
    pub subscriber: Option<Subscriber>,
    watchers: Watchers,
}

impl Assembled {
    /// Watches the edge file at `path`, from which `edge` was read, see [`reload`](crate::reload).
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn follow(&mut self, path: &Path, environment: Environment, edge: &Edge) -> io::Result<()> {
        let observers = Arc::clone(&self.admin.observers);
        let target = Target {
            snapshots: Arc::clone(&self.admin.authorizer.snapshots),
            assertions: Arc::clone(&self.admin.authorizer.assertions),
            results: observers.metrics.parts.edge_reloads.clone(),
            standing: Arc::clone(&self.admin.edge_file),
            listener: Arc::new(move |outcome| {
                match (*outcome, observers.audit()) {
                    // Before the first decision under it, so that its routes are counted from the first one
                    // on.
                    (Outcome::Ready(snapshot), _) => observers.metrics.follow(snapshot),
                    (Outcome::Applied(revision), Some(audit)) => {
                        audit.edge_reload("applied", revision, None);
                    }
                    (Outcome::Refused { stays, why }, Some(audit)) => {
                        audit.edge_reload("refused", stays, Some(why));
                    }
                    (Outcome::Applied(_) | Outcome::Refused { .. }, None) => {}
                }
            }),
        };
        let clock = Arc::clone(&self.admin.clock);
        self.watchers.watch(EdgeFile::new(path, environment, edge.clone(), clock, target))
    }

    /// Watches one more source for as long as decisions are made.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn watch(&mut self, source: impl Source) -> io::Result<()> {
        self.watchers.watch(source)
    }

    /// Opens the audit: to `file`, and to `broker` when there is one. Keep the sinks until every event is
    /// written.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn open_audit(&self, file: &Path, broker: Option<broker::Address>) -> io::Result<Sinks> {
        let mut sinks = Sinks::default();
        let mut audit = Audit::new(Arc::clone(&self.admin.clock));
        audit.to_file(file, self.admin.observers.metrics.parts.audit("file"), &mut sinks)?;
        if let Some(address) = broker {
            audit.to_broker(address, self.admin.observers.metrics.parts.audit("amqp"), &mut sinks)?;
        }
        self.admin.observers.open(audit);
        Ok(sinks)
    }

    /// Sends a span for each decision to the collector at `endpoint`. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`CannotExport`].
    pub fn open_spans(&self, endpoint: &str) -> Result<Exporting, CannotExport> {
        let edge = self.admin.authorizer.snapshots.newest();
        let (spans, exporting) =
            spans::open(endpoint, &edge.edge, self.admin.observers.metrics.parts.spans())?;
        self.admin.observers.open_spans(spans);
        Ok(exporting)
    }

    /// Takes the parts out; keep the watchers for as long as decisions are made.
    #[must_use]
    pub fn into_parts(self) -> (Checks, Admin, Vec<KeyUrl>, Option<Subscriber>, Watchers) {
        let Self { checks, admin, key_urls, subscriber, watchers } = self;
        (checks, admin, key_urls, subscriber, watchers)
    }
}

/// Assembles the authorizer for `edge`, reads every source once, and watches them from then on. A source that
/// is missing does not prevent the start: `/readyz` names it, and decisions that need it are refused. With Redis or a
/// tenants service it needs a tokio runtime around it.
///
/// # Errors
/// [`AssemblyError`], naming the file and the fix.
pub fn assemble(edge: &Edge, needs: &Needs, clock: &Arc<dyn Clock>) -> Result<Assembled, AssemblyError> {
    let snapshot = Snapshot::new(edge)?;
    let signer = Signer::from_file(&edge.name, &needs.identity_key)?;
    let metrics = Arc::new(Metrics::new(&snapshot, &needs.dropped_log_lines)?);
    let mut watchers = Watchers::default();
    let observers = Arc::new(Observers::new(Arc::clone(&metrics)));

    // Created before any source is read, so that no later invalidation is missed.
    let ended = Arc::new(Ended::default());

    let keys = Arc::new(IssuerKeys::new(edge.sessions.as_ref(), &ended));
    let mut key_urls = Vec::new();
    for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.issuers) {
        let Some(ring) = keys.ring(&issuer.issuer) else { continue };
        let (ring, clock, reloads) = (Arc::clone(ring), Arc::clone(clock), metrics.parts.reloads("keys"));
        let format = KeyFormat::of(issuer);
        match &issuer.keys {
            KeySource::File(path) | KeySource::Pem { path, .. } => {
                watchers.watch(file::follow(path, ring, format, clock, reloads))?;
            }
            KeySource::Url(url) => {
                let url = KeyUrl::new(url, ring, clock, reloads).map_err(AssemblyError::KeyUrl)?;
                key_urls.push(url.reading(format));
            }
            KeySource::Discovery(addresses) => {
                let url = KeyUrl::discovering(&issuer.issuer, addresses, ring, clock, reloads);
                key_urls.push(url.reading(format));
            }
        }
    }

    let mut opaque = OpaqueTokens::with(needs.introspection);
    for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.opaque) {
        let reloads = metrics.parts.reloads("introspection");
        let (connection, files) =
            connection(&issuer.endpoint, clock, &reloads).map_err(AssemblyError::Introspection)?;
        if let Some(files) = files {
            watchers.watch(files)?;
        }
        let mut secret = None;
        if let Some(path) = issuer.endpoint.client.secret() {
            let of_edge = Arc::new(ClientSecret::default());
            watchers.watch(SecretFile::new(path, Arc::clone(&of_edge), Arc::clone(clock), reloads))?;
            secret = Some(of_edge);
        }
        let questions = metrics.parts.introspections(&issuer.issuer);
        opaque.add(issuer, Proof { connection, secret }, questions);
    }

    let mut api_keys = None;
    if let Some(rules) = &edge.api_keys {
        let ring = Arc::new(ApiKeyRing::noting(&ended));
        let reloads = metrics.parts.reloads("api_keys");
        watchers.watch(api_key::follow(&rules.file, Arc::clone(&ring), Arc::clone(clock), reloads))?;
        api_keys = Some(ring);
    }
    let legacy = match &edge.legacy_sessions {
        None => None,
        Some(rules) => {
            Some(Arc::new(LegacySessions::new(rules, metrics.parts.legacy()).map_err(AssemblyError::Legacy)?))
        }
    };

    let reloads = metrics.parts.reloads("services");
    let assertions = Arc::new(Assertions::new(watchers.crew(), Arc::clone(clock), reloads));
    assertions.install(edge, FirstLook::Before);

    // One memory: the keys in it name their section.
    let remembers = edge.signatures.is_some() || !edge.webhooks.is_empty();
    let redis = needs.redis.as_ref().map(|url| validity::open(&url.0)).transpose()?;
    let nonces = Arc::new(match &redis {
        Some(address) if remembers => Nonces::redis(address, &edge.name),
        Some(_) | None => Nonces::embedded(clock.now()),
    });
    let mut signed = None;
    if let Some(rules) = &edge.signatures {
        let keys = Arc::new(SigningKeys::default());
        let reloads = metrics.parts.reloads("signing-keys");
        watchers.watch(SigningKeyFile::new(&rules.keys, Arc::clone(&keys), Arc::clone(clock), reloads))?;
        if redis.is_none() && edge.authorizer.replicas > 1 {
            return Err(AssemblyError::NoncesApart(edge.authorizer.replicas));
        }
        signed = Some(SignedRequests::new(rules.clone(), keys, Arc::clone(&nonces)));
    }
    let mut secrets = HashMap::new();
    for (name, webhook) in &edge.webhooks {
        let of_one = Arc::new(Secrets::default());
        let reloads = metrics.parts.reloads("webhooks");
        watchers.watch(SecretFiles::new(webhook, Arc::clone(&of_one), Arc::clone(clock), reloads))?;
        secrets.insert(name.clone(), of_one);
    }
    let webhooks = (!secrets.is_empty()).then(|| Webhooks::new(secrets, nonces));

    let stores = stores::assemble(edge, needs, redis.as_ref(), clock, &observers, &ended, &mut watchers)?;
    let stores::Stores { tenants, revocations, channel, subscriber } = stores;

    let shared = redis.as_ref().map(|address| Shared::new(address, &edge.name));
    let authorizer = Arc::new(Authorizer {
        snapshots: Arc::new(Snapshots::new(snapshot)),
        keys,
        opaque,
        api_keys,
        legacy,
        tokens: TokenCache::new(
            needs.token_cache,
            metrics.parts.tokens.hits.clone(),
            metrics.parts.tokens.misses.clone(),
        )?,
        assertions,
        signed,
        webhooks,
        revocations,
        tenants,
        tenant_changes: TenantChanges::new(metrics.parts.tenant_changes.clone()),
        limits: Limits::new(shared, edge.authorizer.replicas, metrics.parts.limits()),
        identities: IdentityWriter::new(
            signer,
            needs.identity_cache,
            metrics.parts.identities.hits.clone(),
            metrics.parts.identities.misses.clone(),
        ),
        leases: Leases { on: needs.leases, ended },
    });
    let checks = Checks::new(Arc::clone(&authorizer), Arc::clone(clock), Arc::clone(&observers));
    let admin = Admin {
        authorizer,
        clock: Arc::clone(clock),
        started: clock.now(),
        edge_file: Arc::default(),
        observers,
        draining: Arc::new(AtomicBool::new(false)),
        push: channel,
    };
    Ok(Assembled { checks, admin, key_urls, subscriber, watchers })
}
