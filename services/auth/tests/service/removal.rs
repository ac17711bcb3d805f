//! The tenants service removes what a tenant has here, and nothing of another tenant.

use harness::Authenticator;
use kit::testing::TENANT;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;

use crate::app::{Answer, DEMO, TestApp};
use crate::passkeys::{EMAIL, ORIGIN, on_every_store, unauthorized};

const OTHER: &str = "00000000-0000-7000-8000-000000000002";
const OTHER_EMAIL: &str = "other@example.com";

/// The tables with rows of people.
const TABLES: [&str; 5] = ["passkeys", "auth_codes", "auth_code_pauses", "auth_sessions", "auth_people"];

/// The rows of each of [`TABLES`].
async fn rows(app: &TestApp) -> [i64; 5] {
    let database = app.database().await;
    let mut rows = [0; 5];
    for (rows, table) in rows.iter_mut().zip(TABLES) {
        let count = format!("SELECT CAST(count(*) AS BIGINT) FROM {table}");
        let count = Statement::from_string(database.get_database_backend(), count);
        *rows = database.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    }
    rows
}

async fn sql(app: &TestApp, statement: &str) {
    app.database().await.execute_unprepared(statement).await.unwrap();
}

async fn call(app: &TestApp, line: &str) -> Answer {
    let tenants = app.edge.service("tenants", "auth");
    app.call(&line.replace("TENANT", TENANT), &[("x-madome-identity", &tenants)], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_has_is_removed_on_every_store() {
    on_every_store(async |app: TestApp| {
        let person = json!({ "id": "00000000-0000-7000-8000-0000000000a3", "role": 0, "tenant_id": OTHER,
            "email": OTHER_EMAIL, "name": "Other" });
        app.people.set_raw(OTHER_EMAIL, person);
        let mut devices = Vec::new();
        for email in [EMAIL, OTHER_EMAIL] {
            let pair = app.login(email).await;
            // One passkey is older than the column of its tenant.
            for is_older in [true, false] {
                let mut device = Authenticator::new(ORIGIN);
                assert_eq!(app.register(&pair, &mut device).await.status, 201);
                if is_older {
                    sql(&app, "UPDATE passkeys SET tenant_id = NULL WHERE tenant_id IS NOT NULL").await;
                }
                devices.push((email, device));
            }
            assert_eq!(app.request_code(email).await.status, 201);
        }
        // The registration of the second passkey noted the tenant of the first.
        sql(&app, "UPDATE passkeys SET tenant_id = NULL").await;
        assert_eq!(rows(&app).await, [4, 2, 2, 2, 2]);

        let refused = Answer::text(409, "Prepare the removal first");
        assert_eq!(call(&app, "DELETE /_/auth/tenants/TENANT").await, refused, "one request removes nothing");
        for line in ["PUT /_/auth/tenants/TENANT/removal", "DELETE /_/auth/tenants/TENANT/removal"] {
            for _ in 0..2 {
                assert_eq!(call(&app, line).await, Answer::text(204, ""), "{line}");
            }
        }
        assert_eq!(call(&app, "DELETE /_/auth/tenants/TENANT").await, refused, "it was taken back");
        assert_eq!(rows(&app).await, [4, 2, 2, 2, 2]);
        call(&app, "PUT /_/auth/tenants/TENANT/removal").await;
        for _ in 0..2 {
            assert_eq!(
                call(&app, "DELETE /_/auth/tenants/TENANT").await,
                Answer::text(204, ""),
                "also repeated"
            );
        }
        assert_eq!(rows(&app).await, [2, 1, 1, 1, 1], "what the other tenant has");
        // The account is still there in this test, and yet its passkeys sign in no more.
        assert_eq!(app.begin_sign_in(EMAIL).await, Answer::text(404, "Not found user"));
        let (email, device) = devices.last_mut().unwrap();
        assert_eq!(app.sign_in(email, device).await.status, 201);
    })
    .await;
}

/// The tenant of a passkey is noted by whatever its owner does with passkeys, and binds it from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_belongs_to_a_tenant_on_every_store() {
    on_every_store(async |app: TestApp| {
        let (pair, mut device) = (app.login(EMAIL).await, Authenticator::new(ORIGIN));
        assert_eq!(app.register(&pair, &mut device).await.status, 201);
        let tenants = async || {
            let database = app.database().await;
            let count = "SELECT CAST(count(tenant_id) AS BIGINT) FROM passkeys";
            let count = Statement::from_string(database.get_database_backend(), count);
            let row = database.query_one_raw(count).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap()
        };
        assert_eq!(tenants().await, 1, "it is registered with one");
        sql(&app, "UPDATE passkeys SET tenant_id = NULL").await;
        assert_eq!(app.passkeys(&pair).await.len(), 1);
        assert_eq!(tenants().await, 1, "a list notes it");
        sql(&app, "UPDATE passkeys SET tenant_id = NULL").await;
        assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201);
        assert_eq!(tenants().await, 1, "a sign-in notes it");

        // The same id of a person in another tenant.
        let begun = app.begun_sign_in(EMAIL).await;
        let moved = json!({ "id": DEMO, "role": 0, "tenant_id": OTHER, "email": EMAIL, "name": "Demo" });
        app.people.set_raw(EMAIL, moved);
        let answer = device.get(&begun.options);
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized());
        assert_eq!(app.begin_sign_in(EMAIL).await, Answer::text(404, "Not found user"));
        let elsewhere = app.login(EMAIL).await;
        assert!(app.passkeys(&elsewhere).await.is_empty());
        let delete = format!("DELETE /auth/passkeys/{}", device.id_text());
        assert_eq!(app.call_as(&elsewhere, &delete, "").await.status, 404);
        assert_eq!(app.call_as(&pair, &delete, "").await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn no_other_caller_removes_anything() {
    let app = TestApp::new().await;
    for line in [
        "PUT /_/auth/tenants/TENANT/removal",
        "DELETE /_/auth/tenants/TENANT/removal",
        "DELETE /_/auth/tenants/TENANT",
    ] {
        let line = line.replace("TENANT", TENANT);
        let by = async |identity: &str| app.call(&line, &[("x-madome-identity", identity)], "").await.status;
        assert_eq!(app.call(&line, &[], "").await.status, 401, "{line}");
        assert_eq!(by(&app.edge.service("users", "auth")).await, 403, "{line}");
        assert_eq!(by(&app.edge.service_of(TENANT, "tenants", "auth")).await, 404, "{line}");
    }
    for id in ["acme", "%00", "%ff"] {
        assert_eq!(
            call(&app, &format!("DELETE /_/auth/tenants/{id}")).await,
            Answer::text(404, "Not found"),
            "{id}"
        );
    }
}
