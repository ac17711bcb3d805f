//! Cookies of two generations in one browser, and the older surface.

use crate::app::{Answer, DEMO, Pair, TestApp};

const DEMO_EMAIL: &str = "demo@example.com";
/// A refresh token of the legacy backend: its key is not known here.
const FOREIGN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZCI6IjAxOTJkM2MwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDBiYiIsIl9yIjp0cnVlfQ.c2lnbmF0dXJl";

/// A `Cookie` line with an access cookie and refresh cookies in this order.
fn jar(access: &str, refresh: &[&str]) -> String {
    let refresh: String = refresh.iter().map(|token| format!("; madome_refresh_token={token}")).collect();
    format!("madome_access_token={access}{refresh}")
}

async fn send(app: &TestApp, method: &str, cookie: &str) -> Answer {
    app.call(&format!("{method} /auth/token"), &[("cookie", cookie)], "").await
}

fn status(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body.as_str())
}

#[tokio::test]
async fn a_foreign_refresh_cookie_beside_the_own_one_is_ignored_in_either_order() {
    let app = TestApp::new().await;
    let mut pair = app.login(DEMO_EMAIL).await;
    for foreign in [FOREIGN, "x", "", "\"quoted\""] {
        let own = pair.refresh.clone();
        let answer = send(&app, "PATCH", &jar(&pair.access, &[&own, foreign])).await;
        assert_eq!(status(&answer), (201, ""), "{foreign:?} last");
        pair = answer.pair();
        let own = pair.refresh.clone();
        let answer = send(&app, "PATCH", &jar(&pair.access, &[foreign, &own])).await;
        assert_eq!(status(&answer), (201, ""), "{foreign:?} first");
        pair = answer.pair();
    }
    // With foreign ones only, nothing is refreshed.
    let answer = send(&app, "PATCH", &jar(&pair.access, &[FOREIGN, "x"])).await;
    assert_eq!(answer, Answer::text(401, "Unauthorized"));
    assert_eq!(app.check(&pair, "").await.status, 200);
}

#[tokio::test]
async fn two_own_refresh_cookies_are_distinguished_by_the_access_cookie() {
    let app = TestApp::new().await;
    let (one, two) = (app.login(DEMO_EMAIL).await, app.login(DEMO_EMAIL).await);
    let other = app.login(DEMO_EMAIL).await;
    let both = [one.refresh.as_str(), two.refresh.as_str()];
    let answer = send(&app, "PATCH", &jar(&other.access, &both)).await;
    assert_eq!(answer, Answer::text(401, "Invalid token pair"), "neither is the access token's");
    let cookie = format!("madome_refresh_token={}; madome_refresh_token={}", both[0], both[1]);
    assert_eq!(send(&app, "PATCH", &cookie).await, Answer::text(401, "Unauthorized"), "no access token");
    let new = send(&app, "PATCH", &jar(&one.access, &both)).await;
    assert_eq!(status(&new), (201, ""));
    let new = new.pair();
    let reversed = [both[1], new.refresh.as_str()];
    let answer = send(&app, "PATCH", &jar(&two.access, &reversed)).await;
    assert_eq!(status(&answer), (201, ""));
    assert_eq!(app.check(&new, "").await.status, 200, "the other session is untouched");
}

/// The team changes from the older to the later cookies: the browser keeps the used cookie of the older path.
#[tokio::test]
async fn a_used_refresh_cookie_of_the_other_path_ends_nothing() {
    let app = TestApp::new().await;
    let older = app.login(DEMO_EMAIL).await;
    let later = send(&app, "PATCH", &older.cookie()).await.pair();
    app.clock.advance_seconds(3_600);
    // Long after the grace. The longer path comes first.
    let newest = send(&app, "PATCH", &jar(&later.access, &[&later.refresh, &older.refresh])).await;
    assert_eq!(status(&newest), (201, ""));
    let newest = newest.pair();
    app.clock.advance_seconds(3_600);
    assert_eq!(app.check(&newest, "").await.status, 200);
    let answer = send(&app, "PATCH", &jar(&newest.access, &[&newest.refresh, &older.refresh])).await;
    assert_eq!(status(&answer), (201, ""));
    // By itself it is a copy: its family ends.
    assert_eq!(send(&app, "PATCH", &older.cookie()).await.status, 401);
    assert_eq!(app.check(&answer.pair(), "").await.status, 401);
}

