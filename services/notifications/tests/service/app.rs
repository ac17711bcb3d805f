//! Drives the service in tests.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::ManualClock;
use http::Request;
use kit::base::Base;
use kit::testing::{START, TestEdge, TestHome, as_the_edge, assert_documented};
use kit::work::Work;
use notifications::settings::{SesSettings, Settings};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::providers::Providers;

/// The service with all its work, a new database and recording providers, on a manual clock.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) edge: TestEdge,
    pub(crate) clock: ManualClock,
    pub(crate) providers: Providers,
    pub(crate) work: Work,
    home: TestHome,
    database_url: Option<String>,
}

/// The settings with all providers, whose files are written into `home`.
pub(crate) fn settings(home: &TestHome, database_url: Option<String>, providers: &Providers) -> Settings {
    let (account, key) = (home.path().join("fcm.json"), home.path().join("ses"));
    secret_file::write(&account, providers.account().as_bytes()).unwrap();
    secret_file::write(&key, b"AKIDEXAMPLE\nhunter2\n").unwrap();
    Settings {
        address: ([127, 0, 0, 1], 0).into(),
        base: Base { home: home.home(), database_url, edge: "dev".to_owned() },
        broker: None,
        topology: Default::default(),
        fcm: Some((account, providers.url())),
        ses: Some(SesSettings {
            from: "noreply@example.com".to_owned(),
            key,
            region: "eu-central-1".to_owned(),
            url: Some(providers.url()),
        }),
    }
}

pub(crate) fn push(device: &str) -> Value {
    json!({ "device": device, "title": "A book", "body": "It is here", "data": { "book": "7" } })
}

pub(crate) fn mail(to: &str) -> Value {
    json!({ "to": to, "subject": "Your code", "text": "123456" })
}

impl TestApp {
    pub(crate) async fn on(database_url: Option<String>) -> Self {
        Self::with(database_url, |settings| settings).await
    }

    pub(crate) async fn with(
        database_url: Option<String>,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let (home, clock, providers) = (TestHome::new(), ManualClock::at(START), Providers::start().await);
        let (edge, work) = (home.edge(&clock), Work::default());
        let settings = change(settings(&home, database_url.clone(), &providers));
        let router = notifications::router(settings, Arc::new(clock.clone()), &work).await.unwrap();
        Self { router, edge, clock, providers, work, home, database_url }
    }

    /// Sends a request as the service `auth`, and returns status and body.
    pub(crate) async fn call(&self, line: &str, body: &str) -> (u16, String) {
        let identity = self.edge.service("auth", "notifications");
        self.call_as(&identity, line, body).await
    }

    pub(crate) async fn call_as(&self, identity: &str, line: &str, body: &str) -> (u16, String) {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(target);
        if !identity.is_empty() {
            request = request.header("x-madome-identity", identity);
        }
        let request = as_the_edge(request.body(Body::from(body.to_owned())).unwrap());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap());
        let path = target.split('?').next().unwrap_or_default();
        assert_documented(&notifications::routes::documents(), (method, path), status, content_type);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Queues a message, and returns the status.
    pub(crate) async fn queue(&self, key: &str, kind: &str, message: &Value) -> u16 {
        let body = json!({ "idempotencyKey": key, "message": { "tenantId": "t-1", kind: message } });
        self.call("POST /_/notifications/messages", &body.to_string()).await.0
    }

    pub(crate) async fn database(&self) -> DatabaseConnection {
        let file = self.home.home().database("notifications");
        kit::store::open(self.database_url.as_deref(), &file).await.unwrap()
    }

    /// The one number that `query` returns.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        number(&self.database().await, query).await
    }

    /// Waits until `count` messages are delivered.
    pub(crate) async fn delivered(&self, count: i64) {
        let query =
            "SELECT count(*) FROM outbox_events WHERE processed_at IS NOT NULL AND kind IN ('push', 'mail')";
        let database = self.database().await;
        harness::eventually_async("the messages are delivered", async || {
            number(&database, query).await == count
        })
        .await;
    }

    /// Waits until `count` messages are dead, and returns them.
    pub(crate) async fn dead(&self, count: usize) -> Vec<Value> {
        harness::eventually_async("messages are given up", async || self.letters().await.len() == count)
            .await;
        self.letters().await
    }

    async fn letters(&self) -> Vec<Value> {
        let (status, body) = self.call("GET /_/notifications/dead", "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until `count` attempts failed and their rows wait again.
    pub(crate) async fn waits_again(&self, count: i64) {
        let query = "SELECT count(*) FROM outbox_events WHERE last_error IS NOT NULL AND processed_at IS NULL AND failed_at IS NULL";
        let database = self.database().await;
        harness::eventually_async("the message waits", async || number(&database, query).await == count)
            .await;
    }
}

pub(crate) async fn number(database: &DatabaseConnection, query: &str) -> i64 {
    let backend = database.get_database_backend();
    let row = database.query_one_raw(Statement::from_string(backend, query)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
