//! The generic cell rate algorithm: a token bucket stored as one number.
//!
//! The number is the *theoretical arrival time*: when the bucket would be full again without further
//! requests. Each request moves it on by `interval`; a request is refused when that would put it more than
//! `burst × interval` ahead of now. All times are microseconds.

use edge_config::edge::Quota;

use crate::limit::charge::Bucket;

/// The arithmetic of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    /// The time until one more request is allowed.
    pub interval: u64,
    /// How many requests may arrive at once.
    pub burst: u64,
}

/// The result for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// Allowed; store this number.
    Allowed(u64),
    /// Refused for this many microseconds; at least 1.
    Refused(u64),
}

impl Weighed {
    /// The microseconds to wait; 0 when it is allowed.
    #[must_use]
    pub const fn wait(self) -> u64 {
        match self {
            Self::Allowed(_) => 0,
            Self::Refused(wait) => wait,
        }
    }
}

impl Gcra {
    /// The arithmetic of `quota`.
    #[must_use]
    pub fn of(quota: &Quota) -> Self {
        Self { interval: quota.interval_micros(), burst: u64::from(quota.burst) }
    }

    /// The debt at `now` of the number `kept`: never more than one burst. It can be further ahead only when
    /// the limit was made smaller or the clock was stepped back. A caller that stores numbers replaces `kept`
    /// with this one; otherwise the debt would be a whole burst at every request until the clock has caught
    /// up.
    #[must_use]
    pub fn owed(self, kept: u64, now: u64) -> u64 {
        kept.min(now.saturating_add(self.interval.saturating_mul(self.burst)))
    }

    /// Checks a request at `now` against the number `kept`; absent when none is stored.
    #[must_use]
    pub fn weigh(self, kept: Option<u64>, now: u64) -> Weighed {
        let full = self.interval.saturating_mul(self.burst);
        let kept = kept.map_or(now, |kept| self.owed(kept, now).max(now));
        let next = kept.saturating_add(self.interval);
        match next.saturating_sub(now).checked_sub(full) {
            None | Some(0) => Weighed::Allowed(next),
            Some(wait) => Weighed::Refused(wait),
        }
    }

    /// How many more requests are allowed at once at `now`, after the number `kept`.
    #[must_use]
    pub fn left(self, kept: u64, now: u64) -> u64 {
        let full = self.interval.saturating_mul(self.burst);
        let ahead = kept.saturating_sub(now);
        full.saturating_sub(ahead).checked_div(self.interval).unwrap_or(u64::MAX)
    }

    /// The bucket at `now`, after the number `kept`.
    #[must_use]
    pub fn bucket(self, kept: u64, now: u64) -> Bucket {
        Bucket { left: self.left(kept, now), full_in: kept.saturating_sub(now) }
    }

    /// The number to store when `more` requests are charged in advance, after the number `kept`.
    #[must_use]
    pub const fn take(self, kept: u64, more: u64) -> u64 {
        kept.saturating_add(self.interval.saturating_mul(more))
    }

