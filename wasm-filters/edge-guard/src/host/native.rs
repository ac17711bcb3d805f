//! The guard as a dynamic module: a shared library in Envoy's own process.
//!
//! ```text
//! hooks    the functions that Envoy calls
//! early    serves by a lease before any filter is made
//! mark     the mark that early writes on a request, and its removal
//! plugin   one configuration, and each worker's guard of it
//! body     how much of a request's body has come
//! feed     polls the feed of invalidations from Envoy's main thread
//! open     the open streams of a listener, and how each is ended on its worker
//! post     a poll and the body of its answer
//! reminder makes Envoy call a configuration regularly
//! shelf    the store of leases: memory that guard and keeper of all workers share
//! count    counters, and counts that wait for the next poll
//! abi      the declared functions of Envoy
//! ```
//!
//! This form is not isolated: a wrong pointer can corrupt Envoy's memory. So all code that handles pointers is in this
//! folder, all other code is safe Rust, and a panic ends its request and not Envoy.
#![expect(unsafe_code, reason = "the ABI is made of raw pointers; every other module is safe")]

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use header_rules::HeaderMap;
use header_rules::config::{BODY_LIMIT, PEER_STATE};
use lease::Now;

use super::{HostError, Level, number, serialised};
use crate::note::Note;
use abi::{Buffer, Header, SUCCESS};

mod abi;
mod body;
mod count;
mod early;
mod feed;
mod hooks;
mod mark;
mod open;
mod plugin;
mod post;
mod reminder;
mod shelf;

pub(crate) use count::{Tally, add, counter};
pub(crate) use shelf::Shelf;

/// The object for which Envoy called, and on which the functions here work.
#[derive(Clone, Copy)]
enum Caller {
    /// A request before anything else happens to it, on its worker.
    Early(*mut c_void),
    /// A request, on its worker.
    Stream(*mut c_void),
    /// A configuration, on the main thread.
    Plugin(*mut c_void),
}

thread_local! {
    static CALLER: Cell<Option<Caller>> = const { Cell::new(None) };
}

/// Runs `act` with `caller` as the current caller, then restores the previous one: Envoy may call us during a call of ours.
fn on_behalf_of<T>(caller: Caller, act: impl FnOnce() -> T) -> T {
    struct Before(Option<Caller>);
    impl Drop for Before {
        fn drop(&mut self) {
            CALLER.set(self.0);
        }
    }
    let _before = Before(CALLER.replace(Some(caller)));
    act()
}

/// The current request.
fn stream(call: &'static str) -> Result<*mut c_void, HostError> {
    match CALLER.get() {
        Some(Caller::Stream(stream)) => Ok(stream),
        Some(Caller::Early(_) | Caller::Plugin(_)) | None => Err(HostError { call, status: u32::MAX }),
    }
}

/// The current configuration.
fn configuration(call: &'static str) -> Result<*mut c_void, HostError> {
    match CALLER.get() {
        Some(Caller::Plugin(plugin)) => Ok(plugin),
        Some(Caller::Early(_) | Caller::Stream(_)) | None => Err(HostError { call, status: u32::MAX }),
    }
}

const fn done(call: &'static str, done: bool) -> Result<(), HostError> {
    if done { Ok(()) } else { Err(HostError { call, status: 0 }) }
}

const fn check(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == SUCCESS { Ok(()) } else { Err(HostError { call, status }) }
}

/// Writes a line to Envoy's log. A failure is ignored.
pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: a live string, only read by the host; any thread may log.
    unsafe { abi::envoy_dynamic_module_callback_log(level as u32, Buffer::of(message.as_bytes())) };
}

/// Both clocks.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the time comes from; the rules take it as an argument"
)]
fn now() -> Result<Now, HostError> {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let milliseconds =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall = wall.map_err(|_| HostError { call: "clock before 1970", status: 0 })?;
    // One second more: no lease was granted at time zero.
    let monotonic_ms = milliseconds(BEGUN.elapsed()).saturating_add(1_000);
    Ok(Now { wall_ms: milliseconds(wall), monotonic_ms })
}

