//! Callers without a valid identity, and unknown paths.

use axum::body::Body;
use http::Request;
use identity::Role;
use kit::testing::{TestHome, person};

use crate::app::{Answer, DEMO, SESSION, TestApp};

#[tokio::test]
async fn an_unproved_caller_is_refused_in_this_services_words() {
    let app = TestApp::new().await;
    let stranger = TestHome::new().edge(&app.clock);
    let demo = person(DEMO, SESSION, Role::NORMAL);
    let cases = [
        ("nothing at all", String::new()),
        ("made for another service", app.edge.person(&demo, "auth")),
        ("signed by another edge", stranger.person(&demo, "users")),
        ("a service", app.edge.service("auth", "users")),
        ("not a token", "x".to_owned()),
    ];
    for line in ["GET /users/@me", "PATCH /users/@me", "POST /users"] {
        for (what, identity) in &cases {
            assert_eq!(
                app.call(line, identity, "").await,
                Answer::text(401, "Unauthoirzed"),
                "{line} as {what}"
            );
        }
    }
    let old = app.as_demo();
    app.clock.advance_seconds(60 + 5);
    assert_eq!(app.call("GET /users/@me", &old, "").await.status, 200, "still inside the leeway");
    app.clock.advance_seconds(1);
    assert_eq!(app.call("GET /users/@me", &old, "").await, Answer::text(401, "Unauthoirzed"), "a minute old");
}

#[tokio::test]
async fn plain_identity_headers_are_never_trusted() {
    let app = TestApp::new().await;
    let request = Request::get("/users/@me")
        .header("x-madome-gw", "1")
        .header("x-madome-auth-sub", DEMO)
        .header("x-madome-auth-sid", SESSION)
        .header("x-madome-auth-role", "2")
        .header("x-tenant-id", kit::testing::TENANT)
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(request).await, Answer::text(401, "Unauthoirzed"));
}

#[tokio::test]
async fn two_signed_identities_are_refused() {
    let app = TestApp::new().await;
    let identity = app.as_demo();
    let request = Request::get("/users/@me")
        .header("x-madome-identity", &identity)
        .header("x-madome-identity", &identity)
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(request).await, Answer::text(401, "Unauthoirzed"));
}

#[tokio::test]
async fn paths_and_methods_match_byte_for_byte() {
    let app = TestApp::new().await;
    let lines = [
        "GET /users/@me/",
        "GET /users/@ME",
        "GET /users/%40me",
        "GET //users/@me",
        "GET /Users/@me",
        "GET /users",
        "POST /users/",
        "GET /users/demo@example.com",
        "GET /_/users/",
        "GET /_/users",
        "GET /",
        "POST /users/@me",
        "DELETE /users/@me",
        "PUT /users/@me",
        "OPTIONS /users/@me",
        "TRACE /users/@me",
        "FOO /users/@me",
        "POST /_/users/demo@example.com",
    ];
    for line in lines {
        assert_eq!(app.call(line, &app.as_demo(), "").await, Answer::text(404, "Not found"), "{line}");
    }
    let head = app.call("HEAD /users/@me", &app.as_demo(), "").await;
    assert_eq!((head.status, head.content_type), (404, None));
}

#[tokio::test]
async fn a_person_does_not_find_the_door_for_services() {
    let app = TestApp::new().await;
    let line = "GET /_/users/demo@example.com";
    let bot = app.as_person(DEMO, Role::BOT);
    assert_eq!(app.call(line, &bot, "").await, Answer::text(404, "Not found"));
    assert_eq!(app.call(line, "", "").await, Answer::text(401, "Unauthoirzed"));
    assert_eq!(app.call(line, &app.edge.service("auth", "users"), "").await.status, 200);
}

/// Returns the requests that a route for services answers about a person, for the route's own path.
fn requests_about(path: &str, id: &str, email: &str) -> Vec<String> {
    match path {
        "/_/users" => vec![format!("GET /_/users?email={}", email.replace('@', "%40"))],
        "/_/users/{key}" => vec![format!("GET /_/users/{id}"), format!("GET /_/users/{email}")],
        "/_/users/{id}/likes" | "/_/users/{id}/dislikes" | "/_/users/{id}/histories" => {
            vec![format!("GET {}", path.replace("{id}", id))]
        }
        // Those about several people or all of them: activity/for_services.rs.
        "/_/users/fcm-token" | "/_/users/notifications" | "/_/users/books/{old}/{new}" => Vec::new(),
        // Those about a whole tenant: removal.rs.
        "/_/users/tenants/{tenant}" | "/_/users/tenants/{tenant}/removal" => Vec::new(),
        new => unreachable!("{new} is a new route for services: add its requests about a person here"),
    }
}

#[tokio::test]
async fn a_service_of_a_tenant_finds_its_own_people_and_no_others_on_any_route() {
    tenants_are_kept_apart(TestApp::new().await).await;
    tenants_are_kept_apart(TestApp::older(None).await).await;
}

async fn tenants_are_kept_apart(app: TestApp) {
    const OTHER: &str = "00000000-0000-7000-8000-000000000002";
    let platform = app.edge.service("auth", "users");
    let own = app.edge.service_of(kit::testing::TENANT, "reports", "users");
    let others = app.edge.service_of(OTHER, "reports", "users");
    let people = [
        (DEMO, "demo@example.com", kit::testing::TENANT),
        ("00000000-0000-7000-8000-0000000000a3", "suspended@example.com", OTHER),
    ];
    let mut asked = 0;
    for path in users::routes::service_paths() {
        for (id, email, tenant) in people {
            for line in requests_about(&path, id, email) {
                asked += 1;
                assert_eq!(app.call(&line, &platform, "").await.status, 200, "{line}");
                let (finds, misses) =
                    if tenant == kit::testing::TENANT { (&own, &others) } else { (&others, &own) };
                assert_eq!(app.call(&line, finds, "").await.status, 200, "{line}");
                let answer = app.call(&line, misses, "").await;
                assert_eq!(answer, Answer::text(404, "Not found user"), "{line}");
            }
        }
    }
    assert_eq!(asked, 12);
}

#[tokio::test]
async fn a_person_of_another_tenant_or_a_removed_one_is_not_found() {
    let app = TestApp::new().await;
    let mut demo = person(DEMO, SESSION, Role::NORMAL);
    demo.tenant = Some("00000000-0000-7000-8000-000000000002".parse().unwrap());
    assert_eq!(app.call("GET /users/@me", &app.sign(&demo), "").await, Answer::text(404, "Not found user"));
    let answer = app.call("PATCH /users/@me", &app.sign(&demo), r#"{"name":"x"}"#).await;
    assert_eq!(answer, Answer::text(404, "Not found user"));
    let gone = app.as_person("00000000-0000-7000-8000-0000000000ff", Role::NORMAL);
    assert_eq!(app.call("GET /users/@me", &gone, "").await, Answer::text(404, "Not found user"));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let app = TestApp::new().await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(kit::surface::MAX_BODY_BYTES));
    let answer = app.call("PATCH /users/@me", &app.as_demo(), &body).await;
    assert_eq!(answer, Answer::text(413, "Payload too large"));
}
