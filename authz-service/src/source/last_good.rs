//! The last good state of a source, and how long it serves while no newer one is available.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use clock::UnixTime;

use crate::source::trouble::Trouble;

/// Why a source gives no new state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is gone or unreadable, or a read of it does not end.
    Missing,
    /// It can be read, and its content is invalid.
    Broken,
}

/// The last good state. It serves for a limited time after a fault began.
#[derive(Debug)]
pub struct LastGood<T> {
    value: ArcSwapOption<T>,
    missing: Limited,
    /// Absent when one clock runs for both causes.
    broken: Option<Limited>,
}

/// A fault, and how long the last good state serves with it.
#[derive(Debug)]
struct Limited {
    trouble: ArcSwap<Option<Trouble>>,
    limit: Duration,
}

impl Limited {
    fn to(limit: Duration) -> Self {
        Self { trouble: ArcSwap::from_pointee(None), limit }
    }

    fn is_over(&self, now: UnixTime) -> bool {
        self.trouble.load().as_ref().as_ref().is_some_and(|t| t.lasts_longer_than(self.limit, now))
    }

    fn clear(&self) {
        if self.trouble.load().is_some() {
            self.trouble.store(Arc::new(None));
        }
    }
}

impl<T> LastGood<T> {
    /// No state yet. One clock runs for every fault: it starts with the first one and stops when the source is
    /// good again, even if the cause changes in between.
    #[must_use]
    pub fn for_at_most(limit: Duration) -> Self {
        Self { value: ArcSwapOption::empty(), missing: Limited::to(limit), broken: None }
    }

    /// No state yet. Each cause has its own limit and its own clock.
    #[must_use]
    pub fn for_at_most_each(missing: Duration, broken: Duration) -> Self {
        Self { broken: Some(Limited::to(broken)), ..Self::for_at_most(missing) }
    }

    fn limited(&self) -> impl Iterator<Item = &Limited> {
        std::iter::once(&self.missing).chain(&self.broken)
    }

    /// The state for decisions at `now`. `None` before the first one, and when a fault lasts too long.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<Arc<T>> {
        if self.limited().any(|limited| limited.is_over(now)) { None } else { self.value.load_full() }
    }

    /// The same without a clone of the `Arc`, for the way of a request.
    pub fn with<R>(&self, now: UnixTime, read: impl FnOnce(&T) -> R) -> Option<R> {
        if self.limited().any(|limited| limited.is_over(now)) {
            return None;
        }
        self.value.load().as_deref().map(read)
    }

    /// The last good state, however old it is.
    #[must_use]
    pub fn value(&self) -> Option<Arc<T>> {
        self.value.load_full()
    }

    /// The current fault; `None` when there is none.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.limited().find_map(|limited| limited.trouble.load().as_ref().clone())
    }

    /// Every current fault with the end of its time, to append to a line of `/readyz`. Empty without a fault.
    #[must_use]
    pub fn stale(&self) -> String {
        let mut text = String::new();
        for Limited { trouble, limit } in self.limited() {
            if let Some(trouble) = trouble.load().as_ref() {
                let (since, what, limit) = (trouble.since().seconds(), trouble.what(), limit.as_secs());
                // Writing to a `String` cannot fail.
                let _ = write!(text, "; stale since {since} ({what}), refused after {limit} s");
            }
        }
        text
    }

    /// Replaces the state with `value`, and returns the one before. The fault stays noted until
    /// [`mend`](Self::mend).
    pub fn swap(&self, value: Arc<T>) -> Option<Arc<T>> {
        self.value.swap(Some(value))
    }

    /// Replaces the state with `value`. The source is good again.
    pub fn replace(&self, value: T) {
        self.swap(Arc::new(value));
        self.mend();
    }

    /// Notes that the source answers again, and its content is good.
    pub fn mend(&self) {
        self.limited().for_each(Limited::clear);
    }

    /// Notes that the source can be read, whether or not its content is good.
    pub fn is_readable(&self) {
        if self.broken.is_some() {
            self.missing.clear();
        }
    }

    /// Notes a fault. The first note starts the clock. Returns whether the fault is new.
    pub fn note(&self, cause: Cause, what: String, now: UnixTime) -> bool {
        let limited = match cause {
            Cause::Missing => &self.missing,
            Cause::Broken => {
                self.is_readable();
                self.broken.as_ref().unwrap_or(&self.missing)
            }
        };
        Trouble::note(&limited.trouble, what, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn the_last_good_state_serves_for_its_time_and_no_longer() {
        let state = LastGood::for_at_most(MINUTE);
        assert_eq!(state.current(at(1)), None);
        state.replace(7);
        assert!(state.note(Cause::Missing, "gone".to_owned(), at(10)));
        assert!(!state.note(Cause::Missing, "gone".to_owned(), at(20)));
        assert_eq!(state.current(at(70)).as_deref(), Some(&7));
        assert_eq!((state.current(at(71)), state.value().as_deref()), (None, Some(&7)));
        assert_eq!(state.with(at(71), |seven| *seven), None);
        state.mend();
        assert_eq!((state.current(at(1_000)).as_deref(), state.trouble()), (Some(&7), None));
        assert_eq!(state.with(at(1_000), |seven| *seven), Some(7));
    }

    #[test]
    fn with_one_clock_a_fault_that_changes_its_cause_gets_no_more_time() {
        let state = LastGood::for_at_most(MINUTE);
        state.replace(7);
        state.note(Cause::Missing, "gone".to_owned(), at(10));
        state.note(Cause::Broken, "not JSON".to_owned(), at(60));
        state.is_readable();
        assert_eq!(state.current(at(71)), None);
    }

    #[test]
    fn with_two_clocks_each_cause_has_its_own_limit() {
        let state = LastGood::for_at_most_each(MINUTE, 5 * MINUTE);
        state.replace(7);
        state.note(Cause::Missing, "gone".to_owned(), at(10));
        assert!(state.current(at(70)).is_some() && state.current(at(71)).is_none());
        state.note(Cause::Broken, "not JSON".to_owned(), at(80));
        assert!(state.current(at(380)).is_some(), "a file that can be read is not missing");
        assert_eq!(state.current(at(381)), None);
        // A broken file that goes missing for a moment is the same broken file when it is back.
        state.note(Cause::Missing, "gone".to_owned(), at(381));
        assert_eq!(state.stale().matches("stale since").count(), 2);
        state.note(Cause::Broken, "not JSON".to_owned(), at(382));
        assert_eq!(state.current(at(382)), None);
        assert_eq!(state.stale(), "; stale since 80 (not JSON), refused after 300 s");
        state.replace(8);
        assert_eq!((state.current(at(1_000)).as_deref(), state.stale().as_str()), (Some(&8), ""));
    }
}