#[tokio::test]
async fn a_logout_ends_every_own_session_of_the_browser() {
    let app = TestApp::new().await;
    let (one, two) = (app.login(DEMO_EMAIL).await, app.login(DEMO_EMAIL).await);
    let answer = send(&app, "DELETE", &jar(&two.access, &[&two.refresh, FOREIGN, &one.refresh])).await;
    assert_eq!((answer.status, answer.cookies.len()), (204, 3));
    for pair in [&one, &two] {
        assert_eq!(app.check(pair, "").await.status, 401);
    }
    let pair = app.login(DEMO_EMAIL).await;
    assert_eq!(send(&app, "DELETE", &jar(&pair.access, &[FOREIGN])).await.status, 204, "by the access token");
    assert_eq!(app.check(&pair, "").await.status, 401);
}

#[tokio::test]
async fn made_up_refresh_cookies_are_verified_up_to_a_bound_and_the_last_ones_count() {
    let app = TestApp::new().await;
    let pair = app.login(DEMO_EMAIL).await;
    let made_up: Vec<String> = (0..200).map(|number| format!("x{number}")).collect();
    let mut refresh: Vec<&str> = made_up.iter().map(String::as_str).collect();
    refresh.insert(0, &pair.refresh);
    let answer = send(&app, "PATCH", &jar(&pair.access, &refresh)).await;
    assert_eq!(answer, Answer::text(401, "Unauthorized"), "beyond the bound");
    refresh.push(&pair.refresh);
    assert_eq!(send(&app, "PATCH", &jar(&pair.access, &refresh)).await.status, 201);
}

#[tokio::test]
async fn the_older_surface_answers_as_the_legacy_backend() {
    let app = TestApp::older().await;
    app.request_code(DEMO_EMAIL).await;
    let answer = app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await;
    let expected = |Pair { access, refresh }: &Pair| Answer {
        cookies: vec![
            format!(
                "madome_access_token={access}; Domain=dev-domain.test; Max-Age=604800; Path=/; HttpOnly; Secure"
            ),
            format!(
                "madome_refresh_token={refresh}; Domain=dev-domain.test; Max-Age=604800; Path=/; HttpOnly; Secure"
            ),
        ],
        ..Answer::text(201, "")
    };
    let pair = answer.pair();
    assert_eq!(answer, expected(&pair), "no expiry header");

    let checked = Answer {
        content_type: Some("application/json".to_owned()),
        ..Answer::text(200, &format!(r#"{{"user_id":"{DEMO}"}}"#))
    };
    for query in ["", "?role=0", "?role=abc", "?role=256", "?role="] {
        assert_eq!(app.check(&pair, query).await, checked, "{query}");
    }
    assert_eq!(app.check(&pair, "?role=1").await, Answer::text(403, "Permission denied"));
    // The role is that of the account, not that of the token.
    app.people.set(DEMO_EMAIL, DEMO, 1);
    assert_eq!(app.check(&pair, "?role=1").await, checked);
    app.people.remove(DEMO_EMAIL);
    assert_eq!(app.check(&pair, "?role=0").await, Answer::text(404, "Not found user"));
    assert_eq!(app.check(&pair, "").await, checked);
    app.people.set(DEMO_EMAIL, DEMO, 0);

    let answer = app.refresh(&pair).await;
    let new = answer.pair();
    assert_eq!(answer, expected(&new));
    for cookie in ["", "a=b", "madome_access_token=x", "madome_refresh_token=a.b.c"] {
        let answer = send(&app, "DELETE", cookie).await;
        assert_eq!(answer, Answer::text(400, "Invalid token"), "{cookie}");
    }
    let clearing = |name: &str, path: &str| {
        format!("madome_{name}_token=; Domain=dev-domain.test; Max-Age=0; Path={path}; HttpOnly; Secure")
    };
    let mut cookies = vec![clearing("access", "/"), clearing("refresh", "/")];
    assert_eq!(app.logout(&new).await, Answer { cookies: cookies.clone(), ..Answer::text(204, "") });
    // A browser with cookies of both generations loses both.
    cookies.push(clearing("refresh", "/auth/token"));
    let answer = send(&app, "DELETE", &jar(&new.access, &[FOREIGN, &new.refresh])).await;
    assert_eq!(answer, Answer { cookies, ..Answer::text(204, "") });
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_refused_in_the_legacy_backends_words() {
    for app in [TestApp::older().await, TestApp::new().await] {
        for (body, text) in [
            ("{}", "missing field `email` at line 1 column 2"),
            ("1", "invalid type: integer `1`, expected struct Payload at line 1 column 1"),
            ("[]", "invalid length 0, expected struct Payload with 1 element at line 1 column 2"),
        ] {
            assert_eq!(app.call("POST /auth/code", &[], body).await, Answer::text(400, text), "{body}");
        }
        let answer = app.call("POST /auth/token", &[], "true").await;
        let text = "invalid type: boolean `true`, expected struct Payload at line 1 column 4";
        assert_eq!(answer, Answer::text(400, text));
    }
}
