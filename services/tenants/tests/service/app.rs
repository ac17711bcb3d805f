//! Drives the service in tests.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as Incoming, State};
use axum::response::IntoResponse as _;
use clock::ManualClock;
use events::bus::Topology;
use http::{HeaderMap, Request, StatusCode};
use kit::base::Base;
use kit::settings::Home;
use kit::testing::{PrivatePostgres, START, TestEdge, TestHome, Wire, as_the_edge, assert_documented};
use kit::work::Work;
use serde_json::{Value, json};
use tenants::Running;
use tenants::settings::Settings;
use tokio::sync::Notify;
use tower::ServiceExt as _;

pub(crate) const ACME: &str = "00000000-0000-7000-8000-00000000ac3e";
pub(crate) const OTHER: &str = "00000000-0000-7000-8000-000000000077";

/// Status and body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// A refusal: bare text without a content type.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: None, body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Calls {
    seen: Vec<String>,
    /// Answers with these statuses to calls that begin with the texts.
    refuse: Vec<(String, u16)>,
    /// Calls from this number on are held.
    hold_from: Option<usize>,
    /// Services that have no preparation, and refuse a removal until one comes.
    unprepared: Vec<String>,
}

impl Calls {
    /// What a service answers by whether the removal was prepared, as `kit::removal` does.
    fn unprepared_refusal(&mut self, line: &str) -> Option<u16> {
        let is_of = |name: &String| line.contains(&format!(" /_/{name}/"));
        let place = self.unprepared.iter().position(is_of)?;
        if line.starts_with("PUT ") {
            self.unprepared.remove(place);
        }
        (line.starts_with("DELETE ") && !line.ends_with("/removal")).then_some(409)
    }
}

/// The services behind the edge's service listener: they record the calls, and refuse or hold them as the test says.
#[derive(Clone, Default)]
pub(crate) struct Services(Arc<Mutex<Calls>>, Arc<Notify>, Arc<Notify>);

impl Services {
    pub(crate) async fn serve(&self) -> Wire {
        Wire::start(Router::new().fallback(Self::answer).with_state(self.clone())).await
    }

    async fn answer(State(services): State<Self>, request: Incoming) -> axum::response::Response {
        let proof = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        assert!(proof.is_some_and(|proof| proof.starts_with("Bearer ey")), "a service introduces itself");
        let line = format!("{} {}", request.method(), request.uri().path());
        let (is_held, status) = {
            let mut calls = services.0.lock().unwrap();
            calls.seen.push(line.clone());
            let refused = calls.refuse.iter().find(|(start, _)| line.starts_with(start.as_str()));
            let refused = refused.map(|(_, status)| *status);
            let refused = refused.or_else(|| calls.unprepared_refusal(&line));
            (calls.hold_from.is_some_and(|from| calls.seen.len() > from), refused)
        };
        if is_held {
            services.1.notify_one();
            services.2.notified().await;
        }
        match status {
            Some(status) => (StatusCode::from_u16(status).unwrap(), "It keeps\nthem").into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        }
    }

    pub(crate) fn refuse(&self, start: &str, status: u16) {
        self.0.lock().unwrap().refuse.push((start.to_owned(), status));
    }

    pub(crate) fn accept(&self) {
        self.0.lock().unwrap().refuse.clear();
    }

    /// `name` has lost its preparation, and refuses a removal until it is prepared again.
    pub(crate) fn lose_preparation(&self, name: &str) {
        self.0.lock().unwrap().unprepared.push(name.to_owned());
    }

    /// Answers `count` more calls, and holds those after them.
    pub(crate) fn hold_after(&self, count: Option<usize>) {
        let mut calls = self.0.lock().unwrap();
        calls.hold_from = count.map(|count| calls.seen.len() + count);
    }

    /// Waits until a call is held.
    pub(crate) async fn held(&self) {
        self.1.notified().await;
    }

    /// Answers a held call.
    pub(crate) fn release(&self) {
        self.2.notify_one();
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().seen.clone()
    }
}

