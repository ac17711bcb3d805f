//! Paths that do not exist, and header names with an underscore that pass.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{AbsentPath, PathMatch, Underscores};
use edge_config::{Edge, Faults, Match, parse, route_of};

const ABSENT: &str = "  - { host: api, prefix: /auth, answers: auth }\n";
const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";

/// The dev edge with one edit.
fn read(old: &str, new: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(old), "{old:?} is not in the file");
    parse(Path::new("edge.yaml"), &text.replacen(old, new, 1), &|_| None)
}

#[test]
fn an_absent_path_stands_among_the_routes_by_its_length() {
    let more = format!("{ABSENT}  - {{ host: api, exact: /books/none, answers: library }}\n");
    let edge = read(ABSENT, &more).unwrap();
    let second = AbsentPath {
        host: "api".to_owned(),
        path: PathMatch::Exact("/books/none".to_owned()),
        answers: "library".to_owned(),
    };
    assert_eq!(edge.absent_paths.get(1), Some(&second));
    for (method, path, route) in [
        ("GET", "/books/none", None),
        ("GET", "/books/none/", Some("books")),
        ("GET", "/auth/x", None),
        ("PUT", "/auth/token", None),
        ("PATCH", "/auth/token", Some("auth-refresh")),
        ("GET", "/auth/passkeys/1", Some("auth-passkeys")),
    ] {
        let taken = match route_of(&edge, "public", "localhost", method, path) {
            Match::Route(route) => Some(route.name.as_str()),
            Match::MethodNotAllowed
            | Match::Redirect
            | Match::InternalPath
            | Match::UnknownHost
            | Match::Unmatched => None,
        };
        assert_eq!(taken, route, "{method} {path}");
    }
}

#[test]
fn each_of_these_is_a_fault() {
    for (entry, expected) in [
        ("{ host: apj, prefix: /x, answers: auth }", "did you mean `api`?"),
        ("{ host: api, prefix: /x, answers: auht }", "did you mean `auth`?"),
        ("{ host: api, answers: auth }", "needs one of `exact`, `prefix` and `path`"),
        ("{ host: api, prefix: /x/, answers: auth }", "ends with `/`"),
        ("{ host: api, prefix: /x }", "name the answers whose `not_found` is sent"),
        ("{ host: api, prefix: /books, answers: library }", "is that of route `books`"),
        ("{ host: api, prefix: /auth, answers: auth }", "is listed twice"),
        ("{ host: api, prefix: /x, answers: auth, policy: public }", "policy"),
    ] {
        let faults = read(ABSENT, &format!("{ABSENT}  - {entry}\n")).unwrap_err().to_string();
        assert!(faults.contains(expected), "{entry} should say {expected:?}:\n{faults}");
    }
    for (words, expected) in [
        ("{ pass: x_y }", "pass"),
        ("{ let: [x_y] }", "let"),
        ("{}", "list the names that pass"),
        ("keep", "`underscores`"),
    ] {
        let listener = PUBLIC.replace(" }", &format!(", underscores: {words} }}"));
        let faults = read(PUBLIC, &listener).unwrap_err().to_string();
        assert!(faults.contains(expected), "{words} should say {expected:?}:\n{faults}");
    }
    let listener = PUBLIC.replace(" }", ", underscores: { pass: [x_y] } }");
    let edge = read(PUBLIC, &listener).unwrap();
    assert_eq!(edge.listeners["public"].underscores, Underscores::Pass(vec!["x_y".to_owned()]));
}
