//! When something outside was last seen alive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The last sign of life of a source or a subscription, by the process's own clock, so that a stepped wall clock
/// extends no trust.
#[derive(Debug)]
pub struct LastSeen {
    origin: Instant,
    /// Milliseconds after `origin`, plus one; 0 for never.
    at: AtomicU64,
}

impl Default for LastSeen {
    fn default() -> Self {
        Self { origin: Instant::now(), at: AtomicU64::new(0) }
    }
}

impl LastSeen {
    /// Notes a sign of life at `at`: for a poll that succeeded, when it began. An older one changes nothing.
    pub fn note(&self, at: Instant) {
        let millis = at.saturating_duration_since(self.origin).as_millis();
        self.at.fetch_max(u64::try_from(millis).unwrap_or(u64::MAX - 1).saturating_add(1), Ordering::AcqRel);
    }

    /// Whether there was ever a sign of life.
    #[must_use]
    pub fn is_ever(&self) -> bool {
        self.at.load(Ordering::Acquire) != 0
    }

    /// Whether there was a sign of life less than `limit` before `now`.
    #[must_use]
    pub fn is_within(&self, limit: Duration, now: Instant) -> bool {
        self.at.load(Ordering::Acquire).checked_sub(1).is_some_and(|millis| {
            now.saturating_duration_since(self.origin + Duration::from_millis(millis)) < limit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_counts_for_a_while_and_an_older_one_changes_nothing() {
        let seen = LastSeen::default();
        let (start, limit) = (seen.origin, Duration::from_millis(400));
        let after = |millis| start + Duration::from_millis(millis);
        assert!(!seen.is_ever() && !seen.is_within(limit, start), "never seen");
        seen.note(after(100));
        seen.note(start);
        assert!(seen.is_ever() && seen.is_within(limit, after(499)));
        assert!(!seen.is_within(limit, after(500)));
    }
}
