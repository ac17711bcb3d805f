//! The tenants service removes all people of a tenant, and no other person.

use identity::Role;
use kit::testing::{PrivatePostgres, TENANT};

use crate::app::{Answer, TestApp};

const OTHER: &str = "00000000-0000-7000-8000-000000000002";

async fn a_tenants_people_are_removed(app: TestApp) {
    let tenants = app.edge.service("tenants", "users");
    let call = async |line: &str| app.call(&line.replace("TENANT", TENANT), &tenants, "").await;
    let there = async |key: &str| {
        app.call(&format!("GET /_/users/{key}"), &app.edge.service("auth", "users"), "").await.status == 200
    };
    // One request removes no person.
    let refused = Answer::text(409, "Prepare the removal first");
    assert_eq!(call("DELETE /_/users/tenants/TENANT").await, refused);
    for _ in 0..2 {
        assert_eq!(call("PUT /_/users/tenants/TENANT/removal").await, Answer::text(204, ""));
    }
    for _ in 0..2 {
        assert_eq!(call("DELETE /_/users/tenants/TENANT/removal").await, Answer::text(204, ""));
    }
    assert_eq!(call("DELETE /_/users/tenants/TENANT").await, refused);
    assert!(there("demo@example.com").await);
    call("PUT /_/users/tenants/TENANT/removal").await;
    for _ in 0..2 {
        assert_eq!(call("DELETE /_/users/tenants/TENANT").await, Answer::text(204, ""), "also repeated");
    }
    assert!(!there("demo@example.com").await);
    assert!(there("suspended@example.com").await, "of another tenant");
    assert_eq!(app.call("GET /users/@me", &app.as_demo(), "").await, Answer::text(404, "Not found user"));
}

#[tokio::test]
async fn a_tenants_people_are_removed_on_both() {
    a_tenants_people_are_removed(TestApp::new().await).await;
    let postgres = PrivatePostgres::start();
    a_tenants_people_are_removed(TestApp::on(Some(postgres.url())).await).await;
}

#[tokio::test]
async fn no_other_caller_removes_people() {
    let app = TestApp::new().await;
    let lines =
        ["PUT /_/users/tenants/T/removal", "DELETE /_/users/tenants/T/removal", "DELETE /_/users/tenants/T"];
    for line in lines.map(|line| line.replace("/T", &format!("/{TENANT}"))) {
        assert_eq!(app.call(&line, "", "").await, Answer::text(401, "Unauthoirzed"), "{line}");
        let bot = app.as_person(crate::app::BOT, Role::BOT);
        assert_eq!(app.call(&line, &bot, "").await, Answer::text(404, "Not found"), "{line}");
        let auth = app.edge.service("auth", "users");
        assert_eq!(app.call(&line, &auth, "").await, Answer::text(403, "Permission Denied"), "{line}");
        // A service that acts for one tenant removes none, not even its own.
        for tenant in [TENANT, OTHER] {
            let acting = app.edge.service_of(tenant, "tenants", "users");
            assert_eq!(app.call(&line, &acting, "").await, Answer::text(404, "Not found"), "{line}");
        }
    }
    let tenants = app.edge.service("tenants", "users");
    for id in ["acme", "%00", "%ff"] {
        let answer = app.call(&format!("DELETE /_/users/tenants/{id}"), &tenants, "").await;
        assert_eq!(answer, Answer::text(404, "Not found user"), "{id}");
    }
}
