//! The ways to an edge and from it to a backend: in the clear, over TLS, over HTTP/2, behind a balancer.
//!
//! A suite that holds for one front must hold for each of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::authority::Authority;
use crate::bridge::Bridge;
use crate::terminator::Terminator;
use crate::tls::Tunnel;
use crate::wire::Request;
use crate::{Edge, EdgeBuilder, Haproxy, Part};

/// The development edge's public listener, where a setting is added to it.
const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";
const TLS: &str = "tls: { certificate: \"${CUTOVER_HOME:-.run}/certs/edge.pem\", key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" }";
const LEGACY: &str = "    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";

/// A way from a client through an edge to a backend, and the same way without the edge. Clients send HTTP/1.1; a front that
/// speaks HTTP/2 translates.
pub struct Front {
    /// Its name, for messages.
    pub name: &'static str,
    /// The edge. Only `/open` is a route of interest: public, for every method.
    pub edge: Arc<Edge>,
    /// Where a client sends a request that goes through the edge.
    pub through: SocketAddr,
    /// Where a client sends a request that goes to the backend directly, in the same versions of HTTP.
    pub direct: SocketAddr,
    /// Where a client that speaks HTTP/2 by itself sends its bytes.
    pub http2: SocketAddr,
    /// The balancer, and the certificate of the edge behind it.
    pub balancer: Option<(SocketAddr, PathBuf)>,
    /// The scheme that backends learn: `http` or `https`.
    pub scheme: &'static str,
    /// Whether the client's requests are translated into HTTP/2, which has no upper case in names.
    pub is_http2: bool,
    server: Option<Arc<Terminator>>,
    _parts: Vec<Arc<dyn Send + Sync>>,
}

impl Front {
    /// In the clear on both sides.
    #[must_use]
    pub fn clear(backend: SocketAddr) -> Self {
        let edge = open(Edge::dev(), backend).start();
        Self::in_the_clear("in the clear", edge, backend, None)
    }

    /// A client in the clear, and a backend over TLS.
    #[must_use]
    pub fn before_tls(backend: SocketAddr) -> Self {
        let (ca, server) = server(backend, "http/1.1");
        let edge = open(Edge::dev().replace(LEGACY, &over_tls(&server, &ca, "http1")), backend).start();
        Self::in_the_clear("before a TLS backend", edge, backend, Some(server))
    }

    fn in_the_clear(
        name: &'static str,
        edge: Edge,
        backend: SocketAddr,
        server: Option<Arc<Terminator>>,
    ) -> Self {
        let through = edge.public();
        Self {
            name,
            edge: Arc::new(edge),
            through,
            direct: backend,
            http2: through,
            balancer: None,
            scheme: "http",
            is_http2: false,
            server,
            _parts: Vec::new(),
        }
    }

    /// An edge with TLS behind a haproxy that passes connections on with the PROXY protocol, version 2, in front of a backend
    /// over TLS that speaks HTTP/1.1: once for a client over HTTP/1.1, once for one over HTTP/2.
    ///
    /// # Panics
    /// When a part does not start.
    #[must_use]
    pub fn balanced(backend: SocketAddr) -> [Self; 2] {
        let (ca, server) = server(backend, "http/1.1");
        let edge = behind_haproxy(Edge::dev(), &over_tls(&server, &ca, "auto"), backend);
        let (haproxy, certificate) = balancer(&edge);
        let old = Arc::new(Tunnel::speaking(haproxy.address(), &certificate, &["http/1.1"]));
        let new = Arc::new(Tunnel::speaking(haproxy.address(), &certificate, &["h2"]));
        let over = Arc::new(Bridge::to_http2(haproxy.address(), Some(&certificate)));
        let (bridge, last) = bridges(backend);
        let edge = Arc::new(edge);
        let of = |name, through, direct, is_http2| Self {
            name,
            edge: Arc::clone(&edge),
            through,
            direct,
            http2: new.address(),
            balancer: Some((haproxy.address(), certificate.clone())),
            scheme: "https",
            is_http2,
            server: Some(Arc::clone(&server)),
            _parts: vec![
                Arc::clone(&haproxy) as Arc<dyn Send + Sync>,
                old.clone(),
                new.clone(),
                over.clone(),
                bridge.clone(),
                last.clone(),
            ],
        };
        [
            of("HTTP/1.1 over TLS behind a balancer", old.address(), backend, false),
            of("HTTP/2 over TLS behind a balancer", over.address(), bridge.address(), true),
        ]
    }

