//! TLS to backends.
//!
//! Each address is verified for its own host, or all of them for the `sni` of the edge file. So a backend whose addresses have
//! several hosts has a transport socket for each host, and its endpoints name theirs. There is no way to a backend of TLS
//! without a verified certificate.

use std::path::Path;

use edge_config::edge::{Backend, BackendTls, Protocol};
use serde_json::{Value, json};

use super::TemplateError;
use super::object::insert;
use super::tls::{self, Identity, Secret};

/// The names of the protocols in a handshake (ALPN).
pub(super) const HTTP1: &str = "http/1.1";
const HTTP2: &str = "h2";

/// The endpoint at `address`, whose certificate must have `name`.
pub(super) fn lb_endpoint(address: &Value, name: &str) -> Value {
    json!({
        // A server that chooses a site by the name in the handshake expects the same name in the request (RFC 9110 §7.4).
        "endpoint": { "address": address, "health_check_config": { "hostname": name } },
        "metadata": { "filter_metadata": { "envoy.transport_socket_match": { "name": name } } },
    })
}

/// Makes the cluster of `backend` speak TLS: with files in `directory` that Envoy watches, or in one piece without one.
pub(super) fn put(
    cluster: &mut Value,
    name: &str,
    backend: &Backend,
    tls: &BackendTls,
    directory: Option<&Path>,
) -> Result<(), TemplateError> {
    let protocols: &[&str] = match backend.protocol {
        Protocol::Http1 => &[HTTP1],
        Protocol::Http2 | Protocol::Grpc => &[HTTP2],
        Protocol::Auto => &[HTTP2, HTTP1],
    };
    let mut sockets = Vec::new();
    for expected in backend.certificate_names() {
        let identity = Identity::towards_backend(name, tls, expected)?;
        sockets.push((expected, tls::towards_backend(&identity, directory, protocols)));
    }
    // Also the socket of an endpoint that named none.
    if let Some((_, first)) = sockets.first() {
        insert(cluster, "transport_socket", first.clone());
    }
    if sockets.len() > 1 {
        let matches: Vec<Value> = sockets
            .into_iter()
            .map(|(name, socket)| json!({ "name": name, "match": { "name": name }, "transport_socket": socket }))
            .collect();
        insert(cluster, "transport_socket_matches", json!(matches));
    }
    Ok(())
}

/// The files that Envoy watches for `backend`.
pub(super) fn secrets(name: &str, backend: &Backend) -> Result<Vec<Secret>, TemplateError> {
    match (&backend.tls, backend.certificate_names().first()) {
        (Some(tls), Some(expected)) => {
            Ok(Identity::towards_backend(name, tls, expected)?.secrets().collect())
        }
        (_, _) => Ok(Vec::new()),
    }
}
