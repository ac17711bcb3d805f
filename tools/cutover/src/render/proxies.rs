//! The client behind trusted proxies, for Envoy.
//!
//! The guard finds the client: its rules are discovered, so a changed list of proxies replaces no filter chain. Envoy adds
//! only what the guard cannot know, the two addresses of a connection, and leaves `x-forwarded-proto` to the guard. Its own
//! idea of the client stays the peer, and no part of the edge reads it on such a listener.

use edge_config::edge::{self, Http10, Listener, ProxyProtocol, TrustedProxies};
use header_rules::config::{ForwardedBy, PEER_STATE, ProxyRules};
use serde_json::{Value, json};

use super::TemplateError;
use super::object::insert;
use super::template::fill;

/// The header that carries the client's address to authorizer and backends; the guard writes it over any value.
pub(super) const CLIENT: &str = "x-forwarded-for";

/// The key under which the PROXY protocol's note about TLS is kept for [`PEER_STATE`].
const ENCRYPTED: &str = "ssl";
/// `PP2_TYPE_SSL`
const TLV_SSL: u8 = 0x20;
/// The name of the filter, which is the namespace of its metadata.
const PROXY_PROTOCOL: &str = "envoy.filters.listener.proxy_protocol";

/// The guard's rules about the proxies of `listener`.
pub(super) fn rules(listener: &Listener) -> Option<ProxyRules> {
    let TrustedProxies { addresses, header, hops, passes_host } = listener.trusted_proxies.as_ref()?;
    Some(ProxyRules {
        addresses: addresses.iter().map(ToString::to_string).collect(),
        header: match header {
            edge::ForwardedBy::XForwardedFor => ForwardedBy::XForwardedFor,
            edge::ForwardedBy::Forwarded => ForwardedBy::Forwarded,
        },
        hops: u32::from(*hops),
        passes_host: *passes_host,
        accepts_http_1_0: listener.http_10 == Http10::FromProxies,
    })
}

/// Changes the connection manager of a listener with trusted proxies.
pub(super) fn manage(manager: &mut Value, name: &'static str) -> Result<(), TemplateError> {
    // Otherwise Envoy would overwrite `x-forwarded-proto` before the guard could read it. The guard overwrites it instead.
    fill(manager, name, "/use_remote_address", json!(false))?;
    // Without an extension of our own, Envoy would take the last entry of X-Forwarded-For of anyone. This one never finds an
    // address, because no header has so many entries, and it leaves the header as it is.
    let detection = json!([{
        "name": "envoy.http.original_ip_detection.xff",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig",
            "xff_num_trusted_hops": u32::MAX,
            "skip_xff_append": true,
        },
    }]);
    insert(manager, "original_ip_detection_extensions", detection);
    Ok(())
}

/// Adds to a rendered listener what notes the addresses of each connection.
pub(super) fn put(rendered: &mut Value, listener: &Listener) {
    if listener.trusted_proxies.is_none() {
        return;
    }
    let mut addresses =
        "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%".to_owned();
    if let Some(protocol) = listener.proxy_protocol {
        addresses.push_str(&format!(" %DYNAMIC_METADATA({PROXY_PROTOCOL}:{ENCRYPTED})%"));
        let filter = json!({
            "name": PROXY_PROTOCOL,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
                "allow_requests_without_proxy_protocol": protocol == ProxyProtocol::Optional,
                // No TLV is passed on.
                "rules": [{ "tlv_type": TLV_SSL, "on_tlv_present": { "key": ENCRYPTED } }],
            },
        });
        insert(rendered, "listener_filters", json!([filter]));
        // A balancer sends the header at once; slow attackers end as early as with slow request headers.
        insert(rendered, "listener_filters_timeout", json!("10s"));
    }
    let note = json!({
        "name": "envoy.filters.network.set_filter_state",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config",
            "on_new_connection": [{
                "object_key": PEER_STATE,
                "factory_key": "envoy.string",
                "format_string": { "text_format_source": { "inline_string": addresses } },
            }],
        },
    });
    if let Some(filters) = rendered.pointer_mut("/filter_chains/0/filters").and_then(Value::as_array_mut) {
        filters.insert(0, note);
    }
}
