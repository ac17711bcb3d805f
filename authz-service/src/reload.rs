//! Applies a new edge file without a restart, or refuses it as a whole.
//!
//! The file is polled like every other [`source`](crate::source): it takes effect after at most 200 ms,
//! however it was replaced (written in place, renamed over, a symlink swapped). A new text is read and
//! checked as a whole; then one pointer changes. [`Snapshots`](crate::snapshot::Snapshots) keeps the previous
//! revisions, because an Envoy without the new one still sends checks under them.
//!
//! | what the new file changes | then |
//! |---|---|
//! | routes, policies, limits, answers, hosts, backends, reserved names, the form of sessions | in force at once |
//! | services: their names, keys, permissions and tenants, and the issuers of their tokens | in force at once, for every revision; a service whose key file is missing is closed until the file exists |
//! | the edge's name, the authorizer's address, its replicas, the rules for signed requests, the sources of session keys, tenants and revocations | refused as a whole: these are opened at the start, so a restart is needed |
//! | the file becomes invalid | refused: the old file stays in force, and the log has every fault |
//!
//! A refused file is not a revision: an Envoy that was rendered from it receives 503 `unknown_revision` until
//! the file is fixed or this service is restarted. A file is never applied in part.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use clock::Clock;
use edge_config::Edge;
use edge_config::edge::{Endpoint, LegacySessions, SecretEncoding, Sessions, Tracing, Webhook, WebhookHash};
use prometheus::IntCounter;
use serde::Serialize;

use crate::credential::assertion::{Assertions, FirstLook};
use crate::snapshot::{Snapshot, Snapshots};
use crate::source::file::WatchedFile;
use crate::source::trouble::Trouble;
use crate::source::{Hanging, Health, Source};

/// The same limit as in `edge_config`.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Looks up an environment variable, from any thread.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The state of the edge file and its reloads, for `/readyz`.
#[derive(Debug, Default)]
pub struct FileState {
    trouble: ArcSwap<Option<Trouble>>,
    refused: ArcSwap<Option<Refused>>,
    /// A poll of the file that does not end.
    hanging: ArcSwap<Option<Trouble>>,
}

/// A newer edge file that was refused: `cutover render --watch` does not wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The revision that the file would have had.
    pub revision: String,
    /// Why it was refused.
    pub why: String,
}

impl FileState {
    /// The newer file that is refused at present, if there is one.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        self.refused.load().as_ref().clone()
    }

    /// The state of the edge file. An invalid one does not make a replica unready: it decides with the last
    /// good one.
    #[must_use]
    pub fn health(&self, snapshots: &Snapshots) -> Health {
        let mut detail =
            format!("revision {}, {} known", snapshots.newest().revision, snapshots.revisions().len());
        if let Some(trouble) = self.trouble.load().as_ref() {
            detail.push_str(&format!(
                "; a newer file is refused since {}: {}",
                trouble.since().seconds(),
                trouble.what()
            ));
        }
        if let Some(hanging) = self.hanging.load().as_ref() {
            detail.push_str(&format!(
                "; a change would not be seen since {}: {}",
                hanging.since().seconds(),
                hanging.what()
            ));
        }
        Health { ready: true, detail }
    }
}

/// Counts of loads: `authz_edge_reload_total{result}`.
#[derive(Clone, Debug)]
pub struct Results {
    /// Took effect.
    pub applied: IntCounter,
    /// Unreadable or invalid: the old file stays.
    pub invalid: IntCounter,
    /// Valid, but effective only after a restart: the old file stays.
    pub needs_restart: IntCounter,
}

