//! The headers of a refusal by a limit: `Retry-After` (RFC 9110 §10.2.3) and the `RateLimit` fields of
//! draft-ietf-httpapi-ratelimit-headers, which are structured fields (RFC 9651) with one item for each limit.
//!
//! Only refusals carry them: backend responses are passed on unchanged.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::snapshot::rule::Rule;

/// A limit that a request exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    name: Arc<str>,
    rate: u32,
    period: Duration,
    /// Microseconds until the limit allows one more request.
    wait: u64,
}

impl Over {
    /// `rule` allows one more request in `wait` microseconds.
    #[must_use]
    pub fn of(rule: &Rule, wait: u64) -> Self {
        Self { name: Arc::clone(&rule.name), rate: rule.limit.rate, period: rule.limit.period, wait }
    }

    /// Whole seconds, rounded up: a client that waits this long is not refused by this limit again.
    const fn seconds(&self) -> u64 {
        self.wait.div_ceil(1_000_000)
    }
}

/// The limits that a request exceeded; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded(Vec<Over>);

impl Exceeded {
    /// All of `over`.
    #[must_use]
    pub const fn new(over: Vec<Over>) -> Self {
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
        let retry = self.0.iter().map(Over::seconds).max().unwrap_or(1).max(1);
        let (mut limits, mut policies) = (String::new(), String::new());
        for (number, over) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            // Names in the edge file are letters, digits and `-`: they need no escaping.
            let _ = write!(limits, "{comma}\"{}\";r=0;t={}", over.name, over.seconds());
            let _ = write!(policies, "{comma}\"{}\";q={};w={}", over.name, over.rate, over.period.as_secs());
        }
        [("retry-after", retry.to_string()), ("ratelimit", limits), ("ratelimit-policy", policies)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_rounded_up_and_the_longest_wait_counts() {
        let over = |name: &str, wait| Over {
            name: Arc::from(name),
            rate: 100,
            period: Duration::from_secs(60),
            wait,
        };
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
