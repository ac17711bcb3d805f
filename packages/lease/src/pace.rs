//! When a guard polls for invalidations.

use crate::feed::Feed;

/// Milliseconds between two ticks of a guard. With an authorizer that is at most 250 ms behind and a reply within 150 ms,
/// an ended session is dead within 600 ms, and one or two lost replies fit into a second.
pub const EVERY_MS: u32 = 200;

/// Milliseconds between two ticks until the first good reply. No lease is valid before it, so every request is checked:
/// after a start and after every change of the edge file.
pub const FIRST_MS: u32 = 20;

/// How many ticks come that soon. After a second without a reply the authorizer is not about to answer.
const MOST_FIRST: u32 = 50;

/// A guard whose revision is not in force polls at every 64th tick at the least: with five ticks a second, a revision that
/// comes back has leases again after 13 s.
const MOST_PASSED: u32 = 64;

/// How many replies may name another revision before a guard polls less often: three seconds. Envoy may take a new edge
/// file a moment before the authorizers do.
const MOST_AHEAD: u32 = 15;

/// Decides when a guard's next tick comes, and at which ticks it polls.
///
/// A guard that was replaced lives on for as long as a stream that it judged, which may be days, and judges no new request.
/// Replies tell it that another revision is in force, and it polls less and less often: a hundred old guards must not keep
/// the authorizer busy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// The number of ticks between two polls that do not poll.
    passed: u32,
    /// How many of them are left.
    left: u32,
    /// The number of ticks before the first good reply.
    first: u32,
    /// The number of replies so far, all of which named another revision.
    ahead: u32,
    /// Whether there was a good reply.
    is_answered: bool,
    /// Whether a reply named the guard's revision.
    was_in_force: bool,
}

impl Pace {
    /// Whether to poll at this tick.
    pub const fn is_due(&mut self) -> bool {
        self.first = self.first.saturating_add(1);
        let due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        due
    }

    /// Milliseconds until the next tick.
    #[must_use]
    pub const fn next_ms(&self) -> u32 {
        if self.is_answered || self.first >= MOST_FIRST { EVERY_MS } else { FIRST_MS }
    }

    /// Takes in a good reply to a guard of `revision`.
    pub fn receive(&mut self, revision: &str, feed: &Feed) {
        self.is_answered = true;
        if feed.revisions.iter().any(|one| one == revision) {
            (self.was_in_force, self.passed) = (true, 0);
        } else if self.was_in_force || self.ahead >= MOST_AHEAD {
            self.passed = self.passed.saturating_mul(2).clamp(1, MOST_PASSED);
        } else {
            self.ahead += 1;
        }
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
                pace.receive("mine", &feed);
            }
        }
        asked
    }

    #[test]
    fn a_guard_in_force_polls_at_every_tick_and_a_replaced_one_ever_more_seldom() {
        let mut pace = Pace::default();
        assert_eq!(asked(&mut pace, 100, "mine"), 100);
        assert_eq!(asked(&mut pace, 127, "another"), 7, "after 1, 2, 4, … ticks");
        assert_eq!(asked(&mut pace, 6_500, "another"), 100, "and not less than that");
        asked(&mut pace, MOST_PASSED + 1, "mine");
        assert_eq!(asked(&mut pace, 100, "mine"), 100, "it is in force again");
    }

    #[test]
    fn a_guard_without_an_answer_keeps_polling() {
        let mut pace = Pace::default();
        assert!((0..10).all(|_| pace.is_due()));
    }

    #[test]
    fn a_guard_whose_revision_is_not_in_force_yet_polls_on_for_three_seconds() {
        let mut pace = Pace::default();
        assert_eq!(asked(&mut pace, 15, "another"), 15);
        assert_eq!(asked(&mut pace, 100, "mine"), 100, "and at every tick once it is in force");
        let mut overtaken = Pace::default();
        assert_eq!(asked(&mut overtaken, 15 + 127, "another"), 15 + 7, "it never was, and slows down");
    }

    #[test]
    fn ticks_come_soon_until_the_first_reply_and_for_a_second_at_most() {
        let mut pace = Pace::default();
        assert_eq!(pace.next_ms(), FIRST_MS);
        assert_eq!(asked(&mut pace, 1, "mine"), 1);
        assert_eq!(pace.next_ms(), EVERY_MS);
        let mut alone = Pace::default();
        let early = (0..1_000).filter(|_| alone.is_due() && alone.next_ms() == FIRST_MS).count();
        assert_eq!(early, 49);
    }
}
