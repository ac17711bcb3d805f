//! Where requests go: one cluster for the authorizer, one for each backend.

use std::net::{IpAddr, SocketAddr};

use edge_config::Edge;
use edge_config::edge::Backend;
use serde_json::{Value, json};

use super::template;
use super::{TemplateError, seconds};

pub(super) fn authorizer(edge: &Edge) -> Result<Value, TemplateError> {
    let mut cluster = template::authorizer_cluster()?;
    insert(&mut cluster, "load_assignment", assignment("authorizer", &socket(edge.authorizer.address)));
    Ok(cluster)
}

pub(super) fn backend(name: &str, backend: &Backend) -> Result<Value, TemplateError> {
    let mut cluster = template::cluster()?;
    let kind = if backend.host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
    let address = json!({ "socket_address": { "address": backend.host, "port_value": backend.port } });
    insert(&mut cluster, "name", json!(cluster_name(name)));
    insert(&mut cluster, "type", json!(kind));
    insert(&mut cluster, "connect_timeout", json!(seconds(backend.connect_timeout)));
    insert(&mut cluster, "load_assignment", assignment(&cluster_name(name), &address));
    Ok(cluster)
}

/// The cluster of a backend. The prefix keeps a backend called `authorizer` apart from the authorizer.
pub(super) fn cluster_name(backend: &str) -> String {
    format!("backend-{backend}")
}

pub(super) fn assignment(cluster: &str, address: &Value) -> Value {
    json!({ "cluster_name": cluster, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }] })
}

pub(super) fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

pub(super) fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
