//! The functions that Envoy calls. Every hook that Envoy 1.40 requires of a module is here, most of them empty.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::abi::{self, Buffer, Header};
use super::early::Early;
use super::plugin::Plugin;
use super::{Caller, body, on_behalf_of};
use crate::host::{self, Action, Level};

/// The result to continue, for any hook.
const CONTINUE: u32 = 0;

/// Stops a panic here: unwinding into Envoy would be undefined. `None` after a panic.
fn caught<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// The version of the ABI.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    abi::VERSION.as_ptr()
}

/// Reads a configuration; on null Envoy refuses it and keeps the old one.
///
/// # Safety
/// Envoy calls it, on its main thread, with the arguments of the ABI.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    plugin: *mut c_void,
    _name: Buffer,
    config: Buffer,
) -> *const c_void {
    // SAFETY: Envoy's, valid while this hook runs.
    let text = unsafe { config.bytes() };
    let configured = caught(|| on_behalf_of(Caller::Plugin(plugin), || Plugin::configure(text))).flatten();
    configured.map_or(std::ptr::null(), |plugin| Arc::into_raw(plugin).cast())
}

/// Drops the configuration: no stream uses it any more.
///
/// # Safety
/// Envoy calls it once for each pointer that [`envoy_dynamic_module_on_http_filter_config_new`] returned.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(plugin: *const c_void) {
    // SAFETY: it came from `Arc::into_raw`, and this is the last use of it.
    let plugin = unsafe { Arc::from_raw(plugin.cast::<Plugin>()) };
    caught(move || drop(plugin));
}

/// One request in one plugin.
struct Stream {
    plugin: Arc<Plugin>,
    /// Its number among the open streams.
    open: Option<u64>,
}

/// A stream begins.
///
/// # Safety
/// Envoy calls it with a configuration that is alive.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    plugin: *const c_void,
    _stream: *mut c_void,
) -> *const c_void {
    // SAFETY: it came from `Arc::into_raw`, and the count is raised for the stream.
    let plugin = unsafe {
        Arc::increment_strong_count(plugin.cast::<Plugin>());
        Arc::from_raw(plugin.cast::<Plugin>())
    };
    Box::into_raw(Box::new(Stream { plugin, open: None })).cast_const().cast()
}

/// A stream ended.
///
/// # Safety
/// Envoy calls it once for each pointer that [`envoy_dynamic_module_on_http_filter_new`] returned.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(own: *const c_void) {
    // SAFETY: it came from `Box::into_raw`, and this is the last use of it.
    let own = unsafe { Box::from_raw(own.cast_mut().cast::<Stream>()) };
    caught(move || {
        if let (Some(open), Some(number)) = (own.plugin.open(), own.open) {
            open.ended(number);
        }
    });
}

/// Judges a request.
///
/// # Safety
/// Envoy calls it, on the stream's worker, with the result of [`envoy_dynamic_module_on_http_filter_new`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    stream: *mut c_void,
    own: *const c_void,
    _end_of_stream: bool,
) -> u32 {
    // SAFETY: it came from `Box::into_raw`, Envoy keeps it for as long as the stream, and only the stream's worker uses it.
    let own = unsafe { &mut *own.cast_mut().cast::<Stream>() };
    on_behalf_of(Caller::Stream(stream), || {
        let result = caught(|| own.plugin.request_headers());
        judged(result.map(|judged| {
            judged.map(|(action, open)| {
                own.open = open;
                action
            })
        }))
    })
}

/// Counts a piece of a body, on routes that limit it.
///
/// # Safety
/// Envoy calls it, on the stream's worker, with the result of [`envoy_dynamic_module_on_http_filter_new`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    stream: *mut c_void,
    own: *const c_void,
    _end_of_stream: bool,
) -> u32 {
    // SAFETY: it came from `Box::into_raw`, and Envoy keeps it for as long as the stream.
    let plugin = unsafe { &*(*own.cast::<Stream>()).plugin };
    on_behalf_of(Caller::Stream(stream), || judged(caught(|| plugin.request_body(|| body::received(stream)))))
}

