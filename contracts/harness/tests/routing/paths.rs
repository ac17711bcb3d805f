//! P4, internal stays internal: no spelling of a path reaches a closed route, and the bytes of every other path stay
//! unchanged.
#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

use harness::wire::{Request, h2};
use harness::{Backend, Edge, Part};

/// The whole edge, authorizer included, with one stand-in for every backend.
fn edge_before(backend: &Backend) -> Edge {
    Edge::dev().with_open_route().every_backend(backend.address()).start()
}

const INTERNAL: [&str; 9] = [
    "/_/users/x",
    "/_sync/x",
    "/internal",
    "/command",
    "/healthz",
    "/readyz",
    "/metrics",
    "/users/notifications",
    "/users/fcm-token",
];

/// `text` with every byte percent-encoded that is not a slash.
fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b == b'/' { "/".to_owned() } else { format!("%{b:02x}") }).collect()
}

/// `path` with the first byte after its first slash percent-encoded.
fn first_encoded(path: &str) -> String {
    let (first, rest) = path[1..].split_at(1);
    format!("/%{:02X}{rest}", first.as_bytes()[0])
}

/// Every spelling of an internal path that some backend reads as the path itself.
fn spellings(path: &str) -> Vec<(&'static str, String)> {
    let inner = &path[1..];
    let backslashes = path.replace('/', "\\");
    let slashes = path.replace('/', "//");
    vec![
        ("itself", path.to_owned()),
        ("below it", format!("{path}/x")),
        ("with a query", format!("{path}?x=/open")),
        ("with a final slash", format!("{path}/")),
        ("out of another directory", format!("/a/..{path}")),
        ("out of a public route", format!("/open/..{path}")),
        ("out of a public route, two levels", format!("/open/a/../..{path}")),
        ("out of a signed-in route", format!("/books/..{path}")),
        ("out of the root", format!("/..{path}")),
        ("encoded dots", format!("/a/%2e%2e{path}")),
        ("encoded dots, upper case", format!("/a/%2E%2E{path}")),
        ("half-encoded dots", format!("/a/.%2e{path}")),
        ("the other half", format!("/a/%2e.{path}")),
        ("a double slash", format!("/{path}")),
        ("a triple slash", format!("//{path}")),
        ("double slashes everywhere", slashes),
        ("a dot segment", format!("/.{path}")),
        ("an encoded dot segment", format!("/%2e{path}")),
        ("encoded slashes", format!("/a%2f..%2f{inner}")),
        ("an encoded slash and a dot segment", format!("/a%2F..{path}")),
        ("encoded backslashes", format!("/a%5c..%5c{inner}")),
        ("backslashes", format!("/a\\..\\{inner}")),
        ("backslashes for every slash but the first", format!("/{}", &backslashes[1..])),
        ("a backslash in front", format!("/{backslashes}")),
        ("dots with parameters", format!("/..;{path}")),
        ("dots with parameters behind a directory", format!("/a/..;x=1{path}")),
        ("a dot with parameters", format!("/.;{path}")),
        ("encoded dots with parameters", format!("/a/%2e%2e;{path}")),
        ("with parameters", format!("{path};x=1")),
        ("with empty parameters", format!("{path};")),
        ("with encoded parameters", format!("{path}%3bx=1")),
        ("an encoded letter", first_encoded(path)),
        ("every letter encoded", encoded(path)),
        ("a leading encoded slash", format!("/%2f{inner}")),
        ("a trailing encoded slash", format!("{path}%2f")),
        ("upper case", path.to_uppercase()),
        ("upper case behind encoding", encoded(&path.to_uppercase())),
        ("an encoded question mark", format!("{path}%3fx")),
        ("an encoded number sign", format!("{path}%23x")),
        ("a number sign", format!("{path}#x")),
        ("a number sign in front", format!("/open#/..{path}")),
        ("an encoded NUL", format!("{path}%00")),
        ("an encoded NUL in front of it", format!("/open%00/..{path}")),
        ("overlong dots", format!("/a/%c0%ae%c0%ae{path}")),
        ("overlong slashes", format!("/a%c0%af..%c0%af{inner}")),
        ("everything at once", format!("/a//..;x/%5c..{path}/;y")),
    ]
}

#[test]
fn no_spelling_reaches_an_internal_path() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let token = edge.mint().good(2);
    for path in INTERNAL {
        for (how, target) in spellings(path) {
            for host in ["localhost", "API.dev-domain.test:8080", "file.dev-domain.test", "dev-domain.test"] {
                let request = Request::new(edge.public(), "GET", &target).host(host);
                for (who, request) in
                    [("without a session", request.clone()), ("with a session", request.token(&token))]
                {
                    let what = format!("{target} ({how}) on {host} by {who}");
                    let status = request.send().status;
                    assert!(matches!(status, 400 | 401 | 404), "{what}: {status}");
                }
            }
        }
        let exact =
            |method, host| Request::new(edge.public(), method, path).host(host).token(&token).send().status;
        for method in ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(exact(method, "localhost"), 404, "{method} {path}");
            assert_eq!(exact(method, "dev-domain.test"), 404, "{method} {path}");
        }
        let absolute =
            edge.get(format!("http://api.dev-domain.test{path}")).host("dev-domain.test").token(&token);
        assert_eq!(absolute.send().status, 404, "{path} in absolute form");
        let absolute = edge.get(format!("http://dev-domain.test/open/..{path}")).token(&token);
        assert!(matches!(absolute.send().status, 400 | 404), "{path} in absolute form, out of a directory");
    }
    assert!(backend.seen().is_empty(), "a backend saw {}", backend.last().request_line());
    assert_eq!(edge.get("/open").send().status, 200, "the edge still works");
}

