//! The sessions of one sign-in are a family: a stolen refresh token is noticed and ends it, and so does a
//! sign-out with any of its tokens.

use kit::testing::PrivatePostgres;
use sea_orm::ConnectionTrait as _;

use crate::app::{Answer, Pair, TestApp};

const DEMO_EMAIL: &str = "demo@example.com";
const DAY: u64 = 86_400;

fn refused() -> Answer {
    Answer::text(401, "Unauthorized")
}

async fn statuses(app: &TestApp, pairs: &[&Pair]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for pair in pairs {
        statuses.push(app.check(pair, "").await.status);
    }
    statuses
}

async fn a_used_refresh_token_that_comes_again_ends_its_family(app: TestApp) {
    let other = app.login(DEMO_EMAIL).await;
    let stolen = app.login(DEMO_EMAIL).await;
    let second = app.refresh(&stolen).await.pair();
    let third = app.refresh(&second).await.pair();

    // Within the grace another tab may still use the old token.
    app.clock.advance_seconds(59);
    assert_eq!(app.refresh(&stolen).await, refused());
    assert_eq!(statuses(&app, &[&stolen, &second, &third]).await, [200, 200, 200]);

    app.clock.advance_seconds(1);
    assert_eq!(app.refresh(&stolen).await, refused());
    assert_eq!(statuses(&app, &[&stolen, &second, &third, &other]).await, [401, 401, 401, 200]);
    assert_eq!(app.refresh(&third).await, refused(), "the newest session of the family ended");
    let is_listed = |pair: &Pair| {
        let sid = pair.claim("sid");
        app.revoked().iter().any(|line| line["sid"] == sid && line["from"].as_u64() <= Some(app.now()))
    };
    assert!(is_listed(&third), "and the edge can see it");
    assert!(!is_listed(&other));
    let lines = app.revoked().len();
    assert_eq!(app.refresh(&stolen).await, refused());
    assert_eq!(app.revoked().len(), lines, "a repetition changes nothing");
    assert_eq!(app.refresh(&other).await.status, 201, "another sign-in of the same person continues");
}

async fn a_copy_is_noticed_whatever_comes_with_it(app: TestApp) {
    let other = app.login(DEMO_EMAIL).await;
    for which in 0..3 {
        let stolen = app.login(DEMO_EMAIL).await;
        let next = app.refresh(&stolen).await.pair();
        app.clock.advance_seconds(60);
        let cookie = match which {
            0 => format!("madome_refresh_token={}", stolen.refresh),
            1 => format!("madome_access_token=x; madome_refresh_token={}", stolen.refresh),
            _ => Pair { access: other.access.clone(), refresh: stolen.refresh.clone() }.cookie(),
        };
        assert_eq!(app.call("PATCH /auth/token", &[("cookie", &cookie)], "").await.status, 401);
        assert_eq!(statuses(&app, &[&next, &other]).await, [401, 200], "{which}");
    }
}

async fn any_genuine_token_of_a_family_signs_all_of_it_out(app: TestApp) {
    for which in 0..4 {
        let other = app.login(DEMO_EMAIL).await;
        let first = app.login(DEMO_EMAIL).await;
        let second = app.refresh(&first).await.pair();
        app.clock.advance_seconds(100);
        let third = app.refresh(&second).await.pair();
        let cookie = match which {
            0 => format!("madome_access_token={}", first.access),
            1 => format!("madome_refresh_token={}", first.refresh),
            2 => second.cookie(),
            _ => third.cookie(),
        };
        let answer = app.call("DELETE /auth/token", &[("cookie", &cookie)], "").await;
        assert_eq!(answer.status, 204);
        assert_eq!(statuses(&app, &[&first, &second, &third, &other]).await, [401, 401, 401, 200], "{which}");
        assert_eq!(app.refresh(&third).await, refused());
        assert_eq!(app.logout(&other).await.status, 204);
    }
}

async fn a_sign_in_lasts_for_its_days_and_no_refresh_makes_it_longer(app: TestApp) {
    let mut pair = app.login(DEMO_EMAIL).await;
    for _ in 0..5 {
        app.clock.advance_seconds(6 * DAY);
        pair = app.refresh(&pair).await.pair();
    }
    app.clock.advance_seconds(1);
    assert_eq!(app.refresh(&pair).await, refused(), "thirty days and a second");
    assert_eq!(app.check(&pair, "").await.status, 401, "the family ended");
    let again = app.login(DEMO_EMAIL).await;
    assert_eq!(app.refresh(&again).await.status, 201);
}

/// The tables as the previous version left them, with a session in them.
async fn sessions_from_before_are_families_of_their_own(mut app: TestApp) {
    let (first, second) = (app.login(DEMO_EMAIL).await, app.login(DEMO_EMAIL).await);
    let database = app.database().await;
    for statement in [
        "DROP INDEX auth_sessions_family_id",
        "DROP INDEX auth_sessions_user_id",
        "ALTER TABLE auth_sessions DROP COLUMN family_id",
        "ALTER TABLE auth_sessions DROP COLUMN family_began_at",
        "DROP TABLE auth_people",
        "DROP TABLE auth_code_pauses",
        "DROP TABLE auth_passkey_ceremonies",
        "DROP TABLE passkeys",
        "DROP INDEX auth_sessions_tenant_id",
        "ALTER TABLE auth_codes DROP COLUMN tenant_id",
        "DROP TABLE auth_removals",
        "DELETE FROM auth_migrations WHERE version >= '0003'",
    ] {
        database.execute_unprepared(statement).await.unwrap();
    }
    app.restart().await;
    assert_eq!(statuses(&app, &[&first, &second]).await, [200, 200]);
    let next = app.refresh(&first).await.pair();
    // A replica of the previous version writes no families.
    database
        .execute_unprepared("UPDATE auth_sessions SET family_id = NULL, family_began_at = NULL")
        .await
        .unwrap();
    assert_eq!(app.logout(&second).await.status, 204);
    assert_eq!(statuses(&app, &[&first, &next, &second]).await, [200, 200, 401]);
    assert_eq!(app.refresh(&next).await.status, 201);
}

async fn on(url: Option<&str>) {
    let app = async || TestApp::on(url.map(str::to_owned)).await;
    a_used_refresh_token_that_comes_again_ends_its_family(app().await).await;
    a_copy_is_noticed_whatever_comes_with_it(app().await).await;
    any_genuine_token_of_a_family_signs_all_of_it_out(app().await).await;
    a_sign_in_lasts_for_its_days_and_no_refresh_makes_it_longer(app().await).await;
    sessions_from_before_are_families_of_their_own(app().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_a_family_on_sqlite() {
    on(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_a_family_on_postgresql() {
    let postgres = PrivatePostgres::start();
    on(Some(&postgres.url())).await;
}

/// Whether the refresh commits before or after a simultaneous sign-out, no session of the family stays alive.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_beside_a_refresh_leaves_nothing_alive() {
    let postgres = PrivatePostgres::start();
    for url in [None, Some(postgres.url())] {
        let app = TestApp::on(url).await;
        for _ in 0..10 {
            let old = app.login(DEMO_EMAIL).await;
            let (refreshed, signed_out) = tokio::join!(app.refresh(&old), app.logout(&old));
            assert_eq!(signed_out.status, 204);
            assert_eq!(app.check(&old, "").await.status, 401);
            if refreshed.status == 201 {
                assert_eq!(app.check(&refreshed.pair(), "").await.status, 401);
            } else {
                assert_eq!(refreshed, refused());
            }
        }
    }
}
