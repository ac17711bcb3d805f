//! Each kind of refusal, whichever part of the edge makes it: readable for a page of a listed origin alone, with the constant
//! headers of its answers and one request id.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::{Answer, Connection, Request};
use harness::{Backend, Edge, EdgeBuilder, Part, Signal};

const SPA: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";
const API: &str = "api: { listener: public, names: [api.dev-domain.test, localhost, 127.0.0.1] }";
const LEGACY: &str = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";
/// A page of another site needs the host's consent for it, so it is not a form.
const JSON: &str = "application/json";
/// A request with its body may take this long; the slow one of the test takes longer.
const SLOW: &str = "exposure: public, wire: { header_timeout_ms: 3000, request_timeout_ms: 3000 } }";

/// Every wording has a constant header.
fn edge(backend: &Backend, on_answers: &str) -> EdgeBuilder {
    let route = |name: &str, rest: &str| {
        format!("  - {{ name: {name}, host: api, prefix: /{name}, answers: library, {rest} }}\n")
    };
    let routes = [
        route("open", "policy: public, to: legacy"),
        route("small", "policy: public, to: legacy, body_limit: 10"),
        route("few", "policy: public, methods: [GET], to: legacy, limits: [few]"),
        route("ranked", "policy: ranked, to: legacy"),
        route("dead", "policy: public, to: nowhere"),
        route("slow", "policy: public, to: legacy, timeout_ms: 200"),
        route("plain", "policy: public, to: legacy, cors: none"),
    ];
    Edge::dev()
        .replace("exposure: public }", SLOW)
        .replace("request_id: { on_answers: never }", &format!("request_id: {{ on_answers: {on_answers} }}"))
        .replace(API, &API.replace(" }", &format!(", cors: {{ origins: [\"{SPA}\"] }} }}")))
        .replace("routes:\n", &format!("routes:\n{}", routes.concat()))
        .replace("limits:\n", "limits:\n  few: { per: address, rate: 1, seconds: 3600, burst: 1 }\n")
        .replace("  bot: {", "  ranked: { kind: session, role: 9 }\n  bot: {")
        .replace("backends:\n", "backends:\n  nowhere: { address: \"127.0.0.1:9\" }\n")
        .replace(LEGACY, &format!("{LEGACY}    retries: {{ attempts: 0 }}\n"))
        .replace("    not_found: {", "    headers: { x-refused: edge }\n    not_found: {")
        .every_backend(backend.address())
}

/// What `/open/own` answers has headers of its own, `/slow` never answers, and `/open/broken` is not HTTP.
fn backend() -> Backend {
    Backend::with(|seen| {
        let line = seen.request_line();
        if line.contains(" /slow") {
            harness::pause(std::time::Duration::from_secs(1), "the route's time is over");
            return Vec::new();
        }
        if line.contains("/broken") {
            return b"this is not HTTP\r\n\r\n".to_vec();
        }
        let own = "x-request-id: of-the-backend\r\naccess-control-allow-origin: https://own.example\r\n";
        let own = if line.contains("/own") { own } else { "" };
        format!("HTTP/1.1 403 Forbidden\r\n{own}content-length: 4\r\n\r\nseen").into_bytes()
    })
}

fn raw(edge: &Edge, head: &str) -> Answer {
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(head.as_bytes()).expect("the edge reads");
    connection.answer(false).expect("an answer")
}

/// What a page of `origin` learns of `answer`: nothing, or all of it.
fn assert_page(answer: &Answer, origin: &str, what: &str) {
    let allowed = answer.all("access-control-allow-origin");
    let exposed = answer.all("access-control-expose-headers").join(",");
    if origin == SPA {
        assert_eq!(allowed, [SPA], "{what}: {answer:?}");
        assert!(exposed.contains("x-request-id"), "{what}: {answer:?}");
    } else {
        assert!(allowed.is_empty() && exposed.is_empty(), "{what}, from {origin}: {answer:?}");
    }
    assert!(answer.all("vary").join(",").contains("Origin"), "{what}: a cache must know: {answer:?}");
}

fn assert_own(answer: &Answer, what: &str) {
    assert_eq!(answer.all("x-refused"), ["edge"], "{what}: {answer:?}");
    assert_eq!(answer.all("x-request-id").len(), 1, "{what}: {answer:?}");
    for mark in ["x-cutover-bare", "x-cutover-words"] {
        assert_eq!(answer.header(mark), None, "{what}: {answer:?}");
    }
}

