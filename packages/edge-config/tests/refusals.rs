//! Refusals, other sites and credentials in an edge file.

use std::path::Path;

use edge_config::edge::{Credentials, HeaderCase, MadeByEnvoy};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn dev_with(changes: &[(&str, &str)]) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(&file).expect("the development edge is there");
    // A JSON type for the library, because the type decides the form of bodies that are not given.
    assert!(text.contains(TEXT), "the development edge no longer says {TEXT}");
    let mut text = text.replacen(TEXT, JSON, 1);
    for (old, new) in changes {
        assert!(text.contains(old), "the development edge no longer says {old}");
        text = text.replacen(old, new, 1);
    }
    edge_config::parse(&file, &text, &|_| None)
}

const TEXT: &str = "    content_type: text/plain; charset=utf-8\n";
const JSON: &str = "    content_type: application/json; charset=utf-8\n";
const BOOKS: &str = "prefix: /books, policy: signed-in, to: library, answers: library";
const FILE_HOST: &str = "file: { listener: public, names: [file.dev-domain.test] }";

#[test]
fn words_come_from_the_route_the_host_or_the_edge() {
    let plain = dev_with(&[]).unwrap();
    assert_eq!(plain.answers_of_host("api").body_of(404), "Not found");
    assert_eq!(plain.answers_of_host("api").content_type, None);
    let of_file = plain.answers_of_host("file");
    assert_eq!(of_file.body_of(404), "");
    assert_eq!(of_file.body_of(502), "Service unavailable");
    // The routes of the host name different answers, so it has those of the edge.
    assert_eq!(plain.answers_of_host("service").body_of(403), "Permission denied");
    // All of them name the same, and none of them takes every path.
    let of_library =
        ["[GET, POST], policy: catalogue", "[POST], policy: catalogue", "[PATCH], policy: book-renewal"]
            .map(|piece| format!("methods: {piece}, to: library, answers: library }}"));
    let of_users = of_library.clone().map(|route| route.replace("answers: library", "answers: users"));
    let calls = ["answers: library, idempotent: true }", "to: library-calls, answers: library }"];
    let calls_of_users = calls.map(|route| route.replace("answers: library", "answers: users"));
    let old = of_library.iter().map(String::as_str).chain(calls);
    let edits: Vec<(&str, &str)> =
        old.zip(of_users.iter().chain(&calls_of_users).map(String::as_str)).collect();
    let alike = dev_with(&edits).unwrap();
    assert_eq!(alike.answers_of_host("service").body_of(403), "Permission Denied");
    assert_eq!(plain.answers_by_default().body_of(431), "Request header fields too large");
    assert_eq!(plain.answers["library"].too_many_requests.body, r#"{"message":"Too many requests"}"#);
    assert_eq!(plain.answers["auth"].too_many_requests.body, "Too many requests");

    // A closed path has the words of the paths beside it.
    for (path, body) in [("/users/notifications", "Not found"), ("/internal", "Not found")] {
        assert_eq!(plain.answers_of_closed("api", path).not_found.body, body, "{path}");
    }
    assert_eq!(plain.answers_of_closed("api", "/users/notifications"), plain.answers["users"]);
    assert_eq!(plain.answers_of_closed("api", "/books/closed"), plain.answers["library"]);
    assert_eq!(plain.answers_of_closed("api", "/internal"), plain.answers["auth"]);
    assert_eq!(plain.answers_of_closed("file", "/internal"), plain.answers["files"]);

    let said = dev_with(&[
        (FILE_HOST, "file: { listener: public, names: [file.dev-domain.test], answers: auth }"),
        ("answers:\n  auth:\n", "default_answers: library\n\nanswers:\n  auth:\n"),
        (
            JSON,
            &format!("{JSON}    method_not_allowed: {{ status: 405, body: own }}\n    challenge: 'Bearer realm=\"a\"'\n    headers: {{ cache-control: no-store }}\n"),
        ),
    ])
    .unwrap();
    assert_eq!(said.answers_of_host("file").body_of(404), "Not found");
    let default = said.answers_by_default();
    assert_eq!(default.by_envoy(MadeByEnvoy::MethodNotAllowed).body, "own");
    assert_eq!(default.by_envoy(MadeByEnvoy::BadRequest).body, r#"{"message":"Bad request"}"#);
    assert_eq!(default.challenge.as_deref(), Some("Bearer realm=\"a\""));
    assert_eq!(default.headers["cache-control"], "no-store");
}

#[test]
fn the_case_of_header_names_is_one_for_each_listener() {
    let auth = "  auth:\n    unauthenticated";
    let titled = |name: &str| (format!("  {name}:\n"), format!("  {name}:\n    header_case: title\n"));
    let one =
        dev_with(&[(auth, "  auth:\n    header_case: title\n    unauthenticated")]).unwrap_err().to_string();
    for word in ["listener `public`", "`auth` with `header_case: title`", "the same `header_case`"] {
        assert!(one.contains(word), "{word} is not in {one}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let (start, rest) = text.split_once("\nanswers:\n").unwrap();
    let (answers, routes) = rest.split_once("\nroutes:\n").unwrap();
    let all = answers
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':'));
    let names: Vec<String> = all.map(|line| line.trim().trim_end_matches(':').to_owned()).collect();
    let mut answers = format!("\n{answers}");
    for name in &names {
        let (old, new) = titled(name);
        answers = answers.replacen(&format!("\n{old}"), &format!("\n{new}"), 1);
    }
    text = format!("{start}\nanswers:{answers}\nroutes:\n{routes}");
    let edge = edge_config::parse(&file, &text, &|_| None).unwrap();
    assert_eq!(edge.header_case_of("public"), HeaderCase::Title);
    assert_eq!(dev_with(&[]).unwrap().header_case_of("public"), HeaderCase::Lower);
    let wrong =
        dev_with(&[(auth, "  auth:\n    header_case: upper\n    unauthenticated")]).unwrap_err().to_string();
    assert!(wrong.contains("`header_case` of answers `auth` is \"upper\""), "{wrong}");
}

#[test]
fn each_of_these_is_a_fault_of_answers() {
    for (words, part) in [
        ("method_not_allowed: { status: 404, body: x }", "write 405"),
        ("bad_request: { status: 418, body: x }", "a status that Envoy knows"),
        ("headers_too_large: { status: 431 }", "has no `body`"),
        ("challenge: ''", "write visible ASCII"),
        ("challenge: ' Bearer'", "begin with a scheme"),
        ("challenge: \"a\\nb\"", "write visible ASCII"),
        ("headers: { connection: close }", "it belongs to the connection"),
        ("headers: { transfer-encoding: chunked }", "it belongs to the connection"),
        ("headers: { set-cookie: a=b }", "makes and changes no cookie"),
        ("headers: { content-type: text/plain }", "write it as `content_type`"),
        ("headers: { www-authenticate: Basic }", "write it as `challenge`"),
        ("headers: { x-a: \"%REQ(cookie)%\" }", "write it without `%`"),
        ("headers: { x-a: \"b\\r\\nc: d\" }", "write visible ASCII"),
        ("headers: { X-A: b }", "a name is not valid"),
        ("headers: [a]", "`headers` of answers `library` is a list"),
    ] {
        let faults = dev_with(&[(JSON, &format!("{JSON}    {words}\n"))]).unwrap_err().to_string();
        assert!(faults.contains(part), "{words}: {faults}");
    }
    let moved = [
        (JSON, "    challenge: Bearer # here\n"),
        ("# here\n    unauthenticated: { status: 401,", "\n    unauthenticated: { status: 404,"),
    ];
    let faults = dev_with(&moved).unwrap_err().to_string();
    assert!(faults.contains("give `unauthenticated` the status 401"), "{faults}");
    for (old, new) in [
        (FILE_HOST, "file: { listener: public, names: [file.dev-domain.test], answers: nowhere }"),
        ("answers:\n  auth:\n", "default_answers: nowhere\n\nanswers:\n  auth:\n"),
    ] {
        let faults = dev_with(&[(old, new)]).unwrap_err().to_string();
        assert!(faults.contains("`nowhere`, which does not exist"), "{faults}");
    }
}

#[test]
fn a_challenge_stands_in_the_401_or_beside_it() {
    const OLD: &str = "    unauthenticated: { status: 401, body: Unauthorized }\n    forbidden: { status: 403, body: Permission denied }\n    not_found: { status: 404, body: Not Found }\n";
    let inside = |status: u16, challenge: &str| {
        OLD.replace(
            "401, body: Unauthorized",
            &format!("{status}, body: Unauthorized, challenge: {challenge}"),
        )
    };
    let edge = dev_with(&[(OLD, &inside(401, "'Bearer realm=\"a\"'"))]).unwrap();
    assert_eq!(edge.answers["library"].challenge.as_deref(), Some("Bearer realm=\"a\""));
    for (new, part) in [
        (
            format!("{}    challenge: Bearer\n", inside(401, "Bearer")),
            "has two challenges, one of them in `unauthenticated`",
        ),
        (inside(404, "Bearer"), "give `unauthenticated` the status 401"),
        (inside(401, "''"), "write visible ASCII"),
        (
            OLD.replace("Permission denied }", "Permission denied, challenge: Bearer }"),
            "has no field `challenge`",
        ),
    ] {
        let faults = dev_with(&[(OLD, &new)]).unwrap_err().to_string();
        assert!(faults.contains(part), "{new}: {faults}");
    }
}

#[test]
fn other_sites_and_credentials_are_choices_with_a_name() {
    let edge = dev_with(&[
        (BOOKS, &format!("{BOOKS}, cross_site: allow")),
        ("routes:\n", "browser_origins: [\"https://app.example.org\", \"http://localhost:5173\"]\nroutes:\n"),
        ("    request_headers:", "    credentials: remove\n    request_headers:"),
    ])
    .unwrap();
    let open: Vec<&str> =
        edge.routes.iter().filter(|route| route.cross_site).map(|route| route.name.as_str()).collect();
    assert_eq!(open, ["books"]);
    assert_eq!(edge.browser_origins, ["https://app.example.org", "http://localhost:5173"]);
    assert_eq!(edge.backends["legacy"].credentials, Credentials::Remove);
    assert_eq!(edge.backends["users"].credentials, Credentials::Keep);
    let plain = dev_with(&[]).unwrap();
    assert!(plain.browser_origins.is_empty() && plain.routes.iter().all(|route| !route.cross_site));

    for (old, new, part) in [
        (BOOKS, format!("{BOOKS}, cross_site: true"), "`cross_site` of route `books`"),
        (BOOKS, format!("{BOOKS}, cross_site: alow"), "did you mean `allow`?"),
        ("routes:\n", "browser_origins: https://a.example\nroutes:\n".to_owned(), "write a list"),
        ("routes:\n", "browser_origins: [\"*\"]\nroutes:\n".to_owned(), "write it as browsers send it"),
        ("routes:\n", "browser_origins: [\"null\"]\nroutes:\n".to_owned(), "write it as browsers send it"),
        (
            "routes:\n",
            "browser_origins: [\"https://a.example/\"]\nroutes:\n".to_owned(),
            "write it as browsers send it",
        ),
        (
            "routes:\n",
            "browser_origins: [\"https://a.example\", \"https://a.example\"]\nroutes:\n".to_owned(),
            "list it once",
        ),
        (
            "    request_headers:",
            "    credentials: drop\n    request_headers:".to_owned(),
            "`credentials` of backend `legacy`",
        ),
    ] {
        let faults = dev_with(&[(old, &new)]).unwrap_err().to_string();
        assert!(faults.contains(part), "{new}: {faults}");
    }
}
