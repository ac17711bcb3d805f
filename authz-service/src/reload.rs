//! A new edge file takes effect without a restart, or not at all.
//!
//! The file is looked at like every other [`source`](crate::source): in force after at most 200 ms, however it
//! was replaced (written in place, renamed over, a symlink swapped). A new text is read and checked as a whole;
//! then one pointer changes. [`Snapshots`](crate::snapshot::Snapshots) goes on knowing the revisions before it,
//! because an Envoy that was not told yet still asks about them.
//!
//! | what the new file changes | then |
//! |---|---|
//! | routes, policies, limits, answers, hosts, backends, reserved names, how sessions look | in force at once |
//! | services: which there are, their keys, permissions and tenants, and who issues their tokens | in force at once, for every revision; a service whose key file is not there is closed until it is |
//! | the edge's name, where the authorizer answers, its replicas, how requests are signed, where session keys, tenants and revocations are | refused as a whole: these were opened at the start, so a restart is needed |
//! | nothing that makes sense | refused: the old file stays, every fault is in the log |
//!
//! A file that was refused is no revision: an Envoy that was rendered from it is answered 503
//! `unknown_revision` until somebody mends the file or restarts this service. Half of a file is never taken.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use clock::Clock;
use edge_config::Edge;
use edge_config::edge::Sessions;
use prometheus::IntCounter;

use crate::credential::assertion::{Assertions, FirstLook};
use crate::snapshot::{Snapshot, Snapshots};
use crate::source::{Hanging, Health, Source, Trouble, WatchedFile};

/// As large as `edge_config` reads one.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Looks up a variable of the environment, from any thread.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What came of the attempts to load the edge file, for `/readyz`.
#[derive(Debug, Default)]
pub struct Standing {
    trouble: ArcSwap<Option<Trouble>>,
    /// A look at the file that does not end.
    hanging: ArcSwap<Option<Trouble>>,
}

impl Standing {
    /// How the edge file is. A wrong one does not make a replica unready: it decides with the last good one.
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
    /// Unreadable or wrong: the old one stays.
    pub invalid: IntCounter,
    /// Right, but of no use without a restart: the old one stays.
    pub needs_restart: IntCounter,
}

/// Called for every load that takes effect and every one that is refused.
pub type Listener = Arc<dyn Fn(&Outcome<'_>) + Send + Sync>;

/// What came of one load.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// This snapshot is about to become the newest.
    Ready(&'a Snapshot),
    /// This revision is the newest now.
    Applied(&'a str),
    /// The file was refused, for this reason; this revision stays.
    Refused {
        /// The revision that stays.
        stays: &'a str,
        /// Every fault.
        why: &'a str,
    },
}

/// Where a loaded edge goes.
#[derive(Clone)]
pub struct Target {
    /// Where revisions are kept.
    pub snapshots: Arc<Snapshots>,
    /// Who believes services.
    pub assertions: Arc<Assertions>,
    /// What is counted of loads.
    pub results: Results,
    /// What `/readyz` says.
    pub standing: Arc<Standing>,
    /// Who wants to know.
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
    /// Follows `path`, which `current` was read from, into `target`.
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

    fn refuse(&self, refusal: &Refusal) {
        let Refusal { what, needs_restart } = refusal;
        if !Trouble::note(&self.target.standing.trouble, what.clone(), self.clock.now()) {
            return;
        }
        let results = &self.target.results;
        if *needs_restart { &results.needs_restart } else { &results.invalid }.inc();
        let stays = self.target.snapshots.newest().revision.clone();
        tracing::error!(file = %self.file.path().display(), stays, faults = what, "the new edge file is refused");
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
                return self.refuse(&Refusal { what, needs_restart: false });
            }
        };
        match self.load(&bytes) {
            Ok((edge, snapshot)) => {
                let Edge { services, service_tokens, .. } = &self.current;
                if (services, service_tokens) != (&edge.services, &edge.service_tokens) {
                    // Before the rules: whoever loses something loses it first, and nobody gains what no rule asks for.
                    self.target.assertions.install(&edge, FirstLook::Aside);
                }
                self.current = edge;
                if self.target.standing.trouble.load().is_some() {
                    self.target.standing.trouble.store(Arc::new(None));
                }
                // The file as it was at the start, or as it was before somebody broke it: nothing is new.
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
            Err(refusal) => self.refuse(&refusal),
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
                    "the edge file is not followed; the last good one decides"
                );
            }
        }))
    }
}

/// Which parts of the edge file differ that are only read at the start. Every field is named here, so that
/// somebody decides about the next one.
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
        tenants,
        comparator: _,
        limits: _,
        leases: _,
        policies: _,
        answers: _,
        reserved: _,
        internal_paths: _,
        routes: _,
        stats: _,
        // Envoy and the guard read these.
        default_answers: _,
        browser_origins: _,
    } = old;
    [
        ("`edge`", *name != new.name),
        // Whoever is not told otherwise listens on the first.
        ("`authorizer.address`", authorizer.listens() != new.authorizer.listens()),
        ("`authorizer.replicas`", authorizer.replicas != new.authorizer.replicas),
        (
            "`issuer`, `keys` or `algorithms` of `sessions`",
            keys(sessions.as_ref()) != keys(new.sessions.as_ref()),
        ),
        ("`sessions.revocations`", revocations(sessions.as_ref()) != revocations(new.sessions.as_ref())),
        ("`api_keys`", *api_keys != new.api_keys),
        ("`legacy_sessions`", *legacy_sessions != new.legacy_sessions),
        ("`tenants`", *tenants != new.tenants),
        ("`signatures`", *signatures != new.signatures),
    ]
    .into_iter()
    .filter_map(|(part, differs)| differs.then_some(part))
    .collect()
}

/// Where the keys of sessions are: opened at the start.
fn keys(sessions: Option<&Sessions>) -> Option<impl PartialEq + '_> {
    sessions.map(|sessions| {
        let Sessions { cookie: _, bearer: _, issuers, revocations: _ } = sessions;
        issuers.iter().map(|one| (&one.issuer, &one.keys, &one.algorithms)).collect::<Vec<_>>()
    })
}

fn revocations(sessions: Option<&Sessions>) -> Option<&PathBuf> {
    sessions.and_then(|sessions| sessions.revocations.as_ref())
}
