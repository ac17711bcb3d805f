//! The fault of a source, noted once and kept with its beginning.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clock::UnixTime;

/// The fault of a source, and its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    since: UnixTime,
    what: String,
}

impl Trouble {
    /// Notes the fault `what`. A lasting fault keeps its beginning. Returns whether it is new, or another one
    /// than before, so that it is logged once and not at every poll.
    pub fn note(slot: &ArcSwap<Option<Self>>, what: String, now: UnixTime) -> bool {
        let before = slot.load();
        let (since, is_news) = match before.as_ref() {
            Some(trouble) => (trouble.since, trouble.what != what),
            None => (now, true),
        };
        if is_news {
            slot.store(Arc::new(Some(Self { since, what })));
        }
        is_news
    }

    /// Whether it began more than `limit` before `now`.
    #[must_use]
    pub fn lasts_longer_than(&self, limit: Duration, now: UnixTime) -> bool {
        now.since(self.since) > limit
    }

    /// The beginning of the fault.
    #[must_use]
    pub const fn since(&self) -> UnixTime {
        self.since
    }

    /// The description of the fault.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_keeps_its_beginning_and_is_new_once() {
        let slot = ArcSwap::from_pointee(None);
        let at = UnixTime::from_seconds;
        assert!(Trouble::note(&slot, "gone".to_owned(), at(10)));
        assert!(!Trouble::note(&slot, "gone".to_owned(), at(20)));
        assert!(Trouble::note(&slot, "broken".to_owned(), at(30)), "another fault is new");
        let trouble = slot.load_full().as_ref().clone().unwrap();
        assert_eq!(trouble.since(), at(10));
        assert!(!trouble.lasts_longer_than(Duration::from_secs(60), at(70)));
        assert!(trouble.lasts_longer_than(Duration::from_secs(60), at(71)));
    }
}
