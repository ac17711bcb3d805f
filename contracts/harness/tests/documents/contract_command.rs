//! `cutover contract`: what was recorded from a backend is what the edge passes on, and each change of one byte is found and
//! pointed at.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backend;
mod probes;
mod seeded_edge;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use backend::{REQUESTS, Seeded};
use harness::{Backend, Edge};
use serde_json::Value;

/// The code, the output and the messages of `cutover contract` in `place`.
fn run(place: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(harness::program("cutover"));
    command.arg("contract").args(arguments).current_dir(place);
    let output = command.output().expect("cutover can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it ends by itself"), text(&output.stdout), text(&output.stderr))
}

/// The edge adds a date to an answer without one, which is a difference.
const DATED: &str = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 03:33:39 GMT\r\nContent-Length: 4\r\n\r\nseen";

fn url(address: std::net::SocketAddr) -> String {
    format!("http://{address}")
}

/// A directory with the requests, and the golden files of `backend` in `contract/`.
fn recorded(backend: &Backend) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("requests.hurl"), REQUESTS).expect("it is writable");
    let from = url(backend.address());
    let arguments = ["capture", "--from", &from, "--requests", "requests.hurl", "--host", "localhost"];
    let (code, out, err) = run(place.path(), &arguments);
    assert_eq!(code, 0, "{out}{err}");
    place
}

fn edge_before(backend: &Backend) -> Edge {
    Edge::dev().with_open_route().every_backend(backend.address()).start()
}

