//! What leases need of the host beyond what judging needs: shared memory, properties, a tick, one call.

use super::{adopt, check};
use crate::host::HostError;
use crate::note::Note;

const HTTP_CALL_RESPONSE_BODY: u32 = 4;
const HTTP_CALL_RESPONSE_HEADERS: u32 = 6;
/// WASI's id of the clock that is never set.
const MONOTONIC: u32 = 1;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(milliseconds: u32) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        kind: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(id: u32, precision: u64, time: *mut u64) -> u32;
}

/// Milliseconds by a clock that never goes back and that all workers share.
pub(super) fn monotonic_ms() -> Result<u64, HostError> {
    let mut nanoseconds = 0;
    // SAFETY: a valid place for the host to write a u64 to.
    check("clock_time_get", unsafe { clock_time_get(MONOTONIC, 1_000_000, &raw mut nanoseconds) })?;
    Ok(nanoseconds / 1_000_000)
}

/// A property of the request; `None` when there is none. The parts of the path are separated by zero bytes.
fn property(path: &str) -> Result<Option<Vec<u8>>, HostError> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: a live string, and valid places for a pointer and a length.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    if status == NOT_FOUND {
        return Ok(None);
    }
    check("get_property", status)?;
    // SAFETY: the host succeeded, so it allocated `size` bytes at `data` for us.
    Ok(Some(unsafe { adopt(data, size) }))
}

/// What the authorizer granted with the request at hand, as it stands in ext_authz's dynamic metadata.
pub(crate) fn granted() -> Result<Option<Vec<u8>>, HostError> {
    property(&format!("metadata\0filter_metadata\0envoy.filters.http.ext_authz\0{}", lease::FIELD))
}

/// Notes something about the request: filter state, which no header can reach.
pub(crate) fn note(note: &Note, value: &[u8]) -> Result<(), HostError> {
    // Envoy puts `wasm.` before the name of whatever a module of this kind sets.
    let name = note.state.strip_prefix("wasm.").unwrap_or(note.state);
    // SAFETY: pointers and lengths of live slices, only read by the host.
    let status = unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    check("set_property", status)
}

/// What all workers share under `key`, with its version; `None` when there is nothing.
pub(super) fn shared(key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let (mut data, mut size, mut cas) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: a live slice, and valid places for a pointer, a length and a version.
    let status =
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut cas) };
    if status == NOT_FOUND {
        return Ok(None);
    }
    check("get_shared_data", status)?;
    // SAFETY: the host succeeded, so it allocated `size` bytes at `data` for us.
    Ok(Some((unsafe { adopt(data, size) }, cas)))
}

/// Shares `value` under `key`, if what is there still has `version`; 0 asks for nothing. `false` when somebody was
/// faster.
pub(super) fn share(key: &[u8], value: &[u8], version: u32) -> Result<bool, HostError> {
    // SAFETY: pointers and lengths of live slices, only read by the host.
    let status =
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) };
    if status == CAS_MISMATCH {
        return Ok(false);
    }
    check("set_shared_data", status)?;
    Ok(true)
}

/// Asks for a tick every so often, for the plugin at hand.
pub(super) fn tick_every(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: no pointers.
    check("set_tick_period_milliseconds", unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Posts `body`. The answer comes with the token that is returned.
pub(super) fn post(cluster: &str, path: &str, body: &[u8], timeout_ms: u32) -> Result<u32, HostError> {
    let length = body.len().to_string();
    let headers = pairs(&[
        (":method", "POST"),
        (":path", path),
        (":authority", cluster),
        ("content-type", "text/plain"),
        ("content-length", &length),
    ]);
    let mut token = 0;
    // SAFETY: pointers and lengths of live slices, only read by the host, and a valid place for the token.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            super::NO_HEADERS.as_ptr(),
            super::NO_HEADERS.len(),
            timeout_ms,
            &raw mut token,
        )
    };
    check("http_call", status)?;
    Ok(token)
}

/// Headers in the serialised form of the ABI.
fn pairs(headers: &[(&str, &str)]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap_or(0).to_le_bytes();
    let mut out = Vec::from(number(headers.len()));
    for (name, value) in headers {
        out.extend(number(name.len()));
        out.extend(number(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        out.extend(text.as_bytes());
        out.push(0);
    }
    out
}

/// The status of the answer at hand, as text; empty when no answer came.
pub(super) fn answered_status() -> Vec<u8> {
    let name = ":status";
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: a live string, and valid places for a pointer and a length.
    let status = unsafe {
        proxy_get_header_map_value(
            HTTP_CALL_RESPONSE_HEADERS,
            name.as_ptr(),
            name.len(),
            &raw mut data,
            &raw mut size,
        )
    };
    if status != 0 {
        return Vec::new();
    }
    // SAFETY: the host succeeded, so it allocated `size` bytes at `data` for us.
    unsafe { adopt(data, size) }
}

/// The body of the answer at hand, if it is not longer than `most`.
pub(super) fn answered_body(size: usize, most: usize) -> Option<Vec<u8>> {
    if size > most {
        return None;
    }
    let (mut data, mut got) = (std::ptr::null_mut(), 0);
    // SAFETY: valid places for a pointer and a length.
    let status =
        unsafe { proxy_get_buffer_bytes(HTTP_CALL_RESPONSE_BODY, 0, size, &raw mut data, &raw mut got) };
    // SAFETY: the host succeeded, so it allocated `got` bytes at `data` for us.
    (status == 0).then(|| unsafe { adopt(data, got) })
}
