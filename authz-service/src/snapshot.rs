//! The edge file as decisions need it: every route found in one look, by the name that Envoy sends.
//!
//! A snapshot belongs to one revision. Envoy says with every check which revision its configuration was
//! rendered from; a revision that is not here is never guessed at.

pub mod rule;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clock::UnixTime;
use edge_config::Edge;
use edge_config::edge::{
    AcceptedCredential, Answers, ApiKeys, Exposure, LeasePolicy, LegacySessions, Policy, Sessions,
};
use identity::Audience;

use crate::check::CheckInput;
use crate::failure::Failure;
use crate::snapshot::rule::Rule;

/// One route, with everything that a decision about it needs.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// The name of its policy.
    pub policy_name: Arc<str>,
    /// What a caller must be.
    pub policy: Policy,
    /// Who can reach the listener that it is on.
    pub exposure: Exposure,
    /// The `aud` of its identities: every backend that its requests or copies of them can go to.
    pub audience: Arc<Audience>,
    /// What a refused caller is told.
    pub answers: Arc<Answers>,
    /// How often, in the order of the edge file.
    pub limits: Vec<Rule>,
    /// How an allow may be used again; absent when it may not.
    pub lease: Option<LeasePolicy>,
}

/// One revision of the edge.
#[derive(Debug)]
pub struct Snapshot {
    /// The name of the edge.
    pub edge: String,
    /// Which revision.
    pub revision: String,
    /// How sessions are recognised.
    pub sessions: Option<Sessions>,
    /// In which header API keys come.
    pub api_keys: Option<ApiKeys>,
    /// How sessions of the legacy are recognised.
    pub legacy_sessions: Option<LegacySessions>,
    /// How long Envoy waits for a decision.
    pub patience: Duration,
    routes: HashMap<String, Arc<Route>>,
}

/// An edge that no decision could be made on. `edge_config` finds all of these first; here they are only
/// refused, so that a lookup cannot fail later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route {route}: {what}")]
pub struct UnusableEdge {
    /// Which route.
    pub route: String,
    /// What is wrong with it.
    pub what: String,
}

impl Snapshot {
    /// Prepares `edge`.
    ///
    /// # Errors
    /// [`UnusableEdge`], when a route names something that the edge does not have.
    pub fn new(edge: &Edge) -> Result<Self, UnusableEdge> {
        let answers: HashMap<&str, Arc<Answers>> =
            edge.answers.iter().map(|(name, answers)| (name.as_str(), Arc::new(answers.clone()))).collect();
        let mut routes = HashMap::with_capacity(edge.routes.len());
        for route in &edge.routes {
            let missing = |what: &str| UnusableEdge { route: route.name.clone(), what: what.to_owned() };
            let policy = edge.policies.get(&route.policy).ok_or_else(|| missing("no such policy"))?;
            let audience = route
                .answering()
                .into_iter()
                .map(|name| edge.backends.get(name).map(|backend| backend.audience.as_str()))
                .collect::<Option<Audience>>()
                .ok_or_else(|| missing("no such backend"))?;
            let answers = answers.get(route.answers.as_str()).ok_or_else(|| missing("no such answers"))?;
            let exposure = edge
                .hosts
                .get(&route.host)
                .and_then(|host| edge.listeners.get(&host.listener))
                .map(|listener| listener.exposure)
                .ok_or_else(|| missing("no such host or listener"))?;
            if let Policy::Session(policy) = policy {
                let lacks = |kind, there: bool| policy.accepts(kind) && !there;
                if lacks(AcceptedCredential::Session, edge.sessions.is_some()) {
                    return Err(missing("its policy needs a session, and the edge has no `sessions`"));
                }
                if lacks(AcceptedCredential::ApiKey, edge.api_keys.is_some()) {
                    return Err(missing("its policy accepts API keys, and the edge has no `api_keys`"));
                }
                if lacks(AcceptedCredential::LegacySession, edge.legacy_sessions.is_some()) {
                    return Err(missing("its policy accepts legacy sessions, and the edge has none"));
                }
            }
            let limits = route
                .limits
                .iter()
                .map(|name| Some(Rule { name: Arc::from(name.as_str()), limit: *edge.limits.get(name)? }))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| missing("no such limit"))?;
            let prepared = Route {
                name: Arc::from(route.name.as_str()),
                policy_name: Arc::from(route.policy.as_str()),
                policy: policy.clone(),
                exposure,
                audience: Arc::new(audience),
                answers: Arc::clone(answers),
                limits,
                lease: edge.lease_of(route).copied(),
            };
            routes.insert(route.name.clone(), Arc::new(prepared));
        }
        Ok(Self {
            edge: edge.name.clone(),
            revision: edge.revision.0.clone(),
            sessions: edge.sessions.clone(),
            api_keys: edge.api_keys.clone(),
            legacy_sessions: edge.legacy_sessions.clone(),
            patience: edge.authorizer.timeout,
            routes,
        })
    }

    /// The route `name`.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }
}

