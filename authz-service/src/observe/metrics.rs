//! Prometheus metrics. Every label value is bounded: names from the edge file and codes from the source.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::core::Collector as _;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::authorizer::Authorizer;
use crate::credential::legacy::answer::Questions;
use crate::decision::{ALLOWED, Decision, LEASED};
use crate::limit;
use crate::observe::{audit, spans};
use crate::push::subscriber::PushCounts;
use crate::reload::Results;
use crate::snapshot::{Route, Snapshot, Snapshots};
use crate::source::Reloads;
use crate::tenant::Tenants;
use crate::tenant::source::LookupCounts;
use crate::verdict::Verdict;

/// A warm decision takes about 10 µs, a new token about 100 µs; a duration of 10 ms has a cause worth
/// finding.
const BUCKETS_SECONDS: [f64; 12] = [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1];

/// The `route` and `policy` of a check with an unknown route.
const UNKNOWN: &str = "unknown";

/// Every metric of this service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    /// The counter of allowed requests by route, so that warm traffic looks up no labels.
    allowed: ArcSwap<Allowed>,
    /// Loads of the edge file.
    pub edge_reloads: Results,
    info: IntGaugeVec,
    audit_written: IntCounterVec,
    audit_dropped: IntCounterVec,
    seconds: Seconds,
    /// Verified tokens found in the cache.
    pub token_hits: IntCounter,
    /// Tokens that had to be verified.
    pub token_misses: IntCounter,
    /// Signed identities found in the cache.
    pub identity_hits: IntCounter,
    /// Identities that had to be signed.
    pub identity_misses: IntCounter,
    /// Malformed lines of the revocation file.
    pub bad_revocations: IntCounter,
    spans: IntCounterVec,
    limited: IntCounterVec,
    shadow: IntCounterVec,
    limits: IntCounterVec,
    counters: IntGauge,
    /// Sessions that moved to another tenant.
    pub tenant_changes: IntCounter,
    lookups: IntCounterVec,
    legacy: IntCounterVec,
    push: IntCounterVec,
    granted: IntCounterVec,
    /// Lease feed requests.
    pub feeds: FeedCounts,
    reloads: IntCounterVec,
    keys: IntGaugeVec,
    ready: IntGauge,
    revoked: IntGauge,
    revoked_beyond: IntGauge,
    tenants: IntGaugeVec,
    entries: IntGaugeVec,
}

/// The policy and the counter of allows of each route of the newest revision.
type Allowed = HashMap<Arc<str>, (Arc<str>, IntCounter)>;

#[derive(Debug)]
struct Seconds {
    allow: Histogram,
    deny: Histogram,
    error: Histogram,
}