    /// The share of one of `replicas`: together they are no faster than the whole. A burst smaller than the
    /// number of replicas becomes one request each.
    #[must_use]
    pub fn share(self, replicas: u32) -> Self {
        let replicas = u64::from(replicas.max(1));
        Self { interval: self.interval.saturating_mul(replicas), burst: (self.burst / replicas).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn a_burst_then_one_in_each_interval() {
        let gcra = Gcra { interval: 10, burst: 3 };
        let mut kept = None;
        for _ in 0..3 {
            let Weighed::Allowed(next) = gcra.weigh(kept, 1_000) else { panic!("refused within the burst") };
            kept = Some(next);
        }
        assert_eq!(gcra.weigh(kept, 1_000), Weighed::Refused(10));
        assert_eq!(gcra.weigh(kept, 1_009), Weighed::Refused(1));
        assert_eq!(gcra.weigh(kept, 1_010), Weighed::Allowed(1_040));
        assert_eq!(gcra.weigh(kept, 9_000), Weighed::Allowed(9_010), "a full bucket does not overflow");
    }

    /// A fixed window of 60 in a minute lets 120 through around the full minute.
    #[test]
    fn no_edge_of_a_window_lets_twice_as_many_through() {
        let gcra = Gcra { interval: MINUTE / 60, burst: 60 };
        let (mut kept, mut passed) = (None, 0);
        for now in (59 * 1_000_000..61 * 1_000_000).step_by(10_000) {
            if let Weighed::Allowed(next) = gcra.weigh(kept, now) {
                (kept, passed) = (Some(next), passed + 1);
            }
        }
        assert_eq!(passed, 61, "60 at once, and what came back in two seconds");
    }

    #[test]
    fn the_rest_is_allowed_and_a_taken_request_is_gone() {
        let gcra = Gcra { interval: 10, burst: 8 };
        let Weighed::Allowed(kept) = gcra.weigh(None, 1_000) else { panic!("refused within the burst") };
        assert_eq!(gcra.left(kept, 1_000), 7);
        assert_eq!(gcra.left(kept, 1_009), 7, "the next one is not back yet");
        let kept = gcra.take(kept, 7);
        assert_eq!(gcra.left(kept, 1_000), 0);
        assert_eq!(gcra.weigh(Some(kept), 1_000), Weighed::Refused(10));
        assert_eq!(gcra.left(kept, 1_019), 1);
        assert_eq!(gcra.left(u64::MAX, 0), 0);
        assert_eq!(gcra.left(0, 1_000), 8, "never more than a burst");
    }

    #[test]
    fn a_clock_stepped_back_costs_one_burst_at_the_most() {
        let gcra = Gcra { interval: 10, burst: 3 };
        assert_eq!(gcra.weigh(Some(1_000_000), 50), Weighed::Refused(10));
        let owed = gcra.owed(1_000_000, 50);
        assert_eq!(gcra.weigh(Some(owed), 60), Weighed::Allowed(90), "an interval later one more is allowed");
        assert_eq!(gcra.owed(70, 50), 70, "what is owed rightly stays owed");
    }

    #[test]
    fn shares_together_are_no_faster_than_the_whole() {
        let whole = Gcra { interval: 10, burst: 7 };
        assert_eq!(whole.share(3), Gcra { interval: 30, burst: 2 });
        assert_eq!(whole.share(1), whole);
        assert_eq!(whole.share(100).burst, 1);
    }

    proptest! {
        /// The bound also holds when some requests are charged in advance, whenever they are used.
        #[test]
        fn requests_taken_in_advance_count_as_used(
            interval in 1_u64..1_000,
            burst in 1_u64..20,
            steps in prop::collection::vec((0_u64..2_000, 0_u64..20), 1..200),
        ) {
            let gcra = Gcra { interval, burst };
            let (mut kept, start) = (None, 1_000_000);
            let (mut now, mut passed) = (start, 0);
            for (gap, wanted) in steps {
                now += gap;
                if let Weighed::Allowed(next) = gcra.weigh(kept, now) {
                    let more = wanted.min(gcra.left(next, now));
                    kept = Some(gcra.take(next, more));
                    passed += 1 + more;
                }
                prop_assert!(passed < burst + (now - start) / interval + 1);
            }
        }

        /// No stretch of time passes more than the burst and the refill, whatever the arrivals.
        #[test]
        fn the_bound_holds_in_every_stretch(
            interval in 1_u64..1_000,
            burst in 1_u64..20,
            gaps in prop::collection::vec(0_u64..2_000, 1..200),
        ) {
            let gcra = Gcra { interval, burst };
            let (mut kept, mut now) = (None, 1_000_000);
            let mut passed = Vec::new();
            for gap in gaps {
                now += gap;
                match gcra.weigh(kept, now) {
                    Weighed::Allowed(next) => {
                        kept = Some(next);
                        passed.push(now);
                    }
                    Weighed::Refused(wait) => {
                        let until = now + wait;
                        prop_assert!(matches!(gcra.weigh(kept, until), Weighed::Allowed(_)));
                        prop_assert!(matches!(gcra.weigh(kept, until - 1), Weighed::Refused(1)));
                    }
                }
            }
            for (i, from) in passed.iter().enumerate() {
                for (count, to) in passed.iter().skip(i).enumerate() {
                    prop_assert!((count as u64) < burst + (to - from) / interval + 1);
                }
            }
        }
    }
}
