//! The edge file in the form that decisions need: one lookup finds every route, by the name that Envoy sends.
//!
//! A snapshot belongs to one revision. Envoy sends with every check the revision from which its configuration
//! was rendered; an unknown revision is never guessed.

pub mod rule;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clock::UnixTime;
use edge_config::Edge;
use edge_config::edge::{
    AcceptedCredential, Answers, ApiKeys, EndsWith, Exposure, IdentityHeaders, LeasePolicy, LegacySessions,
    Marks, PathMatch, Policy, Sessions, TenantMatch, Webhook,
};
use identity::{Audience, ServiceName};

use crate::check::CheckInput;
use crate::failure::Failure;
use crate::snapshot::rule::Rule;

/// One route, with everything that a decision needs.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// The name of its policy.
    pub policy_name: Arc<str>,
    /// The requirements for a caller.
    pub policy: Policy,
    /// The exposure of its listener.
    pub exposure: Exposure,
    /// The `aud` of its identities: every backend that may receive its requests or copies of them.
    pub audience: Arc<Audience>,
    /// The answers to refused callers.
    pub answers: Arc<Answers>,
    /// Its limits, in the order of the edge file.
    pub limits: Vec<Rule>,
    /// Whether the kind of the caller's credential chooses the backend.
    pub has_kinds: bool,
    /// The marks by which Envoy chooses the backend.
    pub marks: Marks,
    /// The lease rules for an allow; absent when it may not be leased.
    pub lease: Option<LeasePolicy>,
    /// What ends its open requests.
    pub ends_with: EndsWith,
}

/// One revision of the edge.
#[derive(Debug)]
pub struct Snapshot {
    /// The name of the edge.
    pub edge: String,
    /// The revision.
    pub revision: String,
    /// The form of sessions.
    pub sessions: Option<Sessions>,
    /// The form of API keys.
    pub api_keys: Option<ApiKeys>,
    /// The form of legacy sessions.
    pub legacy_sessions: Option<LegacySessions>,
    /// How each sender of webhooks signs.
    pub webhooks: BTreeMap<String, Webhook>,
    /// The callers that are known by their certificates, by the names in them.
    pub holders: HashMap<String, ServiceName>,
    /// What backends learn about the caller, and under which names.
    pub identity: IdentityHeaders,
    /// Envoy's timeout for a decision.
    pub patience: Duration,
    routes: HashMap<String, Arc<Route>>,
}

/// An edge that is unusable for decisions. `edge_config` finds all of these faults first; here they are only
/// refused, so that no lookup can fail later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route {route}: {what}")]
pub struct UnusableEdge {
    /// The route.
    pub route: String,
    /// Its fault.
    pub what: String,
}

impl Snapshot {
    /// Prepares `edge`.
    ///
    /// # Errors
    /// [`UnusableEdge`], when a route names an entry that the edge does not have.
    pub fn new(edge: &Edge) -> Result<Self, UnusableEdge> {
        let answers: HashMap<&str, Arc<Answers>> =
            edge.answers.iter().map(|(name, answers)| (name.as_str(), Arc::new(answers.clone()))).collect();
        let rules: HashMap<&str, Rule> =
            edge.limits.iter().map(|(name, limit)| (name.as_str(), Rule::new(name, limit))).collect();
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
                .and_then(|host| edge.exposure_of(host))
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
                .map(|name| rules.get(name.as_str()).cloned())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| missing("no such limit"))?;
            let prepared = Route {
                name: Arc::from(route.name.as_str()),
                policy_name: Arc::from(route.policy.as_str()),
                policy: resolved(policy, &route.path),
                exposure,
                audience: Arc::new(audience),
                answers: Arc::clone(answers),
                limits,
                has_kinds: !route.destination.kinds.is_empty(),
                marks: edge.marks_of(route),
                lease: edge.lease_of(route).copied(),
                ends_with: edge.ends_with(route),
            };
            routes.insert(route.name.clone(), Arc::new(prepared));
        }
        Ok(Self {
            edge: edge.name.clone(),
            revision: edge.revision.0.clone(),
            sessions: edge.sessions.clone(),
            api_keys: edge.api_keys.clone(),
            legacy_sessions: edge.legacy_sessions.clone(),
            webhooks: edge.webhooks.clone(),
            holders: holders(edge),
            identity: edge.identity.clone(),
            patience: edge.authorizer.timeout,
            routes,
        })
    }

    /// The route named `name`.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }
}

/// The callers that are known by their certificates, by the names in them. The reader of the edge file gives callers names as
/// services have.
fn holders(edge: &Edge) -> HashMap<String, ServiceName> {
    let all = edge.client_certificates.iter();
    let names = all.flat_map(|(caller, holder)| holder.names.iter().map(move |name| (name, caller)));
    names.filter_map(|(name, caller)| Some((name.clone(), caller.parse().ok()?))).collect()
}

/// `policy` for a route with this path: a tenant that is named by a parameter is in the segment of that parameter. The check
/// of the edge file finds a path without it; here the policy would refuse every caller.
fn resolved(policy: &Policy, path: &PathMatch) -> Policy {
    let mut policy = policy.clone();
    if let Policy::Session(session) = &mut policy
        && let Some(TenantMatch::PathParameter(name)) = &session.tenant
        && let Some(position) = path.position_of(name)
    {
        session.tenant = Some(TenantMatch::PathSegment(position + 1));
    }
    policy
}

/// How many revisions are kept beside the newest. An Envoy that refuses a new configuration keeps an old one
/// indefinitely; within eight deployments an operator has noticed.
pub const KEPT: usize = 8;

/// The shortest time that a replaced revision is kept, even when more than [`KEPT`] came after it: time
/// enough for every Envoy to load the new one.
pub const KEPT_FOR: Duration = Duration::from_secs(600);

/// The most revisions that are kept, however quickly they follow each other: a thousand routes take a
/// megabyte.
pub const MAX_KEPT: usize = 64;

/// The revisions that this replica knows. All lookups go through here.
#[derive(Debug)]
pub struct Snapshots {
    known: ArcSwap<SnapshotHistory>,
}

#[derive(Debug)]
struct SnapshotHistory {
    newest: Arc<Snapshot>,
    /// The replaced revisions with the time of their replacement, the latest first.
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
    /// A collection with `snapshot` only.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            known: ArcSwap::from_pointee(SnapshotHistory { newest: Arc::new(snapshot), older: Vec::new() }),
        }
    }

    /// The newest revision.
    #[must_use]
    pub fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.known.load().newest)
    }

    /// Every known revision, the newest first.
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

    /// Makes `snapshot` the newest at `now`, in one step. Checks under the previous revisions are still
    /// decided, by their own rules, within [`KEPT`], [`KEPT_FOR`] and [`MAX_KEPT`]. Only one thread installs.
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
        self.known.store(Arc::new(SnapshotHistory { newest: Arc::new(snapshot), older }));
    }

    /// Finds the route of `input`.
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

    /// The route named `name` in the newest revision, for its refusals only, while no decision is possible.
    #[must_use]
    pub fn answers(&self, name: &str) -> Option<Arc<Answers>> {
        self.known.load().newest.route(name).map(|route| Arc::clone(&route.answers))
    }
}

#[cfg(test)]
mod tests;
