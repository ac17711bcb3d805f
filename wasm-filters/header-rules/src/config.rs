//! The plugin configuration, which `cutover render` writes for the guard as JSON.
//!
//! The same types write it and read it, so both sides always agree.

use serde::{Deserialize, Serialize};

mod leases;
mod module;
mod proxies;
mod streams;

pub use leases::{BODY_LIMIT, EARLY_MARK, EarlyConfig, LeaseClass, LeaseRoute, LeaseRules, PluginConfig};
pub use module::{BODY_CALLBACK, CALLBACKS, HOST_CALLS};
pub use proxies::{ForwardedBy, PEER_STATE, ProxyRules};
pub use streams::StreamBounds;

/// The configuration of one listener's guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// The listener's name, as in polls of the feed.
    pub listener: String,
    /// The revision of the edge file from which this was rendered.
    pub revision: String,
    /// Whether every client can reach this listener, or only the platform's services.
    pub exposure: Exposure,
    /// The header with the id of a request, lower case.
    pub request_id: String,
    /// Header names that only the edge may write.
    pub reserved: Reserved,
    /// The header names with an underscore that pass, lower case: all others are removed. Absent where Envoy lets none through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underscores: Option<Vec<String>>,
    /// Whether clients connect to this listener over TLS.
    #[serde(default)]
    pub tls: bool,
    /// The proxies in front whose word about the client counts; absent when the peer of a connection is the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<ProxyRules>,
    /// The host groups of this listener.
    pub hosts: Vec<HostRules>,
    /// Paths that are closed here in every spelling; empty on an internal listener.
    pub internal_paths: Vec<PathRule>,
    /// Whether HTTP/1.0 is refused here (426). Envoy could refuse it, too, but only without the `Upgrade` that a 426 needs.
    #[serde(default)]
    pub refuses_http_1_0: bool,
    /// The sites whose pages may send requests.
    #[serde(default)]
    pub sites: Sites,
    /// The rules for pages of other origins, each once; hosts and routes name them by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cors: Vec<CorsRules>,
    /// The protocol of a WebSocket that is a bearer token; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket_token: Option<WebsocketToken>,
    /// Decisions that may be used again; absent when no route of the listener has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeaseRules>,
    /// The bounds of streams that end with their session; absent when no route of the listener has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamBounds>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// Every client can connect: internal paths are closed.
    Public,
    /// The platform's own services.
    Internal,
}

/// The reserved names, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserved {
    /// The exact names.
    pub names: Vec<String>,
    /// The prefixes of names.
    pub prefixes: Vec<String>,
}

/// The sites whose pages may send requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// The names of the edge's hosts, lower case, on all of its public listeners.
    pub hosts: Vec<String>,
    /// Further origins, as browsers send them: `https://app.example.com`.
    pub browser_origins: Vec<String>,
}

/// The pages of other origins that may read answers (the CORS protocol of the Fetch standard).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsRules {
    /// Their origins, as browsers send them; `https://*.example.com` is every name below `example.com`, and `*` any origin.
    pub origins: Vec<String>,
    /// Whether browsers may send cookies with their requests. Not for `*` and `null`, which any page can have.
    #[serde(default)]
    pub credentials: bool,
    /// The methods that they may use; absent for the one that a preflight asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// The header names that they may send; absent for those that a preflight asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<String>>,
    /// The header names of answers that they may read, besides those that every page may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// How long a browser may use the answer to a preflight again, in seconds.
    pub max_age_seconds: u32,
}

/// Which of the protocols that a WebSocket offers is a bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebsocketToken {
    /// The beginning of this protocol; the rest is the token.
    pub prefix: String,
    /// The form of the token.
    pub encoding: TokenEncoding,
}

/// The form of a token in the name of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenEncoding {
    /// As it is.
    Plain,
    /// In base64url without padding (RFC 4648 §5).
    Base64url,
}

/// One host group and its routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRules {
    /// Lower-case names without port; `*.example.com` is every name below `example.com`, and `*` any name.
    pub names: Vec<String>,
    /// The routes; order has no meaning.
    pub routes: Vec<RouteRule>,
    /// Paths that Envoy answers with 404 itself where no route is more specific: their requests reach no backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<PathRule>,
    /// Position in [`GuardConfig::cors`] of the rules where no route takes a request; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<u32>,
}

/// The part of one route that the guard needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Its paths.
    pub path: PathRule,
    /// Its methods; empty means GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.
    pub methods: Vec<String>,
    /// The policy's name.
    pub policy: String,
    /// Position in [`LeaseRules::routes`]; absent when every request is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u32>,
    /// Whether pages of any site may send requests here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cross_site: bool,
    /// Position in [`GuardConfig::cors`]; absent when only pages of its own origin may read its answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<u32>,
    /// Whether a person who opens a page here without a session is sent to a sign-in page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sign_in: bool,
    /// Whether a WebSocket may bring its bearer token as a protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub websocket_token: bool,
}

/// The paths of a route. A segment `{name}` takes any segment of visible ASCII that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PathRule {
    /// This path, byte for byte.
    Exact(String),
    /// This path and everything below it, by whole segments; `/` is every path.
    Prefix(String),
}