/// The request's headers, serialised (see [`header_rules::HeaderMap`]).
pub(crate) fn request_headers() -> Result<Vec<u8>, HostError> {
    /// As many as the listener accepts, and those that Envoy adds.
    const USUAL: usize = 128;
    const CALL: &str = "get_headers";
    let (request, early) = match CALLER.get() {
        Some(Caller::Early(request)) => (request, true),
        Some(Caller::Stream(stream)) => (stream, false),
        Some(Caller::Plugin(_)) | None => return Err(HostError { call: CALL, status: u32::MAX }),
    };
    // SAFETY: the request is alive while a hook of it runs.
    let count = unsafe {
        if early {
            abi::envoy_dynamic_module_callback_early_header_mutation_get_headers_size(request)
        } else {
            abi::envoy_dynamic_module_callback_http_get_headers_size(request, abi::REQUEST_HEADER)
        }
    };
    let mut few = [Header::NONE; USUAL];
    let mut many = Vec::new();
    let headers = if let Some(few) = few.get_mut(..count) {
        few
    } else {
        many.resize(count, Header::NONE);
        many.as_mut_slice()
    };
    // SAFETY: as above, and there is room for as many headers as there are.
    done(CALL, unsafe {
        let headers = headers.as_mut_ptr();
        if early {
            abi::envoy_dynamic_module_callback_early_header_mutation_get_headers(request, headers)
        } else {
            abi::envoy_dynamic_module_callback_http_get_headers(request, abi::REQUEST_HEADER, headers)
        }
    })?;
    // SAFETY: Envoy wrote each, and they are valid until a header is changed, which does not happen meanwhile.
    let pairs = || headers.iter().map(|header| unsafe { header.pair() });
    Ok(serialised(count, pairs))
}

/// Removes every line of the request header `name`.
pub(crate) fn remove_request_header(name: &[u8]) -> Result<(), HostError> {
    set("remove_header", name, Buffer::NONE)
}

/// Makes `value` the only value of the request header `name`.
pub(crate) fn set_request_header(name: &[u8], value: &[u8]) -> Result<(), HostError> {
    set("set_header", name, Buffer::of(value))
}

fn set(call: &'static str, name: &[u8], value: Buffer) -> Result<(), HostError> {
    let name = Buffer::of(name);
    // SAFETY: the object for which Envoy called us is alive; name and value are only read.
    done(call, unsafe {
        match CALLER.get() {
            Some(Caller::Early(request)) if value.is_none() => {
                abi::envoy_dynamic_module_callback_early_header_mutation_remove_header(request, name)
            }
            Some(Caller::Early(request)) => {
                abi::envoy_dynamic_module_callback_early_header_mutation_set_header(request, name, value)
            }
            Some(Caller::Stream(stream)) => {
                abi::envoy_dynamic_module_callback_http_set_header(stream, abi::REQUEST_HEADER, name, value)
            }
            Some(Caller::Plugin(_)) | None => false,
        }
    })
}

/// Reserves the place of `x-forwarded-proto`. Envoy's connection manager appends it after the early lookup, and the guard
/// usually writes its headers after it. So that a backend always receives the edge's headers in one order, the header is
/// added here; Envoy overwrites its value.
pub(crate) fn keep_order(headers: &[u8]) -> Result<(), HostError> {
    const PROTO: &[u8] = b"x-forwarded-proto";
    let mut pairs = HeaderMap::new(headers).pairs();
    if pairs.any(|pair| pair.is_ok_and(|(name, _)| name == PROTO)) {
        return Ok(());
    }
    set_request_header(PROTO, b"http")
}

/// Makes Envoy choose the route again by the present headers.
pub(crate) fn choose_route_anew() -> Result<(), HostError> {
    let stream = stream("clear_route_cache")?;
    // SAFETY: the stream is alive while its hook runs.
    unsafe { abi::envoy_dynamic_module_callback_http_clear_route_cache(stream) };
    Ok(())
}

/// The longest body that the route of the current request takes, from the route's metadata.
pub(crate) fn body_limit() -> Result<u64, HostError> {
    const CALL: &str = "get_metadata_string";
    let stream = stream(CALL)?;
    let mut value = Buffer::NONE;
    // SAFETY: the stream is alive while its hook runs, and `value` is a valid place for the result.
    let known = unsafe {
        abi::envoy_dynamic_module_callback_http_get_metadata_string(
            stream,
            abi::ROUTE_METADATA,
            Buffer::of(BODY_LIMIT.0.as_bytes()),
            Buffer::of(BODY_LIMIT.1.as_bytes()),
            &raw mut value,
        )
    };
    done(CALL, known)?;
    // SAFETY: Envoy's, valid while this hook runs.
    number(CALL, unsafe { value.bytes() })
}

/// The length of the current request's body by its headers, if they declare one.
pub(crate) fn declared_length() -> Result<Option<u64>, HostError> {
    const CALL: &str = "get_header";
    let stream = stream(CALL)?;
    let mut value = Buffer::NONE;
    // SAFETY: the stream is alive while its hook runs, and there is a place for the value.
    let declared = unsafe {
        abi::envoy_dynamic_module_callback_http_get_header(
            stream,
            abi::REQUEST_HEADER,
            Buffer::of(b"content-length"),
            &raw mut value,
            0,
            std::ptr::null_mut(),
        )
    };
    // SAFETY: Envoy's, valid while this hook runs.
    declared.then(|| number(CALL, unsafe { value.bytes() })).transpose()
}

