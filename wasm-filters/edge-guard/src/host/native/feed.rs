//! Polls the feed of invalidations five times a second (sooner at first) from Envoy's main thread, for all workers of a
//! listener.
//!
//! Envoy has no timer for a module's configuration, so a thread of ours makes Envoy call us. All other work happens in
//! Envoy's calls.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lease::{EVERY_MS, FIRST_MS, FeedState};

use super::abi::{self, Buffer, Header};
use super::{check, configuration, now};
use crate::feed_client::{CLUSTER, FeedClient, FeedReply, MAX_ANSWER_BYTES, TIMEOUT_MS};
use crate::host::{self, HostError};

pub(super) struct Feed {
    feed_client: Mutex<FeedClient>,
    /// The last good answer for the workers, and the number of its changes.
    received: Mutex<Arc<FeedState>>,
    changes: AtomicU64,
    /// `cutover_guard_feed_lost`. Polls without a good answer.
    lost: u32,
    reminders: Arc<Reminders>,
}

/// The state of the reminding thread.
struct Reminders {
    ended: AtomicBool,
    /// Milliseconds until the next one.
    next_ms: AtomicU32,
}

/// Envoy's handle to request a call. It is only passed back to Envoy, from any thread.
struct Scheduler(*mut c_void);

// SAFETY: Envoy allows any thread to commit with it and delete it; it is an owned pointer without another owner.
unsafe impl Send for Scheduler {}

impl Feed {
    /// Begins to poll for the current configuration. An Envoy that only validates a configuration never calls back.
    pub(super) fn begin(feed_client: FeedClient) -> Result<Self, HostError> {
        let feed = Self {
            feed_client: Mutex::new(feed_client),
            received: Mutex::default(),
            changes: AtomicU64::new(0),
            lost: host::counter("cutover_guard_feed_lost")?,
            reminders: Arc::new(Reminders {
                ended: AtomicBool::new(false),
                next_ms: AtomicU32::new(FIRST_MS),
            }),
        };
        // SAFETY: the main thread, where configurations are made.
        if unsafe { abi::envoy_dynamic_module_callback_is_validation_mode() } {
            return Ok(feed);
        }
        let plugin = configuration("scheduler_new")?;
        // SAFETY: the configuration is alive.
        let scheduler =
            Scheduler(unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_new(plugin) });
        let reminders = Arc::clone(&feed.reminders);
        let thread = std::thread::Builder::new().name("cutover-feed".to_owned());
        let begun = thread.spawn(move || remind(&scheduler, &reminders));
        begun.map(|_| feed).map_err(|_| HostError { call: "a thread for the feed", status: 0 })
    }

    /// Polls the feed: on the main thread, for the current configuration.
    pub(super) fn ask(&self) -> Result<(), HostError> {
        let plugin = configuration("http_callout")?;
        let mut feed_client = self.feed_client();
        let asked_ms = now()?.monotonic_ms;
        let question = feed_client.question(asked_ms);
        self.reminders.next_ms.store(feed_client.next_tick_ms(), Ordering::Relaxed);
        let Some(body) = question else { return Ok(()) };
        let length = body.len().to_string();
        let mut headers = [
            Header::of(":method", "POST"),
            Header::of(":path", lease::PATH),
            Header::of("host", CLUSTER),
            Header::of("content-type", "text/plain"),
            Header::of("content-length", &length),
        ];
        let mut token = 0;
        // SAFETY: the configuration is alive while its hook runs; everything else is copied, and there is a place for the
        // token.
        check("http_callout", unsafe {
            abi::envoy_dynamic_module_callback_http_filter_config_http_callout(
                plugin,
                &raw mut token,
                Buffer::of(CLUSTER.as_bytes()),
                headers.as_mut_ptr(),
                headers.len(),
                Buffer::of(body.as_bytes()),
                u64::from(TIMEOUT_MS),
            )
        })?;
        feed_client.sent(token, asked_ms);
        Ok(())
    }

    /// Reads the answer to `token`: on the main thread, for the current configuration.
    pub(super) fn answered(&self, token: u64, good: bool, chunks: &[Buffer]) -> Result<(), HostError> {
        let size = chunks.iter().fold(0_usize, |size, chunk| size.saturating_add(chunk.length));
        // SAFETY: Envoy's, valid while its hook runs, and copied at once.
        let body = (good && size <= MAX_ANSWER_BYTES).then(|| {
            chunks.iter().flat_map(|chunk| unsafe { chunk.bytes() }.iter().copied()).collect::<Vec<u8>>()
        });
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

impl Drop for Feed {
    /// Does not wait for the thread: a reminder may be the last owner of the configuration, and then this is that thread.
    fn drop(&mut self) {
        self.reminders.ended.store(true, Ordering::Relaxed);
    }
}

/// Makes Envoy call us regularly, until the configuration is dropped.
fn remind(scheduler: &Scheduler, reminders: &Reminders) {
    while !reminders.ended.load(Ordering::Relaxed) {
        // SAFETY: the scheduler is ours until it is deleted below. Without the configuration Envoy does nothing.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_commit(scheduler.0, 0) };
        // Set by the poll before: the one that this reminder causes runs on another thread.
        let next_ms = reminders.next_ms.load(Ordering::Relaxed).min(EVERY_MS);
        std::thread::sleep(Duration::from_millis(u64::from(next_ms)));
    }
    // SAFETY: it is not used any more.
    unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler.0) };
}
