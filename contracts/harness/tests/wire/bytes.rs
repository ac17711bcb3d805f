//! P1, byte for byte: the same request sent to a backend directly and through the edge. The backend must see
//! the same request, and the client the same answer; only hop-by-hop framing may differ.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests fail by panicking")]

use harness::wire::{Answer, Connection, Request, h2};
use harness::{Backend, Edge, Front, Part, Seen};

/// An edge with a public route for every method, in front of `backend`. Nothing needs a decision, so the
/// authorizer is left out.
fn edge_before(backend: &Backend) -> Edge {
    let open =
        "routes:\n  - { name: open, host: api, prefix: /open, policy: public, to: legacy, answers: auth }\n";
    Edge::dev().replace("routes:\n", open).every_backend(backend.address()).without(Part::Authz).start()
}

/// What the edge adds to a request on a public route, and nothing else.
const ADDED: [&str; 6] = [
    "x-request-id",
    "x-madome-gw",
    "x-madome-public",
    "x-madome-public-access",
    "x-forwarded-for",
    "x-forwarded-proto",
];

/// Framing and connection handling belong to each hop (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 2] = ["connection", "transfer-encoding"];

fn end_to_end_answer(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    answer.headers.retain(|(name, _)| {
        let name = String::from_utf8_lossy(name).to_lowercase();
        !HOP_BY_HOP.contains(&name.as_str())
    });
    // Whitespace around a value is not part of it (RFC 9110 §5.5).
    for (_, value) in &mut answer.headers {
        *value = value.trim_ascii().to_vec();
    }
    answer
}

/// A proxy that forwards an answer without a date must add one (RFC 9110 §6.6.1). It is the only header that the edge
/// ever adds to an answer, at its end, and only when there is none.
fn without_added_date(mut through: Answer, direct: &Answer) -> Answer {
    if direct.header("date").is_none() {
        let (name, _) = through.headers.pop().expect("an answer has a date");
        assert_eq!(name, b"date", "something else was added");
    }
    through
}

/// The original header lines in order, without the edge's additions and without framing.
fn end_to_end_request(seen: &Seen) -> (String, Vec<String>) {
    let head = String::from_utf8_lossy(&seen.head).into_owned();
    let lines = head.split("\r\n").skip(1).filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        // "No body" is framing too: with or without a length of 0, the message is the same (RFC 9112 §6.3).
        let is_framing = HOP_BY_HOP.contains(&name.as_str()) || *line == "content-length: 0";
        !ADDED.contains(&name.as_str()) && !is_framing
    });
    (seen.request_line(), lines.map(str::to_owned).collect())
}

/// A known limit: HTTP/2 may split a `Cookie` into lines (RFC 9113 §8.2.3). Envoy joins them, and writes the one line last.
fn with_cookies_last((line, lines): (String, Vec<String>)) -> (String, Vec<String>) {
    let is_cookie = |line: &String| line.to_lowercase().starts_with("cookie:");
    let (cookies, mut others): (Vec<String>, Vec<String>) = lines.into_iter().partition(is_cookie);
    others.extend(cookies);
    (line, others)
}

/// A chunked body without its chunk sizes.
fn dechunked(seen: &Seen) -> Vec<u8> {
    if seen.header("transfer-encoding").is_none() {
        return seen.body.clone();
    }
    let mut out = Vec::new();
    let mut rest = seen.body.as_slice();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size =
            usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).expect("a chunk has a size");
        if size == 0 {
            break;
        }
        out.extend(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    out
}

fn compare(front: &Front, backend: &Backend, request: impl Fn(std::net::SocketAddr) -> Request, what: &str) {
    let what = format!("{what}, {}", front.name);
    let direct = request(front.direct).send();
    let direct_seen = backend.last();
    let through = request(front.through).send();
    let through_seen = backend.last();
    let through = without_added_date(end_to_end_answer(&through), &direct);
    let direct = end_to_end_answer(&direct);
    let (seen, expected) = (end_to_end_request(&through_seen), end_to_end_request(&direct_seen));
    let expected = if front.is_http2 { with_cookies_last(expected) } else { expected };
    assert_eq!(through.differences_from(&direct), [""; 0], "the answer changed: {what}");
    assert_eq!(through, direct, "the answer changed: {what}");
    assert_eq!(seen, expected, "the request changed: {what}");
    assert_eq!(dechunked(&through_seen), dechunked(&direct_seen), "the request's body changed: {what}");
}

