//! Every route is tried from another tenant: with the plain header of one tenant beside the identity of another, and with a
//! valid identity of another tenant. A new route is tried as soon as the documents have it.

use axum::body::Body;
use http::Request;
use identity::Role;
use kit::testing::{TENANT, operations, person};

use crate::app::{Answer, BOT, DEMO, SESSION, TestApp};

const OTHER: &str = "00000000-0000-7000-8000-000000000002";

/// Every documented operation, as its method and a path that exists.
fn routes() -> Vec<(&'static str, String)> {
    let documents = users::routes::documents();
    let all = [operations(&documents.public), operations(&documents.internal)].concat();
    all.into_iter().map(|(method, path)| (method, with_ids(&path))).collect()
}

/// Replaces each parameter of a path by the id of a person of the development tenant.
fn with_ids(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { DEMO } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn request(method: &str, path: &str, identity: &str, tenant: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("x-madome-identity", identity);
    if let Some(tenant) = tenant {
        request = request.header("x-tenant-id", tenant);
    }
    request.header("content-type", "application/json").body(Body::from(r#"{"name":"Mallory"}"#)).unwrap()
}

async fn no_route_is_crossed(app: TestApp) {
    let own = app.call("GET /users/@me", &app.as_demo(), "").await;
    assert_eq!(own.status, 200);
    let routes = routes();
    assert!(routes.len() >= 5, "{routes:?}");
    for (method, path) in routes {
        let is_internal = path.starts_with("/_/");
        let identity = if is_internal {
            app.edge.service_of(TENANT, "auth", "users")
        } else {
            app.as_person(BOT, Role::BOT)
        };
        for tenant in ["", OTHER, "platform"] {
            let answer = app.send(request(method, &path, &identity, Some(tenant))).await;
            assert_eq!(answer, Answer::text(401, "Unauthoirzed"), "{method} {path} beside {tenant:?}");
        }
        // A valid caller of the other tenant, who names this tenant's person.
        let identity = if is_internal {
            app.edge.service_of(OTHER, "auth", "users")
        } else {
            let mut stranger = person(DEMO, SESSION, Role::NORMAL);
            stranger.tenant = Some(OTHER.parse().unwrap());
            app.sign(&stranger)
        };
        let answer = app.send(request(method, &path, &identity, None)).await;
        assert!(!answer.body.contains("demo@example.com"), "{method} {path}: {answer:?}");
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
    }
    assert_eq!(app.call("GET /users/@me", &app.as_demo(), "").await, own, "nothing of the person changed");
}

#[tokio::test]
async fn no_route_is_crossed_on_the_later_surface() {
    no_route_is_crossed(TestApp::new().await).await;
}

#[tokio::test]
async fn no_route_is_crossed_on_postgresql() {
    let postgres = kit::testing::PrivatePostgres::start();
    no_route_is_crossed(TestApp::on(Some(postgres.url())).await).await;
}
