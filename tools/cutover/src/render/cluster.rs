//! The clusters: one for the authorizer, one for each backend.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use edge_config::Edge;
use edge_config::edge::{
    AnswerHeads, AuthorizerAddress, Backend, Circuit, Ejection, Endpoint, Health, Protocol,
};
use serde_json::{Value, json};

use super::object::insert;
use super::template::{self, fill};
use super::{TemplateError, seconds, upstream_tls};

const NAME: &str = "cluster.yaml";

pub(super) fn authorizer(edge: &Edge) -> Result<Value, TemplateError> {
    let mut cluster = template::authorizer_cluster()?;
    let addresses = &edge.authorizer.addresses;
    let known = addresses.iter().all(AuthorizerAddress::is_fixed);
    locate(&mut cluster, "authorizer", known, addresses.iter().map(|at| lb_endpoint(&place(at))));
    // A name may stand for several authorizers, and an address for one of them or for a load balancer.
    let alone = matches!(addresses.as_slice(), [one] if edge.authorizer.replicas == 1 || one.is_fixed());
    if alone && let Some(cluster) = cluster.as_object_mut() {
        // A single one is never ejected, so counting its failures is useless.
        cluster.remove("outlier_detection");
    }
    // With a longer wait for decisions the health check waits as long: a slow authorizer must not be ejected first.
    if let Some(check) = cluster.pointer_mut("/health_checks/0") {
        insert(check, "timeout", json!(seconds(edge.authorizer.timeout)));
    }
    Ok(cluster)
}

/// `trailers` is the filter that removes reserved names from trailers.
///
/// `directory` is the one in which Envoy watches the files of certificates; without one the cluster is in one piece.
pub(super) fn backend(
    name: &str,
    backend: &Backend,
    trailers: &Value,
    directory: Option<&Path>,
) -> Result<Value, TemplateError> {
    let mut cluster = template::cluster()?;
    insert(&mut cluster, "name", json!(cluster_name(name)));
    let known = backend.endpoints.iter().all(is_address);
    let endpoints = backend.endpoints.iter().map(|at| match &backend.tls {
        None => lb_endpoint(&endpoint(at)),
        Some(tls) => upstream_tls::lb_endpoint(&endpoint(at), tls.name_at(at)),
    });
    locate(&mut cluster, &cluster_name(name), known, endpoints);
    insert(&mut cluster, "connect_timeout", json!(seconds(backend.connect_timeout)));
    fill(&mut cluster, NAME, "/circuit_breakers/thresholds/0", thresholds(backend))?;
    let options = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let idle = json!(seconds(backend.idle_timeout));
    fill(&mut cluster, NAME, &format!("{options}/common_http_protocol_options/idle_timeout"), idle)?;
    let AnswerHeads { headers, header_kib } = backend.answer;
    let common = format!("{options}/common_http_protocol_options");
    fill(&mut cluster, NAME, &format!("{common}/max_headers_count"), json!(headers))?;
    fill(&mut cluster, NAME, &format!("{common}/max_response_headers_kb"), json!(header_kib))?;
    fill(&mut cluster, NAME, &format!("{options}/http_filters/0/typed_config"), trailers.clone())?;
    // Finds a connection whose other end is gone without having closed it.
    let keepalive = json!({ "interval": "30s", "timeout": "5s", "connection_idle_interval": "5s" });
    let http2 = json!({ "connection_keepalive": keepalive });
    match backend.protocol {
        Protocol::Http1 => {}
        Protocol::Http2 | Protocol::Grpc => {
            let http2 = json!({ "http2_protocol_options": http2 });
            fill(&mut cluster, NAME, &format!("{options}/explicit_http_config"), http2)?;
        }
        Protocol::Auto => {
            let options = cluster.pointer_mut(options).and_then(Value::as_object_mut);
            let explicit =
                options.and_then(|options| Some((options.remove("explicit_http_config")?, options)));
            let (mut either, options) = explicit.ok_or_else(|| TemplateError {
                name: NAME,
                what: "it has no explicit_http_config".to_owned(),
            })?;
            insert(&mut either, "http2_protocol_options", http2);
            options.insert("auto_config".to_owned(), either);
        }
    }
    insert(&mut cluster, "outlier_detection", ejection(backend.ejection));
    if let Some(health) = &backend.health {
        insert(&mut cluster, "health_checks", json!([health_check(health, backend)]));
    }
    if let Some(tls) = &backend.tls {
        upstream_tls::put(&mut cluster, name, backend, tls, directory)?;
    }
    Ok(cluster)
}

