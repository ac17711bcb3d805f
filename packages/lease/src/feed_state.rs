//! Invalidations, as one worker of the edge has received them.

use std::collections::BTreeMap;

use crate::feed::{Ended, Feed, MAX_ENDED, WINDOW_MS};
use crate::tag::Tag;
use crate::{Now, OnOutage};

/// A lease is valid while the last successful poll started less than this many milliseconds ago. With a source that lags
/// by at most 250 ms and a poll every 200 ms, every invalidation takes effect within a second.
pub const FRESH_MS: u64 = 600;

/// The union over replicas and time: four full replies. With more, single tags are no longer tracked.
const MAX_DEAD: usize = 4 * MAX_ENDED;

/// The invalidations that one worker knows.
#[derive(Clone, Debug, Default)]
pub struct FeedState {
    /// When the last successful poll started, by the monotonic clock. Absent before the first: no lease is valid.
    asked_ms: Option<u64>,
    /// Whether the last good reply left any lease alive.
    open: bool,
    /// The tags that ended, and until when each is remembered. A lease that carries one is dead, whenever it was granted,
    /// so neither the order of grants and replies matters nor the replica they come from.
    dead: BTreeMap<Tag, u64>,
    /// A lease granted before this moment is void: its invalidation may never have arrived.
    since_ms: u64,
    /// Until when no lease is valid, because there was more than could be remembered.
    flooded_until: u64,
}

impl FeedState {
    /// Takes in the reply to the poll that started at `asked_ms`.
    pub fn receive(&mut self, revision: &str, asked_ms: u64, feed: &Feed, now: Now) {
        // A reply that was overtaken does not make the state fresher, but its tags count all the same.
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

    /// Whether any lease is valid now.
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
        // A tag that is still here counts, even past its time: too long costs a full check, too short a wrong allow.
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
    fn a_lease_from_before_the_known_past_is_void_whichever_replica_answers_next() {
        let now = |monotonic_ms| Now { wall_ms: 0, monotonic_ms };
        let none = || std::iter::empty::<Tag>();
        let mut state = FeedState::default();
        state.receive("r", 50_000, &feed(WINDOW_MS, &[]), now(50_010));
        assert!(!state.ended(30_000, none()));
        // A replica that has just started knows only the last second.
        state.receive("r", 50_200, &feed(1_000, &[]), now(50_210));
        assert!(state.ended(49_199, none()) && !state.ended(49_200, none()));
        // One that knows everything answers next. Whether the two overlap cannot be known here.
        state.receive("r", 50_400, &feed(WINDOW_MS, &[Tag(7)]), now(50_410));
        assert!(state.ended(49_199, none()) && !state.ended(50_300, none()));
        assert!(state.ended(50_300, [Tag(7)].into_iter()));
    }
}
