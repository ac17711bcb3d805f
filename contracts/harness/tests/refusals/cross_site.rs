//! Requests from other sites' pages, and headers nominated in a WebSocket upgrade: refused before the decision.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::{Answer, Request, h2};
use harness::{Backend, Edge, EdgeBuilder, eventually};
use serde_json::Value;

const LOGIN: &str = "  - { name: auth-login, host: api, exact: /auth/token, methods: [POST], policy: public, to: auth, answers: auth, limits: [sign-ins] }\n";
const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy, answers: library";

/// `/books` accepts WebSockets, `/paid` accepts other sites' forms, and one other origin is listed.
fn edge(backend: &Backend) -> EdgeBuilder {
    Edge::dev()
        .replace(
            "routes:\n",
            "browser_origins: [\"https://partner.example\"]\n\nroutes:\n  - { name: paid, host: api, prefix: /paid, policy: signed-in, to: legacy, answers: auth, cross_site: allow }\n",
        )
        .replace(BOOKS, &BOOKS.replace("answers", "upgrade: websocket, answers"))
        .every_backend(backend.address())
}

fn upgrade(request: Request, connection: &str) -> Request {
    request
        .header("Connection", connection)
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (403, "Permission Denied"), "{what}: {answer:?}");
}

/// What the edge recorded about the request `id`.
fn remembered(edge: &Edge, id: &str) -> Value {
    serde_json::from_str(&edge.cutover(&["explain", "--id", id, "--json"])).expect("it prints JSON")
}

#[test]
fn a_page_of_another_site_changes_nothing_with_a_persons_cookie() {
    let backend = Backend::plain();
    let edge = edge(&backend).start();
    let token = edge.mint().good(2);
    let post =
        || edge.request("POST", "/users").token(&token).header("content-type", "application/json").body("{}");
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "https://localhost.evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        assert_refused(&post().header(name, value).send(), value);
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let request =
            edge.request(method, "/users/@me").token(&token).header("Origin", "https://evil.example");
        assert_refused(&request.send(), method);
    }
    let mut lines = h2::headers("POST", "localhost", "/users");
    lines.push((b"cookie".to_vec(), format!("madome_access_token={token}").into_bytes()));
    lines.push((b"origin".to_vec(), b"https://evil.example".to_vec()));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    assert_eq!(connection.ask(&lines).status(), Some(403), "over HTTP/2");
    assert_eq!(backend.seen().len(), 0, "something arrived");

    let line = edge.logged("/users", 403);
    assert_eq!(
        (&line["details"], &line["route"]),
        (&"edge_guard_cross_site".into(), &"users-create".into()),
        "{line:#}"
    );
    let id = line["request_id"].as_str().unwrap_or_default();
    assert_eq!(remembered(&edge, id)["refused_by"], "the guard: cross_site");
    let explained = edge.explain(&[
        "POST http://localhost/users",
        "-H",
        "origin: https://evil.example",
        "--cookie",
        "a=b",
    ]);
    assert_eq!(
        (&explained["guard"], &explained["answer"]["body"]),
        (&"cross_site".into(), &"Permission Denied".into()),
        "{explained:#}"
    );

    for (name, value) in [
        ("Origin", "http://localhost:5173"),
        ("Origin", "https://api.dev-domain.test"),
        ("Origin", "https://dev-domain.test"),
        ("Origin", "https://partner.example"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "none"),
    ] {
        assert_eq!(post().header(name, value).send().status, 200, "{value}");
    }
    let listed =
        post().header("Origin", "https://partner.example").header("Sec-Fetch-Site", "cross-site").send();
    assert_eq!(listed.status, 200, "a listed origin");
    assert_eq!(post().send().status, 200, "a program says nothing");
    let read = edge.get("/users/@me").token(&token).header("Origin", "https://evil.example").send();
    assert_eq!(read.status, 200, "reading changes nothing");
    let paid =
        edge.request("POST", "/paid/1").token(&token).header("Origin", "https://bank.example").body("x=1");
    assert_eq!(paid.send().status, 200, "the route lets other sites send");
    let refused = edge.envoy_stat("wasmcustom.cutover_guard_refused_cross_site");
    assert_eq!(refused, Some(8), "the guard counts them");
}

#[test]
fn a_form_of_another_site_opens_no_session() {
    let backend = Backend::plain();
    let edge = edge(&backend).start();
    assert!(
        std::fs::read_to_string(edge.file()).is_ok_and(|text| text.contains(LOGIN)),
        "the login is public"
    );
    let login = |content_type: &str| {
        let request = edge.request("POST", "/auth/token").header("Origin", "https://evil.example");
        request.header("Content-Type", content_type).body("{\"email\":\"a@b\",\"code\":\"000000000000\"}")
    };
    for simple in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
    ] {
        let answer = login(simple).send();
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "Permission denied"),
            "{simple}: {answer:?}"
        );
    }
    let bare = edge.request("POST", "/auth/token").header("Sec-Fetch-Site", "cross-site").send();
    assert_eq!(bare.status, 403, "no content type: {bare:?}");
    assert_eq!(backend.seen().len(), 0);
    let own = edge.request("POST", "/auth/token").header("Origin", "https://dev-domain.test");
    assert_eq!(own.header("content-type", "text/plain").body("{}").send().status, 200, "a page of the edge");
    assert_eq!(edge.request("POST", "/auth/token").body("{}").send().status, 200, "no page at all");
}

#[test]
fn a_websocket_of_another_site_is_refused_and_nominates_nothing_of_the_edge_s() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let backend = Backend::answering(switching);
    let edge = edge(&backend).start();
    let token = edge.mint().good(0);
    let live = |connection: &str| upgrade(edge.get("/books/live").token(&token), connection);
    let forbidden = "Permission denied";
    for origin in ["https://evil.example", "null"] {
        let answer = live("Upgrade").header("Origin", origin).send();
        assert_eq!((answer.status, answer.text().as_str()), (403, forbidden), "{origin}: {answer:?}");
    }
    for nominated in [
        "Upgrade, x-madome-auth-sub",
        "x-madome-identity, upgrade",
        "Upgrade, X-Tenant-Id",
        "upgrade, x-real-ip",
    ] {
        let answer = live(nominated).send();
        assert_eq!(answer.status, 400, "{nominated}: {answer:?}");
    }
    assert_eq!(backend.seen().len(), 0);
    let mut connection = harness::wire::Connection::open(edge.public()).expect("the edge listens");
    let own = live("keep-alive, Upgrade").header("Origin", "http://localhost:5173");
    connection.write(&own.bytes()).expect("the edge reads");
    eventually("the handshake of a page of the edge arrives", || backend.seen().len() == 1);
    assert_eq!(backend.last().header("upgrade").as_deref(), Some("websocket"));
}
