//! Counters of Envoy, and counts that wait where it offers none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::HostError;
use super::abi::{self, Buffer};
use super::{CALLER, Caller, check, configuration};

/// Registers a counter, or finds it when it already exists.
pub(crate) fn counter(name: &str) -> Result<u32, HostError> {
    const CALL: &str = "define_counter";
    let plugin = configuration(CALL)?;
    let mut counter = 0;
    // SAFETY: the configuration is being made on this thread; the name is only read, and there is a place for the id.
    check(CALL, unsafe {
        abi::envoy_dynamic_module_callback_http_filter_config_define_counter(
            plugin,
            Buffer::of(name.as_bytes()),
            std::ptr::null_mut(),
            0,
            &raw mut counter,
        )
    })?;
    u32::try_from(counter).map_err(|_| HostError { call: CALL, status: u32::MAX })
}

/// Adds to a counter.
pub(crate) fn add(counter: u32, count: u32) -> Result<(), HostError> {
    const CALL: &str = "increment_counter";
    let (counter, count) = (counter as usize, u64::from(count));
    // SAFETY: the object for which Envoy called us is alive; there are no labels.
    check(CALL, unsafe {
        match CALLER.get() {
            Some(Caller::Stream(stream)) => abi::envoy_dynamic_module_callback_http_filter_increment_counter(
                stream,
                counter,
                std::ptr::null_mut(),
                0,
                count,
            ),
            Some(Caller::Plugin(plugin)) => {
                abi::envoy_dynamic_module_callback_http_filter_config_increment_counter(
                    plugin,
                    counter,
                    std::ptr::null_mut(),
                    0,
                    count,
                )
            }
            Some(Caller::Early(_)) | None => u32::MAX,
        }
    })
}

/// A counter that nearly every request increments. Here that is one atomic addition, so it is done at once. In an early
/// lookup Envoy offers no counters, and its counts are reported with the next poll of the feed.
#[derive(Clone)]
pub(crate) struct Tally {
    counter: u32,
    unreported: Arc<AtomicU32>,
}

impl Tally {
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        Ok(Self { counter: counter(name)?, unreported: Arc::default() })
    }

    /// Counts one.
    pub(crate) fn count(&mut self) -> Result<(), HostError> {
        if let Some(Caller::Early(_)) = CALLER.get() {
            self.unreported.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        add(self.counter, 1)
    }

    /// Reports counts that were not reported yet.
    pub(crate) fn report(&self) -> Result<(), HostError> {
        match self.unreported.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            unreported => add(self.counter, unreported),
        }
    }
}
