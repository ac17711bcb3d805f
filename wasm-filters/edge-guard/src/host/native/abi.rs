//! The part of Envoy's ABI for dynamic modules that the guard needs, version 0.2.0 (Envoy 1.40).
//!
//! Envoy promises this interface for the next release only, and logs a warning when a module was compiled for another
//! version. Each declaration here was compared with Envoy 1.40.

use std::ffi::{c_char, c_void};

/// The version, as Envoy compares it.
pub(super) const VERSION: &std::ffi::CStr = c"v0.2.0";

pub(super) const REQUEST_HEADER: u32 = 0;
pub(super) const DYNAMIC_METADATA: u32 = 0;
pub(super) const ROUTE_METADATA: u32 = 1;
/// The piece of the request's body that came now.
pub(super) const RECEIVED_REQUEST_BODY: u32 = 0;
/// The attribute `request.protocol`.
pub(super) const REQUEST_PROTOCOL: u32 = 10;
/// The attribute `source.address`.
pub(super) const SOURCE_ADDRESS: u32 = 24;
/// The result of a metric function or another call.
pub(super) const SUCCESS: u32 = 0;

/// A buffer that Envoy or the module lends for the time of one call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) data: *const c_char,
    pub(super) length: usize,
}

/// A header, by its name and its value.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) name: *const c_char,
    pub(super) name_length: usize,
    pub(super) value: *const c_char,
    pub(super) value_length: usize,
}

impl Buffer {
    pub(super) const NONE: Self = Self { data: std::ptr::null(), length: 0 };

    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), length: bytes.len() }
    }

    pub(super) const fn is_none(self) -> bool {
        self.data.is_null()
    }

    /// Its content.
    ///
    /// # Safety
    /// It is an Envoy buffer that is valid for `'a`, or [`Self::NONE`].
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { bytes(self.data, self.length) }
    }
}

impl Header {
    pub(super) const NONE: Self =
        Self { name: std::ptr::null(), name_length: 0, value: std::ptr::null(), value_length: 0 };

    pub(super) const fn of(name: &str, value: &[u8]) -> Self {
        Self {
            name: name.as_ptr().cast(),
            name_length: name.len(),
            value: value.as_ptr().cast(),
            value_length: value.len(),
        }
    }

    /// Its name and its value.
    ///
    /// # Safety
    /// It is an Envoy header that is valid for `'a`, or [`Self::NONE`].
    pub(super) unsafe fn pair<'a>(self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: the caller's promise.
        unsafe { (bytes(self.name, self.name_length), bytes(self.value, self.value_length)) }
    }
}

/// # Safety
/// `length` bytes at `data` exist and do not change for `'a`, or `data` is null.
unsafe fn bytes<'a>(data: *const c_char, length: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data.cast(), length) }
}

unsafe extern "C" {
    pub(super) fn envoy_dynamic_module_callback_log(level: u32, message: Buffer);
    pub(super) fn envoy_dynamic_module_callback_is_validation_mode() -> bool;

    // For a request, on its worker.
    pub(super) fn envoy_dynamic_module_callback_http_get_headers_size(
        stream: *mut c_void,
        kind: u32,
    ) -> usize;
    pub(super) fn envoy_dynamic_module_callback_http_get_headers(
        stream: *mut c_void,
        kind: u32,
        headers: *mut Header,
    ) -> bool;
    /// A value of null removes the header.
    pub(super) fn envoy_dynamic_module_callback_http_set_header(
        stream: *mut c_void,
        kind: u32,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_send_response(
        stream: *mut c_void,
        status: u32,
        headers: *mut Header,
        headers_size: usize,
        body: Buffer,
        details: Buffer,
    );
    /// 0 when there is none.
    pub(super) fn envoy_dynamic_module_callback_http_get_body_size(stream: *mut c_void, kind: u32) -> usize;
    pub(super) fn envoy_dynamic_module_callback_http_clear_route_cache(stream: *mut c_void);
    pub(super) fn envoy_dynamic_module_callback_http_set_filter_state_bytes(
        stream: *mut c_void,
        key: Buffer,
        value: Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_get_filter_state_bytes(
        stream: *mut c_void,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_get_metadata_string(
        stream: *mut c_void,
        source: u32,
        namespace: Buffer,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
        stream: *mut c_void,
        attribute: u32,
        value: *mut Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_filter_increment_counter(
        stream: *mut c_void,
        counter: usize,
        labels: *mut Buffer,
        labels_size: usize,
        count: u64,
    ) -> u32;

    /// Have Envoy call the stream's hook for scheduled work on its worker: from any thread. Does nothing when the stream does
    /// not exist any more.
    pub(super) fn envoy_dynamic_module_callback_http_filter_scheduler_new(stream: *mut c_void)
    -> *mut c_void;
    pub(super) fn envoy_dynamic_module_callback_http_filter_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    pub(super) fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: *mut c_void);

    // For a request before anything else happens to it, on its worker.
    pub(super) fn envoy_dynamic_module_callback_early_header_mutation_get_headers_size(
        request: *mut c_void,
    ) -> usize;
    pub(super) fn envoy_dynamic_module_callback_early_header_mutation_get_headers(
        request: *mut c_void,
        headers: *mut Header,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_early_header_mutation_set_header(
        request: *mut c_void,
        name: Buffer,
        value: Buffer,
    ) -> bool;

    pub(super) fn envoy_dynamic_module_callback_early_header_mutation_get_attribute_string(
        request: *mut c_void,
        attribute: u32,
        value: *mut Buffer,
    ) -> bool;

    pub(super) fn envoy_dynamic_module_callback_early_header_mutation_get_filter_state_bytes(
        request: *mut c_void,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;

    pub(super) fn envoy_dynamic_module_callback_http_get_header(
        stream: *mut c_void,
        kind: u32,
        name: Buffer,
        value: *mut Buffer,
        index: usize,
        count: *mut usize,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_early_header_mutation_remove_header(
        request: *mut c_void,
        name: Buffer,
    ) -> bool;

    // For a configuration, on the main thread unless noted.
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        plugin: *mut c_void,
        name: Buffer,
        labels: *mut Buffer,
        labels_size: usize,
        counter: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
        plugin: *mut c_void,
        counter: usize,
        labels: *mut Buffer,
        labels_size: usize,
        count: u64,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_http_callout(
        plugin: *mut c_void,
        callout: *mut u64,
        cluster: Buffer,
        headers: *mut Header,
        headers_size: usize,
        body: Buffer,
        timeout_milliseconds: u64,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(
        plugin: *mut c_void,
    ) -> *mut c_void;
    /// From any thread. Does nothing when the configuration does not exist any more.
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: *mut c_void);
}
