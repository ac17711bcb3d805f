//! A dump of the legacy backend's tables serves with the new services.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::ManualClock;
use http::Request;
use identity::Role;
use kit::base::Base;
use kit::generation::Surface;
use kit::testing::{START, TestHome, person};
use tower::ServiceExt as _;

use crate::stage::Stage;

const PERSON: &str = "00000000-0000-7000-8000-000000000005";
const SESSION: &str = "00000000-0000-7000-8000-00000000005e";

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_legacy_database_serves_with_the_new_services() {
    let stage = Stage::set();
    let (users, library) = (harness::program("users"), harness::program("library"));
    let checks = stage.checks(&format!(
        "checks:
  - {{ name: every like has its person, sql: 'SELECT count(*) FROM likes_book l LEFT JOIN users u ON u.id = l.user_id WHERE u.id IS NULL', expect: '0' }}
services:
  - name: users
    command: ['{}', migrate]
    checks: [{{ name: everybody has a handle, sql: SELECT count(*) FROM users WHERE handle IS NULL, expect: '0' }}]
  - name: library
    command: ['{}', migrate]
    checks: [{{ name: the words are indexed, sql: \"SELECT to_regclass('library_title_words') IS NOT NULL\", expect: 'true' }}]
",
        users.display(),
        library.display()
    ));
    let moved = stage.run(&["run", "--hold", "--checks", &checks]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    // The migrations ran on a copy alone.
    assert_eq!(stage.target.sql("SELECT to_regclass('users_migrations') IS NULL"), "t");

    let home = TestHome::new();
    let clock = ManualClock::at(START);
    let edge = home.edge(&clock);
    let base = || Base { home: home.home(), database_url: Some(stage.target.url()), edge: "dev".to_owned() };
    let me = |audience: &str| edge.person(&person(PERSON, SESSION, Role::NORMAL), audience);
    let services = edge.service("auth", "users");

    let work = kit::work::Work::default();
    let people = users::settings::Settings {
        address: ([127, 0, 0, 1], 0).into(),
        base: base(),
        seed: None,
        surface: Surface::Later,
        activity_surface: Surface::Later,
        // Nothing listens there, and nothing that is asked here needs the library.
        service_edge_url: "http://127.0.0.1:9".to_owned(),
        tenant_rule: None,
        broker: None,
        topology: Default::default(),
    };
    let people = users::router(people, Arc::new(clock.clone()), &work).await.unwrap();
    let found = get(&people, "/_/users/p5@example.com", &services).await;
    assert_eq!(
        (&found["id"], &found["name"], &found["handle"]),
        (&PERSON.into(), &"Person 5".into(), &"Person 5".into())
    );
    assert_eq!(found["created_at"], "2022-01-31T17:17:00.500Z");

    let books = library::settings::Settings {
        address: ([127, 0, 0, 1], 0).into(),
        files: "http://file.test".to_owned(),
        base: base(),
        seed: None,
        surface: Surface::Older,
        service_edge_url: "http://127.0.0.1:9".to_owned(),
        redis: None,
        broker: None,
        topology: Default::default(),
        dislikes_live: library::people::DISLIKES_LIVE,
    };
    let books = library::router(books, Arc::new(clock.clone()), &work).await.unwrap();
    let book = get(&books, "/books/7", &me("library")).await;
    assert_eq!(
        (&book["title"], &book["tags"]),
        (&"An older book 7".into(), &serde_json::json!([["artist", "artist 8"]]))
    );
    let found = get(&books, "/books/search?search-kind=title&q=older&per-page=3", &me("library")).await;
    assert_eq!(found.as_array().map(Vec::len), Some(3), "{found}");
}

async fn get(router: &Router, path: &str, identity: &str) -> serde_json::Value {
    let request = Request::get(path).header(kit::caller::IDENTITY, identity).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_slice(&body).expect(&text)
}
