//! `cutover answers` finds the legacy backend's refusals, and an edge with the proposed `answers` refuses like it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use harness::authority::Authority;
use harness::terminator::Terminator;
use harness::wire::Answer;
use harness::{Backend, Edge, EdgeBuilder, Part, Port, Seen};
use serde_json::Value;

/// The backend's answer to an unknown caller, by host and path. It accepts no caller.
fn refusal(seen: &Seen) -> Vec<u8> {
    let line = seen.request_line();
    let path = line.split(' ').nth(1).unwrap_or_default();
    let (headers, body) = if seen.header("host").is_some_and(|host| host.starts_with("file.")) {
        ("", "Unauthenticated")
    } else if path.starts_with("/books") {
        ("content-type: text/plain; charset=utf-8\r\nx-powered-by: Shelf\r\n", "Who are you?")
    } else if path.starts_with("/users") {
        ("", "Unauthoirzed")
    } else {
        ("", "Unauthorized")
    };
    let length = body.len();
    format!("HTTP/1.1 401 Unauthorized\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn run(edge: &Edge, arguments: &[&str]) -> (i32, String, String) {
    let output =
        edge.cutover_program().arg("answers").args(arguments).output().expect("cutover can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it ends by itself"), text(&output.stdout), text(&output.stderr))
}

fn report(edge: &Edge, from: &str, more: &[&str]) -> (i32, Value) {
    let file = edge.file().display().to_string();
    let (code, out, err) = run(edge, &[&[file.as_str(), "--from", from, "--json"], more].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")))
}

fn of_route<'a>(report: &'a Value, route: &str) -> Vec<&'a Value> {
    let all = report["compared"].as_array().expect("a list");
    all.iter().filter(|one| one["route"] == route).collect()
}

/// The lines of `answers.NAME` in an edge file.
fn section(text: &str, name: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != format!("  {name}:"));
    let mut section = String::new();
    for (index, line) in lines.enumerate() {
        if index > 0 && !line.starts_with("    ") {
            break;
        }
        section.push_str(line);
        section.push('\n');
    }
    section
}

/// The development edge with what `report` proposes.
fn with_proposals(report: &Value, mut builder: EdgeBuilder) -> EdgeBuilder {
    let text = Edge::dev_text();
    for proposal in report["proposals"].as_array().expect("a list") {
        let (name, yaml) =
            (proposal["name"].as_str().expect("a name"), proposal["yaml"].as_str().expect("a text"));
        if text.contains(&format!("\n  {name}:\n")) {
            builder = builder.replace(&section(&text, name), yaml);
            continue;
        }
        builder = builder.replace("\nanswers:\n", &format!("\nanswers:\n{yaml}"));
        for route in proposal["routes"].as_array().expect("a list") {
            let start = format!("  - {{ name: {}, ", route.as_str().expect("a name"));
            let line = text.lines().find(|line| line.starts_with(&start)).expect("the route is there");
            let (before, _) = line.split_once("answers: ").expect("it has answers");
            builder = builder.replace(line, &format!("{before}answers: {name} }}"));
        }
    }
    builder
}

/// Status, body and every header except the date, with the case of its name: all that a client can compare.
fn shown(answer: &Answer) -> (u16, Vec<String>, String) {
    let named = answer.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"date"));
    let mut lines: Vec<String> = named
        .map(|(name, value)| format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .collect();
    lines.sort();
    (answer.status, lines, answer.text())
}

