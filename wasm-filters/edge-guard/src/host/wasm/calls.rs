//! What is asked of Envoy through the `proxy-wasm` crate.
//!
//! Values are bytes everywhere, since a client may send any. The crate takes names as text: those of headers are
//! ASCII when they come here, because Envoy refuses other ones.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};

use crate::host::{HostError, Level};

fn done<T>(call: &'static str, result: Result<T, Status>) -> Result<T, HostError> {
    result.map_err(|status| HostError { call, status: status as u32 })
}

/// A header's name as the crate takes it. One that is no text is an error, which ends the request.
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
    // The crate panics where Envoy does not take it; its result is never an error.
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

/// Envoy chooses the route anew by itself when a filter of this version of the ABI has changed a request header.
pub(crate) const fn choose_route_anew() -> Result<(), HostError> {
    Ok(())
}

/// Registers a counter, or finds it when it is there already.
pub(crate) fn counter(name: &str) -> Result<u32, HostError> {
    done("define_metric", hostcalls::define_metric(MetricType::Counter, name))
}

/// Adds to a counter.
pub(crate) fn add(counter: u32, count: u32) -> Result<(), HostError> {
    done("increment_metric", hostcalls::increment_metric(counter, i64::from(count)))
}

/// What the authorizer granted with the request at hand, as it stands in ext_authz's dynamic metadata.
pub(crate) fn granted() -> Result<Option<Vec<u8>>, HostError> {
    let path = vec!["metadata", "filter_metadata", "envoy.filters.http.ext_authz", lease::FIELD];
    done("get_property", hostcalls::get_property(path))
}

/// What all workers share under `key`, with its version; `None` when there is nothing.
pub(super) fn shared(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let (bytes, version) = done("get_shared_data", hostcalls::get_shared_data(key))?;
    // The crate says "no bytes" of an empty value, and "no version" of version 0.
    let found = bytes.is_some() || version.is_some();
    Ok(found.then(|| (bytes.unwrap_or_default(), version.unwrap_or_default())))
}

/// Shares `value` under `key`, if what is there still has `version`; `None` asks for nothing. `false` when another
/// worker was faster.
pub(super) fn share(key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
    match hostcalls::set_shared_data(key, Some(value), version) {
        Err(Status::CasMismatch) => Ok(false),
        shared => done("set_shared_data", shared).map(|()| true),
    }
}

/// Asks for a tick every so often, for the plugin at hand.
pub(super) fn tick_every(milliseconds: u32) -> Result<(), HostError> {
    let period = Duration::from_millis(u64::from(milliseconds));
    done("set_tick_period_milliseconds", hostcalls::set_tick_period(period))
}

/// Posts `body`. The answer comes with the token that is returned.
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

/// The body of the answer at hand, if there is a good one of at most `most` bytes. An answer that never came has no
/// `headers`, and asking for one of them would be an error of ours.
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
