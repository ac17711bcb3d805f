//! The host calls that are declared here instead of used from the `proxy-wasm` crate, with the reasons; WASI's clock.
#![expect(unsafe_code, reason = "host calls are made of raw pointers; every other module is safe")]

use crate::host::{HostError, serialised};
use crate::note::Note;

const REQUEST_HEADERS: u32 = 0;
/// No gRPC status: Envoy derives one from the HTTP status for gRPC callers.
const NO_GRPC_STATUS: i32 = -1;
const OK: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// The crate's `get_map_bytes` copies every name and every value out of this buffer. The rules read it in place at half
    /// the cost.
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;

    /// The crate's `set_property` allocates twice for each property, and a leased request has six. With it, Envoy needed a
    /// tenth more time for such a request (docs/guard.md).
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;

    /// The crate's `send_http_response` has no parameter for the reason (`details`), which the access log shows.
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
}

fn check(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == OK { Ok(()) } else { Err(HostError { call, status }) }
}

/// The request's headers, serialised (see [`header_rules::HeaderMap`]).
pub(crate) fn request_headers() -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: valid places for a pointer and a length.
    let status = unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, &raw mut data, &raw mut size) };
    check("get_header_map_pairs", status)?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host succeeded, so it got `size` bytes at `data` from the crate's `proxy_on_memory_allocate`, which
    // allocates a vector of exactly that capacity and leaves it to the caller. The host has filled all of them.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Adds a note about the request: filter state, which no header can reach.
pub(crate) fn note(note: &Note, value: &[u8]) -> Result<(), HostError> {
    // Envoy puts `wasm.` before the name of each property that a module of this kind sets.
    let name = note.state.strip_prefix("wasm.").unwrap_or(note.state);
    // SAFETY: pointers and lengths of live slices, only read by the host.
    let status = unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    check("set_property", status)
}

/// Answers the request here. `details` appears in the access log's response code details.
pub(crate) fn answer(
    status: u16,
    details: &str,
    body: &str,
    headers: &[(&str, &[u8])],
) -> Result<(), HostError> {
    let headers = serialised(headers.len(), || headers.iter().map(|(name, value)| (name.as_bytes(), *value)));
    // SAFETY: pointers and lengths of live slices, only read by the host.
    let status = unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    };
    check("send_local_response", status)
}

/// Milliseconds by a monotonic clock that all workers share. `std::time::Instant` reads the same clock but hides its value,
/// which has to be compared with that of another worker.
pub(super) fn monotonic_ms() -> Result<u64, HostError> {
    /// The precision in nanoseconds. Leases need milliseconds only.
    const PRECISION: u64 = 1_000_000;
    // SAFETY: no pointers of ours; `wasip1` declares the call.
    let nanoseconds = unsafe { wasip1::clock_time_get(wasip1::CLOCKID_MONOTONIC, PRECISION) };
    let failed = |errno: wasip1::Errno| HostError { call: "clock_time_get", status: u32::from(errno.raw()) };
    Ok(nanoseconds.map_err(failed)? / 1_000_000)
}
