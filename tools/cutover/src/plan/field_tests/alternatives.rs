//! The fields of alternatives, of which an edge has one or the other.

use super::{DEV, edge, plan, said};

/// A backend that is reached over TLS, with each of its rules.
#[test]
fn every_field_of_tls_to_a_backend_is_compared() {
    let of_auth = "auth: { address: \"${AUTH_ADDRESS:-127.0.0.1:3021}\"";
    let (pin, other) = ("A".repeat(43) + "=", "B".repeat(42) + "A=");
    let tls = format!("tls: {{ ca: ca.pem, sni: auth.internal, client: edge.pem, pins: [\"{pin}\"] }}");
    let base = DEV.replacen(of_auth, &format!("{of_auth}, {tls}"), 1);
    for (old, new, expected) in [
        (format!(", {tls}"), String::new(), "weaker: no longer reached over TLS"),
        ("ca: ca.pem".into(), "ca: other.pem".into(), "weaker: the authorities of its certificate"),
        ("sni: auth.internal".into(), "sni: other.internal".into(), "weaker: the name that its certificate"),
        ("client: edge.pem".into(), "client: other.pem".into(), "same: receives another certificate"),
        (pin.clone(), other.clone(), "weaker: other public keys"),
        (format!("\"{pin}\""), format!("\"{pin}\", \"{other}\""), "weaker: other public keys"),
        (format!(", pins: [\"{pin}\"]"), String::new(), "weaker: other public keys"),
    ] {
        assert!(base.contains(&old), "{old:?} is not in the edge");
        let plan = plan(&edge(&base), &edge(&base.replacen(&old, &new, 1)));
        assert!(said(&plan).contains(expected), "{old} -> {new}: {expected:?} is not in\n{}", said(&plan));
    }
    let without = base.replacen(&format!(", pins: [\"{pin}\"]"), "", 1);
    assert!(said(&plan(&edge(&without), &edge(&base))).contains("stricter: other public keys"));
}

/// Another tenants service, with each of its rules.
#[test]
fn every_field_of_a_tenants_service_is_compared() {
    let file = "tenants: { file: \"${CUTOVER_HOME:-.run}/tenants.yaml\" }";
    let service = "tenants: { grpc: \"http://127.0.0.1:3026\", redis: true, memory_seconds: 60, redis_seconds: 300, \
                   negative_seconds: 5, untrusted_after_seconds: 10 }";
    assert!(DEV.contains(file));
    let base = DEV.replace(file, service);
    for (old, new, expected) in [
        (":3026", ":3027", "weaker: the tenants service"),
        ("redis: true, ", "redis: false, ", "weaker: changes are no longer pushed"),
        ("memory_seconds: 60", "memory_seconds: 61", "weaker: how long an answer about a tenant"),
        (
            "redis_seconds: 300",
            "redis_seconds: 301",
            "weaker: how long an answer about a tenant is remembered in Redis",
        ),
        ("negative_seconds: 5", "negative_seconds: 6", "same: how long an unknown tenant is remembered"),
        (
            "untrusted_after_seconds: 10",
            "untrusted_after_seconds: 11",
            "weaker: how long answers are trusted",
        ),
    ] {
        assert!(base.contains(old), "{old:?} is not in the edge");
        let plan = plan(&edge(&base), &edge(&base.replacen(old, new, 1)));
        assert!(said(&plan).contains(expected), "{old} -> {new}: {expected:?} is not in\n{}", said(&plan));
    }
    assert!(said(&plan(&edge(DEV), &edge(&base))).contains("weaker: tenants are listed elsewhere"));
}

