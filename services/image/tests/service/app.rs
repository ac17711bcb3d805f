//! Drives the service in tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::ManualClock;
use http::{HeaderMap, Request};
use identity::Role;
use image_service::settings::{Settings, Source};
use kit::testing::{START, TestEdge, TestHome, person};
use tower::ServiceExt as _;

pub(crate) const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
pub(crate) const SESSION: &str = "00000000-0000-7000-8000-00000000005e";

/// A router with new keys and a new directory.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    edge: TestEdge,
    home: TestHome,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl TestApp {
    /// Serves the directory `pictures` of a new home.
    pub(crate) async fn on_disk() -> Self {
        let home = TestHome::new();
        std::fs::create_dir(home.path().join("pictures")).unwrap();
        let source = Source::Directory(home.path().join("pictures"));
        Self::with(home, source).await
    }

    /// Serves pictures made up with `salt`, kept in `bytes` bytes.
    pub(crate) async fn made_up(salt: &str, bytes: u64) -> Self {
        let home = TestHome::new();
        let source = Source::Stub { salt: salt.to_owned(), cache: home.path().join("cache"), bytes };
        Self::with(home, source).await
    }

    async fn with(home: TestHome, source: Source) -> Self {
        let clock = ManualClock::at(START);
        let edge = home.edge(&clock);
        let settings = Settings {
            address: ([127, 0, 0, 1], 0).into(),
            home: home.home(),
            edge: "dev".to_owned(),
            source,
        };
        let router = image_service::router(settings, Arc::new(clock)).await.unwrap();
        Self { router, edge, home }
    }

    /// The same directories, served by a new router: a restart.
    pub(crate) async fn restarted(self, source: Source) -> Self {
        Self::with(self.home, source).await
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn picture(&self, path: &str) -> PathBuf {
        self.path().join("pictures").join(path)
    }

    /// Puts a file into the directory.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.picture(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) const fn edge(&self) -> &TestEdge {
        &self.edge
    }

    pub(crate) fn identity(&self, role: Role) -> String {
        self.edge.person(&person(DEMO, SESSION, role), "image")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends `METHOD /path` as an ordinary person, with `headers`.
    pub(crate) async fn call(&self, line: &str, headers: &[(&str, &str)]) -> Answer {
        self.call_as(Role::NORMAL, line, headers).await
    }

    /// The same as a person with `role`.
    pub(crate) async fn call_as(&self, role: Role, line: &str, headers: &[(&str, &str)]) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request =
            Request::builder().method(method).uri(path).header("x-madome-identity", self.identity(role));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), &[]).await
    }
}
