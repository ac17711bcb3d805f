//! Proxies in front of the edge whose word about the client counts.

use super::Cidr;

/// The trusted proxies of a listener, and how they name the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Their addresses; at least one range.
    pub addresses: Vec<Cidr>,
    /// The header that is read.
    pub header: ForwardedBy,
    /// The number of proxies in front, the peer included, where the addresses of further ones are not known; 1 to 9.
    pub hops: u8,
    /// Whether backends receive the host that a proxy names, as `x-forwarded-host`. It never chooses a route.
    pub passes_host: bool,
}

/// The header in which proxies name the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ForwardedBy {
    /// The header's name, lower case.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Whether connections begin with the PROXY protocol (version 1 or 2). Only a trusted proxy's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They may.
    Optional,
    /// Every one does; any other is closed.
    Required,
}

/// What happens to HTTP/1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http10 {
    /// 426.
    #[default]
    Refuse,
    /// It is answered.
    Accept,
    /// It is answered when a trusted proxy sent it, as an nginx does by default.
    FromProxies,
}
