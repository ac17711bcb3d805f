//! Counts of decisions, and the time that they took.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::core::Collector as _;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec};

use crate::decision::{ALLOWED, Decision, LEASED};
use crate::observe::metrics::register::Register;
use crate::snapshot::{Route, Snapshot, Snapshots};
use crate::verdict::Verdict;

/// A warm decision takes about 10 µs, a new token about 100 µs; a duration of 10 ms has a cause worth
/// finding.
const BUCKETS_SECONDS: [f64; 12] = [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1];

/// The `route` and `policy` of a check with an unknown route.
const UNKNOWN: &str = "unknown";

/// The policy and the counter of allows of each route of the newest revision.
type Allowed = HashMap<Arc<str>, (Arc<str>, IntCounter)>;

/// Everything that is counted by verdict.
#[derive(Debug)]
pub(super) struct DecisionCounts {
    decisions: IntCounterVec,
    /// The counter of allowed requests by route, so that warm traffic looks up no labels.
    allowed: ArcSwap<Allowed>,
    seconds: Seconds,
    limited: IntCounterVec,
    shadow: IntCounterVec,
    granted: IntCounterVec,
}

#[derive(Debug)]
struct Seconds {
    allow: Histogram,
    deny: Histogram,
    error: Histogram,
}

/// One row of the decision counts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// The route, `unknown` when Envoy named one that this replica does not have.
    pub route: String,
    /// The policy.
    pub policy: String,
    /// `allow`, `deny`, `error`, or `lease` for requests that the edge allowed by a lease.
    pub decision: String,
    /// The stable code of the reason.
    pub reason: String,
    /// The count.
    pub count: u64,
}

impl DecisionCounts {
    pub(super) fn new(register: &Register<'_>, snapshot: &Snapshot) -> Result<Self, prometheus::Error> {
        let decisions = register.counters(
            "authz_decisions_total",
            "Decisions by route, policy, decision and reason",
            &["route", "policy", "decision", "reason"],
        )?;
        let seconds = register.histograms(
            HistogramOpts::new("authz_decision_seconds", "Time spent in the authorizer by decision")
                .buckets(BUCKETS_SECONDS.to_vec()),
            &["decision"],
        )?;
        Ok(Self {
            allowed: ArcSwap::from_pointee(allowed(&decisions, snapshot)),
            decisions,
            seconds: Seconds {
                allow: seconds.with_label_values(&["allow"]),
                deny: seconds.with_label_values(&["deny"]),
                error: seconds.with_label_values(&["error"]),
            },
            limited: register.counters(
                "authz_limited_total",
                "Requests refused by a rate limit",
                &["route", "limit"],
            )?,
            shadow: register.counters(
                "authz_shadow_total",
                "Requests that a policy or limit in shadow would have refused",
                &["route", "kind", "name", "reason"],
            )?,
            granted: register.counters(
                "authz_leases_granted_total",
                "Leases granted",
                &["route", "policy"],
            )?,
        })
    }

    /// Counts for `snapshot` from now on, as the newest revision.
    pub(super) fn follow(&self, snapshot: &Snapshot) {
        self.allowed.store(Arc::new(allowed(&self.decisions, snapshot)));
    }

    /// Counts `verdict`, which took `time`.
    pub(super) fn record(&self, verdict: &Verdict, time: Duration) {
        if let Some(route) = &verdict.route {
            if verdict.lease.is_some() {
                self.granted.with_label_values(&[&*route.name, &*route.policy_name]).inc();
            }
            if let Some(limit) = verdict.limit() {
                self.limited.with_label_values(&[&*route.name, limit]).inc();
            }
            for shadowed in verdict.shadows.iter() {
                let labels = [&*route.name, shadowed.of.kind(), shadowed.of.name(), shadowed.reason];
                self.shadow.with_label_values(&labels).inc();
            }
        }
        let allowed = self.allowed.load();
        let (seconds, count) = match &verdict.decision {
            Decision::Allow(_) => {
                // An older revision may have another policy for the route: its counter is looked up.
                let same = |route: &Arc<Route>| {
                    let (policy, count) = allowed.get(&route.name)?;
                    (*policy == route.policy_name).then_some(count)
                };
                (&self.seconds.allow, verdict.route.as_ref().and_then(same))
            }
            Decision::Deny(_) => (&self.seconds.deny, None),
            Decision::Fail(_) => (&self.seconds.error, None),
        };
        seconds.observe(time.as_secs_f64());
        if let Some(count) = count {
            count.inc();
            return;
        }
        let (route, policy) = match &verdict.route {
            Some(route) => (&*route.name, &*route.policy_name),
            None => (UNKNOWN, UNKNOWN),
        };
        let labels = [route, policy, verdict.decision.as_str(), verdict.decision.code()];
        self.decisions.with_label_values(&labels).inc();
    }

    /// Counts `uses` requests that the edge, at `revision`, allowed on `route` by leases of `policy`. Routes
    /// and policies that no revision has count as unknown, so that a client cannot invent labels.
    pub(super) fn leased(&self, snapshots: &Snapshots, revision: &str, route: &str, policy: &str, uses: u64) {
        let is_known = snapshots.leases(revision, route, policy);
        let (route, policy) = if is_known { (route, policy) } else { (UNKNOWN, UNKNOWN) };
        self.decisions.with_label_values(&[route, policy, LEASED, ALLOWED]).inc_by(uses);
    }

    /// The decisions counted so far, without empty rows, sorted.
    #[must_use]
    pub(super) fn counts(&self) -> Vec<Count> {
        let mut rows = Vec::new();
        for family in self.decisions.collect() {
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let pair = metric.get_label().iter().find(|pair| pair.name() == name);
                    pair.map(|pair| pair.value().to_owned()).unwrap_or_default()
                };
                // The library keeps counters as floating point; these are whole numbers below 2^53.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number")]
                let count = metric.get_counter().get_value() as u64;
                if count > 0 {
                    rows.push(Count {
                        route: label("route"),
                        policy: label("policy"),
                        decision: label("decision"),
                        reason: label("reason"),
                        count,
                    });
                }
            }
        }
        rows.sort_by(|a, b| (&a.route, &a.decision, &a.reason).cmp(&(&b.route, &b.decision, &b.reason)));
        rows
    }
}

fn allowed(decisions: &IntCounterVec, snapshot: &Snapshot) -> Allowed {
    let one = |route: &Arc<Route>| {
        let child = decisions.with_label_values(&[&route.name, &route.policy_name, "allow", ALLOWED]);
        (Arc::clone(&route.name), (Arc::clone(&route.policy_name), child))
    };
    snapshot.routes().map(one).collect()
}