/// Another issuer whose endpoint describes its tokens, with each of its rules.
#[test]
fn every_field_of_an_opaque_issuer_is_compared() {
    let own = "  issuer: https://api.dev-domain.test/auth
  audience: https://api.dev-domain.test
  keys: { file: \"${CUTOVER_HOME:-.run}/keys/session.jwks.json\" }
  # The legacy accepts a token for 60 s past its `exp`; an edge that is stricter would sign people out.
  leeway_seconds: 60
";
    assert!(DEV.contains(own));
    let signed = "  issuers:
    - { issuer: https://api.dev-domain.test/auth, audience: https://api.dev-domain.test, keys: { file: keys.json } }
";
    let opaque = "    - issuer: https://login.test
      audience: [acme]
      leeway_seconds: 30
      max_token_bytes: 4096
      introspection: { url: https://login.test/i, client_id: edge, secret_file: secret, tls: { ca: ca.pem, client: edge.pem }, prefix: o_, token_type_hint: access_token, cache_ms: 500, timeout_ms: 90 }
      claims: { tenant: org, session: sid, roles: groups }
      required: [tenant]
";
    let none = DEV.replace(own, signed);
    let base = none.replace(signed, &format!("{signed}{opaque}"));
    for (old, new, expected) in [
        (
            "audience: [acme]",
            "audience: [acme, other]",
            "weaker: an audience of the issuer `https://login.test`",
        ),
        ("leeway_seconds: 30", "leeway_seconds: 31", "weaker: the leeway of the issuer"),
        ("max_token_bytes: 4096", "max_token_bytes: 8192", "same: the longest token of the issuer"),
        ("url: https://login.test/i", "url: https://login.test/j", "weaker: the introspection endpoint"),
        ("client_id: edge", "client_id: other", "weaker: how the edge proves itself"),
        ("secret_file: secret", "secret_file: other", "weaker: how the edge proves itself"),
        ("ca: ca.pem", "ca: other.pem", "weaker: the authorities of the introspection endpoint"),
        ("client: edge.pem", "client: other.pem", "same: the certificate for the introspection endpoint"),
        ("secret_file: secret, ", "", "weaker: how the edge proves itself"),
        ("prefix: o_", "prefix: p_", "weaker: the beginning of the opaque tokens"),
        ("token_type_hint: access_token, ", "", "same: the type hint"),
        ("cache_ms: 500", "cache_ms: 600", "weaker: how long an answer of the introspection endpoint"),
        ("cache_ms: 500", "cache_ms: 400", "stricter: how long an answer of the introspection endpoint"),
        ("timeout_ms: 90", "timeout_ms: 91", "same: the time limit of the introspection endpoint"),
        ("tenant: org", "tenant: other", "weaker: the source of the tenant"),
        ("session: sid", "session: other", "weaker: the claim with the session"),
        ("roles: groups", "roles: other", "weaker: the claim with the roles"),
        ("required: [tenant]", "required: [tenant, session]", "stricter: a required claim"),
    ] {
        assert!(base.contains(old), "{old:?} is not in the edge");
        let plan = plan(&edge(&base), &edge(&base.replacen(old, new, 1)));
        assert!(said(&plan).contains(expected), "{old} -> {new}: {expected:?} is not in\n{}", said(&plan));
    }
    let said = |old: &str, new: &str| said(&plan(&edge(old), &edge(new)));
    assert!(
        said(&none, &base).contains("weaker: opaque tokens of the issuer `https://login.test` are accepted")
    );
    assert!(
        said(&base, &none)
            .contains("stricter: opaque tokens of the issuer `https://login.test` are no longer")
    );
}

/// Each case changes `old` to `new` in `base`, and the plan has a row with `expected`.
fn compared(base: &str, cases: &[(&str, &str, &str)]) {
    for (old, new, expected) in cases {
        assert!(base.contains(old), "{old:?} is not in the edge");
        let plan = plan(&edge(base), &edge(&base.replacen(old, new, 1)));
        assert!(said(&plan).contains(expected), "{old} -> {new}: {expected:?} is not in\n{}", said(&plan));
    }
}

/// Pages of other origins, of a host and of a route, with each of their rules.
#[test]
fn every_field_of_cors_is_compared() {
    let host = "names: [file.dev-domain.test]";
    let cors = "cors: { origins: [\"https://app.test\"], credentials: true, expose: [x-a], methods: [GET], headers: [x-b], max_age_seconds: 60 }";
    assert!(DEV.contains(host));
    let base = DEV.replacen(host, &format!("{host}, {cors}"), 1);
    compared(
        &base,
        &[
            (&format!(", {cors}"), "", "stricter: pages of other origins may not read answers"),
            (
                "[\"https://app.test\"]",
                "[\"https://app.test\", \"https://b.test\"]",
                "weaker: pages that may read answers: the origin `https://b.test`",
            ),
            (
                "[\"https://app.test\"]",
                "[\"https://b.test\"]",
                "pages that may read answers: the origin `https://app.test` dropped",
            ),
            ("credentials: true, ", "", "stricter: pages of other origins may not send cookies"),
            (
                "expose: [x-a]",
                "expose: [x-a, x-c]",
                "weaker: pages of other origins may read the header `x-c`",
            ),
            (
                "methods: [GET]",
                "methods: [GET, PUT]",
                "weaker: pages of other origins may send the method `PUT`",
            ),
            ("methods: [GET], ", "", "weaker: pages of other origins may send the method that they want"),
            (
                "headers: [x-b]",
                "headers: [x-b, x-c]",
                "weaker: pages of other origins may send the header `x-c`",
            ),
            ("headers: [x-b], ", "", "weaker: pages of other origins may send the header that they want"),
            (
                "max_age_seconds: 60",
                "max_age_seconds: 61",
                "same: browsers remember answers to preflights for 61 s",
            ),
        ],
    );
    compared(
        DEV,
        &[(
            host,
            &format!("{host}, {cors}"),
            "weaker: pages of https://app.test may read answers, also to requests with cookies",
        )],
    );
}

/// The sign-in page of a policy, with each of its rules.
#[test]
fn every_field_of_a_sign_in_page_is_compared() {
    let policy = "  signed-in: { kind: session }";
    let page = "sign_in: { redirect: \"https://login.test/a\", return: next }";
    assert!(DEV.contains(policy));
    let base = DEV.replacen(policy, &policy.replace(" }", &format!(", {page} }}")), 1);
    compared(
        &base,
        &[
            (&format!(", {page}"), "", "same: people without a session get a 401 instead of a sign-in page"),
            (
                "https://login.test/a",
                "https://login.test/b",
                "weaker: people without a session are sent to https://login.test/b instead of https://login.test/a: check it",
            ),
            (
                "return: next",
                "return: back",
                "same: the parameter with the way back to the refused page changed",
            ),
            (", return: next", "", "same: the parameter with the way back to the refused page changed"),
        ],
    );
    compared(
        DEV,
        &[(
            policy,
            &policy.replace(" }", &format!(", {page} }}")),
            "same: people without a session are sent to https://login.test/a",
        )],
    );
}

/// The protocol of a WebSocket that is a token, with each of its rules.
#[test]
fn every_field_of_the_token_of_a_websocket_is_compared() {
    let bearer = "  bearer: true\n";
    assert!(DEV.contains(bearer));
    let base = DEV.replacen(
        bearer,
        &format!("{bearer}  websocket_protocol: {{ prefix: a., encoding: plain }}\n"),
        1,
    );
    compared(
        &base,
        &[
            (
                "  websocket_protocol: { prefix: a., encoding: plain }\n",
                "",
                "stricter: WebSockets may no longer bring a bearer token",
            ),
            ("prefix: a.", "prefix: b.", "same: the protocol of a WebSocket that is a token"),
            ("encoding: plain", "encoding: base64url", "same: the protocol of a WebSocket that is a token"),
        ],
    );
}