#[test]
fn no_spelling_reaches_an_internal_path_over_http2() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let token = format!("madome_access_token={}", edge.mint().good(2));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    for path in INTERNAL {
        for (how, target) in spellings(path) {
            for host in ["localhost", "dev-domain.test"] {
                let mut lines = h2::headers("GET", host, &target);
                lines.push((b"cookie".to_vec(), token.clone().into()));
                let outcome = connection.ask(&lines);
                assert!(outcome.is_refusal(), "{target} ({how}) on {host}: {outcome:?}");
                if !matches!(outcome, h2::Outcome::Answered { .. }) {
                    connection = h2::Connection::open(edge.public()).expect("the edge listens");
                }
            }
        }
    }
    assert!(backend.seen().is_empty(), "a backend saw {}", backend.last().request_line());
}

/// Names that only look like an internal path are open.
#[test]
fn near_misses_are_ordinary_paths() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    for target in
        ["/internals", "/internal.html", "/commands", "/users/notifications2", "/a/internal", "/__", "/_x"]
    {
        assert_eq!(edge.get(target).send().status, 401, "{target} without a session");
        assert_eq!(edge.signed_in(target).send().status, 200, "{target}");
        assert_eq!(backend.last().request_line(), format!("GET {target} HTTP/1.1"));
    }
    // A query is not a path.
    for target in
        ["/open?/internal", "/open?x=/../internal", "/open?a=//", "/open??a", "/open?next=%2f..%2f", "/open?"]
    {
        assert_eq!(edge.get(target).send().status, 200, "{target}");
        assert_eq!(backend.last().request_line(), format!("GET {target} HTTP/1.1"));
    }
}

/// For the legacy backend these are other resources than `/users/@me`: 404 with a session, 401 without. The edge must
/// not turn them into it.
#[test]
fn odd_spellings_of_a_route_are_judged_and_forwarded_as_they_are() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    for target in [
        "/users/%40me",
        "//users/@me",
        "/users/@me/",
        "/users/@ME",
        "/users//@me",
        "/users/./@me",
        "/Books",
        "/books/%31",
        "/books//1",
        "/books/1/",
        "/books/a%2Fb",
        "/books/%252e%252e/x",
        "/books/%zz",
        "/books/%E3%81%82",
        "/books/a;b=c",
        "/books/a%3Fb",
    ] {
        let before = backend.seen().len();
        assert_eq!(edge.get(target).send().status, 401, "{target} without a session");
        assert_eq!(backend.seen().len(), before, "{target} without a session");
        assert_eq!(edge.signed_in(target).send().status, 200, "{target} with a session");
        assert_eq!(backend.last().request_line(), format!("GET {target} HTTP/1.1"));
    }
}

/// A path that some backend reads as one of another policy is refused: the decision must not depend on the reading.
#[test]
fn a_path_under_two_policies_is_refused() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    for (method, target, why) in [
        ("GET", "/open/../books", "public as it is, a session when cleaned up"),
        ("GET", "/open/..%2fbooks", "the same, encoded"),
        ("GET", "/open/..;/books", "the same, with parameters"),
        ("GET", "/open\\..\\books", "the same, with backslashes"),
        ("GET", "/open%2f..%2fbooks", "a session as it is, and another one below a public prefix"),
        ("GET", "/books/../open-graph/x", "a session as it is, public when cleaned up"),
        ("GET", "/%6fpen-graph/x", "a session as it is, public when decoded"),
        ("GET", "/Open/x", "a session as it is, public where case does not count"),
        ("POST", "/users/", "any session as it is, a bot's without the slash"),
        ("POST", "/%75sers", "any session as it is, a bot's when decoded"),
        ("POST", "//users", "any session as it is, a bot's when merged"),
    ] {
        let request = edge.request(method, target).token(&edge.mint().good(2)).header("content-length", "0");
        assert_eq!(request.send().status, 400, "{method} {target}: {why}");
    }
    assert!(backend.seen().is_empty(), "a backend saw {}", backend.last().request_line());
}