/// Whether the current request came in HTTP/1.0.
pub(crate) fn is_http_1_0() -> Result<bool, HostError> {
    const CALL: &str = "get_attribute_string";
    let mut protocol = Buffer::NONE;
    // SAFETY: the request is alive while a hook of it runs, and `protocol` is a valid place for the result.
    let known = unsafe {
        match CALLER.get() {
            Some(Caller::Early(request)) => {
                abi::envoy_dynamic_module_callback_early_header_mutation_get_attribute_string(
                    request,
                    abi::REQUEST_PROTOCOL,
                    &raw mut protocol,
                )
            }
            Some(Caller::Stream(stream)) => {
                abi::envoy_dynamic_module_callback_http_filter_get_attribute_string(
                    stream,
                    abi::REQUEST_PROTOCOL,
                    &raw mut protocol,
                )
            }
            Some(Caller::Plugin(_)) | None => false,
        }
    };
    done(CALL, known)?;
    // SAFETY: Envoy's, one of its constants.
    Ok(unsafe { protocol.bytes() } == b"HTTP/1.0")
}

/// The addresses of the current request's connection, see [`PEER_STATE`]. On a connection from before the listener had
/// trusted proxies it is the peer's alone.
pub(crate) fn peer() -> Result<Vec<u8>, HostError> {
    const CALL: &str = "get_filter_state_bytes";
    let key = Buffer::of(PEER_STATE.as_bytes());
    let mut peer = Buffer::NONE;
    // SAFETY: the request is alive while a hook of it runs, the key is only read, and `peer` is a valid place for the result.
    let known = unsafe {
        match CALLER.get() {
            Some(Caller::Early(request)) => {
                abi::envoy_dynamic_module_callback_early_header_mutation_get_filter_state_bytes(
                    request,
                    key,
                    &raw mut peer,
                ) || abi::envoy_dynamic_module_callback_early_header_mutation_get_attribute_string(
                    request,
                    abi::SOURCE_ADDRESS,
                    &raw mut peer,
                )
            }
            Some(Caller::Stream(stream)) => {
                abi::envoy_dynamic_module_callback_http_get_filter_state_bytes(stream, key, &raw mut peer)
                    || abi::envoy_dynamic_module_callback_http_filter_get_attribute_string(
                        stream,
                        abi::SOURCE_ADDRESS,
                        &raw mut peer,
                    )
            }
            Some(Caller::Plugin(_)) | None => false,
        }
    };
    done(CALL, known)?;
    // SAFETY: Envoy's, valid for as long as the connection, and copied at once.
    Ok(unsafe { peer.bytes() }.to_vec())
}

/// Answers the request here. `details` appears in the access log's response code details.
pub(crate) fn answer(
    status: u16,
    details: &str,
    body: &str,
    headers: &[(&str, &[u8])],
) -> Result<(), HostError> {
    let stream = stream("send_response")?;
    let mut headers: Vec<Header> = headers.iter().map(|(name, value)| Header::of(name, value)).collect();
    // SAFETY: the stream is alive while its hook runs; everything else is only read.
    unsafe {
        abi::envoy_dynamic_module_callback_http_send_response(
            stream,
            u32::from(status),
            headers.as_mut_ptr(),
            headers.len(),
            Buffer::of(body.as_bytes()),
            Buffer::of(details.as_bytes()),
        );
    }
    Ok(())
}

/// Adds a note about the request where no client can: in filter state, or, before there is any, in a header that no client
/// can send.
pub(crate) fn note(note: &Note, value: &[u8]) -> Result<(), HostError> {
    if let Some(Caller::Early(_)) = CALLER.get() {
        return set_request_header(note.header.as_bytes(), value);
    }
    let stream = stream("set_filter_state")?;
    // SAFETY: the stream is alive while its hook runs; name and value are only read.
    done("set_filter_state", unsafe {
        abi::envoy_dynamic_module_callback_http_set_filter_state_bytes(
            stream,
            Buffer::of(note.state.as_bytes()),
            Buffer::of(value),
        )
    })
}

/// What the authorizer said under `field` about the current request, from ext_authz's dynamic metadata.
pub(crate) fn decided(field: &str) -> Result<Option<Vec<u8>>, HostError> {
    let stream = stream("get_metadata")?;
    let mut text = Buffer::NONE;
    // SAFETY: the stream is alive while its hook runs, and there is a place for the buffer.
    let found = unsafe {
        abi::envoy_dynamic_module_callback_http_get_metadata_string(
            stream,
            abi::DYNAMIC_METADATA,
            Buffer::of(b"envoy.filters.http.ext_authz"),
            Buffer::of(field.as_bytes()),
            &raw mut text,
        )
    };
    // SAFETY: Envoy's, valid until the metadata changes, and copied at once.
    Ok(found.then(|| unsafe { text.bytes() }.to_vec()))
}
