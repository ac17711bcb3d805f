//! What holds for reserved headers on every way to an edge.

use harness::wire::{Connection, h2};
use harness::{Backend, Front, Seen};

use super::reserved::{RESERVED, assert_only_own, assert_own_names};

/// The client of a front, as a backend must read it.
fn client(front: &Front) -> (&'static str, &'static str) {
    ("127.0.0.1", front.scheme)
}

fn mixed_case(name: &str) -> String {
    let odd = |(index, c): (usize, char)| if index % 2 == 0 { c.to_ascii_uppercase() } else { c };
    name.chars().enumerate().map(odd).collect()
}

pub(crate) fn reserved_names_never_arrive_in_any_spelling(edge: &Front, backend: &Backend) {
    for name in RESERVED {
        let spellings: [(&str, Vec<String>); 6] = [
            ("as it is", vec![name.to_owned()]),
            ("upper case", vec![name.to_uppercase()]),
            ("mixed case", vec![mixed_case(name)]),
            ("twice", vec![name.to_owned(), name.to_owned()]),
            ("twice in two spellings", vec![name.to_owned(), mixed_case(name), name.to_uppercase()]),
            ("with dots for hyphens, as CGI folds them", vec![name.replacen('-', ".", 2)]),
        ];
        for (spelling, names) in spellings {
            arrives_clean(edge, backend, "GET", &names, &format!("{name}, {spelling}, {}", edge.name));
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
            let names = vec![name.to_owned(), mixed_case(name), name.replacen('-', ".", 2)];
            arrives_clean(edge, backend, method, &names, &format!("{name}, {method}, {}", edge.name));
        }
        for method in ["GET", "POST", "DELETE"] {
            let mut lines = h2::headers(method, "localhost", "/open");
            lines.extend([(name.into(), b"forged".to_vec()), (name.into(), b"forged too".to_vec())]);
            let mut connection = h2::Connection::open(edge.http2).expect("the edge listens");
            let what = format!("{name}, {method} over HTTP/2, {}", edge.name);
            assert_eq!(connection.ask(&lines).status(), Some(200), "{what}");
            assert_only_own(&backend.last(), client(edge), &what);
        }
    }
    // Empty values too: some read mere presence.
    let empty = edge.get("/open").header("x-madome-public-access", "").header("X-Tenant-Id", "");
    assert_eq!(empty.send().status, 200);
    assert_only_own(&backend.last(), client(edge), "empty values");
    let stripped = edge.edge.envoy_stat("wasmcustom.cutover_guard_stripped_x-tenant-id");
    assert!(stripped.is_some_and(|lines| lines >= 10), "the guard counts what it removes: {stripped:?}");
}

/// A request with forged lines of these names is answered, and the backend sees none of them.
fn arrives_clean(edge: &Front, backend: &Backend, method: &str, names: &[String], what: &str) {
    let request = names.iter().fold(edge.request(method, "/open"), |r, name| r.header(name, "forged"));
    assert_eq!(request.send().status, 200, "{what}");
    assert_only_own(&backend.last(), client(edge), what);
    assert_eq!(
        backend.last().request_line(),
        format!("{method} /open HTTP/1.1"),
        "{what}: it moved the request"
    );
}

pub(crate) fn underscores_are_refused(edge: &Front, backend: &Backend) {
    let before = backend.seen().len();
    for name in ["x_madome_auth", "x-madome_auth-sub", "X_TENANT_ID", "x_request_id", "x_other"] {
        if !edge.is_http2 {
            assert_eq!(edge.get("/open").header(name, "forged").send().status, 400, "{name}");
        }
        let mut lines = h2::headers("GET", "localhost", "/open");
        lines.push((name.to_lowercase().into(), b"forged".to_vec()));
        let mut connection = h2::Connection::open(edge.http2).expect("the edge listens");
        let outcome = connection.ask(&lines);
        assert!(outcome.is_refusal(), "{name} over HTTP/2: {outcome:?}");
    }
    assert_eq!(backend.seen().len(), before);
}

/// The outcome of a request with a malformed line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// 400, and no backend sees it.
    Refused,
    /// One request whose reserved headers are the edge's own. RFC 9112 lets a server read a bare LF as a line end
    /// (§2.2) and an obsolete fold for a space (§5.2); Envoy drops a bare CR.
    Harmless,
}