/// Called for every load that takes effect and every one that is refused.
pub type Listener = Arc<dyn Fn(&Outcome<'_>) + Send + Sync>;

/// The outcome of one load.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// This snapshot is about to become the newest.
    Ready(&'a Snapshot),
    /// This revision is the newest now.
    Applied(&'a str),
    /// The file was refused, for this reason; the current revision stays.
    Refused {
        /// The revision that stays in force.
        stays: &'a str,
        /// Every fault.
        why: &'a str,
    },
}

/// The parts that a loaded edge updates.
#[derive(Clone)]
pub struct Target {
    /// The known revisions.
    pub snapshots: Arc<Snapshots>,
    /// The verifier of services.
    pub assertions: Arc<Assertions>,
    /// Counters of loads.
    pub results: Results,
    /// The state for `/readyz`.
    pub standing: Arc<FileState>,
    /// The listener for outcomes.
    pub listener: Listener,
}

/// Loads the edge file again whenever it changes.
pub struct EdgeFile {
    file: WatchedFile,
    environment: Environment,
    clock: Arc<dyn Clock>,
    current: Edge,
    target: Target,
}

impl fmt::Debug for EdgeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeFile").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

impl EdgeFile {
    /// Watches `path`, from which `current` was read, and updates `target`.
    #[must_use]
    pub fn new(
        path: &Path,
        environment: Environment,
        current: Edge,
        clock: Arc<dyn Clock>,
        target: Target,
    ) -> Self {
        Self { file: WatchedFile::new(path, MAX_BYTES), environment, clock, current, target }
    }

    fn load(&self, bytes: &[u8]) -> Result<(Edge, Snapshot), Refusal> {
        let invalid = |what: String| Refusal { what, needs_restart: false };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| invalid(format!("{}: not UTF-8", self.file.path().display())))?;
        let edge = edge_config::parse(self.file.path(), text, &*self.environment)
            .map_err(|faults| invalid(faults.to_string()))?;
        let changed = fixed_at_start(&self.current, &edge);
        if !changed.is_empty() {
            let what = format!(
                "{}: {} cannot change while the authorizer runs; restart it, or take the change back",
                self.file.path().display(),
                changed.join(", ")
            );
            return Err(Refusal { what, needs_restart: true });
        }
        let snapshot = Snapshot::new(&edge).map_err(|error| invalid(error.to_string()))?;
        Ok((edge, snapshot))
    }

    /// `text` is what was refused, as far as it could be read.
    fn refuse(&self, refusal: &Refusal, text: Option<&[u8]>) {
        let Refusal { what, needs_restart } = refusal;
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let refused = text.map(|text| Refused { revision: edge_config::revision(text).0, why: what.clone() });
        self.target.standing.refused.store(Arc::new(refused));
        if !Trouble::note(&self.target.standing.trouble, what.clone(), self.clock.now()) {
            return;
        }
        let results = &self.target.results;
        if *needs_restart { &results.needs_restart } else { &results.invalid }.inc();
        let stays = self.target.snapshots.newest().revision.clone();
        tracing::error!(file = %self.file.path().display(), stays, faults = what, "new edge file refused");
        (self.target.listener)(&Outcome::Refused { stays: &stays, why: what });
    }
}

struct Refusal {
    what: String,
    needs_restart: bool,
}

impl Source for EdgeFile {
    fn name(&self) -> &'static str {
        "edge"
    }

    fn poll(&mut self) {
        let looked = self.file.poll();
        if self.target.standing.hanging.load().is_some() {
            self.target.standing.hanging.store(Arc::new(None));
        }
        let bytes = match looked {
            Ok(None) => return,
            Ok(Some(bytes)) => bytes,
            Err(error) => {
                let what = format!("{}: {error}", self.file.path().display());
                return self.refuse(&Refusal { what, needs_restart: false }, None);
            }
        };
        match self.load(&bytes) {
            Ok((edge, snapshot)) => {
                let Edge { services, service_tokens, .. } = &self.current;
                if (services, service_tokens) != (&edge.services, &edge.service_tokens) {
                    // Before the rules: lost permissions are lost first, and none is gained before a rule
                    // requires it.
                    self.target.assertions.install(&edge, FirstLook::Aside);
                }
                self.current = edge;
                if self.target.standing.trouble.load().is_some() {
                    self.target.standing.trouble.store(Arc::new(None));
                    self.target.standing.refused.store(Arc::new(None));
                }
                // The file is as it was at the start, or before it was broken: no change.
                if self.target.snapshots.newest().revision == snapshot.revision {
                    return;
                }
                let revision = snapshot.revision.clone();
                (self.target.listener)(&Outcome::Ready(&snapshot));
                self.target.snapshots.install(snapshot, self.clock.now());
                self.target.results.applied.inc();
                tracing::info!(revision, routes = self.current.routes.len(), "a new edge file is in force");
                (self.target.listener)(&Outcome::Applied(&revision));
            }
            Err(refusal) => self.refuse(&refusal, Some(&bytes)),
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (path, clock) = (self.file.path().display().to_string(), Arc::clone(&self.clock));
        let standing = Arc::clone(&self.target.standing);
        Some(Box::new(move |what| {
            if Trouble::note(&standing.hanging, format!("{path}: {what}"), clock.now()) {
                tracing::error!(
                    file = path,
                    what,
                    "cannot watch the edge file; the last good one stays in force"
                );
            }
        }))
    }
}

fn collector(tracing: Option<&Tracing>) -> Option<&Endpoint> {
    tracing.map(|tracing| &tracing.collector)
}

/// The parts of the edge file that differ and are only read at the start. Every field is named here, so that
/// a new field forces a decision.
fn fixed_at_start(old: &Edge, new: &Edge) -> Vec<&'static str> {
    let Edge {
        name,
        revision: _,
        root_domain: _,
        listeners: _,
        admin: _,
        authorizer,
        backends: _,
        hosts: _,
        sessions,
        api_keys,
        legacy_sessions,
        services: _,
        service_tokens: _,
        signatures,
        webhooks,
        client_certificates: _,
        tenants,
        comparator: _,
        limits: _,
        leases: _,
        policies: _,
        answers: _,
        reserved: _,
        identity: _,
        request_id: _,
        internal_paths: _,
        absent_paths: _,
        routes: _,
        stats: _,
        // Only Envoy and the guard read these.
        default_answers: _,
        streams: _,
        tracing,
        browser_origins: _,
    } = old;
    [
        ("`edge`", *name != new.name),
        ("`collector` of `tracing`", collector(tracing.as_ref()) != collector(new.tracing.as_ref())),
        // Without a setting of its own the authorizer listens on the first address.
        ("`authorizer.address`", authorizer.listens() != new.authorizer.listens()),
        ("`authorizer.replicas`", authorizer.replicas != new.authorizer.replicas),
        (
            "`issuer`, `keys`, `algorithms` or `introspection` of `sessions`",
            keys(sessions.as_ref()) != keys(new.sessions.as_ref()),
        ),
        ("`sessions.revocations`", revocations(sessions.as_ref()) != revocations(new.sessions.as_ref())),
        ("`api_keys`", *api_keys != new.api_keys),
        ("`legacy_sessions`", verifier(legacy_sessions.as_ref()) != verifier(new.legacy_sessions.as_ref())),
        ("`tenants`", *tenants != new.tenants),
        ("`signatures`", *signatures != new.signatures),
        ("the secrets of `webhooks`", secrets(webhooks) != secrets(&new.webhooks)),
    ]
    .into_iter()
    .filter_map(|(part, differs)| differs.then_some(part))
    .collect()
}

