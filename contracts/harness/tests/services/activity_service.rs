//! Likes, histories, notifications and push tokens move from the legacy sample to the users service behind an edge, and no
//! client sees a difference. The books in the lists come from the library, through the edge's listener for services.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::Answer;
use harness::{Edge, Part, Signal, eventually};
use kit::testing::PrivatePostgres;
use serde_json::json;

/// The route of the development edge, and the same with the legacy backend in front.
const ROUTE: &str = "name: users-activity, host: api, prefix: /users/@me, policy: signed-in, to: users,";
const MOVING: &str =
    "name: users-activity, host: api, prefix: /users/@me, policy: signed-in, to: { legacy: 100, users: 0 },";

const COLOR: &str = r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"full color"}"#;

/// Method, target and body, in an order that begins and ends without rows.
const EXCHANGES: &[(&str, &str, &str)] = &[
    ("GET", "/users/@me/likes", ""),
    ("POST", "/users/@me/likes", r#"{"kind":"book","book_id":7}"#),
    ("POST", "/users/@me/likes", r#"{"kind":"book","book_id":7}"#),
    ("POST", "/users/@me/likes", COLOR),
    ("POST", "/users/@me/likes", r#"{"kind":"book","book_id":999}"#),
    ("POST", "/users/@me/likes", r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"none"}"#),
    ("POST", "/users/@me/likes", r#"{"kind":"book"}"#),
    ("GET", "/users/@me/likes", ""),
    ("GET", "/users/@me/likes?sort-by=created-at-asc&per-page=1", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=2&books-page=2&books-sort-by=id-asc", ""),
    ("GET", "/users/@me/likes?books-per-page=0", ""),
    ("GET", "/users/@me/likes?kind=book_tag", ""),
    ("GET", "/users/@me/likes?per-page=101", ""),
    ("GET", "/users/@me/likes?page=0", ""),
    ("GET", "/users/@me/likes?sort-by=x", ""),
    ("HEAD", "/users/@me/likes", ""),
    ("OPTIONS", "/users/@me/likes", ""),
    ("PUT", "/users/@me/likes", "{}"),
    ("GET", "/users/@me/likes/", ""),
    ("GET", "/users/@me/nothing", ""),
    ("DELETE", "/users/@me/likes", r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/likes", r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/likes", COLOR),
    ("DELETE", "/users/@me/likes", ""),
    ("POST", "/users/@me/histories", r#"{"kind":"book","book_id":7,"page":2}"#),
    ("POST", "/users/@me/histories", r#"{"kind":"book","book_id":9,"page":1}"#),
    ("POST", "/users/@me/histories", r#"{"kind":"book","book_id":7,"page":3}"#),
    ("POST", "/users/@me/histories", r#"{"kind":"book","book_id":0,"page":2}"#),
    ("POST", "/users/@me/histories", r#"{"kind":"book","book_id":999,"page":2}"#),
    ("GET", "/users/@me/histories", ""),
    ("GET", "/users/@me/histories?sort-by=created-at-asc", ""),
    ("GET", "/users/@me/histories?per-page=0", ""),
    ("DELETE", "/users/@me/histories", r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/histories", r#"{"kind":"book","book_id":9}"#),
    ("DELETE", "/users/@me/histories", r#"{"kind":"book","book_id":9}"#),
    ("GET", "/users/@me/notifications", ""),
    ("GET", "/users/@me/notifications?sort-by=random", ""),
    ("POST", "/users/@me/fcm-token", r#"{"udid":"00000000-0000-4000-8000-00000000000a","fcm_token":"a"}"#),
    ("POST", "/users/@me/fcm-token", r#"{"fcm_token":"a"}"#),
];

/// Status line, headers in their order and case, body; without what a server writes, and without the moments of this run.
fn shown(answer: &Answer) -> String {
    let servers = ["date", "server", "connection", "content-length", "x-request-id"];
    let mut text = String::from_utf8_lossy(&answer.status_line).into_owned();
    for (name, value) in &answer.headers {
        let name = String::from_utf8_lossy(name);
        // The length follows from the body, whose moments can have fewer digits.
        if !servers.contains(&name.to_ascii_lowercase().as_str()) {
            text += &format!("\n{name}: {}", String::from_utf8_lossy(value));
        }
    }
    let body = answer.text();
    let mut pieces = body.split("_at\":\"");
    text += &format!("\n\n{}", pieces.next().unwrap_or_default());
    for piece in pieces {
        let (moment, rest) = piece.split_once('"').unwrap_or((piece, ""));
        // Those of the books are fixed.
        let moment = if moment.starts_with("2022-") { moment } else { "MOMENT" };
        text += &format!("_at\":\"{moment}\"{rest}");
    }
    text
}

fn sign_in(edge: &Edge) -> String {
    let post = |path: &str, body: serde_json::Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    assert_eq!(post("/auth/code", json!({ "email": "demo@example.com" })).status, 201);
    let code = edge.login_code("demo@example.com");
    let answer = post("/auth/token", json!({ "email": "demo@example.com", "code": code }));
    answer.cookie("madome_access_token").expect("a session")
}

#[test]
fn activity_moves_and_no_client_sees_a_difference() {
    moves(None);
}

#[test]
fn activity_moves_to_postgresql_and_no_client_sees_a_difference() {
    let postgres = PrivatePostgres::start();
    moves(Some(&postgres.url()));
}

fn moves(database: Option<&str>) {
    let edge = Edge::shipped("dev").replace(ROUTE, MOVING);
    let mut edge = match database {
        Some(url) => edge.variable("DATABASE_URL", url),
        None => edge,
    }
    .start();
    let token = sign_in(&edge);
    let ask = |edge: &Edge, (method, target, body): &(&str, &str, &str)| {
        let request = edge.request(method, target).token(&token);
        let request = if body.is_empty() {
            request
        } else {
            request.header("content-type", "application/json").body(*body)
        };
        request.send()
    };
    let all = |edge: &Edge| -> Vec<String> {
        EXCHANGES.iter().map(|exchange| shown(&ask(edge, exchange))).collect()
    };
    let served = |edge: &Edge, backend: &str| {
        edge.envoy_stat(&format!("cluster.backend-{backend}.upstream_rq_total")).unwrap_or_default()
    };
    let legacy = all(&edge);
    assert_eq!(served(&edge, "library-calls"), 0, "nothing asked the library yet");
    let file = edge.file().display().to_string();
    edge.cutover(&["set", &file, "users-activity", "--to", "users=100,legacy=0"]);
    edge.render();
    let before = served(&edge, "users");
    eventually("the users service answers", || {
        let _ = ask(&edge, &("GET", "/users/@me/notifications", ""));
        served(&edge, "users") > before
    });
    let count = served(&edge, "legacy");
    let users = all(&edge);
    assert_eq!(served(&edge, "legacy"), count, "the legacy backend got none of these");
    assert!(served(&edge, "library-calls") > 0, "the library answered for the lists");
    let different: Vec<String> = EXCHANGES
        .iter()
        .zip(legacy.iter().zip(&users))
        .filter(|(_, (legacy, users))| legacy != users)
        .map(|(exchange, (legacy, users))| {
            format!("{exchange:?}\n--- legacy\n{legacy}\n--- users\n{users}\n")
        })
        .collect();
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));

    // The library ends. What has books in it fails, and the rest works.
    let seven = r#"{"kind":"book","book_id":7}"#;
    assert_eq!(ask(&edge, &("POST", "/users/@me/likes", seven)).status, 201);
    edge.stop(Part::Library, Signal::Terminate);
    let failed = ask(&edge, &("GET", "/users/@me/likes", ""));
    assert_eq!((failed.status, failed.text().as_str()), (500, "Internal server error"));
    assert_eq!(ask(&edge, &("GET", "/users/@me/notifications", "")).status, 200);
    edge.start(Part::Library);
    edge.wait_until_ready();
    eventually("the list has its book again", || {
        let answer = ask(&edge, &("GET", "/users/@me/likes", ""));
        answer.status == 200 && answer.text().contains("Sample book 7")
    });
}