/// Counters of the lease feed.
#[derive(Clone, Debug)]
pub struct FeedCounts {
    /// Answered.
    pub answered: IntCounter,
    /// Not answered, because an invalidation may have been missed.
    pub stale: IntCounter,
    /// Malformed.
    pub refused: IntCounter,
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

impl Metrics {
    /// Registers every metric for the routes of `snapshot`, and the count of dropped log lines.
    ///
    /// # Errors
    /// When two metrics have one name: a defect.
    pub fn new(snapshot: &Snapshot, dropped_log_lines: &IntCounter) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(dropped_log_lines.clone()))?;
        let register = Register { registry: &registry };
        let decisions = register.counters(
            "authz_decisions_total",
            "Decisions by route, policy, decision and reason",
            &["route", "policy", "decision", "reason"],
        )?;
        let allowed = ArcSwap::from_pointee(allowed(&decisions, snapshot));
        let edge_reloads = register.counters(
            "authz_edge_reload_total",
            "Reloads of the edge file by result",
            &["result"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("authz_decision_seconds", "Time spent in the authorizer by decision")
                .buckets(BUCKETS_SECONDS.to_vec()),
            &["decision"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let info = register.gauges(
            "authz_info",
            "Build and revision information; always 1",
            &["version", "edge", "revision"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), &snapshot.edge, &snapshot.revision]).set(1);
        let hits = register.counters("authz_cache_hits_total", "Cache hits by cache", &["cache"])?;
        let misses = register.counters("authz_cache_misses_total", "Cache misses by cache", &["cache"])?;
        let feeds =
            register.counters("authz_lease_feeds_total", "Lease feed requests by result", &["result"])?;
        Ok(Self {
            decisions,
            allowed,
            edge_reloads: Results {
                applied: edge_reloads.with_label_values(&["applied"]),
                invalid: edge_reloads.with_label_values(&["invalid"]),
                needs_restart: edge_reloads.with_label_values(&["needs_restart"]),
            },
            info,
            audit_written: register.counters(
                "authz_audit_written_total",
                "Audit events written by sink",
                &["sink"],
            )?,
            audit_dropped: register.counters(
                "authz_audit_dropped_total",
                "Audit events dropped by sink",
                &["sink"],
            )?,
            seconds: Seconds {
                allow: seconds.with_label_values(&["allow"]),
                deny: seconds.with_label_values(&["deny"]),
                error: seconds.with_label_values(&["error"]),
            },
            token_hits: hits.with_label_values(&["tokens"]),
            token_misses: misses.with_label_values(&["tokens"]),
            identity_hits: hits.with_label_values(&["identities"]),
            identity_misses: misses.with_label_values(&["identities"]),
            bad_revocations: register
                .counter("authz_revocation_bad_lines_total", "Malformed lines in the revocation file")?,
            spans: register.counters("authz_spans_total", "Spans by export result", &["result"])?,
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
            limits: register.counters(
                "authz_limit_checks_total",
                "Rate limit checks by the counter used or the failure",
                &["result"],
            )?,
            counters: register.gauge("authz_limit_counters", "Rate limit counters held by this replica")?,
            tenant_changes: register
                .counter("authz_session_tenant_changes_total", "Sessions that changed their tenant")?,
            lookups: register.counters(
                "authz_tenant_lookups_total",
                "Tenant lookups by layer and result",
                &["layer", "result"],
            )?,
            legacy: register.counters(
                "authz_legacy_questions_total",
                "Session checks at the legacy backend by outcome",
                &["outcome"],
            )?,
            push: register.counters("authz_push_total", "Events of the Redis subscription", &["event"])?,
            granted: register.counters(
                "authz_leases_granted_total",
                "Leases granted",
                &["route", "policy"],
            )?,
            feeds: FeedCounts {
                answered: feeds.with_label_values(&["ok"]),
                stale: feeds.with_label_values(&["stale"]),
                refused: feeds.with_label_values(&["refused"]),
            },
            reloads: register.counters(
                "authz_reloads_total",
                "Loads of a source by result",
                &["source", "result"],
            )?,
            keys: register.gauges(
                "authz_session_keys",
                "Keys of each issuer's set: `used`, and `passed_over` because they cannot verify tokens",
                &["issuer", "state"],
            )?,
            ready: register.gauge("authz_ready", "1 while this replica is ready")?,
            revoked: register.gauge("authz_revoked_sessions", "Sessions on the revocation list")?,
            revoked_beyond: register.gauge(
                "authz_revocations_beyond_room",
                "Revocations beyond the capacity; their sessions are refused",
            )?,
            tenants: register.gauges("authz_tenants", "Tenants in the directory", &["status"])?,
            entries: register.gauges("authz_cache_entries", "Entries held by cache", &["cache"])?,
            registry,
        })
    }

    /// Counts for `snapshot` from now on, as the newest revision.
    pub fn follow(&self, snapshot: &Snapshot) {
        self.allowed.store(Arc::new(allowed(&self.decisions, snapshot)));
        self.info.reset();
        self.info.with_label_values(&[env!("CARGO_PKG_VERSION"), &snapshot.edge, &snapshot.revision]).set(1);
    }

    /// The counters of the audit's sink `name`.
    #[must_use]
    pub fn audit(&self, name: &str) -> audit::sink::Counts {
        audit::sink::Counts {
            written: self.audit_written.with_label_values(&[name]),
            dropped: self.audit_dropped.with_label_values(&[name]),
        }
    }

    /// The counters of spans.
    #[must_use]
    pub fn spans(&self) -> spans::Counts {
        let count = |result| self.spans.with_label_values(&[result]);
        spans::Counts { exported: count("exported"), dropped: count("dropped"), failed: count("failed") }
    }

    /// The counters of the source `name`.
    #[must_use]
    pub fn reloads(&self, name: &str) -> Reloads {
        Reloads {
            done: self.reloads.with_label_values(&[name, "ok"]),
            failed: self.reloads.with_label_values(&[name, "failed"]),
        }
    }

    /// The counters of limits.
    #[must_use]
    pub fn limits(&self) -> limit::Counters {
        let result = |name: &str| self.limits.with_label_values(&[name]);
        limit::Counters {
            shared: result("shared"),
            local: result("local"),
            remembered: result("remembered"),
            failures: result("failed"),
            overflows: result("overflow"),
        }
    }

    /// The counters of the layer `name` of the tenant directory.
    #[must_use]
    pub fn lookups(&self, name: &str) -> LookupCounts {
        let count = |result| self.lookups.with_label_values(&[name, result]);
        LookupCounts { hit: count("hit"), miss: count("miss"), failed: count("failed") }
    }

    /// The counters of session checks at the legacy backend.
    #[must_use]
    pub fn legacy(&self) -> Questions {
        let count = |outcome| self.legacy.with_label_values(&[outcome]);
        Questions {
            found: count("found"),
            refused: count("refused"),
            unavailable: count("unavailable"),
            crowded: count("crowded"),
        }
    }

    /// The counters of the subscription to changes.
    #[must_use]
    pub fn push(&self) -> PushCounts {
        let count = |event| self.push.with_label_values(&[event]);
        PushCounts {
            subscribed: count("subscribed"),
            lost: count("lost"),
            messages: count("message"),
            bad: count("bad"),
        }
    }

    /// Counts `verdict`, which took `time`.
    pub fn record(&self, verdict: &Verdict, time: Duration) {
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
    pub fn leased(&self, snapshots: &Snapshots, revision: &str, route: &str, policy: &str, uses: u64) {
        let is_known = snapshots.leases(revision, route, policy);
        let (route, policy) = if is_known { (route, policy) } else { (UNKNOWN, UNKNOWN) };
        self.decisions.with_label_values(&[route, policy, LEASED, ALLOWED]).inc_by(uses);
    }

    /// Updates the gauges from `authorizer`, and whether this replica is `ready`.
    pub fn observe(&self, authorizer: &Authorizer, ready: bool) {
        self.ready.set(i64::from(ready));
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.entries.with_label_values(&["tokens"]).set(count(authorizer.tokens.len()));
        self.entries.with_label_values(&["identities"]).set(count(authorizer.identities.len()));
        self.counters.set(count(authorizer.limits.len()));
        for (issuer, (used, passed_over)) in authorizer.keys.census() {
            self.keys.with_label_values(&[issuer, "used"]).set(count(used));
            self.keys.with_label_values(&[issuer, "passed_over"]).set(count(passed_over));
        }
        if let Some(signed) = &authorizer.signed {
            self.entries.with_label_values(&["nonces"]).set(count(signed.nonces().len()));
        }
        if let Some(revocations) = &authorizer.revocations {
            self.revoked.set(count(revocations.len()));
            self.revoked_beyond.set(count(revocations.beyond_room()));
        }
        match &authorizer.tenants {
            Some(Tenants::Listed(directory)) => {
                let census = directory.census();
                self.tenants.with_label_values(&["active"]).set(count(census.active));
                self.tenants.with_label_values(&["suspended"]).set(count(census.suspended));
            }
            Some(Tenants::Asked(memory)) => {
                let (known, unknown) = memory.rough_sizes();
                let entries = |size| i64::try_from(size).unwrap_or(i64::MAX);
                self.entries.with_label_values(&["tenants"]).set(entries(known));
                self.entries.with_label_values(&["unknown_tenants"]).set(entries(unknown));
            }
            None => {}
        }
    }

    /// Every metric in Prometheus's text format.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// The decisions counted so far, without empty rows, sorted.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
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

struct Register<'a> {
    registry: &'a Registry,
}

impl Register<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::new(name, help)?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::new(name, help)?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }
}