pub(crate) fn malformed_lines_never_become_headers(edge: &Front, backend: &Backend) {
    if edge.is_http2 {
        // HTTP/2 has no such lines.
        return;
    }
    use Becomes::{Harmless, Refused};
    let before = backend.seen().len();
    let cases: [(&str, &[u8], Becomes); 20] = [
        ("a bare LF before a reserved name", b"a: b\nx-madome-auth-sub: forged\r\n", Harmless),
        ("an obsolete fold that looks like a header", b"a: b\r\n x-madome-auth-sub: forged\r\n", Harmless),
        ("an obsolete fold with a tab", b"a: b\r\n\tx-madome-auth-sub: forged\r\n", Harmless),
        ("a bare CR in a value", b"a: b\rx-madome-auth-sub: forged\r\n", Harmless),
        ("two CRs before a reserved name", b"a: b\r\r\nx-madome-auth-sub: forged\r\n", Harmless),
        ("a bare CR before a name", b"\rx-madome-auth-sub: forged\r\n", Refused),
        ("a space before the colon", b"x-madome-auth-sub : forged\r\n", Refused),
        ("a tab before the colon", b"x-madome-auth-sub\t: forged\r\n", Refused),
        ("a space before the first name", b" x-madome-auth-sub: forged\r\n", Refused),
        ("a space within a name", b"x-madome auth-sub: forged\r\n", Refused),
        ("an empty name", b": forged\r\n", Refused),
        ("no colon", b"x-madome-auth-sub forged\r\n", Refused),
        ("UTF-8 in a name", "x-mad\u{f6}me-auth-sub: forged\r\n".as_bytes(), Refused),
        ("a Kelvin sign in a name", "x-forwarded-\u{212a}: forged\r\n".as_bytes(), Refused),
        ("a NUL in a name", b"x-madome\0-auth-sub: forged\r\n", Refused),
        ("a NUL in a value", b"a: b\0x-madome-auth-sub: forged\r\n", Refused),
        ("a control byte in a value", b"a: b\x01c\r\n", Refused),
        ("a vertical tab in a value", b"a: b\x0bc\r\n", Refused),
        ("DEL in a value", b"a: b\x7fc\r\n", Refused),
        ("a quoted name", b"\"x-madome-auth-sub\": forged\r\n", Refused),
    ];
    // All at once: Envoy takes a second to close a connection that it refuses.
    let asked: Vec<_> = cases
        .into_iter()
        .enumerate()
        .map(|(number, (what, lines, becomes))| {
            let target = format!("/open?{number}");
            let start = format!("GET {target} HTTP/1.1\r\n").into_bytes();
            let end = b"host: localhost\r\nconnection: close\r\n\r\n";
            let mut connection = Connection::open(edge.through).expect("the edge listens");
            connection.write(&[&start, lines, end].concat()).expect("the edge reads");
            (what, connection, becomes, format!("GET {target} HTTP/1.1"))
        })
        .collect();
    for (what, mut connection, becomes, line) in asked {
        let answers = connection.answers();
        assert_eq!(answers.len(), 1, "{what}: {answers:?}");
        let seen: Vec<Seen> =
            backend.seen().into_iter().skip(before).filter(|seen| seen.request_line() == line).collect();
        match becomes {
            Refused => {
                assert_eq!(answers[0].status, 400, "{what}");
                assert!(seen.is_empty(), "{what}: refused and forwarded: {seen:?}");
            }
            Harmless => {
                assert_eq!((answers[0].status, seen.len()), (200, 1), "{what}");
                assert_own_names(&seen[0], client(edge), what);
            }
        }
    }
}

pub(crate) fn bytes_beyond_ascii_are_carried_and_the_next_request_works(edge: &Front, backend: &Backend) {
    let mut connection = Connection::open(edge.through).expect("the edge listens");
    for round in 0..3 {
        let odd = edge.get("/open").header("x-a", b"\xff\xfe").header("X-Tenant-Id", b"forged\xff");
        connection.write(&odd.bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, 200, "round {round}");
        assert!(backend.last().head.windows(2).any(|w| w == b"\xff\xfe"), "the bytes changed");
        assert_only_own(&backend.last(), client(edge), "a value that is not UTF-8");
        connection.write(&edge.get("/open").bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, 200, "after round {round}");
    }
    let mut lines = h2::headers("GET", "localhost", "/open");
    lines.push((b"x-a".to_vec(), b"\xff".to_vec()));
    let mut connection = h2::Connection::open(edge.http2).expect("the edge listens");
    assert_eq!(connection.ask(&lines).status(), Some(200));
    assert_eq!(connection.ask(&h2::headers("GET", "localhost", "/open")).status(), Some(200));
}

