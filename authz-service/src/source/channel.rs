//! The state of the subscription: whether it is alive, and since when without a gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::source::Health;
use crate::source::last_seen::LastSeen;

/// An unbroken stretch of the subscription. A fact that was read within the current one would have been
/// corrected by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch(u64);

/// The state of the subscription.
#[derive(Debug)]
pub struct Channel {
    seen: LastSeen,
    stretch: AtomicU64,
    trouble: ArcSwap<Option<String>>,
}

impl Default for Channel {
    fn default() -> Self {
        Self { seen: LastSeen::default(), stretch: AtomicU64::new(0), trouble: ArcSwap::from_pointee(None) }
    }
}

impl Channel {
    /// The current stretch. Read it before you query a value to be cached.
    #[must_use]
    pub fn stretch(&self) -> Stretch {
        Stretch(self.stretch.load(Ordering::Acquire))
    }

    /// Whether every message until `limit` before `now` has arrived here, without a gap since `stretch`.
    #[must_use]
    pub fn vouches(&self, stretch: Stretch, now: Instant, limit: Duration) -> bool {
        stretch == self.stretch() && self.is_alive(now, limit)
    }

    /// Whether there was a sign of life less than `limit` before `now`.
    #[must_use]
    pub fn is_alive(&self, now: Instant, limit: Duration) -> bool {
        self.seen.is_within(limit, now)
    }

    /// Begins a new stretch: earlier messages may not have arrived.
    pub fn begin(&self) {
        self.stretch.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes a sign of life at `at`.
    pub fn received(&self, at: Instant) {
        self.seen.note(at);
        if self.trouble.load().is_some() {
            self.trouble.store(Arc::new(None));
        }
    }

    /// Notes that the subscription is lost. Returns whether that is new.
    pub fn lost(&self, what: String) -> bool {
        let is_news = self.trouble.load().as_ref().as_ref() != Some(&what);
        if is_news {
            self.trouble.store(Arc::new(Some(what)));
        }
        is_news
    }

    /// The state of the subscription, for `/readyz`. A lost one does not make a replica unready: every
    /// replica loses it at once, and each decision knows by itself how long its data stays valid.
    #[must_use]
    pub fn health(&self) -> Health {
        let detail = match self.trouble.load().as_ref() {
            Some(trouble) => format!("lost: {trouble}"),
            None if !self.seen.is_ever() => "not subscribed yet".to_owned(),
            None => "subscribed".to_owned(),
        };
        Health { ready: self.seen.is_ever(), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn vouches_for_one_stretch_and_for_a_while() {
        let channel = Channel::default();
        let limit = Duration::from_secs(5);
        let early = channel.stretch();
        assert!(!channel.vouches(early, Instant::now(), limit), "nothing was ever received");
        channel.begin();
        channel.received(Instant::now());
        assert!(!channel.vouches(early, Instant::now(), limit), "from before the subscription");
        let stretch = channel.stretch();
        assert!(channel.vouches(stretch, Instant::now(), limit));
        tokio::time::advance(Duration::from_millis(4_999)).await;
        assert!(channel.vouches(stretch, Instant::now(), limit));
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(!channel.vouches(stretch, Instant::now(), limit), "silent for too long");
        channel.received(Instant::now());
        assert!(channel.vouches(stretch, Instant::now(), limit), "silence without a gap");
        channel.begin();
        assert!(!channel.vouches(stretch, Instant::now(), limit), "a gap");
    }
}
