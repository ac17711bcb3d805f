//! What this replica holds now. Read from the authorizer whenever the metrics are read.

use prometheus::{IntGauge, IntGaugeVec};

use crate::authorizer::Authorizer;
use crate::observe::metrics::register::Register;
use crate::snapshot::Snapshot;
use crate::tenant::Tenants;

/// The gauges of one replica.
#[derive(Debug)]
pub(super) struct Gauges {
    info: IntGaugeVec,
    ready: IntGauge,
    counters: IntGauge,
    revoked: IntGauge,
    revoked_beyond: IntGauge,
    tenants: IntGaugeVec,
    keys: IntGaugeVec,
    entries: IntGaugeVec,
}

impl Gauges {
    pub(super) fn new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            info: register.gauges(
                "authz_info",
                "Build and revision information; always 1",
                &["version", "edge", "revision"],
            )?,
            ready: register.gauge("authz_ready", "1 while this replica is ready")?,
            counters: register.gauge("authz_limit_counters", "Rate limit counters held by this replica")?,
            revoked: register.gauge("authz_revoked_sessions", "Sessions on the revocation list")?,
            revoked_beyond: register.gauge(
                "authz_revocations_beyond_room",
                "Revocations beyond the capacity; their sessions are refused",
            )?,
            tenants: register.gauges("authz_tenants", "Tenants in the directory", &["status"])?,
            keys: register.gauges(
                "authz_session_keys",
                "Keys of each issuer's set: `used`, and `passed_over` because they cannot verify tokens",
                &["issuer", "state"],
            )?,
            entries: register.gauges("authz_cache_entries", "Entries held by cache", &["cache"])?,
        })
    }

    /// Names `snapshot` as the newest revision.
    pub(super) fn follow(&self, snapshot: &Snapshot) {
        self.info.reset();
        self.info.with_label_values(&[env!("CARGO_PKG_VERSION"), &snapshot.edge, &snapshot.revision]).set(1);
    }

    /// Updates the gauges from `authorizer`, and whether this replica is `ready`.
    pub(super) fn observe(&self, authorizer: &Authorizer, ready: bool) {
        self.ready.set(i64::from(ready));
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.entries.with_label_values(&["tokens"]).set(count(authorizer.tokens.len()));
        self.entries.with_label_values(&["identities"]).set(count(authorizer.identities.len()));
        self.counters.set(count(authorizer.limits.len()));
        for (issuer, (used, passed_over)) in authorizer.keys.census() {
            self.keys.with_label_values(&[issuer, "used"]).set(count(used));
            self.keys.with_label_values(&[issuer, "passed_over"]).set(count(passed_over));
        }
        let of_webhooks = authorizer.webhooks.as_ref().map(|webhooks| webhooks.seen());
        if let Some(nonces) = authorizer.signed.as_ref().map(|signed| signed.nonces()).or(of_webhooks) {
            self.entries.with_label_values(&["nonces"]).set(count(nonces.len()));
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
}