/// `Connection: name` makes a hop drop `name`: it must not drop the edge's own headers.
pub(crate) fn nominated_headers_cannot_take_the_edge_s_own_away(edge: &Front, backend: &Backend) {
    if edge.is_http2 {
        // HTTP/2 has no such lines.
        return;
    }
    let own = ["x-madome-public", "x-madome-gw", "x-madome-public-access", "X-Madome-Public, x-madome-gw"];
    for nominated in own {
        let request = edge.get("/open").header("Connection", nominated).header("x-madome-public", "forged");
        assert_eq!(request.send().status, 200, "{nominated}");
        assert_only_own(&backend.last(), client(edge), nominated);
    }
    let before = backend.seen().len();
    for nominated in ["x-forwarded-for", "X-Forwarded-Host", "x-forwarded-proto", "host", "Host, close"] {
        let request = edge.get("/open").header("Connection", nominated).header("x-forwarded-for", "1.2.3.4");
        assert_eq!(request.send().status, 400, "{nominated}");
    }
    assert_eq!(backend.seen().len(), before);
    let id = "01932c07-0000-7000-8000-000000000001";
    assert_eq!(
        edge.get("/open").header("x-request-id", id).header("Connection", "X-Request-Id").send().status,
        200
    );
    let ids = backend.last().all("x-request-id");
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(uuid::Uuid::parse_str(&ids[0]).is_ok() && ids[0] != id, "a nominated id is replaced: {ids:?}");
}

/// Trailers arrive, and none with a reserved name or with one that a program could fold into it. On every route: `open` needs no
/// decision, and a lease needs none any more.
pub(crate) fn trailers_carry_nothing_reserved(edge: &Front, backend: &Backend) {
    let reserved =
        ["x-madome-auth-sub", "X-Tenant-Id", "x-forwarded-for", "x.madome.auth.sub", "x-madome.identity"];
    for trailer in reserved.into_iter().chain(["x-other"]) {
        let arrives = trailer == "x-other";
        let request = format!(
            "POST /open HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ntrailer: {trailer}\r\n\r\n\
             2\r\nhi\r\n0\r\n{trailer}: forged\r\n\r\n"
        );
        let mut connection = Connection::open(edge.through).expect("the edge listens");
        connection.write(request.as_bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, 200, "{trailer}, {}", edge.name);
        let check = |what: &str| {
            let seen = backend.last();
            assert_only_own(&seen, client(edge), what);
            let has = String::from_utf8_lossy(&seen.body).contains("forged");
            assert_eq!(has, arrives, "{trailer} {what}, {}: {seen:?}", edge.name);
        };
        check("over HTTP/1.1");
        let mut connection = h2::Connection::open(edge.http2).expect("the edge listens");
        let stream = connection.begin(&h2::headers("POST", "localhost", "/open"), false);
        connection.data(stream, b"hi", false);
        connection.trailers(stream, &[(trailer.to_lowercase().into(), b"forged".to_vec())]);
        assert_eq!(connection.outcome(stream).status(), Some(200), "{trailer} over HTTP/2, {}", edge.name);
        check("over HTTP/2");
    }
    assert_eq!(edge.get("/open").send().status, 200);
    assert_only_own(&backend.last(), client(edge), "the request after the trailers");
}

