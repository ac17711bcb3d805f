//! The guard's configuration of trusted proxies.

use serde::{Deserialize, Serialize};

/// The proxies whose word about the client counts on one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyRules {
    /// The ranges of their addresses: `10.0.0.0/8`.
    pub addresses: Vec<String>,
    /// The header that names the client.
    pub header: ForwardedBy,
    /// The number of proxies in front, the peer included; further ones count by their addresses alone. At least 1.
    pub hops: u32,
    /// Whether the host that they name is passed on as `x-forwarded-host`.
    #[serde(default)]
    pub passes_host: bool,
    /// Whether HTTP/1.0 is accepted from them, where the listener refuses it.
    #[serde(default)]
    pub accepts_http_1_0: bool,
}

/// The header in which proxies name the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    #[serde(rename = "forwarded")]
    Forwarded,
}

/// The connection's filter state with the addresses of a connection, where a listener has trusted proxies: the peer's address,
/// a space, and the address that the PROXY protocol names, or the peer's again. A space and the content of the TLV
/// `PP2_TYPE_SSL` may follow. Envoy writes it once for each connection, so no request can.
pub const PEER_STATE: &str = "cutover.peer";
