//! `Set-Cookie` belongs to the backends: it arrives unchanged on every kind of route. The edge's own answers neither
//! set nor clear a cookie, so a refusal signs no one out.

use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, Part, Signal, eventually};

/// Names, quotes, attributes and bytes that a strict proxy might correct.
const COOKIES: [&[u8]; 5] = [
    b"a=1; Path=/; HttpOnly",
    b"b=\"2\"; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
    b"a=3; samesite=LAX;Secure ; Odd",
    b"madome_access_token=; Max-Age=0; Path=/; Partitioned",
    b"e=x=y;; caf\xe9=\xff; Priority=High",
];

/// A backend that answers with `x-answer` as its status, and always with [`COOKIES`].
fn backend() -> Backend {
    Backend::with(|seen| {
        let status = seen.header("x-answer").unwrap_or_else(|| "200 OK".to_owned());
        let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n").into_bytes();
        for cookie in COOKIES {
            answer.extend([b"Set-Cookie: ", cookie, b"\r\n"].concat());
        }
        answer.extend(b"\r\n");
        answer
    })
}

/// The development edge with a public, a checked, a leased, a limited and a signed route.
fn edge(backend: &Backend) -> EdgeBuilder {
    let route = |name: &str, policy: &str, more: &str| {
        format!(
            "  - {{ name: {name}, host: api, prefix: /{name}, policy: {policy}, to: legacy, answers: users{more} }}\n"
        )
    };
    let routes = [
        "routes:\n".to_owned(),
        route("leased", "leased", ""),
        route("limited", "public", ", limits: [one]"),
        route("signed", "signed", ""),
    ];
    let policies = "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\" }
policies:
  leased: { kind: session, lease: {} }
  signed: { kind: signed, keys: [unused], addresses: [127.0.0.1/32] }
";
    Edge::dev()
        .with_open_route()
        .every_backend(backend.address())
        .replace("policies:\n", policies)
        .replace("limits:\n", "limits:\n  one: { per: route, rate: 1, seconds: 3600 }\n")
        .replace("routes:\n", &routes.concat())
}

/// The values of `Set-Cookie`, byte for byte, in order.
fn cookies(answer: &Answer) -> Vec<&[u8]> {
    let all = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie"));
    // White space around a value is not part of it (RFC 9110 §5.5).
    all.map(|(_, value)| value.trim_ascii()).collect()
}

/// ATTACKS B 37: the same bytes, the same order, the same number.
#[test]
fn cookies_of_a_backend_arrive_as_they_are_on_every_kind_of_route() {
    let backend = backend();
    let edge = edge(&backend).start();
    let token = edge.mint().good(0);
    // The guard keeps no lease before it has read the feed.
    eventually("a lease serves", || {
        let _ = edge.get("/leased").token(&token).send();
        edge.leased() > 0
    });
    let leased = edge.leased();
    for target in ["/open", "/users/@me", "/leased"] {
        for status in ["200 OK", "201 Created", "302 Found", "401 Unauthorized", "403 No", "503 Busy"] {
            let answer = edge.get(target).token(&token).header("x-answer", status).send();
            assert_eq!(format!("{:03}", answer.status), status[..3], "{target}: {answer:?}");
            assert_eq!(cookies(&answer), COOKIES, "{target}, {status}");
            let names = answer.headers.iter().filter(|(name, _)| name == b"Set-Cookie").count();
            assert_eq!(names, COOKIES.len(), "the name keeps its spelling: {answer:?}");
        }
    }
    assert!(edge.leased() > leased, "the leased route was served by a lease");
}

/// ATTACKS B 38: a refusal by the edge changes no cookies.
#[test]
fn a_refusal_of_the_edges_own_neither_sets_nor_clears_a_cookie() {
    let backend = backend();
    let mut edge = edge(&backend).start();
    let mint = edge.mint();
    let jar = |token: &str| format!("a=1; madome_access_token={token}; madome_refresh_token=x");
    let get = |target: &str, token: &str| edge.get(target).header("cookie", jar(token));
    let good = mint.good(0);
    let old = mint.with(|claims| {
        claims.insert("iat".to_owned(), 1_000.into());
        claims.insert("exp".to_owned(), 2_000.into());
    });
    let suspended = mint.with(|claims| {
        claims.insert("tenantId".to_owned(), harness::tokens::SUSPENDED_TENANT.into());
    });
    assert_eq!(edge.get("/limited").send().status, 200, "the one that the limit allows");
    let before = backend.seen().len();
    let refusals: Vec<(&str, u16, Request)> = vec![
        ("no credential", 401, edge.get("/users/@me")),
        ("an invalid token", 401, get("/users/@me", "nonsense")),
        ("an expired token", 401, get("/users/@me", &old)),
        ("no signature", 401, edge.get("/signed")),
        ("a suspended tenant", 403, get("/users/@me", &suspended)),
        ("a role that is too low", 403, edge.request("POST", "/users").header("cookie", jar(&good))),
        ("an internal path", 404, get("/_/users/x", &good)),
        ("a method that no route has", 405, edge.request("TRACE", "/books").header("cookie", jar(&good))),
        ("a body that is too large", 413, edge.request("POST", "/signed").body(vec![b'a'; 70_000])),
        ("a limit", 429, get("/limited", &good)),
        ("a path of two meanings", 404, get("/books/..%2f_/users/x", &good)),
    ];
    let assert_silent = |what: &str, status: u16, answer: &Answer| {
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(cookies(answer), Vec::<&[u8]>::new(), "{what}: {answer:?}");
        assert_eq!(answer.header("clear-site-data"), None, "{what}: {answer:?}");
    };
    for (what, status, request) in refusals {
        assert_silent(what, status, &request.send());
    }
    assert_eq!(backend.seen().len(), before, "a refused request reached the backend");
    let checked = get("/users/@me", &good);
    edge.stop(Part::Authz, Signal::Kill);
    assert_silent("no authorizer", 503, &checked.send());
    assert_eq!(backend.seen().len(), before, "a refused request reached the backend");
}
