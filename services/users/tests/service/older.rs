//! The older surface answers as the legacy backend does, byte for byte: the sample is asked the same questions.

use harness::LegacySample;
use harness::wire::{Answer as Raw, Request};
use identity::Role;
use kit::testing::{PrivatePostgres, TENANT, Wire};

use crate::app::{Answer, TestApp, legacy_row};

pub(crate) const OLD: &str = "00000000-0000-7000-8000-0000000000d0";

/// The legacy sample with its own sessions, and a cookie of its person `demo`.
pub(crate) struct Sample {
    pub(crate) legacy: LegacySample,
    cookie: String,
}

impl Sample {
    pub(crate) fn start() -> Self {
        let legacy = LegacySample::start();
        let ask = |method: &str, path: &str, body: &str| {
            Request::new(legacy.address(), method, path).header("content-type", "application/json").body(body)
        };
        assert_eq!(ask("POST", "/auth/code", r#"{"email":"demo@example.com"}"#).send().status, 201);
        let mail = std::fs::read(legacy.home().join("mail/demo@example.com/0001.json")).unwrap();
        let mail: serde_json::Value = serde_json::from_slice(&mail).unwrap();
        let code = mail["variables"]["authcode"].as_str().unwrap();
        let body = format!(r#"{{"email":"demo@example.com","code":"{code}"}}"#);
        let signed_in = ask("POST", "/auth/token", &body).send();
        let cookie = format!("madome_access_token={}", signed_in.cookie("madome_access_token").unwrap());
        Self { legacy, cookie }
    }

    /// Asks as a client behind the old ingress.
    pub(crate) fn ask(&self, method: &str, path: &str, content_type: &str, body: &str) -> String {
        let mut request = Request::new(self.legacy.address(), method, path)
            .header("x-madome-public-access", "true")
            .header("cookie", &self.cookie);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let request = if body.is_empty() { request } else { request.body(body) };
        shown(&request.send())
    }
}

/// The answer as [`Wire::send`] shows one.
fn shown(answer: &Raw) -> String {
    let mut lines = vec![String::from_utf8_lossy(&answer.status_line).into_owned()];
    for (name, value) in &answer.headers {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        // Written by the server around each, and by the edge for clients.
        if !["date", "connection", "server"].contains(&name.to_ascii_lowercase().as_str()) {
            lines.push(format!("{name}: {value}"));
        }
    }
    format!("{}\n\n{}", lines.join("\n"), answer.text())
}

/// Gives the app the person `demo` of the sample, under the sample's id.
pub(crate) async fn with_the_person_of_the_sample(app: &TestApp, sqlite: bool) {
    app.sql(&legacy_row(sqlite, OLD, "demo2", "demo2@example.com", "2022-01-31 17:12:00+00:00")).await;
    app.sql(&format!("UPDATE users SET tenant_id = {}", uuid(sqlite, TENANT))).await;
    // The development people have the sample's names. Their ids differ, so they make room.
    app.sql("UPDATE users SET name = 'other', email = 'other@example.com' WHERE email = 'demo@example.com'")
        .await;
    app.sql("UPDATE users SET name = 'demo', email = 'demo@example.com' WHERE email = 'demo2@example.com'")
        .await;
}

async fn equals_the_sample(app: TestApp, sqlite: bool) {
    let sample = Sample::start();
    with_the_person_of_the_sample(&app, sqlite).await;
    let wire = Wire::start(app.router.clone()).await;
    let identity = app.as_person(OLD, Role::NORMAL);
    let json = "application/json";
    let long = "x".repeat(21);
    let cases: Vec<(&str, &str, &str, String)> = vec![
        ("GET", "/users/@me", "", String::new()),
        ("GET", "/users/@me/", "", String::new()),
        ("PATCH", "/users/@me", json, r#"{"name":"x"}"#.to_owned()),
        ("DELETE", "/users/@me", "", String::new()),
        ("PUT", "/users", json, "{}".to_owned()),
        ("GET", "/users/dev@example.com", "", String::new()),
        ("POST", "/users", json, r#"{"name":"","email":"a@b"}"#.to_owned()),
        ("POST", "/users", json, format!(r#"{{"name":"{long}","email":"a@b"}}"#)),
        ("POST", "/users", json, r#"{"name":"n","email":"a@"}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"n","email":"@b"}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"n","email":"a@b","role":2}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"","email":"","role":9}"#.to_owned()),
        ("POST", "/users", json, "{}".to_owned()),
        ("POST", "/users", json, r#"{"name":"n"}"#.to_owned()),
        ("POST", "/users", json, "{\n  \"email\": \"a@b\"\n}\n".to_owned()),
        ("POST", "/users", json, "{".to_owned()),
        ("POST", "/users", json, r#"{"name":"n","email":"a@b","role":256}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"n","email":"a@b","role":-1}"#.to_owned()),
        ("POST", "/users", "text/plain", r#"{"name":"n","email":"a@b"}"#.to_owned()),
        ("POST", "/users", "", r#"{"name":"n","email":"a@b"}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"demo","email":"another@example.com"}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"another","email":"demo@example.com"}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"fresh","email":"fresh@example.com"}"#.to_owned()),
        ("POST", "/users", json, r#"{"name":"fresh","email":"fresh@example.com"}"#.to_owned()),
        (
            "POST",
            "/users",
            "application/json; charset=utf-8",
            r#"{"name":"f2","email":"f2@x","role":1}"#.to_owned(),
        ),
    ];
    for (method, path, content_type, body) in cases {
        let mut head = format!("{method} {path} HTTP/1.1\nx-madome-identity: {identity}");
        if !content_type.is_empty() {
            head.push_str(&format!("\ncontent-type: {content_type}"));
        }
        if !body.is_empty() {
            head.push_str(&format!("\ncontent-length: {}", body.len()));
        }
        let new = wire.send(&head, &body).await;
        let old = sample.ask(method, path, content_type, &body);
        assert_eq!(new, old, "{method} {path} {content_type:?} {body}");
    }
}

pub(crate) fn uuid(sqlite: bool, id: &str) -> String {
    if sqlite { format!("X'{}'", id.replace('-', "")) } else { format!("'{id}'") }
}

#[tokio::test]
async fn the_older_surface_equals_the_sample_on_sqlite() {
    equals_the_sample(TestApp::older(None).await, true).await;
}

#[tokio::test]
async fn the_older_surface_equals_the_sample_on_postgresql() {
    let postgres = PrivatePostgres::start();
    equals_the_sample(TestApp::older(Some(postgres.url())).await, false).await;
}

#[tokio::test]
async fn times_have_the_digits_that_they_need_and_there_is_no_expiry_header() {
    let app = TestApp::older(None).await;
    let token = "e30.eyJzaWQiOiIwMDAwMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwNWUiLCJleHAiOjF9.x";
    for (written, expected) in [
        ("2026-11-20 18:18:24.962888+00:00", "2026-11-20T18:18:24.962888Z"),
        ("2026-11-20 18:18:24.962000+00:00", "2026-11-20T18:18:24.962Z"),
        ("2026-11-20 18:18:24.000001+00:00", "2026-11-20T18:18:24.000001Z"),
        ("2026-11-20 18:18:00+00:00", "2026-11-20T18:18:00Z"),
        ("2026-11-20 20:18:00+02:00", "2026-11-20T18:18:00Z"),
    ] {
        app.sql(&format!("UPDATE users SET created_at = '{written}' WHERE email = 'demo@example.com'")).await;
        let request = http::Request::get("/users/@me")
            .header("x-madome-identity", app.as_demo())
            .header("cookie", format!("madome_access_token={token}"));
        let answer = app.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let body = format!(
            r#"{{"id":"{}","email":"demo@example.com","name":"Demo","role":0,"created_at":"{expected}","updated_at":"2026-11-20T00:00:00Z"}}"#,
            crate::app::DEMO
        );
        assert_eq!((answer.status, answer.body, answer.expires), (200, body, None), "{written}");
    }
}

#[tokio::test]
async fn the_parsers_messages_name_the_type_of_the_legacy_backend() {
    let app = TestApp::older(None).await;
    for (body, expected) in [
        ("1", "invalid type: integer `1`, expected struct Payload at line 1 column 1"),
        ("[]", "invalid length 0, expected struct Payload with 3 elements at line 1 column 2"),
        (r#"{"name":1}"#, "invalid type: integer `1`, expected a string at line 1 column 9"),
        (r#"{"name":"a","name":"b"}"#, "duplicate field `name` at line 1 column 18"),
        (
            r#"{"name":"a","email":"a@b","role":"1"}"#,
            "invalid type: string \"1\", expected u8 at line 1 column 36",
        ),
    ] {
        let answer = app.call("POST /users", &app.as_demo(), body).await;
        assert_eq!((answer.status, answer.body), (400, format!("Json deserialize: {expected}")), "{body}");
    }
}

#[tokio::test]
async fn a_new_person_belongs_to_the_tenant_of_the_caller_who_adds_them() {
    let app = TestApp::older(None).await;
    let body = r#"{"name":"Made","email":"made@example.com"}"#;
    assert_eq!(app.call("POST /users", "", body).await.status, 401);
    let gone = app.as_person("00000000-0000-7000-8000-0000000000ff", Role::NORMAL);
    for body in [body, "{"] {
        assert_eq!(app.call("POST /users", &gone, body).await, Answer::text(404, "Not found user"), "{body}");
    }
    assert_eq!(app.call("POST /users", &app.as_demo(), body).await.status, 201);
    let found = app.call("GET /_/users/made@example.com", &app.edge.service("auth", "users"), "").await.body;
    assert!(found.contains(r#""handle":"Made""#) && found.contains(TENANT), "{found}");
}
