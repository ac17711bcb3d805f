//! Issuers of tokens in an edge file: signed and opaque ones, their keys and claims.

use std::path::Path;

use edge_config::edge::Edge;
use edge_config::{Faults, load, parse};

use super::{dev_text, edges, nothing_set, panic_with_text};

#[test]
fn an_issuer_of_opaque_tokens_has_an_endpoint() {
    use edge_config::edge::IntrospectionClient;
    let list = "sessions:\n  cookie: t\n  bearer: true\n  issuers:\n    - { issuer: a, audience: x, keys: { file: k.json } }\n    - { issuer: b, audience: x, introspection: { url: \"https://b.test/i\", client_id: edge, secret_file: s, cache_ms: 9, timeout_ms: 70, token_type_hint: access_token }, claims: { tenant: org }, required: [tenant] }\n    - { issuer: c, audience: x, introspection: { url: \"http://127.0.0.1:1/i\", secret_file: s, prefix: c_ } }\n";
    let sessions = dev_with_sessions(list).unwrap().sessions.unwrap();
    assert_eq!(sessions.issuers.len(), 1);
    let [b, c] = sessions.opaque.as_slice() else { panic_with_text("not two opaque issuers") };
    assert_eq!((b.endpoint.cache.as_millis(), b.endpoint.timeout.as_millis()), (9, 70));
    assert!(
        matches!(&b.endpoint.client, IntrospectionClient::Basic { client_id, .. } if client_id == "edge")
    );
    assert_eq!((b.prefix.as_deref(), b.endpoint.token_type_hint.as_deref()), (None, Some("access_token")));
    assert!(matches!(&c.endpoint.client, IntrospectionClient::Bearer { .. }));
    assert_eq!(
        (c.prefix.as_deref(), c.endpoint.cache.as_secs(), c.endpoint.timeout.as_millis()),
        (Some("c_"), 5, 150)
    );
    assert!(c.claims.required.is_empty() && c.claims.session.is_none());
    for (old, new, expected) in [
        ("url: \"https://b.test/i\", ", "", "`introspection` has no `url`"),
        ("https://b.test/i", "http://b.test/i", "without encryption"),
        ("https://b.test/i", "b.test", "`url` of `introspection` is \"b.test\""),
        ("https://b.test/i", "https://u:p@b.test/i", "`url` of `introspection` is"),
        ("secret_file: s, cache", "cache", "`introspection` has no `secret_file`"),
        ("client_id: edge", "client_id: \"\"", "`client_id` is \"\""),
        ("client_id: edge", "send_secret: post", "has `send_secret` and no `client_id`"),
        ("client_id: edge", "client_id: edge, send_secret: header", "`send_secret` is \"header\""),
        ("cache_ms: 9", "cache_ms: 60001", "from 0 to 60000"),
        ("timeout_ms: 70", "timeout_ms: 200", "Envoy waits 200 ms for the authorizer"),
        ("timeout_ms: 70", "timeout: 70", "has no field `timeout`"),
        (
            "introspection: { url: \"https",
            "keys: { file: k }, introspection: { url: \"https",
            "`introspection` and also `keys`",
        ),
        (
            "introspection: { url: \"https",
            "algorithms: [ES256], introspection: { url: \"https",
            "and also `algorithms`",
        ),
        (", prefix: c_", "", "the opaque tokens of \"b\" and \"c\" cannot be distinguished"),
        ("prefix: c_", "prefix: ey", "with which the tokens of other issuers begin"),
        ("prefix: c_", "prefix: eyJhbGciOi", "with which the tokens of other issuers begin"),
        ("prefix: c_", "prefix: \"\"", "`prefix` is \"\""),
        ("prefix: c_", "prefix: \"c d\"", "`prefix` is \"c d\""),
        ("cache_ms: 9", "prefix: c_1, cache_ms: 9", "can begin one token"),
        ("issuer: c,", "issuer: a,", "two issuers are named \"a\""),
        (", claims: { tenant: org }", "", "`required` without `claims`"),
    ] {
        assert!(list.contains(old), "{old}");
        let message = dev_with_sessions(&list.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
        assert!(message.contains("edge.yaml:"), "no place in:\n{message}");
    }
    // A certificate beside the secret, or instead of it (RFC 8705).
    let proved = |more: &str| {
        format!(
            "sessions: {{ cookie: t, bearer: true, issuer: b, audience: x, introspection: {{ url: \"https://b.test/i\", {more} }} }}\n"
        )
    };
    let both =
        "client_id: edge, secret_file: s, tls: { ca: ca.pem, client: { certificate: c.pem, key: c.key } }";
    let sessions = dev_with_sessions(&proved(both)).unwrap().sessions.unwrap();
    let endpoint = &sessions.opaque[0].endpoint;
    assert!(matches!(&endpoint.client, IntrospectionClient::Basic { .. }));
    let certificate = endpoint.certificate.as_ref().unwrap();
    assert!(endpoint.ca.as_ref().unwrap().ends_with("ca.pem") && certificate.key.ends_with("c.key"));
    let alone = "client_id: edge, tls: { client: edge.pem }";
    let sessions = dev_with_sessions(&proved(alone)).unwrap().sessions.unwrap();
    let endpoint = &sessions.opaque[0].endpoint;
    assert!(
        matches!(&endpoint.client, IntrospectionClient::Certificate { client_id } if client_id == "edge")
    );
    assert!(endpoint.certificate.as_ref().unwrap().key.ends_with("edge.pem") && endpoint.ca.is_none());
    for (settings, expected) in [
        ("client_id: edge, tls: { ca: ca.pem }", "`introspection` has no `secret_file`"),
        ("tls: { client: edge.pem }", "`introspection` has no `client_id`"),
        (
            "client_id: edge, send_secret: post, tls: { client: edge.pem }",
            "`send_secret` and no `secret_file`",
        ),
        ("client_id: edge, tls: { client: { certificate: c.pem } }", "has no `key`"),
        ("client_id: edge, tls: { client: edge.pem, sni: b }", "has no field `sni`"),
    ] {
        let message = dev_with_sessions(&proved(settings)).expect_err(settings).to_string();
        assert!(message.contains(expected), "{settings:?} should say {expected:?}, but says:\n{message}");
    }
    let clear = proved(alone).replace("https://b.test/i", "http://127.0.0.1:1/i");
    let message = dev_with_sessions(&clear).unwrap_err().to_string();
    assert!(message.contains("has `tls`, and its `url` http://127.0.0.1:1/i is in the clear"), "{message}");
    // Alone, in `sessions` itself; there every prefix is possible.
    let alone = "sessions: { cookie: t, bearer: true, issuer: b, audience: x, introspection: { url: \"https://b.test/i\", client_id: edge, secret_file: s, prefix: eyJ } }\n";
    let sessions = dev_with_sessions(alone).unwrap().sessions.unwrap();
    assert!(sessions.issuers.is_empty() && sessions.opaque.len() == 1);
}

#[test]
fn several_issuers_or_one() {
    use edge_config::edge::{KeyAlgorithm, KeySource};
    let flat = load(&edges().join("dev.yaml"), &nothing_set).unwrap().sessions.unwrap();
    assert_eq!(flat.issuers.len(), 1);
    assert_eq!(flat.issuers[0].audiences, ["https://api.dev-domain.test"]);
    let list = "sessions:\n  cookie: t\n  issuers:\n    - { issuer: a, audience: x, keys: { file: k.json } }\n    - { issuer: b, audience: [x, w], token_type: JWT, algorithms: [RS256], leeway_seconds: 5, keys: { pem: k.pem, kid: \"1\", algorithm: RS256 } }\n";
    let sessions = dev_with_sessions(list).unwrap().sessions.unwrap();
    let [a, b] = sessions.issuers.as_slice() else { panic_with_text("not two issuers") };
    assert_eq!(
        (a.issuer.as_str(), a.token_types.words().join(" ").as_str(), a.leeway.as_secs()),
        ("a", "at+jwt", 60)
    );
    assert_eq!(b.audiences, ["x", "w"]);
    assert_eq!((b.token_types.words().join(" ").as_str(), b.leeway.as_secs()), ("JWT", 5));
    assert!(matches!(&b.keys, KeySource::Pem { kid, algorithm: KeyAlgorithm::Rs256, .. } if kid == "1"));

    for (old, new, expected) in [
        ("cookie: t\n", "cookie: t\n  issuer: c\n", "has `issuers` and also `issuer`"),
        ("cookie: t\n", "cookie: t\n  leeway_seconds: 1\n", "also `leeway_seconds`"),
        ("issuer: b", "issuer: a", "two issuers are named \"a\""),
        ("audience: [x, w]", "audience: []", "empty list"),
        ("audience: x, ", "", "has no `audience`"),
        ("kid: \"1\", ", "", "has no `kid`"),
        (", algorithm: RS256 }", " }", "has no `algorithm`"),
        ("algorithms: [RS256]", "algorithms: [HS256]", "an algorithm is \"HS256\""),
        ("algorithms: [RS256]", "algorithms: [none]", "an algorithm is \"none\""),
        ("algorithms: [RS256]", "algorithms: [ES256]", "does not list RS256"),
        ("algorithms: [RS256]", "algorithms: []", "lists nothing"),
        ("{ file: k.json }", "{ file: k.json, pem: k.pem }", "exactly one"),
        ("{ file: k.json }", "{ file: k.json, kid: x }", "no field `kid`"),
        ("    - { issuer: a", "    - { issuers: a", "has no field `issuers`"),
    ] {
        assert!(list.contains(old), "{old}");
        let message = dev_with_sessions(&list.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
    let stranger = "sessions:\n  cookie: t\n  issuers:\n    - issuer: \"https://login.acme.test/realms/acme\"\n      audience: x\n      audience_claim: client_id\n      token_types: [at+jwt, absent]\n      max_token_bytes: 32768\n";
    let sessions = dev_with_sessions(stranger).unwrap().sessions.unwrap();
    let [issuer] = sessions.issuers.as_slice() else { panic_with_text("not one issuer") };
    assert!(matches!(&issuer.keys, KeySource::Discovery(addresses) if addresses.len() == 2));
    assert_eq!(issuer.claims.audience.to_string(), "client_id");
    assert_eq!(
        (issuer.token_types.words().join(" ").as_str(), issuer.max_token_bytes),
        ("at+jwt absent", 32_768)
    );
    for (old, new, expected) in [
        ("https://login.acme.test/realms/acme", "acme", "has no `keys`, and its name is not an address"),
        ("https://login", "http://login", "has no `keys`, and its name is not an address"),
        ("realms/acme", "realms/acme?x=1", "has no `keys`, and its name is not an address"),
        ("client_id", "a..b", "is not a valid claim path"),
        ("[at+jwt, absent]", "[]", "`token_types` lists nothing"),
        ("[at+jwt, absent]", "[\"a b\"]", "is not a valid media type"),
        (
            "      token_types",
            "      token_type: JWT\n      token_types",
            "`token_type` and also `token_types`",
        ),
        ("32768", "65536", "`max_token_bytes` is 65536"),
        (
            "      audience_claim",
            "      keys: { discovery: \"http://a.test/x\" }\n      audience_claim",
            "without encryption",
        ),
    ] {
        assert!(stranger.contains(old), "{old}");
        let message = dev_with_sessions(&stranger.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
    let mapped = "sessions:\n  cookie: t\n  issuer: a\n  audience: x\n  keys: { file: k.json }\n  claims: { tenant: \"https://acme.test/tenant\", scopes: realm_access.roles, session: sid }\n  required: [session]\n";
    let issuer = dev_with_sessions(mapped).unwrap().sessions.unwrap().issuers.remove(0);
    assert_eq!(issuer.claims.scopes.as_ref().map(|path| path.names().len()), Some(2));
    assert!(
        matches!(&issuer.claims.tenant, edge_config::edge::TenantRule::Claim(path) if path.names().len() == 1)
    );
    assert!(
        issuer.claims.role.is_none()
            && issuer.token_types.accept(None)
            && issuer.token_types.accept(Some("jwt"))
    );
    for (old, new, expected) in [
        ("\"https://acme.test/tenant\"", "{ constant: \" acme\" }", "`constant` is \" acme\""),
        ("\"https://acme.test/tenant\"", "{}", "needs either a `constant` or a `host`"),
        ("\"https://acme.test/tenant\"", "{ constant: acme, host: \"*.a.test\" }", "exactly one of them"),
        ("\"https://acme.test/tenant\"", "{ host: a.test }", "`host` is \"a.test\""),
        ("\"https://acme.test/tenant\"", "{ host: \"*.A.test\" }", "`host` is \"*.A.test\""),
        ("\"https://acme.test/tenant\"", "{ host: {} }", "names 0 hosts"),
        ("\"https://acme.test/tenant\"", "{ host: { \"a.test:80\": acme } }", "without a port"),
        ("\"https://acme.test/tenant\"", "{ host: { a.test: \"\" } }", "the tenant of `a.test` is"),
        (
            "tenant: \"https://acme.test/tenant\", scopes: realm_access.roles, session: sid }\n  required: [session]",
            "scopes: s }\n  required: [tenant]",
            "`claims` does not name its claim",
        ),
        ("[session]", "[roles]", "`claims` does not name its claim"),
        ("\"https://acme.test/tenant\"", "{ claim: x }", "has no field `claim`"),
        ("\"https://acme.test/tenant\"", "7", "`tenant` of `claims` is a number"),
        ("realm_access.roles", "realm_access..roles", "is not a valid claim path"),
        ("scopes: realm", "scope: realm", "has no field `scope`"),
        ("[session]", "[sid]", "`required` is \"sid\""),
        ("[session]", "[role]", "`claims` does not name its claim"),
        (
            "  claims: { tenant: \"https://acme.test/tenant\", scopes: realm_access.roles, session: sid }\n",
            "",
            "`required` without `claims`",
        ),
    ] {
        assert!(mapped.contains(old), "{old}");
        let message = dev_with_sessions(&mapped.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
    let none = "sessions:\n  cookie: t\n  issuers: []\n";
    assert!(dev_with_sessions(none).unwrap_err().to_string().contains("lists 0 issuers"));
}

/// The dev edge with another `sessions` section.
fn dev_with_sessions(section: &str) -> Result<Edge, Faults> {
    let text = dev_text();
    let start = text.find("sessions:\n").unwrap();
    let end = start + text[start..].find("\n\n").unwrap() + "\n\n".len();
    let text = format!("{}{section}\n{}", &text[..start], &text[end..]);
    parse(Path::new("edge.yaml"), &text, &nothing_set)
}
