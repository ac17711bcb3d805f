//! Makes Envoy call a configuration regularly, on its main thread.
//!
//! Envoy has no timer for a module's configuration, so a thread of ours makes Envoy call us. All other work happens in
//! Envoy's calls.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::{abi, configuration};
use crate::host::HostError;

/// The longest pause. A thread sleeps no longer than this after its configuration was dropped.
const LONGEST_MS: u32 = 500;

/// A reminding thread; it ends when this is dropped.
pub(super) struct Reminder(Arc<Shared>);

struct Shared {
    ended: AtomicBool,
    /// Milliseconds until the next reminder.
    next_ms: AtomicU32,
}

/// Envoy's handle to request a call. It is only passed back to Envoy, from any thread.
struct Scheduler(*mut c_void);

// SAFETY: Envoy allows any thread to commit with it and delete it; it is an owned pointer without another owner.
unsafe impl Send for Scheduler {}

impl Reminder {
    /// Begins to remind the current configuration, with this pause at first. An Envoy that only validates a configuration
    /// never calls back.
    pub(super) fn begin(name: &str, first_ms: u32) -> Result<Self, HostError> {
        let shared = Arc::new(Shared { ended: AtomicBool::new(false), next_ms: AtomicU32::new(first_ms) });
        // SAFETY: the main thread, where configurations are made.
        if unsafe { abi::envoy_dynamic_module_callback_is_validation_mode() } {
            return Ok(Self(shared));
        }
        let plugin = configuration("scheduler_new")?;
        // SAFETY: the configuration is alive.
        let scheduler =
            Scheduler(unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_new(plugin) });
        let of_thread = Arc::clone(&shared);
        let begun =
            std::thread::Builder::new().name(name.to_owned()).spawn(move || remind(&scheduler, &of_thread));
        begun.map(|_| Self(shared)).map_err(|_| HostError { call: "a thread for reminders", status: 0 })
    }

    /// The pause until the next reminder, in milliseconds.
    pub(super) fn next(&self, next_ms: u32) {
        self.0.next_ms.store(next_ms, Ordering::Relaxed);
    }
}

impl Drop for Reminder {
    /// Does not wait for the thread: a reminder may be the last owner of the configuration, and then this is that thread.
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// Makes Envoy call us regularly, until the configuration is dropped.
fn remind(scheduler: &Scheduler, shared: &Shared) {
    while !shared.ended.load(Ordering::Relaxed) {
        // SAFETY: the scheduler is ours until it is deleted below. Without the configuration Envoy does nothing.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_commit(scheduler.0, 0) };
        // Set by the call before: the one that this reminder causes runs on another thread.
        let next_ms = shared.next_ms.load(Ordering::Relaxed).min(LONGEST_MS);
        std::thread::sleep(Duration::from_millis(u64::from(next_ms)));
    }
    // SAFETY: it is not used any more.
    unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler.0) };
}