#[test]
fn a_backend_over_tls_is_queried_by_the_rules_of_the_edge() {
    let backend = Backend::with(refusal);
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let ca = directory.path().join("ca.pem");
    authority.write(&ca);
    let pair = authority.issue(directory.path(), "legacy", "legacy.internal");
    let server = Terminator::before(backend.address(), &pair, &["http/1.1"], None);
    let words = format!(
        "    address: \"https://{}\"\n    tls:\n      ca: {}\n      sni: legacy.internal\n",
        server.address(),
        ca.display()
    );
    let edge = Edge::dev()
        .replace("    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n", &words)
        .every_backend(backend.address())
        .start();
    let (code, found) = report(&edge, &format!("https://{}", server.address()), &[]);
    assert_eq!(code, 1, "{found:#}");
    assert!(of_route(&found, "books").len() >= 4 && !server.seen().is_empty(), "{found:#}");
    // Another backend's address is verified by the public authorities.
    let file = edge.file().display().to_string();
    let other = Terminator::before(backend.address(), &pair, &["http/1.1"], None);
    let (code, out, err) = run(&edge, &[&file, "--from", &format!("https://{}", other.address())]);
    assert!(code != 0 && (out + &err).contains("certificate"), "{code}");
    assert_eq!(other.seen(), []);
}

#[test]
fn an_edge_with_the_proposed_answers_refuses_in_the_words_of_the_backend() {
    let backend = Backend::with(refusal);
    let edge = Edge::dev().every_backend(backend.address()).start();
    let from = format!("http://{}", backend.address());
    let (code, before) = report(&edge, &from, &[]);
    assert_eq!((code, &before["equal"]), (1, &Value::Bool(false)), "{before:#}");
    let books = of_route(&before, "books");
    assert!(books.len() >= 4, "{books:#?}");
    for one in books {
        let differences = one["differences"].as_array().expect("a list");
        assert!(differences.iter().any(|difference| difference["what"] == "body"), "{one:#}");
    }
    for route in ["users-me", "users-create", "auth-check", "api-rest", "files"] {
        let all = of_route(&before, route);
        assert!(
            !all.is_empty() && all.iter().all(|one| one["differences"] == Value::Array(Vec::new())),
            "{all:#?}"
        );
    }
    let not_asked = before["not_asked"].as_array().expect("a list");
    for route in ["auth-login", "auth-logout", "web", "users-lookup"] {
        assert!(not_asked.iter().any(|one| one["route"] == route), "{route}: {not_asked:#?}");
    }

    // None of the requests could have succeeded on any backend.
    let asked = backend.seen();
    assert!(asked.len() > 20, "{}", asked.len());
    for seen in &asked {
        let line = seen.request_line();
        assert!(seen.body.is_empty(), "{line}");
        assert!(line.starts_with("GET ") || seen.header("content-length").as_deref() == Some("0"), "{line}");
        let shows = ["cookie", "authorization"].iter().any(|name| seen.header(name).is_some());
        assert!(line.starts_with("GET ") || shows, "{line} was sent without a bad credential");
        // Without it the backend would take the request for one of a trusted service.
        assert_eq!(seen.header("x-madome-public-access").as_deref(), Some("true"), "{line}");
    }
    drop(edge);

    let edge = with_proposals(&before, Edge::dev()).every_backend(backend.address()).start();
    let (code, after) = report(&edge, &from, &[]);
    assert_eq!(
        (code, &after["equal"], &after["proposals"]),
        (0, &Value::Bool(true), &Value::Array(Vec::new())),
        "{after:#}"
    );
    for (host, path) in [
        ("localhost", "/books"),
        ("file.dev-domain.test", "/1/1.jpg"),
        ("localhost", "/users/@me"),
        ("localhost", "/x"),
    ] {
        let direct = harness::wire::Request::new(backend.address(), "GET", path).host(host).send();
        let refused = edge.get(path).host(host).send();
        assert_eq!(shown(&refused), shown(&direct), "{host}{path}");
    }
}

