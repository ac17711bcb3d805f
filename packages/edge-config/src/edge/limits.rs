//! Limits: how often, and what is only tried out.

use std::time::Duration;

/// How often something may happen, counted for each key by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted by.
    pub per: Per,
    /// How many requests come back within [`Limit::period`].
    pub rate: u32,
    /// In which time `rate` requests come back.
    pub period: Duration,
    /// How many requests may come at once after a quiet time.
    pub burst: u32,
    /// Whether it refuses or only tells.
    pub mode: Mode,
}

/// The longest time that a limit may take from empty to full: a week. It bounds how long a counter is kept,
/// in memory and in Redis.
pub const LONGEST_REFILL: Duration = Duration::from_secs(7 * 86_400);

impl Limit {
    /// How long it takes until one more request is allowed, in microseconds: rounded up, so that a limit is
    /// never looser than it says.
    #[must_use]
    pub fn interval_micros(&self) -> u64 {
        let period = u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX);
        period.div_ceil(u64::from(self.rate.max(1))).max(1)
    }
}

/// What a limit counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// The person.
    Subject,
    /// The tenant, all its people together.
    Tenant,
    /// The session: one login on one device.
    Session,
    /// The calling service.
    Service,
    /// The API key.
    ApiKey,
    /// The address at the other end of the connection; of IPv6 the first 64 bits, because whoever has one
    /// address there has them all.
    Address,
    /// The route, everybody together.
    Route,
}

impl Per {
    /// As the edge file spells it.
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

/// Whether something is enforced or only tried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It refuses.
    #[default]
    Enforce,
    /// It is decided, logged and counted, and the request passes.
    Shadow,
}

/// Where a request names the tenant that it is about; it must be the caller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantMatch {
    /// The segment of the path, counted from 1: in `/tenants/ID/books`, 2.
    PathSegment(usize),
    /// A header, lower case.
    Header(String),
}
