//! What `cutover render` tells the guard: the plugin configuration, as JSON.
//!
//! The same types write it and read it, so the two cannot drift apart.

use serde::{Deserialize, Serialize};

mod leases;
mod module;

pub use leases::{EARLY_MARK, EarlyConfig, LeaseClass, LeaseRoute, LeaseRules, PluginConfig};
pub use module::{CALLBACKS, HOST_CALLS};

/// Everything the guard of one listener knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// The listener's name, as the feed is asked with it.
    pub listener: String,
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
