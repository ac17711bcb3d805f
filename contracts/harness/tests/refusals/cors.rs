//! Pages of other origins: preflights that the edge answers, headers on answers and on every refusal, and a backend's own
//! headers, which stay as they are.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use harness::wire::{Answer, Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Part, Signal};

const SPA: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";
const API: &str = "api: { listener: public, names: [api.dev-domain.test, localhost, 127.0.0.1] }";
const RULES: &str = "cors: { origins: [\"https://app.example.com\", \"https://*.shop.example\"], credentials: true, expose: [x-total-count] }";

/// The API host has rules for its pages; `/any` is for every page, without cookies; `/plain` has none.
fn edge(backend: &Backend) -> EdgeBuilder {
    let routes = "routes:
  - { name: open, host: api, prefix: /open, policy: public, to: legacy, answers: auth }
  - { name: any, host: api, prefix: /any, policy: public, to: legacy, answers: auth, cors: { origins: [\"*\"], methods: [GET, PUT], headers: [x-a], max_age_seconds: 5 } }
  - { name: plain, host: api, prefix: /plain, policy: public, to: legacy, answers: auth, cors: none }
  - { name: few, host: api, exact: /few, methods: [GET], policy: public, to: legacy, answers: auth, limits: [few] }
  - { name: dead, host: api, prefix: /dead, policy: public, to: nowhere, answers: library }
";
    Edge::dev()
        .replace("request_id: { on_answers: never }", "request_id: { on_answers: refusals }")
        .replace(API, &API.replace(" }", &format!(", {RULES} }}")))
        .replace("routes:\n", routes)
        .replace("limits:\n", "limits:\n  few: { per: address, rate: 1, seconds: 3600, burst: 1 }\n")
        .replace("backends:\n", "backends:\n  nowhere: { address: \"127.0.0.1:9\" }\n")
        .every_backend(backend.address())
}

fn preflight(edge: &Edge, target: &str, origin: &str, method: &str) -> Request {
    let request = edge.request("OPTIONS", target).header("Origin", origin);
    request
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "content-type")
}

fn one(answer: &Answer, name: &str) -> Option<String> {
    let all = answer.all(name);
    assert!(all.len() < 2, "{name} twice: {answer:?}");
    all.into_iter().next()
}

/// Whether a page of `SPA` may read `answer`, whatever it says.
fn assert_readable(answer: &Answer, what: &str) {
    assert_eq!(one(answer, "access-control-allow-origin").as_deref(), Some(SPA), "{what}: {answer:?}");
    assert_eq!(
        one(answer, "access-control-allow-credentials").as_deref(),
        Some("true"),
        "{what}: {answer:?}"
    );
    let exposed = one(answer, "access-control-expose-headers").unwrap_or_default();
    for name in ["x-total-count", "retry-after", "www-authenticate", "x-request-id"] {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{what}: {name} in {answer:?}");
    }
    assert!(answer.all("vary").join(",").contains("Origin"), "{what}: {answer:?}");
}

fn assert_silent(answer: &Answer, what: &str) {
    let names = answer.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase());
    let said: Vec<String> = names.filter(|name| name.starts_with("access-control-")).collect();
    assert!(said.is_empty(), "{what}: {answer:?}");
}

#[test]
fn a_preflight_is_answered_by_the_edge_and_asks_neither_authorizer_nor_backend() {
    let backend = Backend::plain();
    let mut edge = edge(&backend).start();
    edge.stop(Part::Authz, Signal::Kill);
    let answer = preflight(&edge, "/users/@me", SPA, "PUT").send();
    assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{answer:?}");
    let said = |name: &str| one(&answer, name).unwrap_or_default();
    assert_eq!(said("access-control-allow-origin"), SPA);
    assert_eq!(said("access-control-allow-credentials"), "true");
    assert_eq!(said("access-control-allow-methods"), "PUT");
    assert_eq!(said("access-control-allow-headers"), "content-type");
    assert_eq!(said("access-control-max-age"), "600");
    assert_eq!(said("vary"), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    assert_eq!(answer.header("content-type"), None, "{answer:?}");

    let below = preflight(&edge, "/users", "https://a.shop.example", "POST").send();
    assert_eq!(one(&below, "access-control-allow-origin").as_deref(), Some("https://a.shop.example"));
    let any = preflight(&edge, "/any/1", EVIL, "PUT").send();
    assert_eq!(any.status, 204);
    assert_eq!(one(&any, "access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(one(&any, "access-control-allow-credentials"), None);
    assert_eq!(one(&any, "access-control-allow-methods").as_deref(), Some("GET, PUT"));
    assert_eq!(one(&any, "access-control-allow-headers").as_deref(), Some("x-a"));
    assert_eq!(one(&any, "access-control-max-age").as_deref(), Some("5"));

    for (target, origin) in
        [("/users/@me", EVIL), ("/users/@me", "null"), ("/users/@me", "https://shop.example")]
    {
        let refused = preflight(&edge, target, origin, "PUT").send();
        assert_eq!(refused.status, 403, "{origin}: {refused:?}");
        assert_silent(&refused, origin);
        assert!(refused.all("vary").join(",").contains("Origin"), "{origin}: {refused:?}");
        assert!(refused.header("x-request-id").is_some(), "{origin}: {refused:?}");
    }
    // A page cannot find out which paths are internal.
    let (internal, absent) =
        (preflight(&edge, "/internal/x", SPA, "GET"), preflight(&edge, "/users/@me/x", SPA, "GET"));
    assert_eq!((internal.send().headers.len(), internal.send().status), (absent.send().headers.len(), 204));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let mut lines = h2::headers("OPTIONS", "localhost", "/users/@me");
    lines.push((b"origin".to_vec(), SPA.as_bytes().to_vec()));
    lines.push((b"access-control-request-method".to_vec(), b"PUT".to_vec()));
    assert_eq!(connection.ask(&lines).status(), Some(204), "over HTTP/2");
    assert_eq!(backend.seen().len(), 0, "a backend was asked");

    let line = edge.logged("/users/@me", 204);
    assert_eq!(line["details"], "edge_guard_preflight", "{line:#}");
    assert!(edge.envoy_stat("wasmcustom.cutover_guard_preflights").is_some_and(|count| count > 3));
    assert!(edge.envoy_stat("wasmcustom.cutover_guard_refused_cors_origin").is_some_and(|count| count == 3));
}

#[test]
fn what_is_no_preflight_or_has_no_rules_goes_its_usual_way() {
    let own = "HTTP/1.1 204 No Content\r\naccess-control-allow-origin: https://own.example\r\n\r\n";
    let backend = Backend::answering(own);
    let edge = edge(&backend).start();
    for (target, headers) in [
        ("/open", &[("Origin", SPA)][..]),
        ("/open", &[("Access-Control-Request-Method", "PUT")]),
        ("/plain", &[("Origin", EVIL), ("Access-Control-Request-Method", "PUT")]),
        ("/plain", &[("Origin", SPA), ("Access-Control-Request-Method", "PUT")]),
    ] {
        let mut request = edge.request("OPTIONS", target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send();
        let seen = backend.last();
        assert_eq!(seen.request_line(), format!("OPTIONS {target} HTTP/1.1"));
        assert_eq!(answer.all("access-control-allow-origin"), ["https://own.example"], "{answer:?}");
    }
    assert_eq!(backend.seen().len(), 4);
    let signed_in = edge.request("OPTIONS", "/users/@me").header("Origin", SPA).send();
    assert_eq!(signed_in.status, 401, "an ordinary request needs a credential");
}

#[test]
fn a_page_reads_answers_and_each_refusal_and_another_page_reads_none() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nvary: accept\r\ncontent-length: 4\r\n\r\nseen");
    let mut edge = edge(&backend).start();
    let token = edge.mint().good(0);
    let from = |request: Request, origin: &str| request.header("Origin", origin).send();
    let answer = from(edge.get("/open"), SPA);
    assert_eq!((answer.status, answer.text().as_str()), (200, "seen"));
    assert_readable(&answer, "an answer");
    assert!(answer.all("vary").join(",").contains("accept"), "the backend's stays: {answer:?}");
    let none = edge.get("/open").send();
    assert_silent(&none, "no page");
    assert!(none.all("vary").join(",").contains("Origin"), "a cache must know: {none:?}");
    let plain = edge.get("/plain").header("Origin", SPA).send();
    assert_silent(&plain, "a route without rules");
    assert_eq!(plain.all("vary"), ["accept"], "{plain:?}");
    let any = from(edge.get("/any"), EVIL);
    assert_eq!(one(&any, "access-control-allow-origin").as_deref(), Some("*"));

    // The page may change something with its cookie; another one may not, and may not read that either.
    let post =
        || edge.request("POST", "/books").token(&token).header("sec-fetch-site", "cross-site").body("{}");
    assert_eq!(from(post(), SPA).status, 200);
    let refused = from(post(), EVIL);
    assert_eq!(refused.status, 403);
    assert_silent(&refused, "another page");
    assert_eq!(
        from(edge.request("POST", "/any").token(&token).body("{}"), EVIL).status,
        403,
        "without cookies"
    );

    assert_eq!(edge.get("/few").send().status, 200);
    for (what, request, status) in [
        ("401 of the authorizer", edge.get("/users/@me"), 401),
        ("429 of the authorizer", edge.get("/few"), 429),
        ("405 of Envoy", edge.request("PROPFIND", "/open"), 405),
        ("400 of the guard", edge.get("/users/%2e%2e/open"), 400),
        ("404 of the guard", edge.get("/open/..%2finternal/x"), 404),
        ("404 of an internal path", edge.get("/internal/x"), 404),
        ("503 of Envoy", edge.get("/dead"), 503),
    ] {
        let answer = from(request.clone(), SPA);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_readable(&answer, what);
        assert!(answer.header("x-request-id").is_some(), "{what}: {answer:?}");
        assert_silent(&from(request, EVIL), what);
    }
    edge.stop(Part::Authz, Signal::Kill);
    let gone = from(edge.get("/users/@me").token(&token), SPA);
    assert_eq!(gone.status, 503);
    assert_readable(&gone, "503 without an authorizer");
}

#[test]
fn the_headers_of_a_backend_stay_as_they_are_and_are_not_doubled() {
    let said = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let lines = std::sync::Arc::clone(&said);
    let backend = Backend::with(move |_| {
        let lines = lines.lock().expect("no test panicked").clone();
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n").into_bytes()
    });
    let edge = edge(&backend).start();
    for own in [
        "Access-Control-Allow-Origin: https://other.example\r\n",
        "access-control-allow-origin: *\r\nVary: accept\r\n",
        "access-control-allow-credentials: false\r\n",
        "access-control-expose-headers: x-own\r\n",
        "access-control-allow-methods: GET\r\n",
    ] {
        own.clone_into(&mut said.lock().expect("no backend panicked"));
        let through = edge.get("/open").header("Origin", SPA).send();
        let mut sent: Vec<String> =
            own.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned).collect();
        sent.push("content-length: 0".to_owned());
        let head: Vec<String> = through
            .headers
            .iter()
            .map(|(name, value)| {
                format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            })
            .filter(|line| !line.starts_with("date:"))
            .collect();
        assert_eq!(head, sent, "byte for byte");
    }
    for (vary, expected) in
        [("Vary: Accept-Encoding, origin\r\n", vec!["Accept-Encoding, origin"]), ("Vary: *\r\n", vec!["*"])]
    {
        vary.clone_into(&mut said.lock().expect("no backend panicked"));
        let answer = edge.get("/open").header("Origin", SPA).send();
        assert_eq!(answer.all("vary"), expected, "nothing to add");
        let page = one(&answer, "access-control-allow-origin");
        assert_eq!(page.as_deref(), Some(SPA), "the rest is added: {answer:?}");
    }
}

#[test]
fn a_leased_answer_is_readable_too_and_a_change_of_rules_drains_nothing() {
    let backend = Backend::plain();
    let edge = edge(&backend)
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: { seconds: 20 } }")
        .start();
    let get = edge.get("/users/@me").token(&edge.mint().good(0));
    for _ in 0..4 {
        let answer = get.clone().header("Origin", SPA).send();
        assert_eq!(answer.status, 200);
        assert_readable(&answer, "leased or not");
        let bare = get.send();
        assert_silent(&bare, "no page");
        assert!(bare.all("vary").join(",").contains("Origin"), "{bare:?}");
    }
    assert!(edge.leased() > 0, "leases were used");

    let old = edge.file().display().to_string();
    let text = std::fs::read_to_string(edge.file()).expect("the edge file is readable");
    let wider = text.replacen(&format!("\"{SPA}\""), "\"https://new.example\"", 1);
    let new = edge.home().join("new.yaml");
    std::fs::write(&new, wider).expect("the home is writable");
    let output = plan(&edge, &old, &new.display().to_string());
    assert!(
        output.contains("pages that may read answers: the origin `https://new.example` added"),
        "{output}"
    );
    assert!(!output.contains("drains"), "{output}");
    let without = edge.home().join("without.yaml");
    std::fs::write(&without, text.replacen(&format!(", {RULES}"), "", 1)).expect("the home is writable");
    let output = plan(&edge, &without.display().to_string(), &old);
    assert!(output.contains("may read answers, also to requests with cookies"), "{output}");
    assert!(!output.contains("drains"), "{output}");
}

/// What `cutover plan` prints; it exits with 1 when something is weaker.
fn plan(edge: &Edge, old: &str, new: &str) -> String {
    let mut command: Command = edge.cutover_program();
    let output = command.args(["plan", old, new]).output().expect("cutover can be started");
    assert_eq!(output.status.code(), Some(1), "wider rules are weaker: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn explain_says_what_a_page_may_do() {
    let backend = Backend::plain();
    let edge = edge(&backend).without(Part::Envoy).without(Part::Authz).start();
    let ask = |request: &str, origin: &str, further: &[&str]| {
        let origin = format!("Origin: {origin}");
        edge.explain(&[&[request, "-H", &origin], further].concat())
    };
    let asked = ["-H", "Access-Control-Request-Method: PUT"];
    let answered = ask("OPTIONS http://localhost/users/@me", SPA, &asked);
    assert_eq!(
        (&answered["guard"], &answered["answer"]["status"]),
        (&"preflight".into(), &204.into()),
        "{answered:#}"
    );
    let refused = ask("OPTIONS http://localhost/users/@me", EVIL, &asked);
    assert_eq!(
        (&refused["guard"], &refused["answer"]["status"]),
        (&"cors_origin".into(), &403.into()),
        "{refused:#}"
    );
    let said = |report: &serde_json::Value| report["cors"].as_str().unwrap_or_default().to_owned();
    assert!(
        said(&ask("GET http://localhost/open", SPA, &[])).contains("may read the answer, and send cookies")
    );
    assert!(said(&ask("GET http://localhost/any", EVIL, &[])).contains("without cookies"));
    assert!(said(&ask("GET http://localhost/open", EVIL, &[])).contains("is not listed"));
    assert_eq!(said(&ask("GET http://localhost/plain", SPA, &[])), "", "the backend's own matter");
}

#[test]
fn the_pages_of_the_production_edge_and_no_others_use_its_api_with_cookies() {
    let backend = Backend::plain();
    let edge = Edge::shipped("prod")
        .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
        .with_open_route()
        .every_backend(backend.address())
        .start();
    for page in ["https://example.com", "https://www.example.com"] {
        let allowed = preflight(&edge, "/auth/token", page, "PATCH").send();
        assert_eq!(allowed.status, 204, "{allowed:?}");
        let (read, refused) = (edge.get("/open"), edge.get("/users/@me"));
        let [read, refused] = [read, refused].map(|request| request.header("Origin", page).send());
        assert_eq!((read.status, refused.status), (200, 401), "{read:?} {refused:?}");
        for answer in [&allowed, &read, &refused] {
            assert_eq!(one(answer, "access-control-allow-origin").as_deref(), Some(page), "{answer:?}");
            assert_eq!(
                one(answer, "access-control-allow-credentials").as_deref(),
                Some("true"),
                "{answer:?}"
            );
        }
        let exposed = one(&read, "access-control-expose-headers").unwrap_or_default();
        assert!(exposed.contains("x-madome-access-token-expires"), "{read:?}");
    }
    for page in [EVIL, "http://example.com", "https://example.com:8443", "https://other.example.com"] {
        assert_eq!(preflight(&edge, "/auth/token", page, "PATCH").send().status, 403, "{page}");
        assert_silent(&edge.get("/open").header("Origin", page).send(), page);
    }
    // A client that is no browser notices nothing.
    assert_silent(&edge.get("/open").send(), "without an origin");
    assert_eq!(edge.request("OPTIONS", "/open").send().status, 200, "a backend answers what is no preflight");
}
