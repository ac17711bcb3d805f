//! Hosts on one listener or several, and what is refused about them.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{Edge, Exposure};

/// A small edge with two public listeners and an internal one; `hosts` is its section.
fn with(hosts: &str) -> Result<Edge, String> {
    let text = format!(
        "edge: small
listeners:
  public: {{ address: '0.0.0.0:8080' }}
  tls: {{ address: '0.0.0.0:8443', tls: {{ certificate: edge.pem, key: edge.key }} }}
  service: {{ address: '127.0.0.1:8081', exposure: internal }}
hosts: {hosts}
backends: {{ legacy: {{ address: 127.0.0.1:3000 }} }}
policies: {{ public: {{ kind: public }} }}
routes:
  - {{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: legacy }}
"
    );
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).map_err(|faults| faults.to_string())
}

#[test]
fn a_host_is_on_one_listener_or_on_several() {
    let edge = with("{ api: { listeners: [public, tls], names: [api.example.com] } }").unwrap();
    let host = &edge.hosts["api"];
    assert_eq!(host.listeners, ["public", "tls"]);
    assert_eq!(edge.exposure_of(host), Some(Exposure::Public));
    for listener in ["public", "tls", "service"] {
        let found = edge_config::host_of(&edge, listener, "api.example.com");
        assert_eq!(found.is_some(), listener != "service", "{listener}");
    }
    let one = with("{ api: { listener: tls, names: [api.example.com] } }").unwrap();
    assert_eq!(one.hosts["api"].listeners, ["tls"]);
}

#[test]
fn wrong_lists_of_listeners_are_named() {
    for (host, said) in [
        ("listener: public, listeners: [public, tls]", "has both `listener` and `listeners`"),
        ("listeners: []", "has no listeners"),
        ("listeners: [public, public]", "lists the listener `public` twice"),
        ("listeners: [public, tsl]", "a listener of host `api` is `tsl`, which does not exist"),
        (
            "listeners: [public, service]",
            "is on the public listener `public` and on the internal one `service`",
        ),
        ("listeners: public", "write a list"),
        ("listeners: [1]", "write text"),
        ("answers: 1", "host `api` has no `listener`"),
    ] {
        let message = with(&format!("{{ api: {{ {host}, names: [api.example.com] }} }}")).unwrap_err();
        assert!(message.contains(said), "{host}: {message}");
        assert!(message.contains("edge.yaml:6:"), "{host}: {message}");
    }
}

#[test]
fn two_hosts_share_no_name_on_a_listener() {
    let apart = "{ api: { listener: public, names: [a.test] }, old: { listener: tls, names: [a.test] } }";
    assert!(with(apart).is_ok());
    let shared = "{ api: { listeners: [tls, public], names: [a.test] }, old: { listeners: [public, tls], names: [a.test] } }";
    let message = with(shared).unwrap_err();
    let said = "hosts `api` and `old` both have the name a.test on listener";
    assert_eq!(message.matches(said).count(), 1, "{message}");
}
