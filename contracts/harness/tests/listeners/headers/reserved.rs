//! The headers that only the edge may set, and which of them a backend sees.

use harness::Seen;

/// The client that a backend must read about: address and scheme.
pub(crate) type Client<'a> = (&'a str, &'a str);

/// Names as the edge itself writes them on a public route to the legacy, with their values.
fn own((address, scheme): Client<'_>) -> [(&'static str, &str); 5] {
    [
        ("x-madome-gw", "1"),
        ("x-madome-public", "1"),
        ("x-madome-public-access", "true"),
        ("x-forwarded-for", address),
        ("x-forwarded-proto", scheme),
    ]
}

/// Headers that only the edge may set.
pub(crate) const RESERVED: [&str; 48] = [
    "x-madome-auth",
    "x-madome-auth-sub",
    "x-madome-auth-scope",
    "x-madome-auth-sid",
    "x-madome-auth-role",
    "x-madome-identity",
    "x-madome-gw",
    "x-madome-public",
    "x-madome-public-access",
    "x-madome-take-origin-response",
    "x-madome-e2e-test",
    "x-madome-2022",
    "x-madome-user-id",
    "x-madome-user-role",
    "x-madome-",
    "x-tenant-id",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-client-cert",
    "x-forwarded-user",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-host",
    "x-envoy-original-path",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-retry-on",
    "x-envoy-max-retries",
    "x-envoy-decorator-operation",
    "x-envoy-original-dst-host",
];

/// Whether a backend that folds names as CGI and WSGI do could take `name` for a reserved one.
fn is_reserved(name: &str) -> bool {
    let folded: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    folded.starts_with("x-madome-") || folded.starts_with("x-envoy-") || RESERVED.contains(&folded.as_str())
}

/// The backend sees the reserved names that the edge wrote, once each, and no others.
pub(crate) fn assert_only_own(seen: &Seen, client: Client<'_>, what: &str) {
    assert_own_names(seen, client, what);
    assert!(!String::from_utf8_lossy(&seen.head).contains("forged"), "{what}: {seen:?}");
}

pub(crate) fn assert_own_names(seen: &Seen, client: Client<'_>, what: &str) {
    let own = own(client);
    for (name, value) in own {
        assert_eq!(seen.all(name), [value], "{what}: {name}");
    }
    for name in seen.names().iter().filter(|name| is_reserved(name)) {
        // Envoy may keep the spelling in which a client wrote a name; the value is the edge's all the same.
        assert!(own.iter().any(|(own, _)| name.eq_ignore_ascii_case(own)), "{what}: {name} arrived");
    }
}
