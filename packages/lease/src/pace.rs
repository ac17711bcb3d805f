//! How often a guard asks what ended.

use crate::feed::Feed;

/// A guard whose revision is not in force asks at every 64th tick at the least: with five ticks a second, a revision that
/// comes back has leases again after 13 s.
const MOST_PASSED: u32 = 64;

/// Decides at which ticks a guard asks.
///
/// A guard that was replaced lives on for as long as a stream that it judged, which may be days, and judges no new request.
/// It hears that another revision is in force, and asks less and less often: a hundred old guards must not keep the
/// authorizer busy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// So many ticks pass between two questions.
    passed: u32,
    /// So many of them are left.
    left: u32,
}

impl Pace {
    /// Whether to ask at this tick.
    pub const fn is_due(&mut self) -> bool {
        let due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        due
    }

    /// Takes in a good answer to a guard of `revision`.
    pub fn heard(&mut self, revision: &str, feed: &Feed) {
        let in_force = feed.revisions.iter().any(|one| one == revision);
        self.passed = if in_force { 0 } else { self.passed.saturating_mul(2).clamp(1, MOST_PASSED) };
        self.left = self.passed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Ended;

    fn asked(pace: &mut Pace, ticks: u32, in_force: &str) -> u32 {
        let feed = Feed { revisions: vec![in_force.to_owned()], reach_ms: 0, ended: Ended::Tags(Vec::new()) };
        let mut asked = 0;
        for _ in 0..ticks {
            if pace.is_due() {
                asked += 1;
                pace.heard("mine", &feed);
            }
        }
        asked
    }

    #[test]
    fn a_guard_in_force_asks_at_every_tick_and_a_replaced_one_ever_more_seldom() {
        let mut pace = Pace::default();
        assert_eq!(asked(&mut pace, 100, "mine"), 100);
        assert_eq!(asked(&mut pace, 127, "another"), 7, "after 1, 2, 4, … ticks");
        assert_eq!(asked(&mut pace, 6_500, "another"), 100, "and not less than that");
        asked(&mut pace, MOST_PASSED + 1, "mine");
        assert_eq!(asked(&mut pace, 100, "mine"), 100, "it is in force again");
    }

    #[test]
    fn a_guard_without_an_answer_asks_on() {
        let mut pace = Pace::default();
        assert!((0..10).all(|_| pace.is_due()));
    }
}