/// A stream has ended.
///
/// # Safety
/// Envoy calls it, on the stream's worker, with the result of [`envoy_dynamic_module_on_http_filter_new`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(
    stream: *mut c_void,
    own: *const c_void,
) {
    // SAFETY: it came from `Box::into_raw`, and Envoy keeps it for as long as the stream.
    let plugin = unsafe { &*(*own.cast::<Stream>()).plugin };
    if plugin.counts_bodies() {
        caught(|| body::forget(stream));
    }
}

/// The action for a judged request. If a failed one continued, a forged header or too long a body might pass.
fn judged(result: Option<Result<Action, host::HostError>>) -> u32 {
    let why = match result {
        Some(Ok(action)) => return action as u32,
        Some(Err(error)) => error.to_string(),
        None => "it panicked".to_owned(),
    };
    host::log(Level::Error, &format!("edge-guard: {why}"));
    let answered = host::answer(500, "edge_guard_failed", "Internal server error", &[]);
    if answered.is_err() {
        // The stream is gone: nothing continues.
        std::process::abort();
    }
    Action::Pause as u32
}

/// An open stream must end.
///
/// # Safety
/// Envoy calls it, on the stream's worker, with the result of [`envoy_dynamic_module_on_http_filter_new`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    stream: *mut c_void,
    own: *const c_void,
    _event: u64,
) {
    // SAFETY: it came from `Box::into_raw`, and Envoy keeps it for as long as the stream. What is needed is copied, because
    // Envoy may destroy the stream while it ends.
    let (plugin, number) = unsafe {
        let own = &*own.cast::<Stream>();
        (Arc::clone(&own.plugin), own.open)
    };
    let (Some(open), Some(number)) = (plugin.open(), number) else { return };
    match caught(|| on_behalf_of(Caller::Stream(stream), || open.end(number))) {
        Some(Ok(())) => {}
        Some(Err(error)) => host::log(Level::Error, &format!("edge-guard: a stream does not end: {error}")),
        None => host::log(Level::Error, "edge-guard: a stream does not end: it panicked"),
    }
}

/// Reads the configuration of the early lookup; on null Envoy refuses it and keeps the old one.
///
/// # Safety
/// Envoy calls it, on its main thread, with the arguments of the ABI.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_early_header_mutation_config_new(
    _envoy: *mut c_void,
    _name: Buffer,
    config: Buffer,
) -> *const c_void {
    // SAFETY: Envoy's, valid while this hook runs.
    let text = unsafe { config.bytes() };
    let configured = caught(|| Early::configure(text)).flatten();
    configured.map_or(std::ptr::null(), |early| Box::into_raw(Box::new(early)).cast_const().cast())
}

/// Drops the early lookup: no request uses it any more.
///
/// # Safety
/// Envoy calls it once for each pointer that [`envoy_dynamic_module_on_early_header_mutation_config_new`] returned.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_early_header_mutation_config_destroy(
    early: *const c_void,
) {
    // SAFETY: it came from `Box::into_raw`, and this is the last use of it.
    let early = unsafe { Box::from_raw(early.cast_mut().cast::<Early>()) };
    caught(move || drop(early));
}

/// Looks up a lease. On any error the request has no mark and takes the usual path. The result always lets Envoy continue
/// with the other extensions.
///
/// # Safety
/// Envoy calls it, on the request's worker, with a configuration that is alive.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_early_header_mutation_mutate(
    early: *const c_void,
    request: *mut c_void,
) -> bool {
    // SAFETY: it came from `Box::into_raw`, and Envoy keeps it while this hook runs.
    let early = unsafe { &*early.cast::<Early>() };
    match caught(|| early.look(request)) {
        Some(Ok(())) => {}
        Some(Err(error)) => host::log(Level::Error, &format!("edge-guard: no early lookup: {error}")),
        None => host::log(Level::Error, "edge-guard: no early lookup: it panicked"),
    }
    true
}