/// How many revisions are kept beside the newest. An Envoy that refuses a new configuration stays at an old
/// one for as long as it likes; eight deployments later somebody has noticed.
pub const KEPT: usize = 8;

/// A revision is kept for at least so long after it was replaced, even when more than [`KEPT`] came after it:
/// time enough for every Envoy to take the new one.
pub const KEPT_FOR: Duration = Duration::from_secs(600);

/// However quickly they follow each other, no more than this many are kept: a thousand routes take a megabyte.
pub const MAX_KEPT: usize = 64;

/// The revisions that this replica knows. All lookups go through here.
#[derive(Debug)]
pub struct Snapshots {
    known: ArcSwap<Known>,
}

#[derive(Debug)]
struct Known {
    newest: Arc<Snapshot>,
    /// What was the newest before, the latest first, and when it was replaced.
    older: Vec<(Arc<Snapshot>, UnixTime)>,
}

/// A route and the snapshot that it is in. Only [`Snapshots::locate`] makes one: Envoy and this replica agree
/// on revision, route and policy.
#[derive(Clone, Debug)]
pub struct Located {
    snapshot: Arc<Snapshot>,
    route: Arc<Route>,
}

impl Located {
    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The route.
    #[must_use]
    pub const fn route(&self) -> &Arc<Route> {
        &self.route
    }
}

impl Snapshots {
    /// Knows `snapshot` only.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { known: ArcSwap::from_pointee(Known { newest: Arc::new(snapshot), older: Vec::new() }) }
    }

    /// The newest revision.
    #[must_use]
    pub fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.known.load().newest)
    }

    /// Every revision that is known, the newest first.
    #[must_use]
    pub fn revisions(&self) -> Vec<String> {
        let known = self.known.load();
        let older = known.older.iter().map(|(snapshot, _)| &snapshot.revision);
        std::iter::once(&known.newest.revision).chain(older).cloned().collect()
    }

    /// The longest time that any Envoy waits for a decision.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let known = self.known.load();
        let older = known.older.iter().map(|(snapshot, _)| snapshot.patience);
        older.fold(known.newest.patience, Duration::max)
    }

    /// Makes `snapshot` the newest at `now`, in one step. The revisions before it are still decided about, by
    /// their own rules, within [`KEPT`], [`KEPT_FOR`] and [`MAX_KEPT`]. One thread installs.
    pub fn install(&self, snapshot: Snapshot, now: UnixTime) {
        let known = self.known.load();
        let mut older = Vec::with_capacity(known.older.len() + 1);
        older.push((Arc::clone(&known.newest), now));
        older.extend(known.older.iter().cloned());
        // Restoring an older file makes it the newest revision.
        older.retain(|(old, _)| old.revision != snapshot.revision);
        let mut position = 0;
        older.retain(|(_, replaced)| {
            position += 1;
            position <= KEPT || (position <= MAX_KEPT && now.since(*replaced) < KEPT_FOR)
        });
        self.known.store(Arc::new(Known { newest: Arc::new(snapshot), older }));
    }

    /// Finds the route that `input` is about.
    ///
    /// # Errors
    /// [`Failure::UnknownRevision`], [`Failure::UnknownRoute`] or [`Failure::PolicyMismatch`].
    pub fn locate(&self, input: &CheckInput<'_>) -> Result<Located, Failure> {
        let known = self.known.load();
        let snapshot = std::iter::once(&known.newest)
            .chain(known.older.iter().map(|(snapshot, _)| snapshot))
            .find(|snapshot| snapshot.revision == input.revision)
            .ok_or(Failure::UnknownRevision)?;
        let route = Arc::clone(snapshot.route(input.route).ok_or(Failure::UnknownRoute)?);
        if &*route.policy_name != input.policy {
            return Err(Failure::PolicyMismatch);
        }
        Ok(Located { snapshot: Arc::clone(snapshot), route })
    }

    /// Whether `route` has `policy` in `revision` and may be leased.
    #[must_use]
    pub fn leases(&self, revision: &str, route: &str, policy: &str) -> bool {
        let known = self.known.load();
        std::iter::once(&known.newest)
            .chain(known.older.iter().map(|(snapshot, _)| snapshot))
            .find(|snapshot| snapshot.revision == revision)
            .and_then(|snapshot| snapshot.route(route))
            .is_some_and(|route| &*route.policy_name == policy && route.lease.is_some())
    }

    /// The route that is called `name` in the newest revision, when all that is wanted is what its clients are
    /// told while nothing can be decided.
    #[must_use]
    pub fn answers(&self, name: &str) -> Option<Arc<Answers>> {
        self.known.load().newest.route(name).map(|route| Arc::clone(&route.answers))
    }
}

#[cfg(test)]
mod tests;
