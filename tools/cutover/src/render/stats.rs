//! The listener that scrapers read: Envoy's `/ready` and `/stats/prometheus`, and nothing else.
//!
//! Envoy's admin interface can stop the edge, so it stays on loopback. This listener allows single paths, for GET alone;
//! every other request gets 404.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::cluster::{ADMIN, socket};

/// The paths that scrapers may read.
const READABLE: [&str; 2] = ["/ready", "/stats/prometheus"];

pub(super) fn listener(address: SocketAddr) -> Value {
    let mut routes: Vec<Value> = READABLE
        .iter()
        .map(|path| {
            json!({
                "name": path,
                "match": {
                    "path": path,
                    "headers": [{ "name": ":method", "string_match": { "exact": "GET" } }],
                },
                // A scrape of a few thousand routes takes a second.
                "route": { "cluster": ADMIN, "timeout": "10s" },
            })
        })
        .collect();
    let nothing = json!({ "status": 404, "body": { "inline_string": "Not found" } });
    routes.push(json!({ "name": "nothing", "match": { "prefix": "/" }, "direct_response": nothing }));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "stats",
        "codec_type": "AUTO",
        "use_remote_address": true,
        "request_headers_timeout": "10s",
        "request_timeout": "10s",
        "stream_idle_timeout": "30s",
        "common_http_protocol_options": { "idle_timeout": "60s", "max_headers_count": 100 },
        "route_config": { "name": "stats", "virtual_hosts": [{ "name": "stats", "domains": ["*"], "routes": routes }] },
        "http_filters": [{ "name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        } }],
    });
    json!({
        "name": "stats",
        "address": socket(address),
        "per_connection_buffer_limit_bytes": 32768,
        "filter_chains": [{ "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }] }],
    })
}
