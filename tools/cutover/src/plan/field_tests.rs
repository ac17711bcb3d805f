//! A change of any field of an edge is a row of the plan.

mod alternatives;

use std::path::Path;

use edge_config::Edge;

use super::{Plan, plan};

const DEV: &str = include_str!("../../tests/files/edge.yaml");

/// The development edge, extended by one of everything that it lacks.
fn full() -> String {
    let authorizer = "authorizer:\n  address: \"${AUTHZ_ADDRESS:-127.0.0.1:9191}\"\n";
    let tls = "  tls: { ca: ca.pem, certificate: envoy.pem, key: envoy.key, names: [authz.test] }\n";
    let extra = "\
stats: { address: 127.0.0.1:9902 }
comparator: { address: 127.0.0.1:9291, admin: 127.0.0.1:9292 }
api_keys: { file: api-keys.jsonl, header: x-api-key }
signatures: { keys: signing.yaml, max_age_seconds: 60, skew_seconds: 5, max_body_bytes: 1000, headers: [x-a] }
service_tokens: { issuer: tokens, keys: tokens.jwks.json }
legacy_sessions:
  cookie: legacy_session
  refresh_cookie: legacy_refresh
  end: side-by-side
  tenant: 00000000-0000-7000-8000-000000000001
  role: 1
  verify: { redis: { url: \"redis://127.0.0.1:6379\", key_prefix: s, timeout_ms: 40, leeway_seconds: 10 } }
leases: { slots: 1024 }
streams: { most: 1000, unjudged_seconds: 30 }
tracing: { collector: 127.0.0.1:4317, sample_percent: 5 }
limits: { people: { per: address, rate: 60, seconds: 60, burst: 10 } }
routes:
  - { name: full, host: api, prefix: /full, methods: [GET], policy: signed-in, to: { legacy: 50, users: 50, sticky: session },
      answers: auth, limits: [people] }
";
    assert!(DEV.contains(authorizer));
    let text = DEV.replace(authorizer, &format!("{authorizer}{tls}")).replace("routes:\n", extra);
    text.replace(
        "  auth: { keys: \"${CUTOVER_HOME:-.run}/keys/auth.jwks.json\" }",
        "  auth: { keys: auth.jwks.json, permissions: [look], tenants: any }",
    )
    .replace("  cookie: access_token\n", "  cookie: access_token\n  refresh_cookie: refresh\n")
    .replace(
        "  account-lookup: { kind: internal, services: [auth] }",
        "  account-lookup: { kind: internal, services: [auth], permissions: [look] }",
    )
}

fn edge(text: &str) -> Edge {
    edge_config::parse(Path::new("edge.yaml"), text, &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}

fn said(plan: &Plan) -> String {
    let requests = plan.requests.iter().map(|(_, finding)| finding);
    let rows = requests.chain(plan.edge.iter().map(|(_, finding)| finding));
    rows.map(|row| format!("{}: {}\n", row.standing.as_str(), row.because.join("; "))).collect()
}

#[test]
fn every_field_of_an_edge_is_compared() {
    let base = full();
    let of_auth = "auth: { address: \"${AUTH_ADDRESS:-127.0.0.1:3021}\"";
    let auth = |rest: &str| format!("auth: {{ address: \"${{AUTH_ADDRESS:-127.0.0.1:3021}}\", {rest}");
    let cases: Vec<(&str, String, &str)> = vec![
        ("edge: dev", "edge: other".into(), "weaker: the edge's name"),
        ("root_domain: dev-domain.test", "root_domain: other.test".into(), "weaker: the domain of cookies"),
        ("127.0.0.1:9901", "127.0.0.1:9999".into(), "same: listens on 127.0.0.1:9999"),
        ("127.0.0.1:9902", "127.0.0.1:9999".into(), "same: counters can be read on"),
        ("127.0.0.1:9902", "0.0.0.0:9902".into(), "weaker: counters can be read on 0.0.0.0:9902"),
        ("stats: { address: 127.0.0.1:9902 }\n", String::new(), "stricter: counters can no longer be read"),
        ("127.0.0.1:9191", "127.0.0.1:9999".into(), "weaker: decisions come from 127.0.0.1:9999"),
        ("127.0.0.1:9191", "authz.example.com:9191".into(), "weaker: decisions come from authz.example.com"),
        (
            "  tls: { ca: ca.pem, certificate: envoy.pem, key: envoy.key, names: [authz.test] }\n",
            String::new(),
            "weaker: is queried without encryption",
        ),
        ("ca: ca.pem", "ca: other.pem".into(), "weaker: the authorities"),
        ("certificate: envoy.pem", "certificate: other.pem".into(), "same: receives another certificate"),
        ("key: envoy.key", "key: other.key".into(), "same: receives another certificate"),
        ("names: [authz.test]", "names: [any.test]".into(), "weaker: the names that its certificate"),
        ("timeout_ms: 200", "timeout_ms: 300".into(), "same: how long Envoy waits"),
        ("timeout_ms: 200", "timeout_ms: 200\n  replicas: 3".into(), "same: the number of replicas"),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8079}\", exposure: public }".into(),
            "same: listens on 127.0.0.1:8079",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, tls: { certificate: a, key: b } }".into(),
            "stricter: encrypted",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, http_1_0: accept }".into(),
            "weaker: accepts HTTP/1.0",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, trusted_proxies: [10.0.0.0/8] }".into(),
            "weaker: proxies at 10.0.0.0/8 name the client",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, trusted_proxies: [10.0.0.0/8], proxy_protocol: required }"
                .into(),
            "the PROXY protocol of trusted proxies names the client",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, trusted_proxies: [10.0.0.0/8], http_1_0: trusted }".into(),
            "weaker: accepts HTTP/1.0 from trusted proxies",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, underscores: drop }".into(),
            "weaker: removes headers with an underscore",
        ),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, underscores: { pass: [x_app] } }".into(),
            "weaker: headers named `x_app` pass",
        ),
        (
            "127.0.0.1:8081}\", exposure: internal }",
            "10.0.0.1:8081}\", exposure: internal, network: private }".into(),
            "its network is declared private",
        ),
        (
            "127.0.0.1:8081}\", exposure: internal }",
            "10.0.0.1:8081}\", exposure: internal, tls: { certificate: a, key: b, client_ca: c, client_crl: d } }".into(),
            "clients need a certificate",
        ),
        (
            "names: [file.dev-domain.test]",
            "names: [file.dev-domain.test, more.test]".into(),
            "opened: no route matched it",
        ),
        (
            "LEGACY_ADDRESS:-127.0.0.1:3000",
            "LEGACY_ADDRESS:-10.0.0.1:3000".into(),
            "weaker: requests, or copies of them, leave this machine for a private network",
        ),
        (
            "LEGACY_ADDRESS:-127.0.0.1:3000",
            "LEGACY_ADDRESS:-198.51.100.7:3000".into(),
            "leave this machine for any network",
        ),
        (of_auth, auth("protocol: http2"), "same: the protocol changed"),
        (of_auth, auth("tls: {}"), "stricter: reached over TLS"),
        (of_auth, auth("host: auth.internal"), "the host that its requests name"),
        (of_auth, auth("answer: { headers: 9 }"), "same: how large the head of an answer may be"),
        (
            "127.0.0.1:8080}\", exposure: public }",
            "127.0.0.1:8080}\", exposure: public, wire: { headers: 9 } }".into(),
            "same: how large and how slow messages may be",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], body_limit: 1KiB }".into(),
            "stricter: bodies may have 1024 bytes instead of any length",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], timeout_ms: 9 }".into(),
            "same: how long an answer may take to begin (`timeout_ms`)",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], idle_timeout_ms: 9 }".into(),
            "same: how long it may be silent",
        ),
        (of_auth, auth("connect_timeout_ms: 99"), "same: how long a connection may take"),
        (of_auth, auth("request_timeout_ms: 9999"), "same: how long an answer may take"),
        (of_auth, auth("idle_timeout_ms: 99"), "same: how long an idle connection"),
        (of_auth, auth("circuit: { connections: 9 }"), "same: how much load it may receive"),
        (of_auth, auth("retries: { attempts: 0 }"), "same: when a request is retried"),
        (of_auth, auth("ejection: { failures: 0 }"), "same: when an endpoint is ejected"),
        (of_auth, auth("health: { path: /readyz }"), "same: how the health of its endpoints"),
        (of_auth, auth("request_headers: { x-acme-a: b }"), "same: also receives `x-acme-a`"),
        ("127.0.0.1:9291", "127.0.0.1:9299".into(), "same: receives copies on 127.0.0.1:9299"),
        ("127.0.0.1:9292", "127.0.0.1:9299".into(), "same: reports on 127.0.0.1:9299"),
        (
            "admin: 127.0.0.1:9292",
            "admin: 127.0.0.1:9292, sample_percent: 50".into(),
            "same: how many requests are copied",
        ),
        (
            "admin: 127.0.0.1:9292",
            "admin: 127.0.0.1:9292, ignore: [{ header: date }]".into(),
            "same: which differences are ignored",
        ),
        ("slots: 1024", "slots: 2048".into(), "same: how many leases"),
        ("    - x-client-version\n", String::new(), "weaker: `x-client-version` is no longer reserved"),
        (
            "  tenant: x-tenant-id\n",
            "  tenant: x-tenant\n".into(),
            "weaker: backends receive the tenant in `x-tenant` instead",
        ),
        (
            "  scopes: x-auth-scopes\n",
            String::new(),
            "weaker: backends no longer receive the scopes in `x-auth-scopes`",
        ),
        (
            "  scopes: x-auth-scopes\n",
            "  scopes: x-auth-scopes\n  roles: x-auth-roles\n".into(),
            "same: backends also receive the roles in `x-auth-roles`",
        ),
        ("header: x-request-id", "header: x-trace-id".into(), "same: the header with the id of a request"),
        ("on_answers: refusals", "on_answers: always".into(), "same: which answers carry the id"),
        ("  - { prefix: /metrics }\n", String::new(), "no longer closed as an internal path"),
        ("file: api-keys.jsonl", "file: others.jsonl".into(), "weaker: the file of keys"),
        ("header: x-api-key", "header: x-key".into(), "weaker: the header"),
        ("keys: signing.yaml", "keys: other.yaml".into(), "weaker: the file of keys"),
        ("max_age_seconds: 60", "max_age_seconds: 61".into(), "weaker: how long a signature is valid"),
        ("skew_seconds: 5", "skew_seconds: 4".into(), "stricter: how far clocks may differ"),
        ("max_body_bytes: 1000", "max_body_bytes: 2000".into(), "same: the longest body"),
        ("headers: [x-a]", "headers: [x-b]".into(), "same: the further headers that a signature may cover"),
        ("issuer: tokens", "issuer: others".into(), "weaker: the issuer changed"),
        (
            "keys: tokens.jwks.json",
            "keys: other.jwks.json".into(),
            "weaker: the location of the issuer's keys",
        ),
        ("cookie: legacy_session", "cookie: other_session".into(), "weaker: the cookie"),
        (
            "tenant: 00000000-0000-7000-8000-000000000001",
            "tenant: 00000000-0000-7000-8000-000000000002".into(),
            "weaker: the tenant of every caller",
        ),
        ("  role: 1\n", "  role: 2\n".into(), "weaker: the role of"),
        (
            "redis://127.0.0.1:6379",
            "redis://127.0.0.1:6380".into(),
            "weaker: the address of the legacy backend's store",
        ),
        (
            "refresh_cookie: legacy_refresh",
            "refresh_cookie: other_refresh".into(),
            "same: the cookie by which public routes recognise a legacy session",
        ),
        ("end: side-by-side", "end: exchange".into(), "same: the way in which legacy sessions end"),
        (
            "  refresh_cookie: refresh\n",
            String::new(),
            "same: the cookie by which public routes recognise a session",
        ),
        (
            "public: { kind: public }",
            "public: { kind: public, ended: refuse }".into(),
            "stricter: ended sessions are refused",
        ),
        (
            "{ legacy: 50, users: 50, sticky: session }",
            "{ session: users, legacy: 50, users: 50, sticky: session }".into(),
            "same: `session` goes to users instead of legacy 50 %, users 50 %",
        ),
        ("key_prefix: s", "key_prefix: t".into(), "weaker: the prefix of keys"),
        ("timeout_ms: 40", "timeout_ms: 41".into(), "same: the time limit of the legacy backend's store"),
        ("leeway_seconds: 10", "leeway_seconds: 11".into(), "weaker: the leeway raised"),
        ("rate: 60,", "rate: 61,".into(), "weaker: limit `people` raised"),
        ("burst: 10 }", "burst: 11 }".into(), "weaker: burst of limit"),
        ("per: address", "per: subject".into(), "weaker: limit `people` counts by subject"),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [] }".into(),
            "weaker: limit `people` dropped",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: users, limits: [people] }".into(),
            "same: the wording of refusals",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], upgrade: websocket }".into(),
            "weaker: WebSockets are allowed",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], stream: true }".into(),
            "`stream` is true",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], idempotent: true }".into(),
            "same: requests without an answer may be sent again (`idempotent`)",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], ends_with: session }".into(),
            "stricter: open requests end when their session ends instead of with no session",
        ),
        ("collector: 127.0.0.1:4317", "collector: 127.0.0.1:4318".into(), "same: spans go to 127.0.0.1:4318"),
        ("sample_percent: 5", "sample_percent: 6".into(), "same: spans of 6 % instead of 5 %"),
        (
            "sample_percent: 5",
            "sample_percent: 5, trust_incoming: always".into(),
            "weaker: traces of callers are continued: `always` instead of `services`",
        ),
        ("most: 1000", "most: 2000".into(), "same: how many open streams a listener has"),
        (
            "unjudged_seconds: 30",
            "unjudged_seconds: 90".into(),
            "weaker: open streams that cannot be judged end after 90 s",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], shadow: auth }".into(),
            "same: copies go to auth",
        ),
        (
            "answers: auth, limits: [people] }",
            "answers: auth, limits: [people], canary: [{ to: users, header: x-auth-role, value: \"2\" }] }"
                .into(),
            "same: the canaries changed",
        ),
        (
            "{ legacy: 50, users: 50, sticky: session }",
            "{ legacy: 40, users: 60, sticky: session }".into(),
            "same: goes to legacy 40 %",
        ),
        (
            "sticky: session }",
            "sticky: tenant }".into(),
            "same: clients stick to a backend by the tenant instead of the session",
        ),
        (
            "prefix: /full, methods: [GET], policy: signed-in",
            "prefix: /full, methods: [GET], policy: bot".into(),
            "stricter: role 2 required",
        ),
        (
            "  signed-in: { kind: session }",
            "  signed-in: { kind: session, bearer_beside_cookie: ignore }".into(),
            "weaker: a bearer token beside a session cookie is ignored",
        ),
        (
            "permissions: [look], tenants: any",
            "permissions: [look, write], tenants: any".into(),
            "weaker: a permission of service",
        ),
        (
            "permissions: [look], tenants: any",
            "permissions: [look]".into(),
            "stricter: service `auth` may no longer act for every tenant",
        ),
        (
            "services: [auth], permissions: [look] }",
            "services: [auth] }".into(),
            "weaker: permission `look` dropped",
        ),
        (
            "bearer: true",
            "bearer: true\n  websocket_protocol: bearer.".into(),
            "weaker: WebSockets may bring a bearer token as a protocol that begins with `bearer.`",
        ),
        ("bearer: true", "bearer: false".into(), "stricter: bearer tokens are no longer accepted"),
        ("  cookie: access_token", "  cookie: other".into(), "weaker: the session cookie"),
        ("/tenants.yaml", "/others.yaml".into(), "weaker: the file of tenants"),
    ];
    for (old, new, expected) in cases {
        assert!(base.contains(old), "{old:?} is not in the edge");
        let plan = plan(&edge(&base), &edge(&base.replacen(old, &new, 1)));
        assert!(said(&plan).contains(expected), "{old} -> {new}: {expected:?} is not in\n{}", said(&plan));
    }
    // A comment alone makes another revision and is not a change.
    assert!(plan(&edge(&base), &edge(&format!("{base}\n# A comment.\n"))).is_empty());
}
