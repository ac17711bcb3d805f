//! How much of a request's body has come. A stream has no state of its own here, so the few that are counted are in a map of
//! their worker, from their first piece to their end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

use super::abi;

thread_local! {
    // At most one entry for each request in progress on a route with a limit.
    static RECEIVED: RefCell<HashMap<usize, u64>> = RefCell::default();
}

/// Adds the piece that came now, and returns the sum.
pub(super) fn received(stream: *mut c_void) -> u64 {
    // SAFETY: the stream is alive while its hook runs.
    let piece =
        unsafe { abi::envoy_dynamic_module_callback_http_get_body_size(stream, abi::RECEIVED_REQUEST_BODY) };
    RECEIVED.with_borrow_mut(|all| {
        let sum = all.entry(stream as usize).or_default();
        *sum = sum.saturating_add(u64::try_from(piece).unwrap_or(u64::MAX));
        *sum
    })
}

/// Forgets a stream that has ended.
pub(super) fn forget(stream: *mut c_void) {
    RECEIVED.with_borrow_mut(|all| all.remove(&(stream as usize)));
}