#[test]
fn requests_arrive_as_they_were_sent() {
    let backend = Backend::plain();
    for front in &Front::all(backend.address()) {
        requests_arrive(&backend, front);
        front.assert_used();
    }
}

/// A target that no URL may have. The library of the HTTP/2 fronts sends none such; [`odd_targets_pass_over_http_2`] does.
const ODD_TARGET: &str = "/open/a|b^c`{}\"<>";

fn requests_arrive(backend: &Backend, edge: &Front) {
    let targets = [
        "/open",
        "/open/",
        "/open/a%2Fb",
        "/open/a%2fb",
        "/open//x",
        "/open/%69",
        "/open/%E3%81%82",
        "/open/~a!$&'()*+,=:@",
        "/open?",
        "/open??a",
        "/open?a=//",
        "/open?next=%2f..%2F",
        "/open?a=b&a=c&%20",
        "/open/%zz",
        "/open/%252e%252e/x",
        "/open/a|b^c{}\"",
    ];
    for target in targets.into_iter().chain((!edge.is_http2).then_some(ODD_TARGET)) {
        compare(edge, backend, |to| Request::new(to, "GET", target).host("localhost"), target);
    }
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        compare(edge, backend, |to| Request::new(to, method, "/open").host("localhost"), method);
    }
    let odd = |to| {
        Request::new(to, "POST", "/open")
            .host("LocalHost:80")
            .header("X-oDD-Case", "kept  inside")
            .header("X-Twice", "one")
            .header("X-Twice", "two")
            .header("Accept-Encoding", "gzip")
            .header("X-Empty", "")
            .header("X-Bytes", b"caf\xe9 \xff")
            .header("Cookie", "a=1;b=2; a=3;  quoted=\"x y\"")
            .header("Authorization", "Basic Zm9vOmJhcg==")
            .header("Range", "bytes=0-1,5-")
            .header("If-None-Match", "W/\"x\"")
            .body(b"\x00\x01body\xff")
    };
    compare(edge, backend, odd, "odd headers");
    compare(
        edge,
        backend,
        |to| Request::new(to, "DELETE", "/open").host("localhost").body("{\"kind\":\"book\"}"),
        "DELETE with a body",
    );
    compare(
        edge,
        backend,
        |to| Request::new(to, "POST", "/open").host("localhost").body(""),
        "an empty body",
    );
}

#[test]
fn odd_targets_pass_over_http_2() {
    let backend = Backend::plain();
    for front in Front::balanced(backend.address()) {
        let mut connection = h2::Connection::open(front.http2).expect("haproxy listens");
        for target in [ODD_TARGET, "/open?a=`<>", "/open/%zz?%"] {
            let outcome = connection.ask(&h2::headers("GET", "localhost", target));
            assert_eq!(outcome.status(), Some(200), "{target}: {outcome:?}");
            assert_eq!(backend.last().request_line(), format!("GET {target} HTTP/1.1"));
        }
    }
}

#[test]
fn two_cookie_lines_both_arrive() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let answer = edge.get("/open").header("Cookie", "a=1").header("cookie", "b=2").send();
    assert_eq!(answer.status, 200);
    let cookies = backend.last().all("cookie");
    assert_eq!(cookies.join("; "), "a=1; b=2");
}

#[test]
fn a_chunked_request_arrives_whole() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    let request = "POST /open HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    connection.write(request.as_bytes()).expect("the edge reads");
    assert_eq!(connection.answer(false).expect("an answer").status, 200);
    assert_eq!(dechunked(&backend.last()), b"hello world");
}

