//! Envoy's own refusals: with which text, in which form, and where they are recorded. docs/refusals.md lists the kinds.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod failing;
pub(crate) mod form;
mod internal;

use std::time::Duration;

use harness::wire::{Answer, Connection, h2};
use harness::{Backend, Edge, EdgeBuilder, Part, Signal, eventually};
use serde_json::Value;

use failing::{KINDS, failing};
use form::{assert_bare, assert_json};

const LIBRARY: &str = "  library:\n    content_type: application/json; charset=utf-8\n";
const UNAVAILABLE: &str = r#"{"name":"Service unavailable","message":"Service unavailable"}"#;

/// What the edge recorded about the request `id`.
fn remembered(edge: &Edge, id: &str) -> Value {
    serde_json::from_str(&edge.cutover(&["explain", "--id", id, "--json"])).expect("it prints JSON")
}

#[test]
fn a_backend_that_fails_speaks_in_the_words_of_its_route() {
    let failing = failing();
    let edge = &failing.edge;
    for (kind, status, flag) in KINDS {
        // One request is under way already, so the next one is over the limit.
        let held = (kind == "full").then(|| {
            let mut held = Connection::open(edge.public()).expect("the edge listens");
            held.write(&edge.get("/json/full/held").bytes()).expect("the edge reads");
            let active = || edge.envoy_stat("cluster.backend-full.upstream_rq_active");
            eventually("the first request is under way", || active() == Some(1));
            held
        });
        let json = edge.get(format!("/json/{kind}")).send();
        assert_json(&json, status, UNAVAILABLE, kind);
        let bare = edge.get(format!("/bare/{kind}")).send();
        assert_bare(&bare, status, "Service unavailable", kind);
        let head = edge.request("HEAD", format!("/bare/{kind}")).send();
        assert_eq!((head.status, head.header("content-type")), (status, None), "{kind}: {head:?}");
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        let outcome = connection.ask(&h2::headers("GET", "localhost", format!("/json/{kind}")));
        let expected = h2::Outcome::Answered { status, body: UNAVAILABLE.as_bytes().to_vec() };
        assert_eq!(outcome, expected, "{kind} over HTTP/2");
        for words in ["json", "bare"] {
            let grpc =
                edge.request("POST", format!("/{words}/{kind}")).header("content-type", "application/grpc");
            let grpc = grpc.send();
            assert_eq!(grpc.status, 200, "{kind} in gRPC: {grpc:?}");
            assert_eq!(grpc.header("content-type"), Some(b"application/grpc".as_slice()), "{kind}: {grpc:?}");
            let code: &[u8] = if status == 504 { b"4" } else { b"14" };
            assert!(
                grpc.header("grpc-status").is_some_and(|sent| sent == code || sent == b"14"),
                "{kind}: {grpc:?}"
            );
            assert!(grpc.header("grpc-message").is_some() && grpc.text().is_empty(), "{kind}: {grpc:?}");
            for mark in ["x-cutover-bare", "x-cutover-words"] {
                assert_eq!(grpc.header(mark), None, "{kind}: {grpc:?}");
            }
        }
        drop(held);
        let line = edge.logged(&format!("/json/{kind}"), u64::from(status));
        assert!(line["flags"].as_str().is_some_and(|flags| flags.contains(flag)), "{kind}: {line:#}");
    }
}

/// The development edge in which each refusal of Envoy has its own text.
fn worded() -> EdgeBuilder {
    let words = [
        ("bad_request", 400),
        ("method_not_allowed", 405),
        ("request_timeout", 408),
        ("content_too_large", 413),
        ("upgrade_required", 426),
        ("headers_too_large", 431),
    ]
    .map(|(field, status)| format!("    {field}: {{ status: {status}, body: '{{\"own\":{status}}}' }}\n"));
    let answers = format!("{LIBRARY}{}", words.concat());
    Edge::dev()
        .json_library()
        .replace(LIBRARY, &answers)
        .replace("answers:\n  auth:\n", "default_answers: library\n\nanswers:\n  auth:\n")
        .replace("file: { listener: public,", "file: { listener: public, answers: library,")
        .replace("to: legacy, answers: files }", "to: legacy, answers: library }")
        .with_open_route()
}