/// An absent path reaches no backend in any spelling, so it need not have one reading.
#[test]
fn an_absent_path_is_404_whoever_asks_and_reaches_no_backend() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let token = edge.mint().good(2);
    for (method, target) in [
        ("GET", "/auth"),
        ("GET", "/auth/none"),
        ("PUT", "/auth/token"),
        ("GET", "/auth/token/"),
        ("PATCH", "/auth/token/"),
        ("POST", "/auth/code/"),
        ("POST", "/auth/%63ode"),
        ("POST", "/auth//code"),
        ("DELETE", "/auth/TOKEN"),
        ("GET", "/auth/../books"),
    ] {
        let request = edge.request(method, target).header("content-length", "0");
        for answer in
            [request.send(), edge.request(method, target).header("content-length", "0").token(&token).send()]
        {
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (404, "Not found"),
                "{method} {target}: {answer:?}"
            );
            assert_eq!(answer.header("content-type"), None, "{method} {target}");
        }
    }
    for target in ["/books/../auth/none", "/%61uth/none", "/Auth/none"] {
        assert_eq!(
            edge.get(target).token(&token).send().status,
            400,
            "{target} is another policy's as it is"
        );
    }
    assert!(backend.seen().is_empty(), "a backend saw {}", backend.last().request_line());
    // The routes below it are as they were.
    assert_eq!(edge.get("/auth/passkeys").send().status, 401);
    assert_eq!(edge.get("/auth/token").token(&token).send().status, 200);
    let explained = edge.explain(&["GET http://localhost/auth/none"]);
    assert_eq!(explained["answer"]["status"], 404, "{explained:#}");
}

#[test]
fn odd_bytes_pass_unchanged_or_are_refused() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start();
    let line = |target: &[u8]| [b"GET ".as_slice(), target, b" HTTP/1.1"].concat();
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let odd: [&[u8]; 24] = [
        b"/open/%252e",
        b"/open/%252e%252e%252finternal",
        b"/open/%zz",
        b"/open/%",
        b"/open/%2",
        b"/open/%c0%ae",
        b"/open/%00",
        b"/open/%0d%0ax-madome-auth-sub:forged",
        b"/open/%ff",
        b"/open/\xff",
        b"/open/\xc3\xa9",
        b"/open/\"<>",
        b"/open/{}|^`",
        b"/open/a b",
        b"/open/a\tb",
        b"/open/\x7f",
        b"/open/\x01",
        b"/open#x",
        b"/open?x#y",
        b"/open?\xff",
        b"/open?%00",
        b"/open/%u002e",
        b"/open/*",
        b"/open/~",
    ];
    for target in odd {
        let what = target.escape_ascii().to_string();
        let before = backend.seen().len();
        let status = edge.get(target).send().status;
        check(&backend, before, status, &line(target), &what);
        let before = backend.seen().len();
        let outcome = connection.ask(&h2::headers("GET", "localhost", target));
        if let Some(status) = outcome.status() {
            check(&backend, before, status, &line(target), &format!("{what} over HTTP/2"));
        } else {
            assert_eq!(backend.seen().len(), before, "{what} over HTTP/2: reset and forwarded");
            connection = h2::Connection::open(edge.public()).expect("the edge listens");
        }
        assert_eq!(edge.get("/open").send().status, 200, "the request after {what}");
    }
    for (what, target) in [
        ("a fragment", "/open#x"),
        ("a fragment behind a query", "/open?x#y"),
        ("a NUL", "/open/%00"),
        ("an overlong dot", "/open/%c0%ae"),
        ("no leading slash", "open"),
        ("an asterisk", "*"),
        ("nothing", ""),
    ] {
        let answer = edge.get(target).try_send().expect("an answer");
        assert!(matches!(answer.status, 400 | 404), "{what}: {answer:?}");
    }
}

fn check(backend: &Backend, before: usize, status: u16, line: &[u8], what: &str) {
    let seen = backend.seen();
    if status == 200 {
        assert_eq!(seen.len(), before + 1, "{what}");
        assert!(backend.last().head.starts_with(line), "{what}: became {}", backend.last().request_line());
    } else {
        assert!((400..500).contains(&status), "{what}: {status}");
        assert_eq!(seen.len(), before, "{what}: refused and forwarded");
    }
}

#[test]
fn long_paths_pass_or_are_too_large() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start();
    for (length, passes) in
        [(8 << 10, true), (16 << 10, true), (50 << 10, true), (60 << 10, false), (200 << 10, false)]
    {
        let path = format!("/open/{}", "a".repeat(length));
        let before = backend.seen().len();
        let answer = edge.get(&path).send();
        if passes {
            assert_eq!(answer.status, 200, "{length}");
            assert_eq!(backend.last().request_line(), format!("GET {path} HTTP/1.1"), "{length}");
        } else {
            assert!(matches!(answer.status, 414 | 431), "{length}: {}", answer.status);
            assert_eq!(backend.seen().len(), before, "{length}");
        }
        // So long and odd that a slow check would show: the same path or a refusal, never a hang.
        let odd = format!("/open/{}", "a//..;x/%2e%5c".repeat(length / 14));
        let before = backend.seen().len();
        let status = edge.get(&odd).send().status;
        check(&backend, before, status, format!("GET {odd} HTTP/1.1").as_bytes(), &format!("{length}, odd"));
    }
    let many = (0..101).fold(edge.get("/open"), |r, n| r.header(format!("x-{n}"), "1"));
    assert_eq!(many.send().status, 431, "more than a hundred headers");
}
