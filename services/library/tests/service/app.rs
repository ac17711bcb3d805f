//! Drives the service in tests.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::ManualClock;
use http::Request;
use identity::Role;
use kit::base::Base;
use kit::generation::Surface;
use kit::settings::Home;
use kit::testing::{PrivatePostgres, START, ServiceListener, TestEdge, TestHome, assert_documented, person};
use kit::work::Work;
use library::settings::Settings;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tower::ServiceExt as _;

use crate::people::Users;

pub(crate) const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
pub(crate) const SESSION: &str = "00000000-0000-7000-8000-00000000005e";

/// A router with new keys and a new database, with the development books, on a manual clock.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) edge: TestEdge,
    pub(crate) clock: ManualClock,
    home: Arc<TestHome>,
    /// What runs beside the routes, and ends with this.
    pub(crate) work: Work,
    database_url: Option<String>,
    /// The edge's listener for services, with a users service.
    _listener: Option<ServiceListener>,
}

/// The status, `content-type` and body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self { status, content_type: "application/json; charset=utf-8".to_owned(), body: body.to_owned() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8".to_owned(), body: body.to_owned() }
    }

    /// A refused query or body.
    pub(crate) fn invalid(message: &str) -> Self {
        let body = serde_json::json!({ "name": "Invalid payload", "message": message });
        Self::json(400, &format!("{{\"name\":{},\"message\":{}}}", body["name"], body["message"]))
    }

    pub(crate) fn no_book() -> Self {
        Self::json(404, r#"{"name":"Not found resource","message":"Not found book"}"#)
    }

    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{self:?} is not JSON: {e}"))
    }

    /// The ids of the books in the answer.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let value = self.value();
        value.as_array().unwrap().iter().map(|book| book["id"].as_i64().unwrap()).collect()
    }
}

/// Texts of more words than a search may have, as they stand in a target: words between spaces and words within one token of
/// an expression, a little too many and as many as a target can have.
pub(crate) fn long_texts() -> Vec<String> {
    let long = |part: &str| [65, 1_100, 65_000 / part.len()].map(|times| part.repeat(times));
    ["a+", "a.", "a%2B", "a-b+"].into_iter().flat_map(long).collect()
}

pub(crate) fn seed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seed/dev.yaml")
}

pub(crate) fn settings(home: Home, database_url: Option<String>, surface: Surface) -> Settings {
    Settings {
        address: ([127, 0, 0, 1], 0).into(),
        files: "http://file.test".to_owned(),
        base: Base { home, database_url, edge: "dev".to_owned() },
        seed: Some(seed()),
        surface,
        // Nothing listens there: tests with a users service set another one.
        service_edge_url: "http://127.0.0.1:9".to_owned(),
        redis: None,
        broker: None,
        topology: events::bus::Topology::default(),
        dislikes_live: library::people::DISLIKES_LIVE,
    }
}

impl TestApp {
    /// With a users service that answers everything.
    pub(crate) async fn on(database_url: Option<String>, surface: Surface) -> Self {
        let (app, listener) = Self::beside(database_url, surface, Users::default().router()).await;
        Self { _listener: Some(listener), ..app }
    }

    /// With `users` behind the edge's listener for services.
    pub(crate) async fn beside(
        database_url: Option<String>,
        surface: Surface,
        users: Router,
    ) -> (Self, ServiceListener) {
        let home = Arc::new(TestHome::new());
        let clock = ManualClock::at(START);
        let listener =
            ServiceListener::start(&home, &clock, vec![("/cutover.users.v1.", "users", users)]).await;
        let app = Self::at(home, &clock, database_url, surface, listener.url()).await;
        (app, listener)
    }

    /// In the directory `home`, which it may have been in before.
    pub(crate) async fn at(
        home: Arc<TestHome>,
        clock: &ManualClock,
        database_url: Option<String>,
        surface: Surface,
        service_edge_url: String,
    ) -> Self {
        Self::with(home, clock, database_url, |home, database_url| Settings {
            service_edge_url,
            ..settings(home, database_url, surface)
        })
        .await
    }

    /// With the settings that `settings` returns for a home and a database.
    pub(crate) async fn with(
        home: Arc<TestHome>,
        clock: &ManualClock,
        database_url: Option<String>,
        settings: impl FnOnce(Home, Option<String>) -> Settings,
    ) -> Self {
        let (edge, work) = (home.edge(clock), Work::default());
        let settings = settings(home.home(), database_url.clone());
        let router = library::router(settings, Arc::new(clock.clone()), &work).await.unwrap();
        Self { router, edge, clock: clock.clone(), home, work, database_url, _listener: None }
    }

    /// Opens the database once more.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        let file = self.home.home().database("library");
        kit::store::open(self.database_url.as_deref(), &file).await.unwrap()
    }

    /// Counts what people have still to be told.
    pub(crate) async fn waiting(&self) -> i64 {
        let database = self.database().await;
        let text = "SELECT count(*) FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL";
        let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), text)).await;
        database.close().await.unwrap();
        row.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// Waits until `done`, while time passes for the worker.
    pub(crate) async fn until(&self, what: &str, done: impl Fn() -> bool) {
        self.until_async(what, async || done()).await;
    }

    /// As [`TestApp::until`].
    pub(crate) async fn until_async(&self, what: &str, done: impl AsyncFn() -> bool) {
        harness::eventually_async(what, async || {
            self.clock.advance_seconds(1);
            done().await
        })
        .await;
    }

    /// Sends `METHOD path` as the sync service.
    pub(crate) async fn service(&self, method: &str, path: &str) -> Answer {
        let identity = self.edge.service("sync", "library");
        let request = Request::builder().method(method).uri(path).header("x-madome-identity", identity);
        self.send(request.body(Body::empty()).unwrap()).await.1
    }

    pub(crate) fn identity(&self, role: Role) -> String {
        self.edge.person(&person(DEMO, SESSION, role), "library")
    }

    /// Reads `path` as another person.
    pub(crate) async fn get_as(&self, subject: &str, path: &str) -> Answer {
        let identity = self.edge.person(&person(subject, SESSION, Role::NORMAL), "library");
        self.send(Request::get(path).header("x-madome-identity", identity).body(Body::empty()).unwrap())
            .await
            .1
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (http::HeaderMap, Answer) {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let content_type = parts.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        // Schemathesis compares the public document with the answers of the later surface (`make openapi`).
        if path.starts_with("/_/") {
            let line = (method.as_str(), path.as_str());
            let status = parts.status.as_u16();
            assert_documented(&library::routes::documents(), line, status, content_type.as_deref());
        }
        let answer = Answer {
            status: parts.status.as_u16(),
            content_type: content_type.unwrap_or_default(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        (parts.headers, answer)
    }

    /// Sends `METHOD /path` as a person of `role`, with a JSON body if given.
    pub(crate) async fn call(&self, role: Role, line: &str, body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request =
            Request::builder().method(method).uri(path).header("x-madome-identity", self.identity(role));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await.1
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Role::NORMAL, &format!("GET {path}"), "").await
    }
}

/// Runs a check on SQLite and on PostgreSQL.
pub(crate) async fn on_both(surface: Surface, check: impl AsyncFn(TestApp)) {
    check(TestApp::on(None, surface).await).await;
    let postgres = PrivatePostgres::start();
    check(TestApp::on(Some(postgres.url()), surface).await).await;
}
