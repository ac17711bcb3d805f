//! What `cutover render` tells the guard: the plugin configuration, as JSON.
//!
//! The same types write it and read it, so the two cannot drift apart.

use serde::{Deserialize, Serialize};

mod leases;

pub use leases::{EARLY_MARK, EarlyConfig, LeaseClass, LeaseRoute, LeaseRules, PluginConfig};

/// What Envoy lets the guard's module do and what it calls of it: `allowed_capabilities` of
/// `vm_config.capability_restriction_config`, all of them.
///
/// A callback that is missing here is never called and nothing says so: without `proxy_on_request_headers` every
/// request passes unjudged. So the list stands beside the configuration, and both are written by one hand.
pub const CAPABILITIES: [&str; 29] = [
    // What the module asks of Envoy.
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
    // For leases: what was granted, what is kept, and what ended.
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "proxy_http_call",
    "proxy_get_header_map_value",
    "clock_time_get",
    // Rust's runtime: the message of a panic, and the end.
    "fd_write",
    "environ_get",
    "environ_sizes_get",
    "proc_exit",
    // What Envoy asks of the module.
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_configure",
    "proxy_on_request_headers",
    "proxy_on_tick",
    "proxy_on_http_call_response",
];

/// Everything the guard of one listener knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// Revision of the edge file that this was rendered from.
    pub revision: String,
    /// Whether anybody can reach this listener, or only the platform's services.
    pub exposure: Exposure,
    /// Header names that only the edge may write.
    pub reserved: Reserved,
    /// The host groups of this listener.
    pub hosts: Vec<HostRules>,
    /// Paths that no spelling may reach here; empty on an internal listener.
    pub internal_paths: Vec<PathRule>,
    /// Whose pages may have a browser send requests.
    #[serde(default)]
    pub sites: Sites,
    /// Decisions that may be used again; absent when no route of the listener has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeaseRules>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// Anybody.
    Public,
    /// The platform's own services.
    Internal,
}

/// Reserved names, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// Exact names.
    pub names: Vec<String>,
    /// Beginnings of names.
    pub prefixes: Vec<String>,
}

/// Whose pages may have a browser send requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// The names of the edge's hosts, lower case, on all of its public listeners.
    pub hosts: Vec<String>,
    /// Origins beside them, as browsers send them: `https://app.example.com`.
    pub browser_origins: Vec<String>,
}

/// One host group and its routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRules {
    /// Lower-case names without port; `*` is any name.
    pub names: Vec<String>,
    /// The routes; order has no meaning.
    pub routes: Vec<RouteRule>,
}

/// One route, as far as the guard cares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Which paths.
    pub path: PathRule,
    /// Which methods; empty means any.
    pub methods: Vec<String>,
    /// The policy's name.
    pub policy: String,
    /// Position in [`LeaseRules::routes`]; absent when every request is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u32>,
    /// Whether pages of any site may have requests sent here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cross_site: bool,
}

/// Which paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PathRule {
    /// This path, byte for byte.
    Exact(String),
    /// This path and what is below it, by whole segments; `/` is everything.
    Prefix(String),
}
