//! Drives the service in tests.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::ManualClock;
use http::{Request, StatusCode};
use identity::{Person, Role};
use kit::base::Base;
use kit::generation::Surface;
use kit::settings::Home;
use kit::testing::{START, ServiceListener, TestEdge, TestHome, person};
use kit::work::Work;
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use tower::ServiceExt as _;
use users::settings::Settings;

pub(crate) const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
pub(crate) const DEV: &str = "00000000-0000-7000-8000-0000000000a1";
pub(crate) const BOT: &str = "00000000-0000-7000-8000-0000000000a2";
pub(crate) const SESSION: &str = "00000000-0000-7000-8000-00000000005e";

/// A router with new keys and a new database, with the development people, on a manual clock.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) edge: TestEdge,
    pub(crate) clock: ManualClock,
    pub(crate) home: TestHome,
    /// The edge's listener for services, with the library behind it.
    pub(crate) listener: Option<ServiceListener>,
    /// What runs beside the routes, and ends with this.
    _work: Work,
    database_url: Option<String>,
}

/// Status, `content-type`, body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) expires: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// An error answer: bare text without a content type.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: None, expires: None, body: body.to_owned() }
    }
}

pub(crate) fn seed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seed/dev.yaml")
}

pub(crate) fn settings(home: Home, database_url: Option<String>) -> Settings {
    Settings {
        address: ([127, 0, 0, 1], 0).into(),
        base: Base { home, database_url, edge: "dev".to_owned() },
        seed: Some(seed()),
        surface: Surface::Later,
        activity_surface: Surface::Later,
        // Nothing listens there: tests with a library set another one.
        service_edge_url: "http://127.0.0.1:9".to_owned(),
        tenant_rule: None,
        broker: None,
        topology: events::bus::Topology::default(),
    }
}

/// A row as the legacy backend writes it, which knows neither handles nor tenants.
pub(crate) fn legacy_row(sqlite: bool, id: &str, name: &str, email: &str, created_at: &str) -> String {
    let id = if sqlite { format!("X'{}'", id.replace('-', "")) } else { format!("'{id}'") };
    format!(
        "INSERT INTO users (id, name, email, role, created_at, updated_at) \
         VALUES ({id}, '{name}', '{email}', 0, '{created_at}', '{created_at}')"
    )
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::on(None).await
    }

    pub(crate) async fn on(database_url: Option<String>) -> Self {
        Self::with(database_url, |settings| settings).await
    }

    /// On the older surface.
    pub(crate) async fn older(database_url: Option<String>) -> Self {
        let older =
            |settings| Settings { surface: Surface::Older, activity_surface: Surface::Older, ..settings };
        Self::with(database_url, older).await
    }

    /// With other settings.
    pub(crate) async fn with(
        database_url: Option<String>,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let home = TestHome::new();
        let clock = ManualClock::at(START);
        let (edge, work) = (home.edge(&clock), Work::default());
        let library = library::settings::Settings {
            address: ([127, 0, 0, 1], 0).into(),
            files: "http://file.test".to_owned(),
            base: Base { home: home.home(), database_url: database_url.clone(), edge: "dev".to_owned() },
            seed: Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../library/seed/dev.yaml")),
            surface: Surface::Later,
            service_edge_url: "http://127.0.0.1:9".to_owned(),
            redis: None,
            broker: None,
            topology: events::bus::Topology::default(),
            dislikes_live: library::people::DISLIKES_LIVE,
        };
        let library = library::router(library, Arc::new(clock.clone()), &work).await.unwrap();
        let backends = vec![("/cutover.catalogue.v1.", "library", library)];
        let listener = ServiceListener::start(&home, &clock, backends).await;
        let settings = settings(home.home(), database_url.clone());
        let settings = change(Settings { service_edge_url: listener.url(), ..settings });
        let router = users::router(settings, Arc::new(clock.clone()), &work).await.unwrap();
        Self { router, edge, clock, database_url, home, listener: Some(listener), _work: work }
    }

    /// Runs a statement on the database of this service, as the legacy backend does beside it.
    pub(crate) async fn sql(&self, statement: &str) {
        let database = self.database().await;
        database.execute_unprepared(statement).await.unwrap();
        database.close().await.unwrap();
    }

    /// Opens the database of this service once more.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        let file = self.home.home().database("users");
        kit::store::open(self.database_url.as_deref(), &file).await.unwrap()
    }

    /// Adds a person as the legacy backend does.
    pub(crate) async fn legacy_adds(&self, id: &str, name: &str, email: &str) {
        let row =
            legacy_row(self.database_url.is_none(), id, name, email, "2026-11-20 18:18:24.962888+00:00");
        self.sql(&row).await;
    }

    /// Returns a person's signed identity for this service.
    pub(crate) fn as_person(&self, subject: &str, role: Role) -> String {
        self.edge.person(&person(subject, SESSION, role), "users")
    }

    pub(crate) fn as_demo(&self) -> String {
        self.as_person(DEMO, Role::NORMAL)
    }

    pub(crate) fn sign(&self, person: &Person) -> String {
        self.edge.person(person, "users")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (content_type, expires) = (header("content-type"), header("x-madome-access-token-expires"));
        assert!(!response.headers().contains_key("allow"), "the legacy backend never sends Allow");
        let status = response.status();
        // The older surface has no document, the routes for services are the same on both.
        if path.starts_with("/_/") {
            let line = (method.as_str(), path.as_str());
            let documents = users::routes::documents();
            kit::testing::assert_documented(&documents, line, status.as_u16(), content_type.as_deref());
        }
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        if status == StatusCode::OK && content_type.is_some() {
            assert_eq!(content_type.as_deref(), Some("application/json"));
        }
        Answer { status: status.as_u16(), content_type, expires, body }
    }

    /// Sends `METHOD /path`, with an identity and a JSON body if given.
    pub(crate) async fn call(&self, line: &str, identity: &str, body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if !identity.is_empty() {
            request = request.header("x-madome-identity", identity);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}
