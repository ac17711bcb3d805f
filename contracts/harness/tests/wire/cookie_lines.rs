//! The exact `Set-Cookie` lines of each shipped edge, from the real auth service through the real edge:
//! `contracts/cookies/dev.yaml` and `contracts/cookies/prod.yaml`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::Answer;
use harness::{Edge, EdgeBuilder, repository};
use serde::Deserialize;
use serde_json::json;

const ADDRESS: &str = "demo@example.com";
const ACCESS: &str = "madome_access_token";
const REFRESH: &str = "madome_refresh_token";

/// A file of `contracts/cookies`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    root_domain: String,
    sign_in: Vec<String>,
    refresh: Vec<String>,
    sign_out: Vec<String>,
}

/// The tokens of a signed-in browser.
struct Pair {
    access: String,
    refresh: String,
}

impl Pair {
    /// The tokens of `answer`, whose lines must be `expected`.
    fn of(answer: &Answer, expected: &[String]) -> Self {
        let token = |name| answer.cookie(name).unwrap_or_default();
        let pair = Self { access: token(ACCESS), refresh: token(REFRESH) };
        for token in [&pair.access, &pair.refresh] {
            let is_compact = token.split('.').count() == 3 && !token.contains(['"', '%', ',', ' ']);
            assert!(is_compact, "{token:?} is not a compact JWT");
        }
        let filled =
            |line: &String| line.replace("{access}", &pair.access).replace("{refresh}", &pair.refresh);
        assert_eq!(lines(answer), expected.iter().map(filled).collect::<Vec<_>>());
        pair
    }

    fn cookie(&self) -> String {
        format!("{ACCESS}={}; {REFRESH}={}", self.access, self.refresh)
    }
}

fn file(edge: &str) -> String {
    let path = repository().join(format!("contracts/cookies/{edge}.yaml"));
    std::fs::read_to_string(path).expect("the file is there")
}

/// The values of the `set-cookie` lines, whose names must be in lower case.
fn lines(answer: &Answer) -> Vec<String> {
    let is_cookie = |name: &[u8]| name.eq_ignore_ascii_case(b"set-cookie");
    let found = answer.headers.iter().filter(|(name, _)| is_cookie(name));
    found
        .map(|(name, value)| {
            assert_eq!(name, b"set-cookie");
            String::from_utf8_lossy(value).into_owned()
        })
        .collect()
}

/// Signs in, refreshes and signs out on a running `edge`, and compares every line.
fn assert_lines(edge: &Edge, lines_of_edge: &Lines) {
    let Lines { root_domain: _, sign_in, refresh, sign_out } = lines_of_edge;
    let send = |method: &str, path: &str, cookie: &str, body: serde_json::Value| {
        let request = edge.request(method, path).header("content-type", "application/json");
        let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        request.send()
    };
    let none = serde_json::Value::Null;
    let asked = send("POST", "/auth/code", "", json!({ "email": ADDRESS }));
    assert_eq!((asked.status, lines(&asked)), (201, Vec::new()), "{}", asked.text());
    let wrong = send("POST", "/auth/token", "", json!({ "email": ADDRESS, "code": "000000000000" }));
    assert_eq!((wrong.status, lines(&wrong)), (404, Vec::new()));
    let code = edge.login_code(ADDRESS);
    let signed_in = send("POST", "/auth/token", "", json!({ "email": ADDRESS, "code": code }));
    assert_eq!(signed_in.status, 201, "{}", signed_in.text());
    let first = Pair::of(&signed_in, sign_in);

    for path in ["/auth/token", "/users/@me"] {
        let checked = send("GET", path, &first.cookie(), none.clone());
        assert_eq!((checked.status, lines(&checked)), (200, Vec::new()), "{path}");
    }
    let refreshed = send("PATCH", "/auth/token", &first.cookie(), none.clone());
    assert_eq!(refreshed.status, 201, "{}", refreshed.text());
    let second = Pair::of(&refreshed, refresh);
    let refused = send("PATCH", "/auth/token", "", none.clone());
    assert_eq!((refused.status, lines(&refused)), (401, Vec::new()));

    let signed_out = send("DELETE", "/auth/token", &second.cookie(), none.clone());
    assert_eq!((signed_out.status, &lines(&signed_out)), (204, sign_out));
    let refused = send("DELETE", "/auth/token", "", none);
    assert_eq!((refused.status, lines(&refused)), (401, Vec::new()));
}

fn assert_edge(name: &str, configure: impl FnOnce(EdgeBuilder) -> EdgeBuilder) {
    let lines: Lines = serde_saphyr::from_str(&file(name)).expect("the file is valid");
    let path = repository().join(format!("envoy/edges/{name}.yaml"));
    let read = edge_config::load(&path, &|_| None).expect("the edge file is valid");
    assert_eq!(read.root_domain.as_deref().unwrap_or_default(), lines.root_domain);
    // As `cutover run` starts the auth service.
    let builder = Edge::shipped(name).variable("ROOT_DOMAIN", &lines.root_domain).variable("EDGE_NAME", name);
    assert_lines(&configure(builder).start(), &lines);
}

#[test]
fn the_development_edge_sets_exactly_these_cookies() {
    assert_edge("dev", |builder| builder);
}

#[test]
fn the_production_edge_sets_exactly_these_cookies() {
    assert_edge("prod", |builder| {
        builder
            .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
            .variable("TOKEN_ISSUER", "https://api.example.com/auth")
            .variable("TOKEN_AUDIENCE", "https://api.example.com")
    });
}

#[test]
fn the_environments_differ_in_the_domain_alone() {
    let (dev, prod) = (file("dev"), file("prod"));
    let lines =
        |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(lines(&dev.replace("dev-domain.test", "example.com")), lines(&prod));
}
