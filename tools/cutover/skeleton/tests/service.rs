//! The service from outside: its router without a socket on both databases, and as a process.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::ManualClock;
use http::Request;
use identity::Role;
use kit::base::Base;
use kit::testing::{Binary, PrivatePostgres, START, TestEdge, TestHome};
use kit::testing::{as_the_edge, assert_documented, assert_written, person};
use skeleton::settings::Settings;
use tower::ServiceExt as _;

const BINARY: Binary = Binary(env!("CARGO_BIN_EXE_skeleton"));
const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
const SESSION: &str = "00000000-0000-7000-8000-00000000005e";
const OTHER_TENANT: &str = "00000000-0000-7000-8000-000000000077";

struct TestApp {
    router: Router,
    edge: TestEdge,
    _home: TestHome,
}

impl TestApp {
    async fn on(database_url: Option<String>) -> Self {
        let (home, clock) = (TestHome::new(), ManualClock::at(START));
        let edge = home.edge(&clock);
        let base = Base { home: home.home(), database_url, edge: "dev".to_owned() };
        let settings = Settings { address: ([127, 0, 0, 1], 0).into(), base };
        let router = skeleton::router(settings, Arc::new(clock)).await.unwrap();
        Self { router, edge, _home: home }
    }

    /// The identity of the demo person, in the development tenant or in another one.
    fn identity(&self, tenant: Option<&str>) -> String {
        let mut demo = person(DEMO, SESSION, Role::NORMAL);
        if let Some(tenant) = tenant {
            demo.tenant = Some(tenant.parse().unwrap());
        }
        self.edge.person(&demo, "skeleton")
    }

    async fn call(&self, line: &str, identity: &str, body: &str) -> (u16, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if !identity.is_empty() {
            request = request.header("x-madome-identity", identity);
        }
        let request = as_the_edge(request.body(Body::from(body.to_owned())).unwrap());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let content_type = parts.headers.get("content-type").map(|value| value.to_str().unwrap());
        let status = parts.status.as_u16();
        assert_documented(&skeleton::routes::documents(), (method, path), status, content_type);
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_person_has_one_note_in_each_tenant_on_both() {
    let postgres = PrivatePostgres::start();
    for database in [None, Some(postgres.url())] {
        let app = TestApp::on(database).await;
        let (own, other) = (app.identity(None), app.identity(Some(OTHER_TENANT)));
        let read = "GET /skeleton/note";
        assert_eq!(app.call(read, "", "").await, (401, "Unauthorized".to_owned()));
        assert_eq!(app.call(read, &own, "").await.0, 404);
        for text in ["first", "second"] {
            let body = format!(r#"{{"text":"{text}"}}"#);
            assert_eq!(app.call("PUT /skeleton/note", &own, &body).await.0, 204);
            assert_eq!(app.call(read, &own, "").await, (200, body));
        }
        assert_eq!(app.call(read, &other, "").await.0, 404, "the same person in another tenant");
        assert!(app.call("GET /metrics", "", "").await.1.contains("skeleton_notes_written_total 2"));
        assert_eq!(app.call("GET /readyz", "", "").await.0, 200);
    }
}

#[tokio::test]
async fn a_note_that_is_not_valid_is_refused() {
    let app = TestApp::on(None).await;
    let own = app.identity(None);
    let long = format!(r#"{{"text":"{}"}}"#, "é".repeat(1_001));
    for body in ["", "{", "[]", "{}", r#"{"text":""}"#, r#"{"text":"\u0000"}"#, r#"{"text":1}"#, &long] {
        let (status, answer) = app.call("PUT /skeleton/note", &own, body).await;
        assert_eq!(status, 400, "{body}: {answer}");
    }
    let longest = format!(r#"{{"text":"{}"}}"#, "é".repeat(1_000));
    assert_eq!(app.call("PUT /skeleton/note", &own, &longest).await.0, 204);
}

#[test]
fn the_openapi_documents_are_what_the_routes_say() {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_written("skeleton", service, &skeleton::routes::documents());
}

#[test]
fn it_starts_on_any_port_and_stops_on_sigterm() {
    let home = TestHome::new();
    let home = home.path().to_str().unwrap();
    BINARY.assert_starts_and_stops(&[("SKELETON_ADDRESS", "127.0.0.1:0"), ("CUTOVER_HOME", home)]);
}

#[test]
fn errors_name_the_fault_and_help_lists_every_variable() {
    let home = TestHome::new();
    let absent = home.path().join("absent");
    let absent = absent.to_str().unwrap();
    BINARY.assert_refuses(&[
        (&[("CUTOVER_HOME", absent)], 64, &["keys/identity.jwks.json", "cutover keys"]),
        (&[("SKELETON_ADDRESS", "localhost")], 64, &["SKELETON_ADDRESS=\"localhost\""]),
    ]);
    BINARY.assert_help_lists(skeleton::ABOUT.variables);
}
