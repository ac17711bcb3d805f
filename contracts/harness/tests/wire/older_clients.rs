//! Listeners for older clients and proxies: HTTP/1.0 and header names with an underscore, by choice. Neither opens a way
//! for a header that only the edge may write, nor for a second request inside another.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use harness::wire::{Answer, Connection, h2};
use harness::{Backend, Edge, Part};

const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";

fn edge(backend: &Backend, choices: &str) -> Edge {
    let listener = PUBLIC.replace(" }", &format!("{choices} }}"));
    Edge::dev()
        .replace(PUBLIC, &listener)
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
        .start()
}

/// Every answer to these bytes, until the edge closes the connection.
fn answers(edge: &Edge, bytes: &str) -> Vec<Answer> {
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    connection.write(bytes.as_bytes()).expect("the edge reads");
    connection.answers()
}

fn statuses(edge: &Edge, bytes: &str) -> Vec<u16> {
    answers(edge, bytes).iter().map(|answer| answer.status).collect()
}

#[test]
fn a_header_with_an_underscore_is_dropped_where_the_listener_says_so_and_never_counts() {
    let backend = Backend::plain();
    let edge = edge(&backend, ", underscores: drop");
    let request = edge
        .get("/open/1")
        .header("x_app_version", "1")
        .header("X_Madome_Auth_Sub", "forged")
        .header("x-madome_identity", "forged")
        .header("_", "1")
        .header("x-app-version", "2");
    assert_eq!(request.send().status, 200);
    let head = String::from_utf8_lossy(&backend.last().head).into_owned();
    let names: Vec<&str> = head.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    assert!(names.iter().all(|name| !name.contains('_')), "{names:?}");
    assert!(!head.contains("forged"), "{head}");
    assert_eq!(backend.last().header("x-app-version").as_deref(), Some("2"));
    // The same over HTTP/2.
    let mut headers = h2::headers("GET", "localhost", "/open/2");
    headers.extend(
        [("x_madome_auth_sub", "forged"), ("x-app-version", "3")]
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())),
    );
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    assert_eq!(connection.ask(&headers).status(), Some(200));
    let head = String::from_utf8_lossy(&backend.last().head).into_owned();
    assert!(!head.contains("forged") && head.contains("x-app-version: 3"), "{head}");
    // `explain` knows what is dropped.
    let explained = edge.explain(&["GET http://localhost/open/1", "--header", "x_app_version: 1"]);
    assert_eq!(explained["dropped"], serde_json::json!(["x_app_version"]), "{explained:#}");
    assert_eq!(explained["route"], "open");
}

