//! A person who opens a page without a session is sent to the sign-in page; programs, scripts, forms and WebSockets get the
//! 401, and no return address leads to another site.

use harness::wire::{Answer, Request, h2};
use harness::{Backend, Edge, EdgeBuilder};

const SIGNED_IN: &str = "signed-in: { kind: session }";
const PAGE: &str = "https://app.example.com/login";

fn edge(backend: &Backend) -> EdgeBuilder {
    let with = |policy: &str| format!("{policy}, sign_in: {{ redirect: \"{PAGE}\", return: next }} }}");
    let policies = format!(
        "{}\n  elders: {}",
        with("signed-in: { kind: session, lease: {}"),
        with("{ kind: session, role: 200")
    );
    let routes = "routes:
  - { name: elders, host: api, prefix: /elders, policy: elders, to: legacy, answers: library }
  - { name: live, host: api, prefix: /live, policy: signed-in, upgrade: websocket, to: legacy, answers: library }
";
    Edge::dev()
        .replace("request_id: { on_answers: never }", "request_id: { on_answers: refusals }")
        .replace(SIGNED_IN, &policies)
        .replace("routes:\n", routes)
        .every_backend(backend.address())
}

fn page(request: Request) -> Request {
    request
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document")
        .header("Accept", "text/html")
}

fn location(answer: &Answer) -> Option<String> {
    let all = answer.all("location");
    assert!(all.len() < 2, "{answer:?}");
    all.into_iter().next()
}

fn assert_redirected(answer: &Answer, next: &str, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (302, ""), "{what}: {answer:?}");
    assert_eq!(location(answer), Some(format!("{PAGE}{next}")), "{what}");
    assert_eq!(answer.all("cache-control"), ["no-store"], "{what}: {answer:?}");
    assert!(answer.all("vary").join(",").contains("Cookie"), "{what}: {answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{what}: {answer:?}");
    for absent in ["www-authenticate", "content-type", "x-cutover-bare"] {
        assert_eq!(answer.header(absent), None, "{what}: {answer:?}");
    }
}

#[test]
fn a_person_without_a_session_is_sent_to_the_sign_in_page() {
    let backend = Backend::plain();
    let edge = edge(&backend).start();
    let open = |target: &str| page(edge.get(target)).send();
    assert_redirected(&open("/books/1?a=1&b=%2F"), "?next=/books/1%3Fa%3D1%26b%3D%252F", "path and query");
    assert_redirected(
        &page(edge.get("/books/1")).token("not.a.token").send(),
        "?next=/books/1",
        "a bad session",
    );
    let expired = edge.mint().with(|claims| claims["exp"] = 1_000.into());
    assert_redirected(
        &page(edge.get("/books/1")).token(&expired).send(),
        "?next=/books/1",
        "an expired session",
    );
    let old = edge.get("/books/1").header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8").send();
    assert_redirected(&old, "?next=/books/1", "a browser without Fetch Metadata");
    // Nothing in the target makes the return address another site's.
    for target in ["//evil.example/", "/books/..%5c%5cevil.example", "/books//evil.example"] {
        let answer = open(target);
        let sent = location(&answer).unwrap_or_default();
        assert!(answer.status != 302 || sent.starts_with(PAGE), "{target}: {answer:?}");
        assert!(
            !sent.contains("next=//") && !sent.contains("next=%2F%2F") && !sent.contains("next=http"),
            "{target}: {sent}"
        );
    }
    let long = open(&format!("/books/{}", "a".repeat(4_000)));
    assert_redirected(&long, "", "an address that is too long is left out");
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let mut lines = h2::headers("GET", "localhost", "/books/1");
    lines.push((b"sec-fetch-mode".to_vec(), b"navigate".to_vec()));
    assert_eq!(connection.ask(&lines).status(), Some(302), "over HTTP/2");
    assert_eq!(backend.seen().len(), 0, "something arrived");

    let line = edge.logged("/books/1", 302);
    assert_eq!(
        (&line["decision"], &line["details"]),
        (&"deny".into(), &"ext_authz_denied".into()),
        "{line:#}"
    );
    let explained = edge.explain(&["GET http://localhost/books/1", "-H", "Sec-Fetch-Mode: navigate"]);
    assert_eq!(explained["answer"]["status"], 302, "{explained:#}");
    assert_eq!(explained["answer"]["location"], format!("{PAGE}?next=/books/1"), "{explained:#}");
}

#[test]
fn programs_scripts_forms_and_websockets_get_the_401() {
    let backend = Backend::plain();
    let edge = edge(&backend).start();
    let html = ("Accept", "text/html");
    let upgrade =
        [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), html];
    for (what, method, target, headers) in [
        ("a program", "GET", "/books/1", &[][..]),
        ("a program that takes anything", "GET", "/books/1", &[("Accept", "*/*")]),
        ("fetch", "GET", "/books/1", &[html, ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")]),
        ("a frame", "GET", "/books/1", &[html, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")]),
        ("an image", "GET", "/books/1", &[html, ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]),
        ("a script library", "GET", "/books/1", &[html, ("X-Requested-With", "XMLHttpRequest")]),
        ("a form", "POST", "/books", &[html, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]),
        ("HEAD", "HEAD", "/books/1", &[html, ("Sec-Fetch-Mode", "navigate")]),
        ("a WebSocket", "GET", "/live", &upgrade),
        // Only the edge itself writes the mark.
        ("a forged mark", "GET", "/books/1", &[("x-cutover-navigation", "1")]),
        ("a forged mark in another spelling", "GET", "/books/1", &[("X-Cutover-Navigation", "1")]),
    ] {
        let mut request = edge.request(method, target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send();
        assert_eq!((answer.status, location(&answer)), (401, None), "{what}: {answer:?}");
    }
    let refused = page(edge.get("/elders/1")).token(&edge.mint().good(1)).send();
    assert_eq!(
        (refused.status, location(&refused)),
        (403, None),
        "a caller without the role has signed in: {refused:?}"
    );
    let explained = edge.explain(&["GET http://localhost/books/1"]);
    assert_eq!(explained["answer"]["status"], 401, "{explained:#}");
}

#[test]
fn a_person_with_a_session_opens_pages_as_before_and_no_backend_sees_the_mark() {
    let backend = Backend::plain();
    let edge = edge(&backend).start();
    let token = edge.mint().good(0);
    for _ in 0..3 {
        let answer = page(edge.get("/books/1")).token(&token).send();
        assert_eq!((answer.status, answer.text().as_str()), (200, "seen"), "{answer:?}");
        let seen = backend.last();
        assert_eq!(seen.header("x-cutover-navigation"), None, "{seen:?}");
        assert_eq!(
            seen.header("sec-fetch-mode").as_deref(),
            Some("navigate"),
            "the browser's own headers stay"
        );
    }
    assert!(edge.leased() > 0, "leases were used");
}
