//! What a client learns of limits: `Retry-After` (RFC 9110 §10.2.3) and the `RateLimit` fields of
//! draft-ietf-httpapi-ratelimit-headers, which are structured fields (RFC 9651) with one item for each limit.
//!
//! Refusals carry them, and permitted answers where the limit says `headers: always`. All other answers of backends
//! are passed on unchanged.

use std::fmt::Write as _;
use std::sync::Arc;

use edge_config::edge::Quota;

use crate::limit::charge::{Bucket, Counted};

/// The state of a limit, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    name: Arc<str>,
    quota: Quota,
    left: u64,
    /// Microseconds: of an exceeded limit until it allows one more request, else until its bucket is full again.
    wait: u64,
}

impl Reported {
    /// The limit of `counted` is exceeded, and allows one more request in `wait` microseconds.
    #[must_use]
    pub fn exceeded(counted: &Counted<'_>, wait: u64) -> Self {
        Self { name: Arc::clone(&counted.rule.name), quota: counted.tier.quota, left: 0, wait }
    }

    /// The limit of `counted` allows more requests, as `bucket` says.
    #[must_use]
    pub fn left(counted: &Counted<'_>, bucket: Bucket) -> Self {
        let Bucket { left, full_in } = bucket;
        Self { name: Arc::clone(&counted.rule.name), quota: counted.tier.quota, left, wait: full_in }
    }

    /// Whole seconds, rounded up: a client that waits this long is not refused by this limit again.
    const fn seconds(&self) -> u64 {
        self.wait.div_ceil(1_000_000)
    }
}

/// The fields `RateLimit` and `RateLimit-Policy` for `reported`.
#[must_use]
pub fn fields(reported: &[Reported]) -> [(&'static str, String); 2] {
    let (mut limits, mut policies) = (String::new(), String::new());
    for (number, one) in reported.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let Reported { name, quota: Quota { rate, period, burst: _ }, left, wait: _ } = one;
        // Names in the edge file are letters, digits and `-`: they need no escaping.
        let _ = write!(limits, "{comma}\"{name}\";r={left};t={}", one.seconds());
        let _ = write!(policies, "{comma}\"{name}\";q={rate};w={}", period.as_secs());
    }
    [("ratelimit", limits), ("ratelimit-policy", policies)]
}

/// The limits that a request exceeded; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded(Vec<Reported>);

impl Exceeded {
    /// All of `over`.
    #[must_use]
    pub const fn new(over: Vec<Reported>) -> Self {
        Self(over)
    }

    /// The first, in the order of the route.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<str>> {
        self.0.first().map(|over| &over.name)
    }

    /// Header names and values.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, String); 3] {
        let retry = self.0.iter().map(Reported::seconds).max().unwrap_or(1).max(1);
        let [limits, policies] = fields(&self.0);
        [("retry-after", retry.to_string()), limits, policies]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whole_seconds_rounded_up_and_the_longest_wait_counts() {
        let quota = Quota { rate: 100, period: Duration::from_secs(60), burst: 100 };
        let over = |name: &str, wait| Reported { name: Arc::from(name), quota, left: 0, wait };
        let headers = Exceeded::new(vec![over("calm", 1), over("daily", 12_000_001)]).headers();
        assert_eq!(
            headers,
            [
                ("retry-after", "13".to_owned()),
                ("ratelimit", "\"calm\";r=0;t=1, \"daily\";r=0;t=13".to_owned()),
                ("ratelimit-policy", "\"calm\";q=100;w=60, \"daily\";q=100;w=60".to_owned()),
            ]
        );
        let [(_, retry), ..] = Exceeded::new(vec![over("calm", 12_000_000)]).headers();
        assert_eq!(retry, "12");
    }
}