/// Time to poll the feed.
///
/// # Safety
/// Envoy calls it, on its main thread, for a configuration that is alive.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    envoy: *mut c_void,
    plugin: *const c_void,
    _event: u64,
) {
    // SAFETY: it came from `Arc::into_raw`, and Envoy keeps it while this hook runs.
    let plugin = unsafe { &*plugin.cast::<Plugin>() };
    logged(envoy, "polling the feed", || plugin.tick());
}

/// The answer to a poll. Envoy reports a lost connection and a timeout as an answer of its own, 503 or 504.
///
/// # Safety
/// Envoy calls it, on its main thread, for a configuration that is alive, with the arguments of the ABI.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
    envoy: *mut c_void,
    plugin: *const c_void,
    token: u64,
    result: u32,
    headers: *const Header,
    headers_size: usize,
    chunks: *const Buffer,
    chunks_size: usize,
) {
    // SAFETY: it came from `Arc::into_raw`, and Envoy keeps it while this hook runs.
    let plugin = unsafe { &*plugin.cast::<Plugin>() };
    // SAFETY: Envoy's, valid while this hook runs; null when there are none.
    let (headers, chunks) = unsafe { (array(headers, headers_size), array(chunks, chunks_size)) };
    // SAFETY: as above.
    let ok = headers.iter().any(|header| unsafe { header.pair() } == (b":status", b"200"));
    logged(envoy, "reading the feed", || plugin.answered(token, result == abi::SUCCESS && ok, chunks));
}

/// Runs a part of a poll and logs its error. An error here is like a lost answer: after a short time without one, no lease
/// is valid.
fn logged(envoy: *mut c_void, what: &str, act: impl FnOnce() -> Result<(), host::HostError>) {
    match caught(|| on_behalf_of(Caller::Plugin(envoy), act)) {
        Some(Ok(())) => {}
        Some(Err(error)) => host::log(Level::Debug, &format!("edge-guard: {what}: {error}")),
        None => host::log(Level::Error, &format!("edge-guard: {what}: it panicked")),
    }
}

/// # Safety
/// `size` elements at `data` exist and do not change for `'a`, or `data` is null.
unsafe fn array<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// Hooks without work: `name(arguments) -> result`.
macro_rules! nothing_to_do {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)+) => {$(
        /// Does nothing.
        #[unsafe(no_mangle)]
        pub(crate) extern "C" fn $name($(_: $argument),*) $(-> $result)? {
            $(CONTINUE as $result)?
        }
    )+};
}

nothing_to_do! {
    envoy_dynamic_module_on_http_filter_request_trailers(*mut c_void, *const c_void) -> u32;
    envoy_dynamic_module_on_http_filter_response_headers(*mut c_void, *const c_void, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_body(*mut c_void, *const c_void, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_trailers(*mut c_void, *const c_void) -> u32;
    envoy_dynamic_module_on_http_filter_http_callout_done(
        *mut c_void, *const c_void, u64, u32, *const Header, usize, *const Buffer, usize
    );
    envoy_dynamic_module_on_http_filter_http_stream_headers(
        *mut c_void, *const c_void, u64, *const Header, usize, bool
    );
    envoy_dynamic_module_on_http_filter_http_stream_data(
        *mut c_void, *const c_void, u64, *const Buffer, usize, bool
    );
    envoy_dynamic_module_on_http_filter_http_stream_trailers(
        *mut c_void, *const c_void, u64, *const Header, usize
    );
    envoy_dynamic_module_on_http_filter_http_stream_complete(*mut c_void, *const c_void, u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(*mut c_void, *const c_void, u64, u32);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(*mut c_void, *const c_void);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(*mut c_void, *const c_void);
}