#[test]
fn a_refusal_before_a_route_is_known_has_the_words_of_the_edge() {
    let edge = worded().start();
    let raw = |bytes: &[u8]| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(bytes).expect("the edge reads");
        connection.answers()
    };
    let long = format!("GET /books HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET /books HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(120));
    let cases: [(&str, &[u8], u16, &str); 8] = [
        ("raw bytes in a path", b"GET /b\xffooks HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "http1."),
        ("a control byte", b"GET /books HTTP/1.1\r\nhost: localhost\r\nx: a\x01\r\n\r\n", 400, "http1."),
        ("an underscore", b"GET /books HTTP/1.1\r\nhost: localhost\r\nx_a: b\r\n\r\n", 400, "http1.unexpected_underscore"),
        ("no host", b"GET /books HTTP/1.1\r\n\r\n", 400, "missing_host_header"),
        ("an invalid host", b"GET /books HTTP/1.1\r\nhost: a b\r\n\r\n", 400, "http.invalid_authority"),
        ("two lengths", b"POST /books HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "http1."),
        ("too long headers", long.as_bytes(), 431, "http1.headers_too_large"),
        ("too many headers", many.as_bytes(), 431, "http1.too_many_headers"),
    ];
    let mut count = 0;
    for (what, bytes, status, rule) in cases {
        let answers = raw(bytes);
        let answer = answers.first().unwrap_or_else(|| panic!("{what}: no answer"));
        assert_json(answer, status, &format!("{{\"own\":{status}}}"), what);
        count += 1;
        let lines = edge.access_log(count);
        let line = lines.last().expect("a line");
        let id = line["request_id"].as_str().unwrap_or_else(|| panic!("{what} has no id: {line:#}"));
        assert!(
            line["details"].as_str().is_some_and(|details| details.starts_with(rule)),
            "{what}: {line:#}"
        );
        assert_eq!(line["client"], "127.0.0.1", "{what}: {line:#}");
        let record = remembered(&edge, id);
        assert_eq!(record["status"], status, "{what}: {record:#}");
        assert!(
            record["refused_by"].as_str().is_some_and(|by| by.starts_with("Envoy")),
            "{what}: {record:#}"
        );
    }
    let not_implemented = raw(b"POST /books HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n");
    assert_json(&not_implemented[0], 501, UNAVAILABLE, "an unknown transfer coding");
}

#[test]
fn http_1_0_is_426_and_names_the_protocol_to_use() {
    let edge = worded().start();
    let cases: [(&str, &[u8]); 4] = [
        ("a host", b"GET /books HTTP/1.0\r\nhost: localhost\r\n\r\n"),
        ("no host", b"GET /books HTTP/1.0\r\n\r\n"),
        ("no route", b"GET / HTTP/1.0\r\nhost: elsewhere.test\r\n\r\n"),
        ("a body", b"POST /books HTTP/1.0\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nhi"),
    ];
    for (index, (what, bytes)) in cases.iter().enumerate() {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(bytes).expect("the edge reads");
        let answer = &connection.answers()[0];
        assert_eq!(answer.status, 426, "{what}: {answer:?}");
        assert_eq!(answer.header("upgrade"), Some(b"HTTP/1.1".as_slice()), "{what}: {answer:?}");
        let lines = edge.access_log(index + 1);
        let line = lines.last().expect("a line");
        assert_eq!(line["details"], "edge_guard_low_version", "{what}: {line:#}");
        let id = line["request_id"].as_str().unwrap_or_else(|| panic!("{what} has no id: {line:#}"));
        let by = remembered(&edge, id)["refused_by"].clone();
        assert!(by.as_str().is_some_and(|by| by.starts_with("the guard: HTTP/1.0")), "{what}: {by}");
    }
    let mut staying = Connection::open(edge.public()).expect("the edge listens");
    for _ in 0..2 {
        staying
            .write(b"GET /books HTTP/1.0\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n")
            .expect("the edge reads");
        let answer = staying.answer(false).expect("an answer");
        assert_eq!(
            (answer.status, answer.header("upgrade")),
            (426, Some(b"HTTP/1.1".as_slice())),
            "{answer:?}"
        );
    }
    let usual = edge.get("/books").send();
    assert_eq!(usual.header("upgrade"), None, "{usual:?}");
}

#[test]
fn a_request_without_a_route_is_refused_in_the_words_of_its_host() {
    let edge = worded().start();
    // `api` has a route for everything, whose answers are bare; `file` names its own; `elsewhere` is not served.
    let absent = edge.get("/internal").send();
    assert_bare(&absent, 404, "Not found", "an internal path");
    let odd = edge.get("/x/../internal").send();
    assert_bare(&odd, 404, "Not found", "an internal path in another spelling");
    let not_found = r#"{"name":"Not found resource","message":"Not found"}"#;
    let file = edge.get("/internal").host("file.dev-domain.test").send();
    assert_json(&file, 404, not_found, "the file host");
    let elsewhere = edge.get("/").host("elsewhere.test").send();
    assert_json(&elsewhere, 404, not_found, "no such host");

    let trace = edge.request("TRACE", "/auth/token").send();
    assert_bare(&trace, 405, "Method Not Allowed", "TRACE");
    let all = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".as_slice();
    assert_eq!(trace.header("allow"), Some(all), "{trace:?}");
    let own = edge.request("TRACE", "/").host("file.dev-domain.test").send();
    assert_json(&own, 405, r#"{"own":405}"#, "TRACE at the file host");
    let web = edge.request("TRACE", "/").host("dev-domain.test").send();
    assert_eq!(web.header("allow"), Some(b"GET, HEAD".as_slice()), "{web:?}");
    for answer in [&absent, &file] {
        assert_eq!(answer.header("allow"), None, "{answer:?}");
    }

    let ambiguous = edge.get("/open-graph/..%2fbooks").send();
    assert_json(&ambiguous, 400, r#"{"own":400}"#, "the guard's 400 on a JSON route");
    let bare = edge.get("/open/..%2fbooks").send();
    assert_bare(&bare, 400, "Bad request", "the guard's 400 on a bare route");
    let websocket =
        edge.get("/books/live").header("connection", "Upgrade").header("upgrade", "websocket").send();
    let forbidden = r#"{"name":"Permission denied","message":"Permission denied"}"#;
    assert_json(&websocket, 403, forbidden, "a WebSocket where the route knows none");
    let line = edge.logged("/books/live", 403);
    assert_eq!((&line["method"], &line["route"]), (&"GET".into(), &"books".into()), "{line:#}");
    assert!(line["host"].as_str().is_some_and(|host| host.starts_with("localhost")), "{line:#}");
    let id = line["request_id"].as_str().unwrap_or_else(|| panic!("no id: {line:#}"));
    let record = remembered(&edge, id);
    assert_eq!(record["details"], "upgrade_failed", "{record:#}");
    assert!(record["refused_by"].as_str().is_some_and(|by| by.contains("upgrade")), "{record:#}");
}

#[test]
fn an_authorizer_that_is_gone_and_one_that_refuses_keep_the_routes_words() {
    let backend = Backend::plain();
    let answers = format!(
        "{LIBRARY}    challenge: 'Bearer realm=\"library\"'\n    headers: {{ cache-control: no-store, x-docs: \"https://docs.example/errors\" }}\n"
    );
    let mut edge =
        Edge::dev().json_library().replace(LIBRARY, &answers).every_backend(backend.address()).start();
    let constant = |answer: &Answer, what: &str| {
        assert_eq!(answer.all("cache-control"), ["no-store"], "{what}: {answer:?}");
        assert_eq!(answer.all("x-docs"), ["https://docs.example/errors"], "{what}: {answer:?}");
    };
    let refused = edge.get("/books").send();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.all("www-authenticate"), ["Bearer realm=\"library\""], "{refused:?}");
    constant(&refused, "401");
    assert_eq!(edge.get("/users/@me").send().header("www-authenticate"), None);
    for target in ["/books", "/users/@me"] {
        let grpc = edge.request("POST", target).header("content-type", "application/grpc").send();
        assert_eq!(
            (grpc.status, grpc.all("grpc-status")),
            (200, vec!["16".to_owned()]),
            "{target}: {grpc:?}"
        );
        assert_eq!(grpc.all("content-type"), ["application/grpc"], "{target}: {grpc:?}");
        assert_eq!(grpc.header("x-cutover-bare"), None, "{target}: {grpc:?}");
    }
    let passed = edge.get("/books").token(&edge.mint().good(0)).send();
    assert_eq!((passed.status, passed.header("x-docs")), (200, None), "a backend's answer is left alone");
    edge.stop(Part::Authz, Signal::Kill);
    let gone = edge.get("/books").send();
    assert_json(&gone, 503, UNAVAILABLE, "no authorizer");
    constant(&gone, "503");
    assert_eq!(gone.header("www-authenticate"), None, "{gone:?}");
    let ambiguous = edge.get("/open-graph/..%2fbooks").send();
    assert_eq!(ambiguous.status, 400);
    constant(&ambiguous, "400");
    let bare = edge.get("/auth/token").send();
    assert_bare(&bare, 503, "Service unavailable", "no authorizer on a bare route");
    assert_eq!(bare.header("x-docs"), None);
}

#[test]
fn an_offer_of_another_protocol_is_passed_over() {
    let backend = Backend::plain();
    let edge = Edge::dev().json_library().with_open_route().every_backend(backend.address()).start();
    for (connection, upgrade) in [
        ("Upgrade", "TLS/1.2"),
        ("upgrade", "TLS/1.2, HTTP/2.0"),
        ("Upgrade, HTTP2-Settings", "h2c"),
        ("keep-alive, Upgrade", "foo/2"),
        ("Upgrade", "websockets"),
        ("Upgrade", "websocke"),
        ("Upgrade", "IRC/6.9, x11"),
    ] {
        let mut request = edge.get("/open").header("Connection", connection).header("Upgrade", upgrade);
        if upgrade == "h2c" {
            request = request.header("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
        }
        let answer = request.send();
        assert_eq!(answer.status, 200, "{upgrade}: {answer:?}");
        assert_eq!(backend.last().header("upgrade"), None, "{upgrade}");
        let explained = edge.explain(&[
            "GET http://localhost/open",
            "-H",
            &format!("connection: {connection}"),
            "-H",
            &format!("upgrade: {upgrade}"),
        ]);
        assert_eq!(explained["answer"]["from"], "the backend legacy", "{upgrade}: {explained:#}");
    }
    let before = backend.seen().len();
    for upgrade in ["websocket", "WebSocket", "WEBSOCKET", "TLS/1.2, websocket"] {
        let answer = edge.get("/open").header("Connection", "Upgrade").header("Upgrade", upgrade).send();
        assert_bare(&answer, 403, "Permission denied", upgrade);
        let explained = edge.explain(&[
            "GET http://localhost/open",
            "-H",
            "connection: Upgrade",
            "-H",
            &format!("upgrade: {upgrade}"),
        ]);
        assert_eq!(explained["answer"]["status"], 403, "{upgrade}: {explained:#}");
        assert_eq!(explained["answer"]["body"], "Permission denied", "{upgrade}: {explained:#}");
    }
    assert_eq!(backend.seen().len(), before);
}

#[test]
fn a_body_that_is_too_long_speaks_in_the_words_of_its_route() {
    let backend = Backend::plain();
    let edge = Edge::dev().json_library()
        .every_backend(backend.address())
        .replace(
            "policies:\n",
            "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\" }\n\npolicies:\n  sync: { kind: signed, keys: [partner], addresses: [127.0.0.1/32] }\n",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: sync, host: api, prefix: /sync, policy: sync, to: users, answers: library }\n  - { name: bare-sync, host: api, prefix: /bare-sync, policy: sync, to: users, answers: users }\n",
        )
        .start();
    let send = |target: &str| edge.request("POST", target).body(vec![b'a'; 70_000]).send();
    assert_json(&send("/sync"), 413, r#"{"message":"Content too large"}"#, "JSON");
    assert_bare(&send("/bare-sync"), 413, "Content too large", "bare");
}

#[test]
fn headers_that_do_not_end_are_408_in_the_words_of_the_edge() {
    let edge = worded().start();
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(b"GET /books HTTP/1.1\r\nhost: localhost\r\n").expect("the edge reads");
    connection.patience(Duration::from_secs(20));
    let answers = connection.answers();
    assert_json(&answers[0], 408, r#"{"own":408}"#, "headers that do not end");
}

#[test]
fn explain_names_envoys_refusals_before_the_guard() {
    let edge = worded().start();
    let explain = |request: &str, headers: &[String]| -> Value {
        let mut arguments = vec![request];
        for header in headers {
            arguments.extend(["-H", header]);
        }
        edge.explain(&arguments)
    };
    let many: Vec<String> = (0..120).map(|n| format!("x-{n}: y")).collect();
    let cases: [(&str, Vec<String>, u16); 7] = [
        ("GET http://localhost/books", vec!["x_a: b".to_owned()], 400),
        ("GET http://localhost/b\u{e4}ooks", vec![], 400),
        ("GET http://localhost/books", many, 431),
        ("GET http://localhost/books", vec![format!("x: {}", "a".repeat(70_000))], 431),
        (
            "POST http://localhost/books",
            vec!["content-length: 1".to_owned(), "transfer-encoding: chunked".to_owned()],
            400,
        ),
        ("POST http://localhost/books", vec!["transfer-encoding: gzip".to_owned()], 501),
        ("G@T http://localhost/books", vec![], 400),
    ];
    for (request, headers, status) in cases {
        let explained = explain(request, &headers);
        assert_eq!(explained["answer"]["status"], status, "{request}: {explained:#}");
        assert_eq!(explained["answer"]["from"], "Envoy", "{request}: {explained:#}");
        let body = if status == 501 { UNAVAILABLE.to_owned() } else { format!("{{\"own\":{status}}}") };
        assert_eq!(explained["answer"]["body"], body, "{request}: {explained:#}");
    }
    let trace = explain("TRACE http://localhost/auth/token", &[]);
    assert_eq!(trace["answer"]["body"], "Method Not Allowed", "{trace:#}");
    let elsewhere = explain("GET http://elsewhere.test/", &[]);
    assert_eq!(
        elsewhere["answer"]["body"], r#"{"name":"Not found resource","message":"Not found"}"#,
        "{elsewhere:#}"
    );
}
