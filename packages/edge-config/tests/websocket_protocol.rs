//! The protocol of a WebSocket that is a bearer token.

use std::path::Path;

use edge_config::edge::{TokenEncoding, WebsocketProtocol};
use edge_config::{Edge, Faults};

fn read(sessions: &str) -> Result<Edge, Faults> {
    let text = format!(
        "
edge: shop
listeners: {{ public: {{ address: 127.0.0.1:8080, exposure: public }} }}
backends: {{ shop: {{ address: 127.0.0.1:3000 }} }}
sessions: {{ cookie: sid, issuer: 'https://login.example.com', audience: shop, {sessions} }}
api_keys: {{ file: keys.jsonl, header: x-api-key }}
policies:
  public: {{ kind: public }}
  people: {{ kind: session }}
  programs: {{ kind: session, accept: [api-key] }}
hosts:
  api: {{ names: [api.example.com] }}
routes:
  - {{ name: live, host: api, prefix: /live, policy: people, upgrade: websocket, to: shop }}
  - {{ name: plain, host: api, prefix: /plain, policy: people, to: shop }}
  - {{ name: keys, host: api, prefix: /keys, policy: programs, upgrade: websocket, to: shop }}
  - {{ name: open, host: api, prefix: /open, policy: public, upgrade: websocket, to: shop }}
"
    );
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None)
}

fn takes(edge: &Edge) -> Vec<&str> {
    let routes = edge.routes.iter().filter(|route| edge.takes_websocket_token(route));
    routes.map(|route| route.name.as_str()).collect()
}

#[test]
fn a_prefix_and_an_encoding_for_the_routes_that_read_bearer_tokens() {
    for (text, prefix, encoding) in [
        ("bearer.", "bearer.", TokenEncoding::Plain),
        ("{ prefix: bearer. }", "bearer.", TokenEncoding::Plain),
        ("{ prefix: b64., encoding: base64url }", "b64.", TokenEncoding::Base64url),
        (
            "'quarkus-http-upgrade#Authorization#Bearer%20'",
            "quarkus-http-upgrade#Authorization#Bearer%20",
            TokenEncoding::Plain,
        ),
    ] {
        let edge = read(&format!("bearer: true, websocket_protocol: {text}")).unwrap();
        let expected = WebsocketProtocol { prefix: prefix.to_owned(), encoding };
        assert_eq!(edge.sessions.as_ref().unwrap().websocket_protocol, Some(expected));
        assert_eq!(takes(&edge), ["live"], "{text}");
    }
    assert_eq!(takes(&read("bearer: true").unwrap()), Vec::<&str>::new());
}

#[test]
fn a_setting_that_no_request_could_meet_is_a_fault() {
    for (sessions, expected) in [
        (
            "websocket_protocol: bearer.",
            "`websocket_protocol` of `sessions` has no effect without `bearer: true`",
        ),
        (
            "bearer: true, websocket_protocol: 'bearer '",
            "`websocket_protocol` cannot begin a protocol: \"bearer \"",
        ),
        ("bearer: true, websocket_protocol: ''", "`websocket_protocol`"),
        (
            "bearer: true, websocket_protocol: { prefix: 'a,b' }",
            "`prefix` of `websocket_protocol` cannot begin a protocol",
        ),
        (
            "bearer: true, websocket_protocol: { prefix: b., encoding: hex }",
            "`encoding` of `websocket_protocol`",
        ),
        ("bearer: true, websocket_protocol: { encoding: plain }", "`websocket_protocol` has no `prefix`"),
    ] {
        let faults = read(sessions).unwrap_err().to_string();
        assert!(faults.contains(expected), "{sessions}: {faults}");
    }
    let long = format!("bearer: true, websocket_protocol: {}", "x".repeat(WebsocketProtocol::MAX_PREFIX + 1));
    assert!(read(&long).is_err());
}