pub(crate) fn malformed_http2_reaches_no_backend(edge: &Front, backend: &Backend) {
    let before = backend.seen().len();
    let line = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let with =
        |lines: &[(Vec<u8>, Vec<u8>)]| [h2::headers("GET", "localhost", "/open"), lines.to_vec()].concat();
    let first =
        |lines: &[(Vec<u8>, Vec<u8>)]| [lines.to_vec(), h2::headers("GET", "localhost", "/open")].concat();
    let without = |name: &[u8]| {
        let mut lines = h2::headers("GET", "localhost", "/open");
        lines.retain(|(n, _)| n != name);
        lines
    };
    let cases: Vec<(&str, h2::Headers)> = vec![
        ("an upper-case name", with(&[line(b"X-Madome-Auth-Sub", b"forged")])),
        ("an upper-case letter in a name", with(&[line(b"x-A", b"b")])),
        ("a line break in a value", with(&[line(b"a", b"b\r\nx-madome-auth-sub: forged")])),
        ("a bare LF in a value", with(&[line(b"a", b"b\nx-madome-auth-sub: forged")])),
        ("a bare CR in a value", with(&[line(b"a", b"b\rc")])),
        ("a NUL in a value", with(&[line(b"a", b"b\0c")])),
        ("a line break in a name", with(&[line(b"a: b\r\nx-madome-auth-sub", b"forged")])),
        ("a NUL in a name", with(&[line(b"x-madome-auth\0", b"forged")])),
        ("a space in a name", with(&[line(b"x-madome-auth-sub ", b"forged")])),
        ("a colon in a name", with(&[line(b"x-madome-auth-sub:", b"forged")])),
        ("an empty name", with(&[line(b"", b"forged")])),
        ("a byte beyond ASCII in a name", with(&[line(b"x-\xff", b"forged")])),
        ("two paths", with(&[line(b":path", b"/internal")])),
        ("two paths, the other way round", first(&[line(b":path", b"/internal")])),
        ("two methods", first(&[line(b":method", b"POST")])),
        ("two authorities", first(&[line(b":authority", b"dev-domain.test")])),
        ("two schemes", first(&[line(b":scheme", b"https")])),
        ("an unknown pseudo-header", first(&[line(b":x-madome-auth-sub", b"forged")])),
        ("a response's pseudo-header", first(&[line(b":status", b"200")])),
        ("a pseudo-header behind an ordinary one", first(&[line(b"a", b"b")])),
        ("no path", without(b":path")),
        ("no method", without(b":method")),
        ("no scheme", without(b":scheme")),
        ("an empty path", {
            let mut lines = without(b":path");
            lines.push(line(b":path", b""));
            lines
        }),
        (
            "a line break in the path",
            h2::headers("GET", "localhost", "/open HTTP/1.1\r\nx-madome-auth-sub: forged"),
        ),
        ("a space in the path", h2::headers("GET", "localhost", "/open /internal")),
        ("a NUL in the path", h2::headers("GET", "localhost", b"/open\0")),
        ("a line break in the method", h2::headers("GET /internal HTTP/1.1\r\n", "localhost", "/open")),
        (
            "a line break in the authority",
            h2::headers("GET", "localhost\r\nx-madome-auth-sub: forged", "/open"),
        ),
        ("a hop's own header", with(&[line(b"connection", b"x-request-id")])),
        ("a transfer coding", with(&[line(b"transfer-encoding", b"chunked")])),
        ("another host than the authority", with(&[line(b"host", b"dev-domain.test"), line(b"host", b"x")])),
    ];
    // All at once: Envoy takes a second to close a connection that it refuses.
    let asked: Vec<_> = cases
        .into_iter()
        .map(|(what, lines)| {
            let mut connection = h2::Connection::open(edge.http2).expect("the edge listens");
            let stream = connection.begin(&lines, true);
            (what, connection, stream)
        })
        .collect();
    for (what, mut connection, stream) in asked {
        let outcome = connection.outcome(stream);
        assert!(outcome.is_refusal(), "{what}: {outcome:?}\n{:?}", backend.seen());
    }
    assert_eq!(backend.seen().len(), before, "forwarded: {:?}", backend.last());
    let mut connection = h2::Connection::open(edge.http2).expect("the edge listens");
    assert_eq!(
        connection.ask(&h2::headers("GET", "localhost", "/open")).status(),
        Some(200),
        "an honest one"
    );
}

pub(crate) fn a_request_that_forges_everything_at_once_is_still_one_request(edge: &Front, backend: &Backend) {
    let before = backend.seen().len();
    let request = edge.get("/open");
    let request =
        RESERVED.iter().fold(request, |r, name| r.header(name, "forged").header(mixed_case(name), "forged"));
    assert_eq!(request.send().status, 200);
    assert_only_own(&backend.last(), client(edge), "everything at once");
    assert_eq!(backend.seen().len(), before + 1);
}
