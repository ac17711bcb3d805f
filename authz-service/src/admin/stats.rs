//! Serves `/stats`: counts since the start, as JSON.

use serde::Serialize;

use crate::admin::Admin;
use crate::decision::LEASED;
use crate::observe::metrics::decisions::Count;
use crate::tenant;

/// Counts since the start.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// `authz-service`.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The edge's name.
    pub edge: String,
    /// The edge revision that is loaded.
    pub revision: String,
    /// Whether checks should be sent here; `/readyz` names the missing parts.
    pub ready: bool,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Decisions in total.
    pub totals: Totals,
    /// Decisions by route, policy and reason; only those that occurred.
    pub decisions: Vec<Count>,
    /// The caches.
    pub caches: Caches,
    /// The tenant directory; absent when the edge has none.
    pub tenants: Option<Tenants>,
    /// The public keys of access tokens.
    pub keys: Keys,
    /// The revocation list; absent when the edge has none.
    pub revocations: Option<Revocations>,
    /// The subscription to changes; absent without one.
    pub push: Option<String>,
}

/// Decisions in total.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    /// Passed.
    pub allow: u64,
    /// Refused.
    pub deny: u64,
    /// Refused because no decision was possible.
    pub error: u64,
    /// Allowed by the edge, by a lease.
    pub lease: u64,
}

/// The caches.
#[derive(Debug, Serialize)]
pub struct Caches {
    /// Verified tokens.
    pub tokens: Cache,
    /// Signed identities.
    pub identities: Cache,
}

/// One cache.
#[derive(Debug, Serialize)]
pub struct Cache {
    /// Entries now.
    pub entries: usize,
    /// Greatest number of entries.
    pub capacity: u64,
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
}

/// The tenant directory, by kind.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Tenants {
    /// A file.
    Listed {
        /// Active ones.
        active: usize,
        /// Suspended ones.
        suspended: usize,
    },
    /// The tenants service.
    Asked {
        /// Tenants in memory.
        known: u64,
        /// Ids in memory without a tenant.
        unknown: u64,
    },
}

/// The public keys of access tokens.
#[derive(Debug, Serialize)]
pub struct Keys {
    /// Their ids. Public, as the keys are.
    pub ids: Vec<String>,
}

/// The revocation list.
#[derive(Debug, Serialize)]
pub struct Revocations {
    /// Sessions on it.
    pub sessions: usize,
    /// Persons and tenants on it.
    pub wholesale: usize,
    /// Revocations without room: their sessions are refused as undecidable.
    pub beyond_room: usize,
    /// Malformed lines.
    pub bad_lines: u64,
}

impl Stats {
    /// Collects all counts.
    #[must_use]
    pub fn of(admin: &Admin) -> Self {
        let Admin { authorizer, clock, started, edge_file: _, observers, draining: _, push: _ } = admin;
        let metrics = &observers.metrics;
        let snapshot = authorizer.snapshots.newest();
        let decisions = metrics.counts();
        let total = |decision: &str| {
            decisions.iter().filter(|row| row.decision == decision).map(|row| row.count).sum::<u64>()
        };
        let totals = Totals {
            allow: total("allow"),
            deny: total("deny"),
            error: total("error"),
            lease: total(LEASED),
        };
        Self {
            service: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            edge: snapshot.edge.clone(),
            revision: snapshot.revision.clone(),
            ready: admin.readiness().ready,
            uptime_seconds: clock.now().since(*started).as_secs(),
            totals,
            decisions,
            caches: Caches {
                tokens: Cache {
                    entries: authorizer.tokens.len(),
                    capacity: authorizer.tokens.capacity(),
                    hits: metrics.parts.tokens.hits.get(),
                    misses: metrics.parts.tokens.misses.get(),
                },
                identities: Cache {
                    entries: authorizer.identities.len(),
                    capacity: authorizer.identities.capacity(),
                    hits: metrics.parts.identities.hits.get(),
                    misses: metrics.parts.identities.misses.get(),
                },
            },
            tenants: authorizer.tenants.as_ref().map(|tenants| match tenants {
                tenant::Tenants::Listed(directory) => {
                    let census = directory.census();
                    Tenants::Listed { active: census.active, suspended: census.suspended }
                }
                tenant::Tenants::Asked(memory) => {
                    let (known, unknown) = memory.rough_sizes();
                    Tenants::Asked { known, unknown }
                }
            }),
            push: admin.push.as_ref().map(|push| push.health().detail),
            keys: Keys { ids: authorizer.keys.ids() },
            revocations: authorizer.revocations.as_ref().map(|revocations| Revocations {
                sessions: revocations.len(),
                wholesale: revocations.wholesale_len(),
                beyond_room: revocations.beyond_room(),
                bad_lines: metrics.parts.bad_revocations.get(),
            }),
        }
    }
}
