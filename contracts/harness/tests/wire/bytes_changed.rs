//! P1, the other side: what Envoy itself changes about a message, name by name. Each is a known limit (ARCHITECTURE, P1), and
//! everything that is not listed here passes as it came (`bytes.rs`).

#![expect(clippy::expect_used, reason = "a test fails by panicking")]
mod names;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use harness::wire::Connection;
use harness::{Backend, Edge, Part};

use names::NAMES;

fn edge_before(backend: &Backend) -> Edge {
    Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start()
}

/// A request with one line of each name arrives as it came; so does an answer. Two lines arrive as two, unless Envoy keeps a
/// single value for the name: then they arrive as one, joined by a comma, which means the same (RFC 9110 §5.3). No setting of
/// Envoy keeps them apart.
#[test]
fn lines_of_these_names_are_joined_and_no_other_is_changed() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let mut joined = BTreeSet::new();
    for name in NAMES {
        // A value that each of them may have.
        let of = |number: u8| format!("https://app.test/{number}");
        assert_eq!(edge.get("/open").header(name, of(1)).send().status, 200, "{name}");
        assert_eq!(backend.last().all(name), [of(1)], "{name}: a single line");
        assert!(backend.last().names().contains(&name.to_owned()), "{name}: its case");
        let answer = edge.get("/open").header(name, of(1)).header(name, of(2)).send();
        assert_eq!(answer.status, 200, "{name}");
        match backend.last().all(name).as_slice() {
            [one] if one.replace(", ", ",") == format!("{},{}", of(1), of(2)) => {
                joined.insert(name);
            }
            both => assert_eq!(both, [of(1), of(2)], "{name}: neither two lines nor one"),
        }
    }
    assert_eq!(joined, BTreeSet::from(JOINED));
}

/// The names of which Envoy joins the lines of a request.
const JOINED: [&str; 23] = [
    "Accept",
    "Accept-Encoding",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "CDN-Loop",
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
    "Referer",
    "User-Agent",
    "Via",
    "X-Client-Trace-Id",
];

/// The names of which Envoy joins the lines of an answer.
const JOINED_IN_ANSWERS: [&str; 21] = [
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Age",
    "Cache-Control",
    "Content-Encoding",
    "Content-Type",
    "Date",
    "ETag",
    "Expires",
    "Grpc-Message",
    "Grpc-Status",
    "Last-Modified",
    "Location",
    "Proxy-Status",
    "Server",
    "Vary",
    "Via",
];

