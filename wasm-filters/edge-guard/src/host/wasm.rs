//! The proxy-wasm ABI 0.2.1, as far as the guard needs it: all `unsafe` of this crate.
//!
//! Written by hand instead of taken from the SDK for three reasons. The SDK exports every callback there is, and
//! Envoy calls what is exported; its getters copy the headers twice and panic on a status that they do not know;
//! and what is left without those is this file. The ABI: github.com/proxy-wasm/spec, `abi-versions/v0.2.1`.
#![expect(unsafe_code, reason = "the ABI is made of raw pointers; every other module is safe")]

use super::{HostError, Level};

mod clock;
mod hooks;
mod leases;
mod machine;
mod shelf;

pub(crate) use leases::{granted, note};
pub(crate) use shelf::Shelf;

const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
const COUNTER: u32 = 0;
/// A header map without headers, serialised.
const NO_HEADERS: [u8; 4] = [0; 4];
/// No gRPC status: Envoy derives one from the HTTP status for gRPC callers.
const NO_GRPC_STATUS: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        kind: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(kind: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(data: *mut u8, size: usize) -> u32;
}

fn check(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError { call, status }) }
}

/// Takes over a block that the host filled. The host got it from [`proxy_on_memory_allocate`](hooks::proxy_on_memory_allocate).
///
/// # Safety
/// `data` is null, or came from [`proxy_on_memory_allocate`](hooks::proxy_on_memory_allocate) with this very `size` and nobody else owns it.
unsafe fn adopt(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise; the allocator made it with capacity = size.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

/// Writes a line to Envoy's log. There is nothing to do about a failure.
pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: the pointer and length of a live string, only read by the host.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> Result<u64, HostError> {
    let mut nanoseconds = 0;
    // SAFETY: a valid place for the host to write a u64 to.
    check("get_current_time_nanoseconds", unsafe {
        proxy_get_current_time_nanoseconds(&raw mut nanoseconds)
    })?;
    Ok(nanoseconds / 1_000_000)
}

/// `N` random bytes from Envoy's own generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], HostError> {
    let mut bytes = [0; N];
    // SAFETY: the host writes exactly N bytes.
    check("random_get", unsafe { random_get(bytes.as_mut_ptr(), N) })?;
    Ok(bytes)
}

/// The plugin configuration, while it is being configured.
fn plugin_configuration() -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: valid places for a pointer and a length.
    let status =
        unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, &raw mut data, &raw mut size) };
    check("get_buffer_bytes", status)?;
    // SAFETY: the host succeeded, so it allocated `size` bytes at `data` for us.
    Ok(unsafe { adopt(data, size) })
}

/// The request's headers, serialised (see [`header_rules::HeaderMap`]).
pub(crate) fn request_headers() -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: valid places for a pointer and a length.
    let status = unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, &raw mut data, &raw mut size) };
    check("get_header_map_pairs", status)?;
    // SAFETY: the host succeeded, so it allocated `size` bytes at `data` for us.
    Ok(unsafe { adopt(data, size) })
}

/// Removes every line of the request header `name`.
pub(crate) fn remove_request_header(name: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointer and length of a live slice, only read by the host.
    let status = unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) };
    check("remove_header_map_value", status)
}

/// Makes `value` the only value of the request header `name`.
pub(crate) fn set_request_header(name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: pointers and lengths of live slices, only read by the host.
    let status = unsafe {
        proxy_replace_header_map_value(
            REQUEST_HEADERS,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    check("replace_header_map_value", status)
}

/// Answers the request here. `details` ends up in the access log's response code details.
pub(crate) fn answer(status: u16, details: &str, body: &str) -> Result<(), HostError> {
    // SAFETY: pointers and lengths of live slices, only read by the host.
    let status = unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            NO_HEADERS.as_ptr(),
            NO_HEADERS.len(),
            NO_GRPC_STATUS,
        )
    };
    check("send_local_response", status)
}

/// Registers a counter, or finds it when it is there already.
pub(crate) fn counter(name: &str) -> Result<u32, HostError> {
    let mut metric = 0;
    // SAFETY: a live string and a valid place for the metric's id.
    check("define_metric", unsafe {
        proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut metric)
    })?;
    Ok(metric)
}

/// Adds to a counter.
pub(crate) fn add(counter: u32, count: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check("increment_metric", unsafe { proxy_increment_metric(counter, i64::from(count)) })
}

/// A counter that nearly every request adds to: what it counted is told with each tick, since telling costs each time.
#[derive(Clone)]
pub(crate) struct Tally {
    counter: u32,
    untold: u32,
}

impl Tally {
    pub(crate) fn define(name: &str) -> Result<Self, HostError> {
        Ok(Self { counter: counter(name)?, untold: 0 })
    }

    /// Counts one. This cannot fail; where counting asks somebody else, it can.
    pub(crate) const fn count(&mut self) -> Result<(), HostError> {
        self.untold = self.untold.saturating_add(1);
        Ok(())
    }

    /// Tells what was counted since the last time.
    pub(crate) fn tell(&mut self) -> Result<(), HostError> {
        match std::mem::take(&mut self.untold) {
            0 => Ok(()),
            untold => add(self.counter, untold),
        }
    }
}

/// Envoy chooses the route anew by itself when a filter of this version of the ABI has changed a request header.
pub(crate) const fn choose_route_anew() -> Result<(), HostError> {
    Ok(())
}

/// Gives up: the module is dead from here on, and Envoy reloads it.
fn trap() -> ! {
    std::process::abort()
}