#[test]
fn each_is_readable_for_a_listed_page_alone_and_has_its_constant_headers_and_an_id() {
    let backend = backend();
    let mut edge = edge(&backend, "refusals").start();
    let token = edge.mint().good(0);
    assert_eq!(edge.get("/few").send().status, 403, "the backend's own, which uses up the limit");
    let cases: Vec<(&str, u16, Request)> = vec![
        ("400 of the guard", 400, edge.get("/open/%2e%2e/users/@me")),
        ("401 of the authorizer", 401, edge.get("/users/@me")),
        ("403 of the authorizer", 403, edge.get("/ranked").token(&token)),
        ("404 of the guard", 404, edge.get("/open/..%2finternal/x")),
        ("404 of an internal path", 404, edge.get("/internal/x")),
        ("404 of an absent path", 404, edge.get("/auth/nothing")),
        ("405 of Envoy", 405, edge.request("PROPFIND", "/open")),
        (
            "413 by length",
            413,
            edge.request("POST", "/small").header("content-type", JSON).body("more than ten"),
        ),
        ("429 of the authorizer", 429, edge.get("/few")),
        ("502 of Envoy", 502, edge.get("/open/broken")),
        ("503 of Envoy", 503, edge.get("/dead")),
        ("504 of Envoy", 504, edge.get("/slow")),
    ];
    for (what, status, request) in &cases {
        for origin in [SPA, EVIL, "null"] {
            let answer = request.clone().header("Origin", origin).send();
            assert_eq!(answer.status, *status, "{what}: {answer:?}");
            assert_page(&answer, origin, what);
            assert_own(&answer, what);
        }
    }
    for origin in [SPA, EVIL] {
        let lines = format!("host: localhost\r\ncontent-type: {JSON}\r\norigin: {origin}\r\n");
        let chunk = "transfer-encoding: chunked\r\n\r\n14\r\nmore than ten bytes.\r\n0\r\n\r\n";
        for (what, status, head) in [
            ("413 by count", 413, format!("POST /small HTTP/1.1\r\n{lines}{chunk}")),
            (
                "408 of a slow body",
                408,
                format!("POST /open HTTP/1.1\r\n{lines}content-length: 9\r\n\r\nsome"),
            ),
            ("426 of HTTP/1.0", 426, format!("GET /open HTTP/1.0\r\n{lines}\r\n")),
        ] {
            let answer = raw(&edge, &head);
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            assert_page(&answer, origin, what);
            assert_own(&answer, what);
        }
    }
    // No page reads the answer to a WebSocket (Fetch knows no CORS for it), and Envoy refuses it before the guard.
    let upgrade = edge.get("/open").header("Connection", "Upgrade").header("Upgrade", "websocket").send();
    assert_eq!(upgrade.status, 403, "{upgrade:?}");
    assert_own(&upgrade, "403 of an upgrade");
    // A route without rules for pages.
    let plain = edge.request("PROPFIND", "/plain").header("Origin", SPA).send();
    assert_eq!((plain.status, plain.all("x-refused")), (405, vec!["edge".to_owned()]), "{plain:?}");
    // A page of another site: no listed page is one.
    let foreign = edge.request("POST", "/open").token(&token).header("Origin", EVIL).body("a=b").send();
    assert_eq!(foreign.status, 403);
    assert_page(&foreign, EVIL, "403 of the guard");
    assert_own(&foreign, "403 of the guard");
    let preflight = |origin: &str| {
        let request = edge.request("OPTIONS", "/open").header("Origin", origin);
        request.header("Access-Control-Request-Method", "PUT").send()
    };
    let refused = preflight(EVIL);
    assert_eq!(refused.status, 403);
    assert_page(&refused, EVIL, "a refused preflight");
    assert_own(&refused, "a refused preflight");

    // A backend's refusal is the backend's: no constant header, and its own rules for pages.
    let own = edge.get("/open/own").header("Origin", SPA).send();
    assert_eq!(own.all("access-control-allow-origin"), ["https://own.example"], "{own:?}");
    assert_eq!((own.status, own.all("x-refused").len()), (403, 0), "{own:?}");
    assert_eq!(own.all("x-request-id"), ["of-the-backend"], "{own:?}");
    let silent = edge.get("/open/other").header("Origin", SPA).send();
    assert_page(&silent, SPA, "a backend without rules");
    assert_eq!(silent.all("x-request-id").len(), 0, "the id is on the edge's refusals: {silent:?}");

    edge.stop(Part::Authz, Signal::Kill);
    for origin in [SPA, EVIL] {
        let gone = edge.get("/users/@me").token(&token).header("Origin", origin).send();
        assert_eq!(gone.status, 503, "{gone:?}");
        assert_page(&gone, origin, "503 without an authorizer");
        assert_own(&gone, "503 without an authorizer");
    }
}

#[test]
fn with_always_every_answer_has_one_id_and_the_backends_own_wins() {
    let backend = backend();
    let edge = edge(&backend, "always").start();
    const ID: &str = "0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b";
    let with_id = |request: Request| request.header("X-Request-Id", ID).header("Origin", SPA).send();
    let preflight = edge.request("OPTIONS", "/open").header("Access-Control-Request-Method", "PUT");
    for (what, status, request) in [
        ("a preflight", 204, preflight),
        ("a refusal of the authorizer", 401, edge.get("/users/@me")),
        ("a refusal of the guard", 404, edge.get("/open/..%2finternal/x")),
        ("a refusal of Envoy", 405, edge.request("PROPFIND", "/open")),
        ("an answer", 403, edge.get("/open/other")),
    ] {
        let answer = with_id(request);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(answer.all("x-request-id"), [ID], "{what}: {answer:?}");
    }
    let own = with_id(edge.get("/open/own"));
    assert_eq!(own.all("x-request-id"), ["of-the-backend"], "{own:?}");
    assert_eq!(backend.last().all("x-request-id"), [ID]);
}