#[test]
fn the_case_of_names_the_status_and_silence_are_differences() {
    let backend = Backend::with(|seen: &Seen| {
        let line = seen.request_line();
        match line.split(' ').nth(1).unwrap_or_default() {
            // A path that the backend does not have, answered before the caller is authenticated.
            path if path.ends_with("absent") => {
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nNot found".to_vec()
            }
            "/users" => b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nsecret people".to_vec(),
            "/users/@me" => Vec::new(),
            _ => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nUnauthorized".to_vec(),
        }
    });
    let edge = Edge::dev().every_backend(backend.address()).start();
    let from = format!("http://{}/", backend.address());
    let what = |report: &Value, route: &str| -> Vec<String> {
        let of = of_route(report, route);
        let of = of.iter().flat_map(|one| one["differences"].as_array().expect("a list"));
        of.filter_map(|difference| difference["what"].as_str().map(str::to_owned)).collect()
    };
    let (code, all) = report(&edge, &from, &["--route", "auth-check"]);
    assert_eq!((code, what(&all, "auth-check")), (1, vec!["case".to_owned(); 4]), "{all:#}");
    assert_eq!(of_route(&all, "auth-check")[0]["differences"][0]["legacy"], "Content-Length");
    let proposed = all["proposals"][0]["yaml"].as_str().expect("a section");
    assert!(proposed.contains("    header_case: title\n"), "{proposed}");
    let (code, all) = report(&edge, &from, &["--route", "auth-check", "--any-case"]);
    assert_eq!(
        (code, &all["equal"], &all["proposals"]),
        (0, &Value::Bool(true), &Value::Array(vec![])),
        "{all:#}"
    );

    let (code, all) = report(&edge, &from, &["--route", "users-rest", "--any-case"]);
    assert_eq!(code, 1);
    assert!(what(&all, "users-rest").iter().all(|what| what == "status" || what == "body"), "{all:#}");
    assert!(all.to_string().contains("\"404\"") && !all.to_string().contains("secret"), "{all:#}");

    let (code, all) = report(&edge, &from, &["--route", "users-me"]);
    let failed = of_route(&all, "users-me");
    assert!(code == 1 && failed.iter().all(|one| one["failed"].is_string()), "{all:#}");
    let file = edge.file().display().to_string();
    let spare = Port::lease();
    let closed = format!("http://{}", spare.address());
    assert_eq!(run(&edge, &[&file, "--from", &closed, "--route", "books"]).0, 1);
    for wrong in [
        &["--from", "ftp://localhost"][..],
        &["--from", "http://localhost/books"],
        &["--from", "http://localhost:x"],
        &["--from", &from, "--route", "boks"],
        &["--from", &from, "--backend", "missing"],
        &[],
    ] {
        let (code, _, err) = run(&edge, &[&[file.as_str()], wrong].concat());
        assert!(code == 2 && !err.is_empty(), "{wrong:?}: {code} {err}");
    }
    let missing = Path::new("/nowhere.yaml").display().to_string();
    assert_eq!(run(&edge, &[&missing, "--from", &from]).0, 64);
}

#[test]
fn a_backend_that_hangs_ends_the_command_and_the_rest_is_named() {
    // It accepts connections and never answers.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let from = format!("http://{}", silent.local_addr().expect("it is bound"));
    let edge = Edge::dev().every_backend(Port::lease().address()).without(Part::Envoy).start();
    let (code, report) = report(&edge, &from, &["--within", "1"]);
    assert_eq!((code, &report["equal"]), (1, &Value::Bool(false)));
    let compared = report["compared"].as_array().expect("a list");
    assert!(compared.len() == 1 && compared[0]["failed"].is_string(), "{report:#}");
    let late = report["not_asked"].as_array().expect("a list").iter();
    let late = late.filter(|one| one["why"].as_str().is_some_and(|why| why.contains("--within"))).count();
    assert!(late > 5, "{report:#}");
}

#[test]
fn the_help_names_the_headers_that_are_never_sent() {
    let output = Command::new(harness::program("cutover"))
        .args(["answers", "--help"])
        .output()
        .expect("it can be started");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["--from", "--any-case", "--within", "--json", "--backend"] {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
}
