//! P1, the other side: what Envoy itself changes about a request, name by name. Each is a known limit (ARCHITECTURE, P1), and
//! everything that is not listed here passes as it came (`bytes.rs`).

use std::collections::BTreeSet;

use harness::{Backend, Edge, Part};

fn edge_before(backend: &Backend) -> Edge {
    Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start()
}

/// Two lines of one name arrive as two, unless Envoy keeps a single value for the name: then they arrive as one, joined by a
/// comma, which means the same (RFC 9110 §5.3).
#[test]
fn lines_of_these_names_are_joined() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let names = [
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Access-Control-Request-Headers",
        "Access-Control-Request-Method",
        "Authorization",
        "Cache-Control",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "DNT",
        "From",
        "Grpc-Timeout",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Range",
        "If-Unmodified-Since",
        "Max-Forwards",
        "Origin",
        "Pragma",
        "Prefer",
        "Priority",
        "Range",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "Traceparent",
        "Tracestate",
        "User-Agent",
        "Via",
        "Warning",
        "X-Any",
        "X-Requested-With",
        "Grpc-Accept-Encoding",
        "Grpc-Status",
        "Grpc-Message",
        "Capsule-Protocol",
        "X-Client-Trace-Id",
        "X-B3-TraceId",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Accept-Charset",
        "Content-Disposition",
        "Content-Range",
        "Date",
        "Link",
        "Location",
        "Server",
        "Set-Cookie",
        "Vary",
        "Proxy-Status",
    ];
    let mut joined = BTreeSet::new();
    for name in names {
        let answer = edge.get("/open").header(name, "a").header(name, "b").send();
        assert_eq!(answer.status, 200, "{name}");
        match backend.last().all(name).as_slice() {
            [one] if one.replace(", ", ",") == "a,b" => {
                joined.insert(name);
            }
            both => assert_eq!(both, ["a", "b"], "{name}: neither two lines nor one"),
        }
    }
    assert_eq!(
        joined,
        BTreeSet::from([
            "Accept",
            "Accept-Encoding",
            "Access-Control-Request-Headers",
            "Access-Control-Request-Method",
            "Authorization",
            "Cache-Control",
            "Content-Encoding",
            "Content-Type",
            "Grpc-Accept-Encoding",
            "Grpc-Timeout",
            "If-Match",
            "If-Modified-Since",
            "If-None-Match",
            "If-Range",
            "If-Unmodified-Since",
            "Origin",
            "Pragma",
            "Proxy-Status",
            "User-Agent",
            "Via",
            "X-Client-Trace-Id",
        ])
    );
}

#[test]
fn a_referer_that_is_no_url_is_dropped() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    for (referer, arrives) in [
        ("https://app.test/a?b=c", true),
        ("http://app.test", true),
        ("android-app://com.example", true),
        ("about:blank", false),
        ("/relative", true),
        ("no url", false),
    ] {
        assert_eq!(edge.get("/open").header("Referer", referer).send().status, 200);
        let seen = backend.last().header("referer");
        assert_eq!(seen.as_deref(), arrives.then_some(referer), "{referer}");
    }
}

/// "No body" is framing: with or without a length of 0 the message is the same (RFC 9112 §6.3).
#[test]
fn a_request_without_a_body_says_so() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    for (method, length) in [
        ("PATCH", Some("0")),
        ("OPTIONS", Some("0")),
        ("POST", Some("0")),
        ("DELETE", None),
        ("PUT", Some("0")),
        ("GET", None),
        ("HEAD", None),
    ] {
        assert_eq!(edge.request(method, "/open").send().status, 200);
        let seen = backend.last().header("content-length");
        assert_eq!(seen.as_deref(), length, "{method}");
    }
}

/// A bare CR ends no line. Envoy removes it, so no part reads another value than the backend.
#[test]
fn a_bare_cr_in_a_value_is_removed() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let answer = edge.get("/open").header("X-Any", "a\rb").send();
    let arrived = (answer.status == 200).then(|| backend.last().header("x-any"));
    assert_eq!((answer.status, arrived), (200, Some(Some("ab".to_owned()))));
}
