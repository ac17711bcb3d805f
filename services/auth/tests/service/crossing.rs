//! Every operation is tried from another tenant: with the plain header of one tenant beside the identity of another,
//! and with a valid identity of another tenant.

use harness::Authenticator;
use kit::testing::{Crossing, Example, TENANT};
use sea_orm::{ConnectionTrait as _, Statement};

use crate::app::{TestApp, person};
use crate::passkeys::{EMAIL, ORIGIN, on_every_store};

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_is_crossed_on_every_store() {
    on_every_store(async |app: TestApp| {
        let (pair, mut device) = (app.login(EMAIL).await, Authenticator::new(ORIGIN));
        assert_eq!(app.register(&pair, &mut device).await.status, 201);
        let before = (app.passkeys(&pair).await, app.check(&pair, "").await);
        // The person has begun one more registration, which a person of another tenant must not finish.
        let begun = app.begin_registration(&pair).await;
        let made = Authenticator::new(ORIGIN).create(&begun.options).unwrap();
        let (id, made_text) = (format!("?registration-id={}", begun.id), made.to_string());
        let credential = device.id_text();
        let examples = [
            Example { operation: "GET /auth/token", query: "?role=0", body: "" },
            Example { operation: "PATCH /auth/passkey/registration", query: &id, body: &made_text },
        ];
        let crossing = Crossing {
            documents: auth::routes::documents(),
            router: &app.router,
            edge: &app.edge,
            service: "auth",
            caller: "reports",
            person: person(&pair),
            parameters: &[("tenant", TENANT), ("credential_id", &credential)],
            examples: &examples,
            unauthenticated: "Unauthorized",
            secrets: &[&credential],
        };
        assert!(crossing.try_every_operation().await >= 8);
        assert_eq!((app.passkeys(&pair).await, app.check(&pair, "").await), before);
        assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201);
        let database = app.database().await;
        let count = "SELECT CAST(count(*) AS BIGINT) FROM passkeys";
        let count = Statement::from_string(database.get_database_backend(), count);
        let count: i64 = database.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(count, 1, "no other person has registered one");
    })
    .await;
}

/// The session of one tenant is none of another one, whatever id a person of it has.
#[tokio::test]
async fn a_session_is_checked_within_its_tenant() {
    let app = TestApp::new().await;
    let pair = app.login(EMAIL).await;
    let mut stranger = person(&pair);
    stranger.tenant = Some(kit::testing::OTHER.parse().unwrap());
    let check = async |identity: String| {
        let headers = [("cookie", pair.cookie()), ("x-madome-identity", identity)];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        app.call("GET /auth/token", &headers, "").await.status
    };
    assert_eq!(check(app.edge.person(&stranger, "auth")).await, 401);
    assert_eq!(check(app.edge.person(&person(&pair), "auth")).await, 200);
}