fn verified(place: &Path, edge: &Edge, more: &[&str]) -> (i32, Value) {
    let against = url(edge.public());
    let (code, out, err) = run(place, &[&["verify", "--against", &against, "--json"], more].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")))
}

/// `name kind place` of every difference in a report.
fn differences(report: &Value) -> Vec<String> {
    let exchanges = report["exchanges"].as_array().expect("a list");
    let of = |exchange: &Value| {
        let all = exchange["differences"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&exchange["name"]);
        let line = move |one: &Value| format!("{name} {} {}", text(&one["kind"]), text(&one["place"]));
        all.iter().map(line).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    exchanges.iter().flat_map(of).collect()
}

#[test]
fn what_a_backend_answers_is_what_the_edge_passes_on_and_each_seeded_byte_is_pointed_at() {
    let seeded = Seeded::start();
    let place = recorded(seeded.backend());
    let edge = edge_before(seeded.backend());
    let (code, report) = verified(place.path(), &edge, &[]);
    assert_eq!((code, differences(&report)), (0, vec![]), "{report:#}");
    assert_eq!(report["exchanges"].as_array().map(Vec::len), Some(7));

    for (seed, expected, at) in [
        ("cookie attribute moved", "get-open-json set_cookie_attributes theme", "HttpOnly"),
        ("header case", "get-open-json header_case x-thing", "X-THING"),
        ("header added", "get-open-json header_extra x-new", "1"),
        ("body re-encoded", "get-open-words body_format /word", "\\u00e9"),
        ("path normalised", "get-open-7euser-a-2fb body_text", "/open/~user/a/b"),
        ("float format", "get-open-json body_format /price", "1"),
        ("newline lost", "get-open-text body_text", ""),
        ("204 for 200", "get-open-empty status", "204"),
    ] {
        seeded.seed(seed);
        let (code, report) = verified(place.path(), &edge, &[]);
        let found = differences(&report);
        assert!(code == 1 && found.iter().any(|one| one.starts_with(expected)), "{seed}: {found:?}");
        assert!(report.to_string().contains(at), "{seed}: {at} is not in {report:#}");
        // The other requests are not blamed.
        let name = expected.split(' ').next().expect("a name");
        assert!(found.iter().all(|one| one.starts_with(name)), "{seed}: {found:?}");
        // Backend and edge side by side: both have the change, so the edge is not blamed for it.
        let direct = url(seeded.backend().address());
        let (code, report) = verified(place.path(), &edge, &["--direct", &direct]);
        assert_eq!((code, differences(&report)), (0, vec![]), "{seed}: {report:#}");
    }
    seeded.seed("");
    let (code, report) = verified(place.path(), &edge, &["--protocol", "both"]);
    assert_eq!((code, differences(&report)), (0, vec![]), "{report:#}");
    assert_eq!(report["exchanges"].as_array().map(Vec::len), Some(14));
}

#[test]
fn reports_show_both_sides_to_people_and_to_programs() {
    let seeded = Seeded::start();
    let place = recorded(seeded.backend());
    seeded.seed("float format");
    let against = url(seeded.backend().address());
    let files = ["--html", "report.html", "--junit", "report.xml"];
    let (code, out, err) = run(place.path(), &[&["verify", "--against", &against][..], &files].concat());
    assert_eq!(code, 1, "{out}{err}");
    for part in [
        "body_format (JSON: the same value in other bytes) /price",
        "  expected: 1.0\n  actual:   1\n",
        "of the body (line 1, column",
        "    GET /open/json  [get-open-json, requests.hurl:1]",
        "6 of 7 requests equal, 1 differences",
    ] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).expect("it was written");
    assert!(read("report.html").contains("<mark>"), "{}", read("report.html"));
    assert!(read("report.xml").contains("failures=\"1\""), "{}", read("report.xml"));
    let absent =
        run(place.path(), &["verify", "--against", "http://127.0.0.1:1", "--html", "absent/report.html"]);
    assert_eq!(absent.0, 1);
    assert!(absent.1.contains("the tested server does not answer"), "{}", absent.1);
    assert!(absent.2.contains("cannot write absent/report.html"), "{}", absent.2);
}

#[test]
fn recording_twice_gives_the_same_files_whatever_is_volatile() {
    let seeded = Seeded::start();
    let (one, other) = (recorded(seeded.backend()), recorded(seeded.backend()));
    let files = |place: &Path| {
        let mut all: Vec<(String, String)> = std::fs::read_dir(place.join("contract"))
            .expect("it was written")
            .flatten()
            .map(|entry| {
                let text = std::fs::read_to_string(entry.path()).expect("it is text");
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        all.sort();
        all
    };
    let (one, other) = (files(one.path()), files(other.path()));
    assert_eq!(one, other);
    let volatile = one.iter().find(|(name, _)| name == "get-open-volatile.http").expect("it was recorded");
    let line = "| {\"id\":\"«uuid»\",\"count\":\"«json integer»\",\"by\":\"seeded\"}";
    assert!(volatile.1.contains(line) && volatile.1.contains("< X-Count: «integer»"), "{}", volatile.1);
    // A value of another shape at a volatile place is a difference.
    let place = recorded(seeded.backend());
    seeded.seed("volatile shape");
    let against = url(seeded.backend().address());
    let (code, out, _) = run(place.path(), &["verify", "--against", &against]);
    assert!(code == 1 && out.contains("expected: \"«uuid»\"") && out.contains("actual:   \"none\""), "{out}");
}

#[test]
fn a_live_credential_is_not_stored_and_its_place_is_named() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nSet-Cookie: sid=a1b2c3d4e5f6a7b8c9d0; Path=/\r\nContent-Length: 27\r\n\r\n{\"mail\":\"maria@firm.de\"}   ",
    );
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("a.hurl"), "GET /a\n").expect("it is writable");
    let from = url(backend.address());
    let capture = ["capture", "--from", &from, "--requests", "a.hurl"];
    let (code, _, err) = run(place.path(), &capture);
    assert_eq!(code, 1, "{err}");
    for part in [
        "contract/get-a.http: not stored",
        "answer header set-cookie sid looks like cookie",
        "answer body /mail looks like email",
    ] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
    assert!(!err.contains("a1b2c3d4") && !err.contains("maria"), "{err}");
    assert!(!place.path().join("contract/get-a.http").exists());
    let rules = "volatile: [{ cookie: sid, shape: token 20 }]\nallow: [{ kind: email, request: get-a }]\n";
    std::fs::write(place.path().join("rules.yaml"), rules).expect("it is writable");
    let (code, out, err) = run(place.path(), &[&capture[..], &["--rules", "rules.yaml"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    let golden = std::fs::read_to_string(place.path().join("contract/get-a.http")).expect("it was written");
    assert!(golden.contains("< Set-Cookie: sid=«token 20»; Path=/"), "{golden}");
    let (code, _, _) =
        run(place.path(), &[&capture[..], &["--allow", "email", "--allow", "cookie"]].concat());
    assert_eq!(code, 0);
}

#[test]
fn a_stream_of_events_that_does_not_end_is_named_after_the_time_that_it_was_given() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    let backend = Backend::answering(endless);
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("a.hurl"), "GET /a\n").expect("it is writable");
    let from = url(backend.address());
    let capture = ["capture", "--from", &from, "--requests", "a.hurl", "--timeout", "1"];
    let (code, _, err) = run(place.path(), &capture);
    let why = "no whole answer within 1 s (a stream of events that does not end has none)";
    assert!(code == 1 && err.contains(why), "{err}");
}

#[test]
fn each_principal_is_compared_by_itself_and_no_credential_is_shown() {
    let backend = Backend::answering(DATED);
    let edge = edge_before(&backend);
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("a.hurl"), "GET /books/1\n").expect("it is writable");
    let token = edge.mint().good(0);
    let file = place.path().join("member.headers");
    std::fs::write(&file, format!("Cookie: {}={token}\n", harness::SESSION_COOKIE)).expect("it is writable");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("it has a mode");
    let direct = url(backend.address());
    let more = [
        "--requests",
        "a.hurl",
        "--direct",
        &direct,
        "--as",
        "member.headers",
        "--as",
        "none",
        "--host",
        "localhost",
    ];
    let (code, report) = verified(place.path(), &edge, &more);
    let exchanges = report["exchanges"].as_array().expect("a list");
    let found: Vec<_> = exchanges.iter().map(|one| (one["as"].as_str(), one["equal"].as_bool())).collect();
    // The backend itself checks no session; the edge refuses the caller without one.
    assert_eq!((code, found), (1, vec![(Some("member"), Some(true)), (Some(""), Some(false))]), "{report:#}");
    assert!(!report.to_string().contains(&token), "{report:#}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("it has a mode");
    let against = url(edge.public());
    let (code, _, err) = run(place.path(), &[&["verify", "--against", &against][..], &more].concat());
    assert!(code == 2 && err.contains("chmod 600"), "{err}");
}

#[test]
fn wrong_arguments_are_refused_with_their_fix() {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("a.hurl"), "GET /a\n").expect("it is writable");
    std::fs::write(place.path().join("b.hurl"), "GET /{{absent}}\n").expect("it is writable");
    for (arguments, expected) in [
        (&["verify", "--against", "http://127.0.0.1:1"][..], "check the path"),
        (&["verify", "--against", "http://127.0.0.1:1", "--requests", "a.hurl"], "give --direct URL"),
        (
            &["verify", "--against", "127.0.0.1:1", "--requests", "a.hurl", "--direct", "http://a"],
            "is not an http or https URL",
        ),
        (&["capture", "--from", "http://a", "--requests", "absent"], "check the path"),
        (&["capture", "--from", "http://a", "--requests", "b.hurl"], "has no request that is sent: b.hurl:1"),
        (&["capture", "--from", "http://a", "--requests", "a.hurl", "--host", "a\r\nb: c"], "write a name"),
        (&["capture", "--from", "http://a", "--requests", "a.hurl", "--as", "absent"], "check the path"),
        (
            &["capture", "--from", "http://a", "--requests", "a.hurl", "--allow", "frob"],
            "write one of authorization",
        ),
        (&["capture", "--from", "https://a", "--requests", "a.hurl", "--ca", "a.hurl"], "has no certificate"),
    ] {
        let (code, _, err) = run(place.path(), arguments);
        assert!(code == 2 && err.contains(expected), "{arguments:?}: {code} {err}");
    }
    let (code, _, err) =
        run(place.path(), &["capture", "--from", "http://127.0.0.1:1", "--requests", "a.hurl"]);
    assert!(code == 1 && err.contains("no answer"), "{err}");
}

#[test]
fn an_edge_with_tls_is_compared_with_its_own_certificate() {
    let backend = Backend::answering(DATED);
    let edge = Edge::shipped("prod")
        .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
        .replace("https://api.example.com", "https://api.dev-domain.test")
        .with_open_route()
        // On the others `Vary: Origin` is added, because the answer to a page of the application has more headers.
        .replace("prefix: /open, policy: public,", "prefix: /open, cors: none, policy: public,")
        .every_backend(backend.address())
        .start();
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("a.hurl"), "GET /open/a\n").expect("it is writable");
    let (against, direct) = (format!("https://{}", edge.address("EDGE_ADDRESS")), url(backend.address()));
    let ca = edge.home().join("certs/edge.pem").display().to_string();
    let arguments =
        ["verify", "--against", &against, "--direct", &direct, "--requests", "a.hurl", "--protocol", "both"];
    let (code, out, err) =
        run(place.path(), &[&arguments[..], &["--host", "localhost", "--ca", &ca]].concat());
    assert!(code == 0 && out.contains("2 of 2 requests equal"), "{out}{err}");
    // Without it the certificate is not trusted, and nothing is compared.
    let (code, out, _) = run(place.path(), &[&arguments[..], &["--host", "localhost"]].concat());
    assert!(code != 0 && !out.contains("2 of 2"), "{out}");
}