#[test]
fn lines_of_these_names_are_joined_in_answers_and_no_other_is_changed() {
    let name = Arc::new(Mutex::new((String::new(), 1)));
    let asked = Arc::clone(&name);
    let backend = Backend::with(move |_| {
        let (name, count) = asked.lock().map(|one| one.clone()).unwrap_or_default();
        let lines: String =
            (0..count).map(|number| format!("{name}: https://app.test/{number}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n").into_bytes()
    });
    let edge = edge_before(&backend);
    let mut joined = BTreeSet::new();
    for one in NAMES {
        for count in [1, 2] {
            if let Ok(mut name) = name.lock() {
                *name = (one.to_owned(), count);
            }
            let answer = edge.get("/open").send();
            let sent: Vec<String> = (0..count).map(|number| format!("https://app.test/{number}")).collect();
            let come = answer.all(one);
            if come.len() == 1 && come.concat().replace(", ", ",") == sent.join(",") && count == 2 {
                joined.insert(one);
                continue;
            }
            assert_eq!(come, sent, "{one}: {answer:?}");
            let is_kept = |(name, _): &(Vec<u8>, Vec<u8>)| name.as_slice() == one.as_bytes();
            assert!(answer.headers.iter().any(is_kept), "{one}: its case: {answer:?}");
        }
    }
    assert_eq!(joined, BTreeSet::from(JOINED_IN_ANSWERS));
}

/// These belong to one hop (RFC 9110 §7.6.1), so none of them reaches the backend.
#[test]
fn headers_of_one_hop_end_at_the_edge() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    for (name, value) in [
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Connection", "close"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
    ] {
        assert_eq!(edge.get("/open").header(name, value).send().status, 200, "{name}");
        assert_eq!(backend.last().all(name), Vec::<String>::new(), "{name}");
    }
    // Trailers pass, and so does the client's word that it takes them.
    assert_eq!(edge.get("/open").header("TE", "trailers").send().status, 200);
    assert_eq!(backend.last().all("te"), ["trailers"]);
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

/// The answer through `edge`, without the lines that it adds for its own hop.
fn through(edge: &Edge) -> String {
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(&edge.get("/open").header("connection", "close").bytes()).expect("the edge reads");
    let all = String::from_utf8_lossy(&connection.rest()).into_owned();
    let is_own = |line: &&str| ["date: ", "connection: "].iter().any(|own| line.starts_with(own));
    all.split("\r\n").filter(|line| !is_own(line)).collect::<Vec<_>>().join("\r\n")
}

/// The same message in another spelling: Envoy writes each line anew (RFC 9112 §2.2, §5.2; RFC 9110 §8.6).
#[test]
fn spellings_of_the_wire_are_written_anew_in_answers() {
    let next = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&next);
    let backend = Backend::with(move |_| shared.lock().expect("no thread panicked").clone().into_bytes());
    let edge = edge_before(&backend);
    let through = |answer: &str| {
        answer.clone_into(&mut next.lock().expect("no thread panicked"));
        through(&edge)
    };
    for (what, answer, expected) in [
        (
            "a 204 may have no length",
            "HTTP/1.1 204 No Content\r\nX-A: b\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
        ),
        (
            "a 304 keeps the length that a GET would have had",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "a folded value",
            "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nX-A: b c\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "lines that end with LF alone, and whitespace around values and the reason",
            "HTTP/1.1 200 So  be it \nX-A:b\t\nContent-Length: 2\n\nhi",
            "HTTP/1.1 200 So  be it\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "another version",
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ),
        (
            "names of trailers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-End: A\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-end: A\r\n\r\n",
        ),
    ] {
        assert_eq!(through(answer), expected, "{what}");
    }
    // Two lengths, even equal ones: which bytes end the message is never a guess.
    let twice = through("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi");
    assert!(twice.starts_with("HTTP/1.1 502 "), "{twice}");
}

/// The same for requests. A target in absolute form names the host, whatever `Host` says (RFC 9112 §3.2.2).
#[test]
fn spellings_of_the_wire_are_written_anew_in_requests() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let ask = |request: &str| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(request.as_bytes()).expect("the edge reads");
        String::from_utf8_lossy(&connection.rest()).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let own = "Host: localhost\r\nConnection: close\r\n";
    let absolute =
        "GET http://localhost/open/a?x=%2f HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(absolute), "200");
    assert_eq!(backend.last().request_line(), "GET /open/a?x=%2f HTTP/1.1");
    assert_eq!(backend.last().all("host"), ["localhost"]);
    assert_eq!(ask(&format!("GET /open HTTP/1.1\r\n{own}X-A: b\r\n c\r\n\r\n")), "200");
    assert_eq!(backend.last().all("x-a"), ["b c"], "a folded value");
    assert_eq!(ask("GET /open HTTP/1.1\nHost: localhost\nConnection: close\nX-A:b\n\n"), "200");
    assert_eq!(backend.last().all("x-a"), ["b"], "lines that end with LF alone");
    let seen = backend.seen().len();
    let twice = format!("POST /open HTTP/1.1\r\n{own}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((ask(&twice).as_str(), backend.seen().len()), ("400", seen));
    let trailer = format!(
        "POST /open HTTP/1.1\r\n{own}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: A\r\n\r\n"
    );
    assert_eq!(ask(&trailer), "200");
    let body = String::from_utf8_lossy(&backend.last().body).into_owned();
    assert!(body.ends_with("0\r\nx-sum: A\r\n\r\n"), "{body:?}");
}
