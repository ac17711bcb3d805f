//! Request limits, and the mode of limits and policies.

use std::collections::BTreeMap;
use std::time::Duration;

/// A request limit, counted separately for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The key by which requests are counted.
    pub per: Per,
    /// How many requests a key has, unless [`Limit::overrides`] or [`Limit::plans`] gives it a quota of its own.
    pub quota: Quota,
    /// Whether it is enforced or only logged.
    pub mode: Mode,
    /// Which answers show the client what is left.
    pub headers: RateHeaders,
    /// The quotas of single keys, such as a tenant's id.
    pub overrides: BTreeMap<String, Quota>,
    /// The quotas of the API keys that carry a plan, by the name of the plan.
    pub plans: BTreeMap<String, Quota>,
}

/// How many requests are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The number of requests that are allowed again within [`Quota::period`].
    pub rate: u32,
    /// The time within which `rate` requests are allowed again.
    pub period: Duration,
    /// The number of requests that may come at once after a quiet time.
    pub burst: u32,
}

/// Which answers carry the `RateLimit` fields of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateHeaders {
    /// Refusals by the limit alone, so that answers of backends stay as they are.
    #[default]
    Refusals,
    /// The answers to permitted requests, too. Such a limit allows no leases, because a leased answer could not say what
    /// is left.
    Always,
}

/// The longest time that a limit may take from empty to full: a week. It bounds how long a counter is kept in memory and
/// in Redis.
pub const LONGEST_REFILL: Duration = Duration::from_secs(7 * 86_400);

impl Quota {
    /// The time until one more request is allowed, in microseconds: rounded up, so that a limit is never looser than
    /// written.
    #[must_use]
    pub fn interval_micros(&self) -> u64 {
        let period = u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX);
        period.div_ceil(u64::from(self.rate.max(1))).max(1)
    }
}

/// The key by which a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// The person, in all of their sessions together.
    Subject,
    /// The tenant, all its people together.
    Tenant,
    /// The session: one login on one device.
    Session,
    /// The calling service or signing program.
    Service,
    /// The client that holds the API key, with all of its keys together.
    ApiKey,
    /// The address of the peer; of IPv6 the first 64 bits, because a client with one such address has them all.
    Address,
    /// The route: all callers together.
    Route,
}

impl Per {
    /// Its spelling in the edge file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Tenant => "tenant",
            Self::Session => "session",
            Self::Service => "service",
            Self::ApiKey => "api-key",
            Self::Address => "address",
            Self::Route => "route",
        }
    }
}

/// Whether a policy or limit is enforced or only tried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It refuses requests.
    #[default]
    Enforce,
    /// Its result is logged and counted, and the request passes.
    Shadow,
}

/// The place in a request that names its tenant, which must be the caller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantMatch {
    /// The segment of the path, counted from 1: in `/tenants/ID/books`, 2.
    PathSegment(usize),
    /// The segment that stands for this parameter in the path of the route: in `/t/{tenant}/books`, `tenant`. Every route
    /// with the policy has it.
    PathParameter(String),
    /// A header, lower case.
    Header(String),
}
