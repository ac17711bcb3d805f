//! The host calls through the `proxy-wasm` crate.
//!
//! Values are bytes everywhere, because a client may send any. The crate expects names as text: header names are ASCII here,
//! because Envoy refuses other ones.

use std::time::{Duration, UNIX_EPOCH};

use header_rules::config::{BODY_LIMIT, PEER_STATE};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};

use crate::host::{HostError, Level, number};

fn done<T>(call: &'static str, result: Result<T, Status>) -> Result<T, HostError> {
    result.map_err(|status| HostError { call, status: status as u32 })
}

/// A header's name as text for the crate. A name that is not text is an error, which ends the request.
fn text<'a>(call: &'static str, name: &'a [u8]) -> Result<&'a str, HostError> {
    done(call, std::str::from_utf8(name).map_err(|_| Status::BadArgument))
}

/// Writes a line to Envoy's log.
pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Error => LogLevel::Error,
    };
    // The crate panics where Envoy refuses the line; its result is never an error.
    let _ = hostcalls::log(level, message);
}

/// Milliseconds since the Unix epoch.
pub(super) fn now_ms() -> Result<u64, HostError> {
    const CALL: &str = "get_current_time_nanoseconds";
    let since = done(CALL, hostcalls::get_current_time())?.duration_since(UNIX_EPOCH);
    let milliseconds = since.ok().and_then(|since| u64::try_from(since.as_millis()).ok());
    milliseconds.ok_or(HostError { call: CALL, status: Status::BadArgument as u32 })
}

/// The plugin configuration, while it is being configured.
pub(super) fn plugin_configuration() -> Result<Vec<u8>, HostError> {
    let text = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
    done("get_buffer_bytes", text).map(Option::unwrap_or_default)
}

/// Removes every line of the request header `name`.
pub(crate) fn remove_request_header(name: &[u8]) -> Result<(), HostError> {
    const CALL: &str = "remove_header_map_value";
    done(CALL, hostcalls::remove_map_value(MapType::HttpRequestHeaders, text(CALL, name)?))
}

/// Makes `value` the only value of the request header `name`.
pub(crate) fn set_request_header(name: &[u8], value: &[u8]) -> Result<(), HostError> {
    const CALL: &str = "replace_header_map_value";
    let name = text(CALL, name)?;
    done(CALL, hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value)))
}

/// Does nothing: Envoy chooses the route again by itself when a filter of this version of the ABI has changed a request
/// header.
pub(crate) const fn choose_route_anew() -> Result<(), HostError> {
    Ok(())
}

/// Registers a counter, or finds it when it already exists.
pub(crate) fn counter(name: &str) -> Result<u32, HostError> {
    done("define_metric", hostcalls::define_metric(MetricType::Counter, name))
}

/// Adds to a counter.
pub(crate) fn add(counter: u32, count: u32) -> Result<(), HostError> {
    done("increment_metric", hostcalls::increment_metric(counter, i64::from(count)))
}

/// Makes an open request of this plugin the current one. `false` when it has ended.
pub(super) fn act_on(stream: u32) -> Result<bool, HostError> {
    match hostcalls::set_effective_context(stream) {
        Err(Status::BadArgument) => Ok(false),
        set => done("set_effective_context", set).map(|()| true),
    }
}

/// Whether the current request came in HTTP/1.0.
pub(crate) fn is_http_1_0() -> Result<bool, HostError> {
    let protocol = done("get_property", hostcalls::get_property(vec!["request", "protocol"]))?;
    Ok(protocol.as_deref() == Some(b"HTTP/1.0"))
}

/// The addresses of the current request's connection, see [`PEER_STATE`]. On a connection from before the listener had
/// trusted proxies it is the peer's alone.
pub(crate) fn peer() -> Result<Vec<u8>, HostError> {
    const CALL: &str = "get_property";
    let noted = done(CALL, hostcalls::get_property(vec!["filter_state", PEER_STATE]))?;
    let peer = match noted {
        Some(peer) => Some(peer),
        None => done(CALL, hostcalls::get_property(vec!["source", "address"]))?,
    };
    peer.ok_or(HostError { call: CALL, status: Status::NotFound as u32 })
}

/// The longest body that the route of the current request takes, from the route's metadata.
pub(crate) fn body_limit() -> Result<u64, HostError> {
    const CALL: &str = "get_property";
    let path = vec!["xds", "route_metadata", "filter_metadata", BODY_LIMIT.0, BODY_LIMIT.1];
    let text = done(CALL, hostcalls::get_property(path))?;
    number(CALL, &text.unwrap_or_default())
}

/// The length of the current request's body by its headers, if they declare one.
pub(crate) fn declared_length() -> Result<Option<u64>, HostError> {
    const CALL: &str = "get_header_map_value";
    let value = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "content-length");
    done(CALL, value)?.map(|text| number(CALL, &text)).transpose()
}

/// How much of the current request's body has come.
pub(super) fn received() -> Result<u64, HostError> {
    const CALL: &str = "get_property";
    let bytes = done(CALL, hostcalls::get_property(vec!["request", "size"]))?;
    let number = bytes.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
    number.ok_or(HostError { call: CALL, status: Status::BadArgument as u32 })
}

/// What the authorizer said under `field` about the current request, from ext_authz's dynamic metadata.
pub(crate) fn decided(field: &str) -> Result<Option<Vec<u8>>, HostError> {
    let path = vec!["metadata", "filter_metadata", "envoy.filters.http.ext_authz", field];
    done("get_property", hostcalls::get_property(path))
}

/// The value that all workers share under `key`, with its version; `None` without a value.
pub(super) fn shared(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let (bytes, version) = done("get_shared_data", hostcalls::get_shared_data(key))?;
    // The crate returns no bytes for an empty value, and no version for version 0.
    let found = bytes.is_some() || version.is_some();
    Ok(found.then(|| (bytes.unwrap_or_default(), version.unwrap_or_default())))
}

/// Shares `value` under `key`, if the present value still has `version`; with `None` it is shared in any case. `false` when
/// another worker was faster.
pub(super) fn share(key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
    match hostcalls::set_shared_data(key, Some(value), version) {
        Err(Status::CasMismatch) => Ok(false),
        shared => done("set_shared_data", shared).map(|()| true),
    }
}

/// Requests regular ticks for the current plugin.
pub(super) fn tick_every(milliseconds: u32) -> Result<(), HostError> {
    let period = Duration::from_millis(u64::from(milliseconds));
    done("set_tick_period_milliseconds", hostcalls::set_tick_period(period))
}

/// Sends `body` by POST. The answer comes with the returned token.
pub(super) fn post(cluster: &str, path: &str, body: &[u8], timeout_ms: u32) -> Result<u32, HostError> {
    let length = body.len().to_string();
    let headers = vec![
        (":method", "POST"),
        (":path", path),
        (":authority", cluster),
        ("content-type", "text/plain"),
        ("content-length", &length),
    ];
    let timeout = Duration::from_millis(u64::from(timeout_ms));
    done("http_call", hostcalls::dispatch_http_call(cluster, headers, Some(body), Vec::new(), timeout))
}

/// The body of the current answer, if there is a good one of at most `most` bytes. A missing answer has no `headers`, and
/// reading one of them would be an error.
pub(super) fn answered(headers: usize, size: usize, most: usize) -> Result<Option<Vec<u8>>, HostError> {
    if headers == 0 || size > most {
        return Ok(None);
    }
    let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status");
    if done("get_header_map_value", status)?.as_deref() != Some(b"200") {
        return Ok(None);
    }
    done("get_buffer_bytes", hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size))
}