/// A running service with new keys and a new database, on a manual clock.
pub(crate) struct TestApp {
    pub(crate) running: Running,
    /// What runs beside the routes, and ends with this.
    _work: Work,
    pub(crate) edge: TestEdge,
    pub(crate) clock: ManualClock,
    pub(crate) home: TestHome,
    pub(crate) services: Services,
    pub(crate) settings: Settings,
    _wire: Wire,
}

pub(crate) fn settings(home: Home, database_url: Option<String>, service_edge_url: String) -> Settings {
    Settings {
        address: ([127, 0, 0, 1], 0).into(),
        grpc_address: ([127, 0, 0, 1], 0).into(),
        base: Base { home, database_url, edge: "dev".to_owned() },
        managers: vec!["admin".parse().unwrap()],
        participants: ["users", "files"].map(|name| name.parse().unwrap()).to_vec(),
        service_edge_url,
        redis: None,
        broker: None,
        topology: Topology::default(),
    }
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(None, |settings| settings).await
    }

    pub(crate) async fn with(
        database_url: Option<String>,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let home = TestHome::new();
        let clock = ManualClock::at(START);
        let (edge, work) = (home.edge(&clock), Work::default());
        let services = Services::default();
        let wire = services.serve().await;
        let settings = change(settings(home.home(), database_url, format!("http://{}", wire.address())));
        let running = tenants::start(settings.clone(), Arc::new(clock.clone()), &work).await.unwrap();
        Self { _work: work, running, edge, clock, home, services, settings, _wire: wire }
    }

    pub(crate) fn admin(&self) -> String {
        self.edge.service("admin", "tenants")
    }

    /// Sends `METHOD /path` with an identity and a JSON body, if they are not empty.
    pub(crate) async fn call(&self, line: &str, identity: &str, body: &str) -> Answer {
        self.send(line, identity, body, &HeaderMap::new()).await
    }

    pub(crate) async fn send(&self, line: &str, identity: &str, body: &str, headers: &HeaderMap) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if !identity.is_empty() {
            request = request.header("x-madome-identity", identity);
        }
        if !body.is_empty() && !headers.contains_key("content-type") {
            request = request.header("content-type", "application/json");
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.headers_mut().extend(headers.clone());
        let response = self.running.router.clone().oneshot(as_the_edge(request)).await.unwrap();
        let content_type = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let path = path.split('?').next().unwrap_or_default();
        assert_documented(&tenants::routes::documents(), (method, path), status, content_type.as_deref());
        let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
        Answer { status, content_type, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// As a manager.
    pub(crate) async fn manage(&self, line: &str, body: &str) -> Answer {
        self.call(line, &self.admin(), body).await
    }

    pub(crate) async fn create(&self, id: &str, name: &str) -> Answer {
        self.manage("POST /_/tenants", &json!({ "id": id, "name": name }).to_string()).await
    }

    pub(crate) async fn standing(&self, id: &str) -> String {
        let answer = self.manage(&format!("GET /_/tenants/{id}"), "").await;
        answer.json()["standing"].as_str().unwrap().to_owned()
    }

    /// The changes of a tenant, as `KIND BY`.
    pub(crate) async fn history(&self, id: &str) -> Vec<String> {
        let answer = self.manage(&format!("GET /_/tenants/{id}/history?limit=100"), "").await;
        let entries = answer.json();
        let versions: Vec<_> =
            entries.as_array().unwrap().iter().map(|e| e["version"].as_i64().unwrap()).collect();
        assert_eq!(versions, (1..=i64::try_from(versions.len()).unwrap()).collect::<Vec<_>>());
        let entry =
            |e: &Value| format!("{} {}", e["kind"].as_str().unwrap(), e["change"]["by"].as_str().unwrap());
        entries.as_array().unwrap().iter().map(entry).collect()
    }

    pub(crate) async fn database(&self) -> sea_orm::DatabaseConnection {
        let file = self.home.home().database("tenants");
        kit::store::open(self.settings.base.database_url.as_deref(), &file).await.unwrap()
    }
}

/// Runs a check on SQLite and on PostgreSQL.
pub(crate) async fn on_both(check: impl AsyncFn(TestApp)) {
    check(TestApp::new().await).await;
    let postgres = PrivatePostgres::start();
    check(TestApp::with(Some(postgres.url()), |settings| settings).await).await;
}
