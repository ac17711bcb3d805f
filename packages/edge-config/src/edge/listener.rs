//! The addresses at which Envoy listens, and the host names they serve.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Cors, Edge, Hsts, Http10, ProxyProtocol, TrustedProxies, WireLimits};

/// One address at which Envoy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The first address.
    pub address: SocketAddr,
    /// Its other addresses, as an IPv6 address beside an IPv4 one.
    pub further_addresses: Vec<SocketAddr>,
    /// The clients that can reach it.
    pub exposure: Exposure,
    /// The certificate to present; absent where requests come in the clear.
    pub tls: Option<Tls>,
    /// Whether the edge file declares the network of an internal listener private to the platform.
    pub private_network: bool,
    /// What happens to HTTP/1.0.
    pub http_10: Http10,
    /// The proxies in front whose word about the client counts. Absent when the peer of a connection is the client.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Whether connections begin with the PROXY protocol. Absent when none does.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// What happens to a request with a header name that contains an underscore.
    pub underscores: Underscores,
    /// The promise of https on every answer; absent when there is none. Always absent where no client comes by https: without
    /// `tls` and without `trusted_proxies`.
    pub hsts: Option<Hsts>,
    /// Every request is sent to https instead of being served; absent where requests are served.
    pub redirect: Option<Redirect>,
    /// How large and how slow the messages of clients may be.
    pub wire: WireLimits,
}

impl Listener {
    /// Whether clients may come by https: to this listener, or to a trusted proxy in front of it.
    #[must_use]
    pub const fn may_be_https(&self) -> bool {
        self.tls.is_some() || self.trusted_proxies.is_some()
    }

    /// All of its addresses, the first one first.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.address).chain(self.further_addresses.iter().copied())
    }

    /// Whether `address`, which is one of its own, takes IPv4 connections besides IPv6 ones: `[::]` does as the first address,
    /// unless the listener has an IPv4 address at that port. Envoy 1.40 accepts no further address that takes both.
    #[must_use]
    pub fn takes_ipv4_too(&self, address: SocketAddr) -> bool {
        let has_own = || self.addresses().any(|other| other.is_ipv4() && other.port() == address.port());
        address == self.address && address.is_ipv6() && address.ip().is_unspecified() && !has_own()
    }

    /// Whether any request is served here. A listener that redirects serves none, unless a trusted proxy may say that a
    /// client came by https already.
    #[must_use]
    pub const fn serves(&self) -> bool {
        self.redirect.is_none() || self.trusted_proxies.is_some()
    }

    /// Whether a request is served that no proxy calls encrypted, on a listener without TLS.
    #[must_use]
    pub const fn serves_in_the_clear(&self) -> bool {
        self.tls.is_none() && self.redirect.is_none()
    }
}

/// The redirect of a listener: 308 to the same host, path and query over https.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The port of https for every client; absent when it follows from the port that a client names, see
    /// [`Edge::https_ports`](super::Edge::https_ports).
    pub port: Option<u16>,
}

/// The ports of https to which a redirect sends the clients of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsPorts {
    /// For a client that named the listener's own port: it reaches Envoy itself.
    pub direct: u16,
    /// For every other client: a machine on the way translates ports, as a balancer does.
    pub translated: u16,
}

/// The port of `https` where a URL names none.
pub const HTTPS: u16 = 443;
/// The port of `http` where a URL names none.
pub const HTTP: u16 = 80;

/// What happens to a request with a header name that contains an underscore. Many backends read `_` as `-`, so such a name
/// could be read as one that only the edge may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    /// The request is refused (400 over HTTP/1.1, a reset stream over HTTP/2).
    #[default]
    Refuse,
    /// The header is removed and the request goes on, as an nginx does by default.
    Drop,
    /// The headers with these names pass, in lower case; every other one is removed.
    Pass(Vec<String>),
}

/// The certificates of a listener. Envoy reads the files again when they are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// In the order of the file; at least one. Envoy presents the one with the name that the client asks for (SNI), and the
    /// first when none has it.
    pub certificates: Vec<CertificateFiles>,
    /// The clients that may connect at all; absent where every client may connect.
    pub clients: Option<Clients>,
}

/// A certificate and its key. Both may be in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// The rules for client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Whether a client without a certificate is refused. Otherwise it may connect, and policies decide. A certificate of
    /// another authority ends the handshake in either case.
    pub required: bool,
    /// The certificates of the authorities that may issue a client's certificate, PEM.
    pub ca: PathBuf,
    /// The lists of revoked certificates (RFC 5280 §5), PEM, in the directory of `ca`. Absent where none is revoked. Each
    /// authority that issues clients' certificates must have one that is still valid: without it, its certificates are refused.
    pub revoked: Option<PathBuf>,
    /// The names of which a client's certificate must have one. Empty accepts every certificate of the authorities.
    pub names: Vec<String>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// Every client: internal paths are closed here.
    Public,
    /// The platform's own services.
    Internal,
}

impl Exposure {
    /// `public` or `internal`, as the edge file and the authorizer's context spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
        }
    }
}

/// A group of host names with its own routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The listeners that serve it, in the order of the file: at least one, each once, and all of the same exposure.
    pub listeners: Vec<String>,
    /// The names, lower case, without port. `*.example.com` stands for every name below `example.com`, at any depth, and
    /// `*` for any name.
    pub names: Vec<String>,
    /// The promise of https, instead of the listener's.
    pub hsts: Option<Hsts>,
    /// The name of the answers that Envoy gives where no route of the host matches a request. Absent when the rules of
    /// [`Edge::answers_of_host`](super::Edge::answers_of_host) decide.
    pub answers: Option<String>,
    /// The pages of other origins that may read its answers, where a route does not say otherwise.
    pub cors: Option<Cors>,
}

impl Host {
    /// Whether `listener` serves it.
    #[must_use]
    pub fn is_on(&self, listener: &str) -> bool {
        self.listeners.iter().any(|name| name == listener)
    }
}

impl Edge {
    /// The promise of https to browsers that reach `host` on `listener`. Nothing in the clear, where they ignore it (RFC 6797
    /// §8.1).
    #[must_use]
    pub fn hsts_of(&self, listener: &str, host: &Host) -> Option<Hsts> {
        let listener = self.listeners.get(listener).filter(|listener| listener.may_be_https())?;
        host.hsts.or(listener.hsts)
    }

    /// Where the redirect of `listener` sends the clients of `host`. Without a fixed port, a client that named the port of
    /// `listener` is sent to the port of the first listener with TLS that serves the host, and every other client to the usual
    /// port: a balancer that translates 80 to this port translates 443 to that one.
    #[must_use]
    pub fn https_ports(&self, listener: &str, host: &Host) -> HttpsPorts {
        let fixed = self.listeners.get(listener).and_then(|listener| listener.redirect?.port);
        let mut served = host.listeners.iter().filter_map(|name| self.listeners.get(name));
        let own = served.find(|listener| listener.tls.is_some()).map(|listener| listener.address.port());
        HttpsPorts { direct: fixed.or(own).unwrap_or(HTTPS), translated: fixed.unwrap_or(HTTPS) }
    }

    /// The clients that can reach `host`; absent when it has no listener. All of its listeners have the same exposure; if they
    /// had not, the stricter one would count.
    #[must_use]
    pub fn exposure_of(&self, host: &Host) -> Option<Exposure> {
        host.listeners.iter().filter_map(|name| Some(self.listeners.get(name)?.exposure)).min()
    }
}
