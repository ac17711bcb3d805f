//! What Envoy calls. Nothing else is exported, because Envoy calls whatever is.

use super::machine;
use crate::host::Action;

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Which version of the ABI this is.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_abi_version_0_2_1() {}

/// Called once, before anything else. That it calls the constructors itself keeps the linker from wrapping
/// every export in a call of them.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn _initialize() {
    // SAFETY: the linker's own function, called once and first.
    unsafe { __wasm_call_ctors() };
}

/// Gives the host `size` bytes to write into; whoever asked for them owns them afterwards.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    // Exactly `size`, as `adopt` frees exactly that.
    Box::leak(vec![0; size].into_boxed_slice()).as_mut_ptr()
}

/// Reads the plugin's configuration; `false` makes Envoy refuse it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_configure(plugin_id: u32, _size: usize) -> bool {
    machine::configure(plugin_id)
}

/// Judges a request.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_request_headers(
    _stream_id: u32,
    _count: usize,
    _end_of_stream: bool,
) -> Action {
    machine::request_headers()
}

/// Time to ask what ended. Called for plugins, never for requests.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_tick(plugin_id: u32) {
    machine::tick(plugin_id);
}

/// The answer to a call, or that there is none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn proxy_on_http_call_response(
    plugin_id: u32,
    token: u32,
    _headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    machine::answered(plugin_id, token, body_size);
}