    /// The same for a client over HTTP/2, in front of a backend over TLS that speaks HTTP/2.
    ///
    /// # Panics
    /// When a part does not start.
    #[must_use]
    pub fn balanced_http2(backend: SocketAddr) -> Self {
        let (bridge, last) = bridges(backend);
        let (ca, server) = server(last.address(), "h2");
        let edge = behind_haproxy(Edge::dev(), &over_tls(&server, &ca, "auto"), backend);
        let (haproxy, certificate) = balancer(&edge);
        let raw = Arc::new(Tunnel::speaking(haproxy.address(), &certificate, &["h2"]));
        let over = Arc::new(Bridge::to_http2(haproxy.address(), Some(&certificate)));
        Self {
            name: "HTTP/2 on both sides behind a balancer",
            edge: Arc::new(edge),
            through: over.address(),
            direct: bridge.address(),
            http2: raw.address(),
            balancer: Some((haproxy.address(), certificate)),
            scheme: "https",
            is_http2: true,
            server: Some(server),
            _parts: vec![haproxy, raw, over, bridge, last],
        }
    }

    /// Every front.
    #[must_use]
    pub fn all(backend: SocketAddr) -> Vec<Self> {
        let mut all = vec![Self::clear(backend), Self::before_tls(backend)];
        all.extend(Self::balanced(backend));
        all.push(Self::balanced_http2(backend));
        all
    }

    /// A request through the edge, for the host of its API.
    #[must_use]
    pub fn request(&self, method: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Request {
        Request::new(self.through, method, target).host("localhost")
    }

    /// A GET through the edge.
    #[must_use]
    pub fn get(&self, target: impl AsRef<[u8]>) -> Request {
        self.request("GET", target)
    }

    /// Fails unless the backend was reached in the way that this front is about.
    ///
    /// # Panics
    /// When it was reached in another way.
    pub fn assert_used(&self) {
        if let Some(server) = &self.server {
            assert!(!server.seen().is_empty(), "{}: the backend is reached over TLS", self.name);
        }
        if self.scheme == "https" {
            let line = self.edge.access_log(1).pop().unwrap_or_default();
            assert_eq!(line["peer"], "127.0.1.1", "{}: haproxy is in between: {line}", self.name);
        }
    }
}

fn open(edge: EdgeBuilder, backend: SocketAddr) -> EdgeBuilder {
    edge.with_open_route().every_backend(backend).without(Part::Authz)
}

/// A server of TLS in front of `backend` that speaks `protocol`, and the certificate of its authority.
fn server(backend: SocketAddr, protocol: &str) -> (PathBuf, Arc<Terminator>) {
    // Edges read the files for as long as they run; the directory goes with the machine's temporary files.
    let directory = tempfile::tempdir().expect("a directory").keep();
    let authority = Authority::new();
    let ca = directory.join("ca.pem");
    authority.write(&ca);
    let pair = authority.issue(&directory, "legacy", "127.0.0.1");
    (ca, Arc::new(Terminator::before(backend, &pair, &[protocol], None)))
}

fn over_tls(server: &Terminator, ca: &Path, protocol: &str) -> String {
    format!(
        "    address: \"https://{}\"\n    tls:\n      ca: {}\n    protocol: {protocol}\n",
        server.address(),
        ca.display()
    )
}

fn behind_haproxy(edge: EdgeBuilder, legacy: &str, backend: SocketAddr) -> Edge {
    let choices = format!(", trusted_proxies: [127.0.1.1/32], proxy_protocol: required, {TLS} }}");
    let edge = edge.replace(PUBLIC, &PUBLIC.replace(" }", &choices)).replace(LEGACY, legacy);
    open(edge, backend).start()
}

/// A haproxy before `edge`, and the certificate of the edge.
fn balancer(edge: &Edge) -> (Arc<Haproxy>, PathBuf) {
    let server = "source 127.0.1.1 send-proxy-v2";
    let haproxy = Haproxy::start(edge.address("EDGE_ADDRESS"), "", server, &["mode tcp"]);
    (Arc::new(haproxy), edge.home().join("certs/edge.pem"))
}

/// From HTTP/1.1 to HTTP/2, and back to `backend`.
fn bridges(backend: SocketAddr) -> (Arc<Bridge>, Arc<Bridge>) {
    let last = Arc::new(Bridge::to_http1(backend));
    (Arc::new(Bridge::to_http2(last.address(), None)), last)
}