#[test]
fn answers_arrive_as_they_were_sent() {
    let answers: [(&str, &[u8]); 15] = [
        ("odd case and duplicates", b"HTTP/1.1 200 OK\r\nX-oDD-Case: a  b \r\nX-TwiCE: 1\r\nX-TwiCE: 2\r\nContent-Length: 2\r\n\r\nok"),
        (
            "five cookies with odd attributes",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\nSet-Cookie: b=\"2\"; Expires=Wed, 21 Oct 2026 07:28:00 GMT\r\nSet-Cookie: a=3; SameSite=lax;Secure\r\nSet-Cookie: d=; Max-Age=0\r\nSet-Cookie: e=x=y; Odd; Priority=High\r\ncontent-length: 0\r\n\r\n",
        ),
        ("204 without a length", b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"),
        ("201 with length 0", b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"),
        ("an odd reason", b"HTTP/1.1 200 Fine By Me\r\ncontent-length: 0\r\n\r\n"),
        ("an odd status", b"HTTP/1.1 299 Odd\r\ncontent-length: 3\r\n\r\nodd"),
        ("a refusal of the backend's own", b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 12\r\n\r\nUnauthorized"),
        ("the backend's own 503", b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\ncontent-length: 4\r\n\r\nbusy"),
        ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"),
        ("gzip", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"),
        ("a range", b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/10\r\nAccept-Ranges: bytes\r\nContent-Length: 2\r\n\r\nab"),
        ("a redirect", b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/a%2Fb//c\r\nContent-Length: 0\r\n\r\n"),
        ("server, date and the edge's favourites", b"HTTP/1.1 200 OK\r\nServer: legacy/1.0\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nVia: 1.0 inner\r\nX-Powered-By: Express\r\nx-request-id: of-the-backend\r\nContent-Length: 0\r\n\r\n"),
        ("no date, no server", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("bytes in a value", b"HTTP/1.1 200 OK\r\nX-Bytes: caf\xe9\xff\r\nContent-Length: 0\r\n\r\n"),
    ];
    let (sender, receiver) = std::sync::mpsc::channel::<Vec<u8>>();
    let next = std::sync::Mutex::new((receiver, Vec::new()));
    let backend = Backend::with(move |_| {
        let mut guard = next.lock().expect("no panic");
        if let Ok(answer) = guard.0.try_recv() {
            guard.1 = answer;
        }
        guard.1.clone()
    });
    for edge in &Front::all(backend.address()) {
        for (what, answer) in answers {
            sender.send(answer.to_vec()).expect("the backend listens");
            compare(edge, &backend, |to| Request::new(to, "GET", "/open").host("localhost"), what);
        }
        // The same head without a body for HEAD.
        sender
            .send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-A: b\r\n\r\n".to_vec())
            .expect("the backend listens");
        compare(edge, &backend, |to| Request::new(to, "HEAD", "/open").host("localhost"), "HEAD");
        edge.assert_used();
    }
}

/// A known limit: Envoy keeps one spelling for each header name of a message. Values, number and order hold.
#[test]
fn one_name_in_two_spellings_takes_the_first() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\nX-Twice: 1\r\nx-TWICE: 2\r\ncontent-length: 0\r\n\r\n");
    let edge = edge_before(&backend);
    assert_eq!(edge.get("/open").send().all("x-twice"), ["1", "2"]);
}

/// A known limit: Envoy writes the standard reason where a backend sends none at all.
#[test]
fn an_absent_reason_becomes_the_standard_one() {
    let backend = Backend::answering("HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n");
    let edge = edge_before(&backend);
    assert_eq!(edge.get("/open").send().status_line, b"HTTP/1.1 404 Not Found");
}

/// Trailers are part of a message, in both directions and on every front. Their names reach the other side in lower case.
#[test]
fn trailers_arrive() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nTrailer: Server-Timing\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
         server-timing: db;dur=53\r\nx-end: a\r\nx-end: b\r\n\r\n",
    );
    for front in Front::all(backend.address()) {
        let lines = "transfer-encoding: chunked\r\nte: trailers\r\nTrailer: x-sum";
        let request = format!(
            "POST /open HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 0a  b\r\nx-sum: 1\r\n\r\n"
        );
        let mut connection = Connection::open(front.through).expect("it listens");
        connection.write(request.as_bytes()).expect("it reads");
        let all = connection.read_until(b"x-end: b\r\n\r\n").expect("an answer with trailers");
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{}: {all}", front.name);
        let end = "2\r\nhi\r\n0\r\nserver-timing: db;dur=53\r\nx-end: a\r\nx-end: b\r\n\r\n";
        assert!(all.ends_with(end), "{}: {all}", front.name);
        let seen = String::from_utf8_lossy(&backend.last().body).into_owned();
        assert_eq!(seen, "3\r\nabc\r\n0\r\nx-sum: 0a  b\r\nx-sum: 1\r\n\r\n", "{}", front.name);
        assert_eq!(backend.last().header("trailer").as_deref(), Some("x-sum"), "{}", front.name);
    }
}

/// A known limit: interim answers end at the edge, which answers `Expect: 100-continue` itself. A decision may need the whole
/// body (signed requests, webhooks): a client that waited for the backend's word would wait for ever.
#[test]
fn interim_answers_end_at_the_edge() {
    let backend = Backend::answering(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    );
    let edge = edge_before(&backend);
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    let request =
        edge.request("POST", "/open").header("expect", "100-continue").header("connection", "close");
    connection.write(&request.body("x").bytes()).expect("the edge reads");
    let all = String::from_utf8(connection.rest()).expect("the answer is text");
    assert!(all.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{all}");
    assert!(!all.contains("103"), "{all}");
    assert_eq!(backend.last().header("expect"), None);
}

#[test]
fn large_bodies_pass_both_ways() {
    const SIZE: usize = 64 * 1024 * 1024;
    let body: Vec<u8> = (0..SIZE).map(|i| u8::try_from(i * 31 % 251).unwrap_or_default()).collect();
    let answer =
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").into_bytes(), body.clone()].concat();
    let backend = Backend::answering(answer);
    for front in [Front::clear(backend.address()), Front::before_tls(backend.address())] {
        let through = Request::new(front.through, "POST", "/open").host("localhost").body(&body).send();
        assert!(through.body == body, "the answer's body changed on its way");
        assert!(backend.last().body == body, "the request's body changed on its way");
    }
}

/// `request_timeout_ms` is for a backend that does not begin to answer. A slow client or a slow backend does not cut an
/// answer short.
#[test]
fn an_answer_that_has_begun_takes_as_long_as_it_takes() {
    // More than all buffers on the way hold while the client does not read.
    const SIZE: usize = 48 * 1024 * 1024;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").into_bytes();
    let backend = Backend::answering([head, vec![b'a'; SIZE]].concat());
    let edge = Edge::dev()
        .with_open_route()
        .replace("  legacy:\n", "  legacy:\n    request_timeout_ms: 500\n")
        .every_backend(backend.address())
        .without(Part::Authz)
        .start();
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(&edge.get("/open").bytes()).expect("the edge reads");
    harness::pause(std::time::Duration::from_secs(2), "four times the backend's timeout has passed, unread");
    let answer = connection.answer(false).expect("the answer is whole");
    assert_eq!((answer.status, answer.body.len()), (200, SIZE));
}

#[test]
fn an_answer_may_have_many_headers() {
    let lines: String = (0..500).map(|i| format!("X-Header-{i}: {i}\r\n")).collect();
    let backend = Backend::answering(format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n"));
    let edge = edge_before(&backend);
    let answer = edge.get("/open").send();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("X-Header-499"), Some(b"499".as_slice()));
}

#[test]
fn a_backend_that_hangs_up_gives_503_without_a_hang() {
    let backend = Backend::with(|_| Vec::new());
    let edge = edge_before(&backend);
    let answer = edge.request("POST", "/open").body("x").send();
    assert!((502..=503).contains(&answer.status), "{answer:?}");
    assert_eq!(backend.seen().len(), 1, "an unsafe request was sent twice");
}
