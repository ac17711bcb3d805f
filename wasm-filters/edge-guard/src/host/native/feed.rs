//! Polls the feed of invalidations five times a second (sooner at first) from Envoy's main thread, for all workers of a
//! listener.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lease::{FIRST_MS, FeedState};

use super::abi::Buffer;
use super::reminder::Reminder;
use super::{now, post};
use crate::feed_client::{FeedClient, FeedReply, MAX_ANSWER_BYTES, TIMEOUT_MS};
use crate::host::{self, HostError};

pub(super) struct Feed {
    feed_client: Mutex<FeedClient>,
    /// The last good answer for the workers, and the number of its changes.
    received: Mutex<Arc<FeedState>>,
    changes: AtomicU64,
    /// `cutover_guard_feed_lost`. Polls without a good answer.
    lost: u32,
    reminder: Reminder,
}

impl Feed {
    /// Begins to poll for the current configuration.
    pub(super) fn begin(feed_client: FeedClient) -> Result<Self, HostError> {
        Ok(Self {
            feed_client: Mutex::new(feed_client),
            received: Mutex::default(),
            changes: AtomicU64::new(0),
            lost: host::counter("cutover_guard_feed_lost")?,
            reminder: Reminder::begin("cutover-feed", FIRST_MS)?,
        })
    }

    /// Polls the feed: on the main thread, for the current configuration.
    pub(super) fn ask(&self) -> Result<(), HostError> {
        let mut feed_client = self.feed_client();
        let asked_ms = now()?.monotonic_ms;
        let question = feed_client.question(asked_ms);
        self.reminder.next(feed_client.next_tick_ms());
        let Some(body) = question else { return Ok(()) };
        let token = post::post(lease::PATH, &body, TIMEOUT_MS)?;
        feed_client.sent(token, asked_ms);
        Ok(())
    }

    /// Reads the answer to `token`: on the main thread, for the current configuration.
    pub(super) fn answered(&self, token: u64, good: bool, chunks: &[Buffer]) -> Result<(), HostError> {
        let body = post::body(good, chunks, MAX_ANSWER_BYTES);
        let answer = self.feed_client().answered(token, body.as_deref(), now()?);
        match answer {
            FeedReply::Good(feed) => {
                *self.received() = feed;
                // A worker that sees the new number also sees the new answer: both are read after the lock.
                self.changes.fetch_add(1, Ordering::Release);
                Ok(())
            }
            FeedReply::Lost => host::add(self.lost, 1),
            FeedReply::Stale => Ok(()),
        }
    }

    /// The answer that is newer than `seen`, if any; updates `seen`.
    pub(super) fn news(&self, seen: &mut u64) -> Option<Arc<FeedState>> {
        let changes = self.changes.load(Ordering::Acquire);
        if changes == *seen {
            return None;
        }
        *seen = changes;
        Some(Arc::clone(&self.received()))
    }

    fn feed_client(&self) -> MutexGuard<'_, FeedClient> {
        self.feed_client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self) -> MutexGuard<'_, Arc<FeedState>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