/// The source of session keys, which is opened at the start.
fn keys(sessions: Option<&Sessions>) -> Option<impl PartialEq + '_> {
    sessions.map(|sessions| {
        let Sessions {
            issuers,
            opaque,
            cookie: _,
            reading: _,
            refresh_cookie: _,
            bearer: _,
            websocket_protocol: _,
            revocations: _,
        } = sessions;
        let signed = issuers.iter().map(|one| (&one.issuer, &one.keys, &one.algorithms)).collect::<Vec<_>>();
        let opaque = opaque.iter().map(|one| (&one.issuer, &one.endpoint)).collect::<Vec<_>>();
        (signed, opaque)
    })
}

/// The verifier of legacy sessions, which is set up at the start. The other fields are read for each request.
fn verifier(legacy: Option<&LegacySessions>) -> Option<impl PartialEq + '_> {
    legacy.map(|legacy| {
        let LegacySessions { cookie, refresh_cookie: _, end: _, tenant, role, verify } = legacy;
        (cookie, tenant, role, verify)
    })
}

/// The files of secrets, which are watched from the start. The other fields are read for each request.
fn secrets(webhooks: &BTreeMap<String, Webhook>) -> Vec<(String, Vec<PathBuf>, SecretEncoding, WebhookHash)> {
    let one = |(name, webhook): (&'_ String, &'_ Webhook)| {
        (name.clone(), webhook.secrets.clone(), webhook.encoding, webhook.hash)
    };
    webhooks.iter().map(one).collect()
}

fn revocations(sessions: Option<&Sessions>) -> Option<&PathBuf> {
    sessions.and_then(|sessions| sessions.revocations.as_ref())
}