/// Sets the one endpoint of the cluster `name`.
pub(super) fn at(cluster: &mut Value, name: &str, place: &Endpoint) {
    locate(cluster, name, is_address(place), std::iter::once(lb_endpoint(&endpoint(place))));
}

fn is_address(endpoint: &Endpoint) -> bool {
    endpoint.host.parse::<IpAddr>().is_ok()
}

/// One address of the authorizer.
fn place(address: &AuthorizerAddress) -> Value {
    match address {
        AuthorizerAddress::Network(at) => endpoint(at),
        AuthorizerAddress::Unix(path) => json!({ "pipe": { "path": path } }),
    }
}

fn endpoint(Endpoint { host, port }: &Endpoint) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

fn lb_endpoint(address: &Value) -> Value {
    json!({ "endpoint": { "address": address } })
}

/// Sets the endpoints of the cluster `name`: their addresses when all of them are `known`, or else those that DNS gives
/// for their names.
fn locate(cluster: &mut Value, name: &str, known: bool, endpoints: impl Iterator<Item = Value>) {
    insert(cluster, "type", json!(if known { "STATIC" } else { "STRICT_DNS" }));
    if !known {
        // Envoy would use only the IPv6 addresses of a name that has both kinds: `localhost` has both, and a service that
        // listens on 127.0.0.1 would never be found.
        insert(cluster, "dns_lookup_family", json!("V4_PREFERRED"));
    }
    let endpoints: Vec<Value> = endpoints.collect();
    let assignment = json!({ "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] });
    insert(cluster, "load_assignment", assignment);
}

fn thresholds(backend: &Backend) -> Value {
    let Circuit { connections, waiting, requests } = backend.circuit;
    json!({
        "max_connections": connections,
        "max_pending_requests": waiting,
        "max_requests": requests,
        "retry_budget": {
            "budget_percent": { "value": backend.retries.budget_percent },
            // With little traffic a retry is still allowed.
            "min_retry_concurrency": 3,
        },
    })
}

fn ejection(ejection: Ejection) -> Value {
    json!({
        // A 500 is an answer of the backend: it is passed on and ejects no endpoint.
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_failure_percentage": 0,
        "consecutive_gateway_failure": ejection.failures.max(1),
        "enforcing_consecutive_gateway_failure": if ejection.failures == 0 { 0 } else { 100 },
        "interval": "1s",
        "base_ejection_time": seconds(ejection.pause),
        "max_ejection_time": seconds(ejection.pause.saturating_mul(10)),
        "max_ejection_percent": ejection.most_percent,
    })
}

fn health_check(health: &Health, backend: &Backend) -> Value {
    let mut check = json!({
        "timeout": seconds(health.timeout),
        "interval": seconds(health.interval),
        "no_traffic_interval": seconds(health.interval),
        "unhealthy_threshold": health.unhealthy,
        "healthy_threshold": health.healthy,
    });
    let mut question = match &backend.host {
        // Otherwise Envoy names the cluster.
        Some(host) => json!({ "path": health.path, "host": host }),
        None => json!({ "path": health.path }),
    };
    match backend.protocol {
        Protocol::Http1 => insert(&mut check, "http_health_check", question),
        Protocol::Http2 => {
            insert(&mut question, "codec_client_type", json!("HTTP2"));
            insert(&mut check, "http_health_check", question);
        }
        Protocol::Auto => {
            insert(&mut check, "http_health_check", question);
            // A health check does not agree upon a protocol: it speaks the one that it offers.
            insert(&mut check, "tls_options", json!({ "alpn_protocols": [upstream_tls::HTTP1] }));
        }
        Protocol::Grpc => {
            let authority = backend.host.as_ref().map(|host| json!({ "authority": host }));
            insert(&mut check, "grpc_health_check", authority.unwrap_or_else(|| json!({})));
        }
    }
    check
}

/// The cluster of Envoy's own admin interface, for the listener that scrapers read.
pub(super) fn admin(address: SocketAddr) -> Value {
    json!({
        "name": ADMIN,
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "load_assignment": assignment(ADMIN, &socket(address)),
        // Scrapers come one at a time; many at once are a mistake.
        "circuit_breakers": { "thresholds": [{ "max_connections": 8, "max_pending_requests": 8, "max_requests": 8 }] },
    })
}

/// The name of the cluster of Envoy's admin interface.
pub(super) const ADMIN: &str = "admin";

/// The name of a backend's cluster. The prefix distinguishes a backend named `authorizer` from the authorizer.
pub(super) fn cluster_name(backend: &str) -> String {
    format!("backend-{backend}")
}

pub(super) fn assignment(cluster: &str, address: &Value) -> Value {
    json!({ "cluster_name": cluster, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }] })
}

pub(super) fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
