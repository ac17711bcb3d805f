//! The calls between Envoy and the guard's proxy-wasm module.
//!
//! Both lists are `allowed_capabilities` of `vm_config.capability_restriction_config`: Envoy neither offers nor makes any
//! other call.

/// The host calls of the module. A call that is missing here fails, and the guard ends the request.
pub const HOST_CALLS: [&str; 23] = [
    "proxy_log",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_send_local_response",
    "proxy_define_metric",
    "proxy_increment_metric",
    "random_get",
    // For leases: grants, stored leases, and invalidations.
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "proxy_http_call",
    "proxy_get_header_map_value",
    // The proxy-wasm crate, before it passes on the answer to a call.
    "proxy_set_effective_context",
    "clock_time_get",
    // Rust's runtime: the message of a panic, and the end.
    "fd_write",
    "environ_get",
    "environ_sizes_get",
    "proc_exit",
];

/// The callback for each piece of a body. Envoy makes it for the filter that limits bodies alone: every other one would pay a
/// call for each piece.
pub const BODY_CALLBACK: &str = "proxy_on_request_body";

/// The callbacks that Envoy makes, and all that the module exports besides its memory.
///
/// A callback that is missing here is never called, and no error shows it: without `proxy_on_request_headers` every request
/// would pass unjudged.
pub const CALLBACKS: [&str; 10] = [
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_configure",
    // The proxy-wasm crate keeps one context for each plugin and for each request.
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_request_headers",
    BODY_CALLBACK,
    "proxy_on_tick",
    "proxy_on_http_call_response",
];
