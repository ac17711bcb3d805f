//! Where one request ends and the next begins: the edge and every backend must agree on it.
//!
//! Each attack is followed on the same connection by an honest request. Whatever the edge makes of the attack,
//! each request that the backend saw has one answer, and none of them is the one hidden in the attack.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use harness::wire::{Answer, Connection, h2};
use harness::{Backend, Edge, Part, Seen};

/// Marks each answer as the backend's, with the request that it belongs to.
fn backend() -> Backend {
    Backend::with(|seen| {
        let line = seen.request_line();
        format!("HTTP/1.1 200 OK\r\nx-answers: {line}\r\ncontent-length: 4\r\n\r\nseen").into_bytes()
    })
}

fn edge_before(backend: &Backend) -> Edge {
    Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start()
}

const HONEST: &str = "GET /open/honest HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const HIDDEN: &str = "GET /open/hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The result of one attack.
struct Exchange {
    answers: Vec<Answer>,
    seen: Vec<Seen>,
}

/// Sends each attack and then [`HONEST`] on a connection of its own.
///
/// The connections are opened first and read afterwards: Envoy takes a second to close one that it refuses.
/// A number in each attack's path, `/open/NUMBER`, says which requests of the backend belong to it.
fn exchange(
    edge: &Edge,
    backend: &Backend,
    attacks: &[(&'static str, String)],
) -> Vec<(&'static str, Exchange)> {
    let connections: Vec<_> = attacks
        .iter()
        .enumerate()
        .map(|(number, (what, attack))| {
            let mut connection = Connection::open(edge.public()).expect("the edge listens");
            let attack = attack.replace("/open/NUMBER", &format!("/open/{number}"));
            let honest = HONEST.replace("/honest", &format!("/honest-{number}"));
            connection.write(attack.as_bytes()).expect("the edge reads");
            connection.write(honest.as_bytes()).expect("the edge reads");
            (*what, connection)
        })
        .collect();
    let answers: Vec<_> =
        connections.into_iter().map(|(what, mut connection)| (what, connection.answers())).collect();
    let all = backend.seen();
    answers
        .into_iter()
        .enumerate()
        .map(|(number, (what, answers))| {
            let mine = [format!("/open/{number} "), format!("/open/honest-{number} ")];
            let is_mine = |seen: &&Seen| mine.iter().any(|path| seen.request_line().contains(path));
            (what, Exchange { answers, seen: all.iter().filter(is_mine).cloned().collect() })
        })
        .collect()
}

/// Every request that the backend saw is answered, in order, by its own answer.
fn assert_in_step(what: &str, exchange: &Exchange) {
    let from_backend: Vec<_> = exchange.answers.iter().flat_map(|answer| answer.all("x-answers")).collect();
    let seen: Vec<_> = exchange.seen.iter().map(Seen::request_line).collect();
    assert_eq!(from_backend, seen, "{what}: {:?}", exchange.answers);
}

fn chunked(more: &str, body: &str) -> String {
    format!("POST /open/NUMBER HTTP/1.1\r\nhost: localhost\r\n{more}\r\n{body}")
}

#[test]
fn two_opinions_about_a_length_are_refused() {
    let backend = backend();
    let edge = edge_before(&backend);
    let inside = format!("0\r\n\r\n{HIDDEN}");
    let hidden = HIDDEN.len();
    let both = inside.len();
    let te = "transfer-encoding: chunked\r\n";
    let attacks: Vec<(&str, String)> = vec![
        ("a length and a coding", chunked(&format!("content-length: {both}\r\n{te}"), &inside)),
        ("a coding and a length", chunked(&format!("{te}content-length: {both}\r\n"), &inside)),
        ("a length of nothing and a coding", chunked(&format!("content-length: 0\r\n{te}"), &inside)),
        ("two lengths", chunked(&format!("content-length: 0\r\ncontent-length: {hidden}\r\n"), HIDDEN)),
        (
            "two lengths, the other way",
            chunked(&format!("content-length: {hidden}\r\ncontent-length: 0\r\n"), HIDDEN),
        ),
        ("two lengths in one line", chunked(&format!("content-length: 0, {hidden}\r\n"), HIDDEN)),
        ("a length with a plus", chunked(&format!("content-length: +{hidden}\r\n"), HIDDEN)),
        ("+0", chunked("content-length: +0\r\n", HIDDEN)),
        ("-1", chunked("content-length: -1\r\n", HIDDEN)),
        ("a hexadecimal length", chunked("content-length: 0x0\r\n", HIDDEN)),
        ("a length in words", chunked("content-length: none\r\n", HIDDEN)),
        ("an empty length", chunked("content-length: \r\n", HIDDEN)),
        ("a length with a space inside", chunked("content-length: 0 0\r\n", HIDDEN)),
        ("a length with a fraction", chunked("content-length: 0.0\r\n", HIDDEN)),
        ("a length beyond 64 bits", chunked("content-length: 18446744073709551616\r\n", HIDDEN)),
        ("a length folded", chunked(&format!("content-length:\r\n {hidden},0\r\n"), HIDDEN)),
        ("a length with a space before the colon", chunked("content-length : 0\r\n", HIDDEN)),
        ("identity", chunked("transfer-encoding: identity\r\n", HIDDEN)),
        ("gzip, chunked", chunked("transfer-encoding: gzip, chunked\r\n", &inside)),
        ("chunked, identity", chunked("transfer-encoding: chunked, identity\r\n", &inside)),
        ("chunked twice in one line", chunked("transfer-encoding: chunked, chunked\r\n", &inside)),
        ("two codings", chunked(&format!("{te}{te}"), &inside)),
        ("two codings, one unknown", chunked(&format!("{te}transfer-encoding: x\r\n"), &inside)),
        ("two codings, unknown first", chunked(&format!("transfer-encoding: x\r\n{te}"), &inside)),
        ("an unknown coding", chunked("transfer-encoding: xchunked\r\n", &inside)),
        ("a coding in quotes", chunked("transfer-encoding: \"chunked\"\r\n", &inside)),
        ("a coding with a parameter", chunked("transfer-encoding: chunked;x=1\r\n", &inside)),
        ("a coding with a vertical tab", chunked("transfer-encoding: \x0bchunked\r\n", &inside)),
        ("an empty coding", chunked("transfer-encoding: \r\n", HIDDEN)),
        ("a coding with a space before the colon", chunked("transfer-encoding : chunked\r\n", &inside)),
        (
            "a coding with an underscore, beside a length",
            chunked("transfer_encoding: chunked\r\ncontent-length: 0\r\n", HIDDEN),
        ),
        ("a length with an underscore", chunked(&format!("content_length: {hidden}\r\n"), HIDDEN)),
    ];
    for (what, exchange) in exchange(&edge, &backend, &attacks) {
        assert_in_step(what, &exchange);
        let statuses: Vec<_> = exchange.answers.iter().map(|answer| answer.status).collect();
        assert!(matches!(statuses[..], [400 | 501]), "{what}: {:?}", exchange.answers);
    }
    assert!(backend.seen().is_empty(), "forwarded: {:?}", backend.seen());
}

#[test]
fn malformed_chunks_are_refused_and_hide_nothing() {
    let backend = backend();
    let edge = edge_before(&backend);
    let with = |body: &str| chunked("transfer-encoding: chunked\r\n", body);
    let attacks: Vec<(&str, String)> = vec![
        ("a chunk that ends in a bare LF", with(&format!("1\na\n0\n\n{HIDDEN}"))),
        ("a size that ends in a bare LF", with(&format!("1\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a last chunk that ends in a bare LF", with(&format!("1\r\na\r\n0\n\n{HIDDEN}"))),
        ("a size that ends in a bare CR", with(&format!("1\ra\r\n0\r\n\r\n{HIDDEN}"))),
        ("a negative size", with(&format!("-1\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a size with a plus", with(&format!("+1\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a size with 0x", with(&format!("0x1\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a size with an underscore", with(&format!("0_1\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a size in words", with(&format!("one\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("no size", with(&format!("\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a space before a size", with(&format!(" 1\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a size beyond 64 bits", with(&format!("10000000000000000\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a chunk without its end", with(&format!("1\r\na0\r\n\r\n{HIDDEN}"))),
        ("a bare LF in an extension", with(&format!("1;x\ny\r\na\r\n0\r\n\r\n{HIDDEN}"))),
        ("a bare CR in an extension", with(&format!("1;x\ry\r\na\r\n0\r\n\r\n{HIDDEN}"))),
    ];
    for (what, exchange) in exchange(&edge, &backend, &attacks) {
        // The request line may have gone on before the chunk came; it is never answered by the backend, and what is
        // hidden never becomes a request.
        let statuses: Vec<_> = exchange.answers.iter().map(|answer| answer.status).collect();
        assert!(matches!(statuses[..], [400] | []), "{what}: {:?}", exchange.answers);
    }
    assert!(backend.seen().is_empty(), "forwarded: {:?}", backend.seen());
}

/// Legal but rare, or wrong with one reading only: Envoy forwards it with its own framing, never the client's.
#[test]
fn odd_framing_stays_in_step() {
    let backend = backend();
    let edge = edge_before(&backend);
    let with = |body: &str| chunked("transfer-encoding: chunked\r\n", body);
    let attacks: Vec<(&str, String)> = vec![
        ("pipelined", "GET /open/NUMBER HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("a body with a length", chunked("content-length: 3\r\n", "abc")),
        (
            "a body that looks like a request",
            chunked(&format!("content-length: {}\r\n", HIDDEN.len()), HIDDEN),
        ),
        ("a chunk that looks like a request", with(&format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()))),
        ("a chunk extension", with("1;x=y\r\na\r\n0\r\n\r\n")),
        ("leading zeros", with("0001\r\na\r\n000\r\n\r\n")),
        ("upper-case sizes", with("A\r\n0123456789\r\n0\r\n\r\n")),
        ("Chunked", chunked("Transfer-Encoding: Chunked\r\n", "1\r\na\r\n0\r\n\r\n")),
        (
            "a length of 0 with a GET",
            "GET /open/NUMBER HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ),
        (
            "a GET with a body",
            "GET /open/NUMBER HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc".to_owned(),
        ),
        ("a chunk longer than its size", with("1\r\nab\r\n0\r\n\r\n")),
        ("a space behind a size", with("1 \r\na\r\n0\r\n\r\n")),
        ("two spaces", "GET  /open/NUMBER HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("tabs", "GET\t/open/NUMBER\tHTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("a space behind the version", "GET /open/NUMBER HTTP/1.1 \r\nhost: localhost\r\n\r\n".to_owned()),
        ("an empty line before", "\r\nGET /open/NUMBER HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("the same length twice in two lines", chunked("content-length: 0\r\ncontent-length: 0\r\n", "")),
    ];
    for (what, exchange) in exchange(&edge, &backend, &attacks) {
        assert_in_step(what, &exchange);
        if what == "the same length twice in two lines" {
            // RFC 9110 §8.6 leaves the choice.
            assert!(exchange.seen.len() == 2 || exchange.answers[0].status == 400, "{what}");
        } else {
            assert_eq!(exchange.seen.len(), 2, "{what}: {:?}", exchange.answers);
        }
    }
    assert!(backend.seen().iter().all(|seen| !seen.request_line().contains("hidden")));
}

#[test]
fn other_versions_of_http_are_refused() {
    let backend = backend();
    let edge = edge_before(&backend);
    let versions = [
        ("HTTP/1.0", "GET /open HTTP/1.0\r\nhost: localhost\r\n\r\n"),
        (
            "HTTP/1.0 that wants to stay",
            "GET /open HTTP/1.0\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n",
        ),
        ("HTTP/0.9", "GET /open\r\n\r\n"),
        ("HTTP/1.2", "GET /open HTTP/1.2\r\nhost: localhost\r\n\r\n"),
        ("HTTP/2.0 in words", "GET /open HTTP/2.0\r\nhost: localhost\r\n\r\n"),
        ("HTTP/9.9", "GET /open HTTP/9.9\r\nhost: localhost\r\n\r\n"),
        ("http/1.1", "GET /open http/1.1\r\nhost: localhost\r\n\r\n"),
        ("HTTP/1", "GET /open HTTP/1\r\nhost: localhost\r\n\r\n"),
        ("four words", "GET /open /internal HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ];
    let asked = versions.map(|(what, bytes)| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(bytes.as_bytes()).expect("the edge reads");
        (what, connection)
    });
    for (what, mut connection) in asked {
        let answer = connection.answer(false).unwrap_or_else(|e| panic!("{what}: {e}"));
        let expected: &[u16] = if what.starts_with("HTTP/1.0") { &[426] } else { &[400, 426, 505] };
        assert!(expected.contains(&answer.status), "{what}: {answer:?}");
        // A refused client that asks for a lasting connection keeps it.
        connection.end();
        assert_eq!(connection.rest(), b"", "{what}");
    }
    assert!(backend.seen().is_empty(), "forwarded: {:?}", backend.seen());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = backend();
    let edge = edge_before(&backend);
    let pipeline = |targets: &[&str]| {
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        let all: Vec<_> = targets
            .iter()
            .map(|target| format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .collect();
        connection.write(all.concat().as_bytes()).expect("the edge reads");
        connection
    };
    let mut connection = pipeline(&["/open/1", "/open/2"]);
    for target in ["/open/1", "/open/2"] {
        let answer = connection.answer(false).unwrap_or_else(|e| panic!("{target}: {e}"));
        assert_eq!(answer.all("x-answers"), [format!("GET {target} HTTP/1.1")]);
    }
    assert_eq!(backend.seen().len(), 2);

    // With pipelined requests, Envoy hangs up after an answer of its own; later requests are not carried out either.
    let mut connection = pipeline(&["/open/3", "/internal", "/open/4"]);
    connection.write(HONEST.as_bytes()).expect("the edge reads");
    let answers = connection.answers();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert!([200, 404, 200, 200].starts_with(&statuses) && statuses.len() >= 2, "{statuses:?}");
    let from_backend = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(backend.seen().len(), 2 + from_backend, "a request was carried out and not answered");

    // For requests one after another, the connection stays open.
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    for (target, status) in
        [("/open/6", 200), ("/internal", 404), ("/open/7", 200), ("/open/..%2fbooks", 400)]
    {
        connection.write(&edge.get(target).bytes()).expect("the edge reads");
        assert_eq!(
            connection.answer(false).unwrap_or_else(|e| panic!("{target}: {e}")).status,
            status,
            "{target}"
        );
    }
}

#[test]
fn http2_bodies_are_as_long_as_they_say() {
    let backend = backend();
    let edge = edge_before(&backend);
    let with_length = |length: &str| {
        let mut lines = h2::headers("POST", "localhost", "/open/h2");
        lines.push((b"content-length".to_vec(), length.as_bytes().to_vec()));
        lines
    };
    for (what, length, body) in [
        ("shorter than it says", "10", "abc"),
        ("longer than it says", "1", "abc"),
        ("none at all", "10", ""),
        ("some, where none was said", "0", HIDDEN),
        ("a length with a plus", "+3", "abc"),
        ("a negative length", "-3", "abc"),
        ("a length in words", "three", "abc"),
    ] {
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        let stream = connection.begin(&with_length(length), false);
        connection.data(stream, body.as_bytes(), true);
        let outcome = connection.outcome(stream);
        assert!(outcome.is_refusal(), "{what}: {outcome:?}");
    }
    let mut two = with_length("3");
    two.push((b"content-length".to_vec(), b"4".to_vec()));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let stream = connection.begin(&two, false);
    connection.data(stream, b"abc", true);
    let outcome = connection.outcome(stream);
    assert!(outcome.is_refusal(), "two lengths: {outcome:?}");

    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let stream = connection.begin(&with_length("3"), false);
    connection.data(stream, b"abc", true);
    assert_eq!(connection.outcome(stream).status(), Some(200));
    assert_eq!(backend.last().body, b"abc");
    let whole = backend.seen().iter().filter(|seen| !seen.body.is_empty()).count();
    assert_eq!(whole, 1, "the backend took a body that was not whole: {:?}", backend.seen());
    assert!(backend.seen().iter().all(|seen| seen.request_line() == "POST /open/h2 HTTP/1.1"));
}

/// `Expect: 100-continue` gets an interim answer or none, and one final one, also when it is a refusal.
#[test]
fn expectations_end_in_one_final_answer() {
    let backend = backend();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    for (what, target, token, expected) in [
        ("public", "/open/x", None, 200),
        ("allowed", "/books", Some(edge.mint().good(0)), 200),
        ("no session", "/books", None, 401),
        ("internal", "/internal", None, 404),
        ("ambiguous", "/open/..%2fbooks", None, 400),
    ] {
        // The body comes at once, as clients that do not wait send it.
        let before = backend.seen().len();
        let mut request = edge.request("POST", target).header("Expect", "100-continue");
        if let Some(token) = &token {
            request = request.token(token);
        }
        let mut connection = Connection::open(edge.public()).expect("the edge listens");
        connection.write(&request.body("hello").bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, expected, "{what}");
        assert_eq!(backend.seen().len() - before, usize::from(expected == 200), "{what}");
        // The connection is closed, or the next request on it is understood.
        connection.write(HONEST.as_bytes()).expect("the edge reads");
        let rest = connection.answers();
        assert!(rest.iter().all(|a| a.all("x-answers") == ["GET /open/honest HTTP/1.1"]), "{what}: {rest:?}");
        assert!(rest.len() <= 1, "{what}: {rest:?}");
    }
    let odd = edge.request("POST", "/open/x").header("Expect", "200-ok").body("hello").send();
    assert!(odd.status == 417 || odd.status == 200, "{odd:?}");
}

/// A refusal comes before the body is read: the rest of the body is never read as the next request.
#[test]
fn the_rest_of_a_refused_body_is_not_a_request() {
    let backend = backend();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    let body = HIDDEN.repeat((10 << 20) / HIDDEN.len());
    for (what, target, status) in [("no session", "/books", 401), ("internal", "/internal", 404)] {
        for coding in ["length", "chunks"] {
            let framed = if coding == "length" {
                format!("content-length: {}\r\n\r\n{body}", body.len())
            } else {
                format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            };
            let request = format!("POST {target} HTTP/1.1\r\nhost: localhost\r\n{framed}{HONEST}");
            let mut connection = Connection::open(edge.public()).expect("the edge listens");
            connection.write(request.as_bytes()).expect("the edge reads");
            let answers = connection.answers();
            // A connection that is cut during a write may lose the answer, and nothing else.
            let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
            let fine = matches!(&statuses[..], [] | [_]) || statuses[..] == [status, 200];
            assert!(
                fine && statuses.first().is_none_or(|first| *first == status),
                "{what}, {coding}: {statuses:?}"
            );
        }
    }
    let seen: Vec<_> = backend.seen().iter().map(Seen::request_line).collect();
    assert!(seen.iter().all(|line| line == "GET /open/honest HTTP/1.1"), "{seen:?}");
}
