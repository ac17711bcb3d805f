//! What the edge has heard about what ended.

use std::collections::BTreeMap;

use crate::feed::{Ended, Feed, MAX_ENDED, WINDOW_MS};
use crate::tag::Tag;
use crate::{Now, OnOutage};

/// A lease counts while the last good answer was asked for less than so many milliseconds ago. With a source that is
/// at most 250 ms behind and a question every 200 ms, everything that ended is dead within a second.
pub const FRESH_MS: u64 = 600;

/// The union over replicas and time: four full answers. Beyond that nothing is kept apart any more.
const MAX_DEAD: usize = 4 * MAX_ENDED;

/// What one worker knows.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    /// When the last good answer was asked for, by the monotonic clock. Absent before the first: nothing counts.
    asked_ms: Option<u64>,
    /// Whether the last good answer let any lease live.
    open: bool,
    /// What ended, and until when that is remembered. A lease that carries one is dead, whenever it was granted, so
    /// it does not matter in which order grants and answers arrive, nor from which replica.
    dead: BTreeMap<Tag, u64>,
    /// A lease that was granted before is void: what ended it may never have been heard of.
    since_ms: u64,
    /// Until when nothing counts, because there was more than could be remembered.
    flooded_until: u64,
}

impl Hearing {
    /// Takes in an answer to the question of `asked_ms`.
    pub fn heard(&mut self, revision: &str, asked_ms: u64, feed: &Feed, now: Now) {
        // An answer that was overtaken says nothing new about how fresh this is, and its tags count all the same.
        let newest = self.asked_ms.is_none_or(|before| asked_ms >= before);
        if newest {
            self.asked_ms = Some(asked_ms);
            self.open = feed.revisions.iter().any(|in_force| in_force == revision);
        }
        self.since_ms = self.since_ms.max(asked_ms.saturating_sub(feed.reach_ms));
        self.dead.retain(|_, until| *until > now.monotonic_ms);
        match &feed.ended {
            Ended::All => self.open = false,
            Ended::Tags(tags) => {
                let until = now.monotonic_ms.saturating_add(WINDOW_MS);
                self.dead.extend(tags.iter().map(|tag| (*tag, until)));
                if self.dead.len() > MAX_DEAD {
                    self.dead.clear();
                    self.flooded_until = until;
                }
            }
        }
    }

    /// Whether any lease counts now.
    #[must_use]
    pub const fn honours(&self, on_outage: OnOutage, now: Now) -> bool {
        let Some(asked_ms) = self.asked_ms else { return false };
        if !self.open || now.monotonic_ms < self.flooded_until {
            return false;
        }
        match on_outage {
            OnOutage::Deny => {
                matches!(now.monotonic_ms.checked_sub(asked_ms), Some(age) if age < FRESH_MS)
            }
            OnOutage::Lease => true,
        }
    }

    /// Whether a lease that was granted at `granted_ms` and carries `tags` ended, or may have.
    pub(crate) fn ended(&self, granted_ms: u64, mut tags: impl Iterator<Item = Tag>) -> bool {
        // Whatever is still here counts, even past its time: too long is a full check more, too short a wrong allow.
        granted_ms < self.since_ms || (!self.dead.is_empty() && tags.any(|tag| self.dead.contains_key(&tag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reach_ms: u64, tags: &[Tag]) -> Feed {
        Feed { revisions: vec!["r".to_owned()], reach_ms, ended: Ended::Tags(tags.to_vec()) }
    }

    #[test]
    fn a_lease_from_before_what_is_known_is_void_whoever_answers_next() {
        let now = |monotonic_ms| Now { wall_ms: 0, monotonic_ms };
        let none = || std::iter::empty::<Tag>();
        let mut hearing = Hearing::default();
        hearing.heard("r", 50_000, &feed(WINDOW_MS, &[]), now(50_010));
        assert!(!hearing.ended(30_000, none()));
        // A replica that has just begun knows the last second and no more.
        hearing.heard("r", 50_200, &feed(1_000, &[]), now(50_210));
        assert!(hearing.ended(49_199, none()) && !hearing.ended(49_200, none()));
        // One that knows everything answers next. Whether the two overlap is not known here.
        hearing.heard("r", 50_400, &feed(WINDOW_MS, &[Tag(7)]), now(50_410));
        assert!(hearing.ended(49_199, none()) && !hearing.ended(50_300, none()));
        assert!(hearing.ended(50_300, [Tag(7)].into_iter()));
    }
}
