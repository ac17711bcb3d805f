//! The counters of the parts. Each part counts in a struct of its own; this page gives the counters their names.

use prometheus::{IntCounter, IntCounterVec};

use crate::credential::queried::Questions;
use crate::limit;
use crate::observe::metrics::register::Register;
use crate::observe::{audit, spans};
use crate::push::subscriber::PushCounts;
use crate::reload::Results;
use crate::source::Reloads;
use crate::tenant::source::LookupCounts;

/// The counters of everything but decisions.
#[derive(Debug)]
pub struct PartCounts {
    /// Loads of the edge file.
    pub edge_reloads: Results,
    /// The cache of verified tokens: a miss had to be verified.
    pub tokens: CacheCounts,
    /// The cache of signed identities: a miss had to be signed.
    pub identities: CacheCounts,
    /// Malformed lines of the revocation file.
    pub bad_revocations: IntCounter,
    /// Sessions that moved to another tenant.
    pub tenant_changes: IntCounter,
    /// Lease feed requests.
    pub feeds: FeedCounts,
    audit_written: IntCounterVec,
    audit_dropped: IntCounterVec,
    spans: IntCounterVec,
    limits: IntCounterVec,
    lookups: IntCounterVec,
    legacy: IntCounterVec,
    introspections: IntCounterVec,
    push: IntCounterVec,
    reloads: IntCounterVec,
}

/// Counters of one cache.
#[derive(Clone, Debug)]
pub struct CacheCounts {
    /// Found in the cache.
    pub hits: IntCounter,
    /// Not found.
    pub misses: IntCounter,
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

impl PartCounts {
    pub(super) fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        let edge = register.counters(
            "authz_edge_reload_total",
            "Reloads of the edge file by result",
            &["result"],
        )?;
        let hits = register.counters("authz_cache_hits_total", "Cache hits by cache", &["cache"])?;
        let misses = register.counters("authz_cache_misses_total", "Cache misses by cache", &["cache"])?;
        let cache = |name| CacheCounts {
            hits: hits.with_label_values(&[name]),
            misses: misses.with_label_values(&[name]),
        };
        let feeds =
            register.counters("authz_lease_feeds_total", "Lease feed requests by result", &["result"])?;
        Ok(Self {
            edge_reloads: Results {
                applied: edge.with_label_values(&["applied"]),
                invalid: edge.with_label_values(&["invalid"]),
                needs_restart: edge.with_label_values(&["needs_restart"]),
            },
            tokens: cache("tokens"),
            identities: cache("identities"),
            bad_revocations: register
                .counter("authz_revocation_bad_lines_total", "Malformed lines in the revocation file")?,
            tenant_changes: register
                .counter("authz_session_tenant_changes_total", "Sessions that changed their tenant")?,
            feeds: FeedCounts {
                answered: feeds.with_label_values(&["ok"]),
                stale: feeds.with_label_values(&["stale"]),
                refused: feeds.with_label_values(&["refused"]),
            },
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
            spans: register.counters("authz_spans_total", "Spans by export result", &["result"])?,
            limits: register.counters(
                "authz_limit_checks_total",
                "Rate limit checks by the counter used or the failure",
                &["result"],
            )?,
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
            introspections: register.counters(
                "authz_introspections_total",
                "Queries about opaque tokens by issuer and outcome",
                &["issuer", "outcome"],
            )?,
            push: register.counters("authz_push_total", "Events of the Redis subscription", &["event"])?,
            reloads: register.counters(
                "authz_reloads_total",
                "Loads of a source by result",
                &["source", "result"],
            )?,
        })
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
        questions(|outcome| self.legacy.with_label_values(&[outcome]))
    }

    /// The counters of queries about the opaque tokens of `issuer`, which the edge file names.
    #[must_use]
    pub fn introspections(&self, issuer: &str) -> Questions {
        questions(|outcome| self.introspections.with_label_values(&[issuer, outcome]))
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
}

fn questions(count: impl Fn(&'static str) -> IntCounter) -> Questions {
    Questions {
        found: count("found"),
        refused: count("refused"),
        unavailable: count("unavailable"),
        crowded: count("crowded"),
    }
}