/// The names of the headers in the backend's last request.
fn names(backend: &Backend) -> Vec<String> {
    let head = String::from_utf8_lossy(&backend.last().head).into_owned();
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    head.lines().skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_header_with_an_underscore_passes_by_name_and_none_that_counts_does() {
    let backend = Backend::plain();
    let edge = edge(&backend, ", underscores: { pass: [x_app_version, app_id-2] }");
    // Spellings of names that only the edge may write, of the mark of a leased request, of framing, and of any other header.
    let others = [
        ("x_madome_auth_sub", "forged"),
        ("x-madome_identity", "forged"),
        ("X_Madome-Auth_Kind", "forged"),
        ("x_tenant_id", "forged"),
        ("x_forwarded_for", "forged"),
        ("x_request_id", "forged"),
        ("x_cutover_lease", "forged"),
        ("content_length", "forged"),
        ("transfer_encoding", "forged"),
        ("x_app-version", "forged"),
        ("x_app_version_", "forged"),
        ("_", "forged"),
    ];
    let listed = [("x_app_version", "1"), ("app_id-2", "2")];
    let all = || others.iter().chain(&listed);
    let request = all().fold(edge.get("/open/1"), |request, (name, value)| request.header(name, value));
    assert_eq!(request.header("X_App_Version", "3").send().status, 200);
    let seen = names(&backend);
    let with: Vec<&String> = seen.iter().filter(|name| name.contains('_')).collect();
    assert_eq!(with, ["x_app_version", "app_id-2", "x_app_version"], "{seen:?}");
    assert!(!String::from_utf8_lossy(&backend.last().head).contains("forged"));
    // The same over HTTP/2.
    let mut headers = h2::headers("GET", "localhost", "/open/2");
    headers.extend(
        all().map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.as_bytes().to_vec())),
    );
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    assert_eq!(connection.ask(&headers).status(), Some(200));
    let seen = names(&backend);
    let with: Vec<&String> = seen.iter().filter(|name| name.contains('_')).collect();
    assert_eq!(with, ["x_app_version", "app_id-2"], "{seen:?}");
    assert!(!String::from_utf8_lossy(&backend.last().head).contains("forged"));
    // `explain` knows what passes, and `lint` refuses a list that opens a way.
    let request = ["GET http://localhost/open/1", "--header", "x_app_version: 1", "--header", "x_other: 1"];
    let explained = edge.explain(&request);
    assert_eq!(explained["dropped"], serde_json::json!(["x_other"]), "{explained:#}");
    assert_eq!(explained["route"], "open");
    let text = edge.text();
    for name in ["x_madome_auth_sub", "x_tenant_id", "content_length", "x_request_id", "plain", "Upper_Case"]
    {
        std::fs::write(edge.file(), text.replace("x_app_version", name)).expect("it is writable");
        let lint =
            edge.cutover_program().arg("lint").arg(edge.file()).output().expect("cutover can be started");
        let said =
            String::from_utf8_lossy(&lint.stderr).into_owned() + &String::from_utf8_lossy(&lint.stdout);
        assert!(!lint.status.success() && said.contains(name), "{name}: {said}");
    }
}

#[test]
fn http_1_0_is_answered_where_the_listener_says_so() {
    let backend = Backend::plain();
    let strict = edge(&backend, "");
    assert_eq!(statuses(&strict, "GET /open/1 HTTP/1.0\r\nhost: localhost\r\n\r\n"), [426]);
    let edge = edge(&backend, ", http_1_0: accept");
    let got = answers(&edge, "GET /open/1 HTTP/1.0\r\nhost: localhost\r\nx-madome-auth-sub: forged\r\n\r\n");
    assert_eq!(got.len(), 1, "the connection ends with the answer: {got:?}");
    assert_eq!(got.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200]);
    let seen = backend.last();
    assert_eq!(seen.header("x-madome-auth-sub"), None);
    assert!(seen.request_line().ends_with("HTTP/1.1"), "{}", seen.request_line());
    // Without a host no virtual host takes it.
    let without = statuses(&edge, "GET /open/1 HTTP/1.0\r\n\r\n");
    assert!(without.iter().all(|status| matches!(status, 400 | 404)) && without.len() == 1, "{without:?}");
}

#[test]
fn no_second_request_hides_in_one_of_http_1_0() {
    let backend = Backend::plain();
    let edge = edge(&backend, ", http_1_0: accept");
    let hidden = "GET /open/hidden HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for (what, head) in [
        // Faulty framing (RFC 9112 §6.1): the connection ends with this request.
        ("chunked", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("chunked and a length", "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"),
        ("two lengths", "content-length: 0\r\ncontent-length: 44\r\n\r\n"),
        ("no length", "\r\n"),
        ("kept alive", "connection: keep-alive\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let before = backend.seen().len();
        let all = statuses(&edge, &format!("POST /open/1 HTTP/1.0\r\nhost: localhost\r\n{head}{hidden}"));
        let seen: Vec<String> =
            backend.seen().into_iter().skip(before).map(|seen| seen.request_line()).collect();
        // Each request that the backend saw has an answer of its own.
        let passed = all.iter().filter(|status| **status == 200).count();
        assert_eq!(passed, seen.len(), "{what}: {all:?}, {seen:?}");
        match what {
            "chunked" => assert!(seen.iter().all(|line| !line.contains("hidden")), "{what}: {seen:?}"),
            "chunked and a length" | "two lengths" => assert!(seen.is_empty(), "{what}: {seen:?}"),
            _ => assert!(seen.len() <= 2, "{what}: {seen:?}"),
        }
    }
}
