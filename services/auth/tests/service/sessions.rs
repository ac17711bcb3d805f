//! Sessions: login, check, refresh, logout.

use kit::testing::TENANT;
use serde_json::json;

use crate::app::{Answer, BOT, DEMO, Pair, TestApp, claims};

const DEMO_EMAIL: &str = "demo@example.com";
const CLEARING: [&str; 2] = [
    "madome_access_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure",
    "madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure",
];

fn refused(text: &str) -> Answer {
    Answer::text(401, text)
}

#[tokio::test]
async fn a_login_answers_with_two_cookies_and_the_expiry() {
    let app = TestApp::new().await;
    app.request_code("bot@example.com").await;
    let answer = app.login_with("bot@example.com", &app.last_code("bot@example.com")).await;
    let Pair { access, refresh } = answer.pair();
    let now = app.now();
    assert_eq!(
        answer,
        Answer {
            status: 201,
            content_type: None,
            expires: Some((now + 14_400).to_string()),
            ceremony: None,
            cookies: vec![
                format!(
                    "madome_access_token={access}; Domain=dev-domain.test; Max-Age=604800; Path=/; SameSite=Lax; \
                     HttpOnly; Secure"
                ),
                format!(
                    "madome_refresh_token={refresh}; Domain=dev-domain.test; Max-Age=604800; Path=/auth/token; \
                     SameSite=Lax; HttpOnly; Secure"
                ),
            ],
            body: String::new(),
        }
    );
    let (access, refresh) = (claims(&access), claims(&refresh));
    assert_eq!(
        access,
        json!({
            "iss": "https://api.dev-domain.test/auth", "aud": "https://api.dev-domain.test", "sub": BOT,
            "sid": refresh["sid"], "tenantId": TENANT, "role": 2, "scope": "",
            "iat": now, "exp": now + 14_400, "jti": access["jti"],
        })
    );
    assert_eq!(
        refresh,
        json!({
            "iss": "https://api.dev-domain.test/auth", "aud": "https://api.dev-domain.test/auth", "sub": BOT,
            "sid": access["sid"], "tenantId": TENANT, "iat": now, "exp": now + 604_800, "jti": refresh["jti"],
        })
    );
    assert_ne!(access["jti"], refresh["jti"]);
}

#[tokio::test]
async fn a_check_names_the_signed_in_person() {
    let app = TestApp::new().await;
    let pair = app.login("bot@example.com").await;
    let exp = app.now() + 14_400;
    let ok = Answer {
        status: 200,
        content_type: Some("application/json".to_owned()),
        expires: Some(exp.to_string()),
        ceremony: None,
        cookies: Vec::new(),
        body: format!(r#"{{"user_id":"{BOT}","user_role":2,"access_token_exp":{exp}}}"#),
    };
    for query in ["", "?role=0", "?role=2", "?role=abc", "?role=256", "?role=", "?role=-1", "?x=1", "?%zz"] {
        assert_eq!(app.check(&pair, query).await, ok, "{query}");
    }
    // A person with too low a role is signed in all the same.
    let denied = || Answer { expires: Some(exp.to_string()), ..Answer::text(403, "Permission denied") };
    for query in ["?role=3", "?role=255", "?x=1&role=3"] {
        assert_eq!(app.check(&pair, query).await, denied(), "{query}");
    }
    let demo = app.login(DEMO_EMAIL).await;
    assert_eq!(app.check(&demo, "?role=1").await, denied());
}

#[tokio::test]
async fn a_check_needs_the_edge_and_the_token_of_its_session() {
    let app = TestApp::new().await;
    let (pair, other) = (app.login(DEMO_EMAIL).await, app.login(DEMO_EMAIL).await);
    let cookie = pair.cookie();
    assert_eq!(app.call("GET /auth/token", &[("cookie", &cookie)], "").await, refused("Unauthorized"));
    let identity = app.edge.person(&crate::app::person(&other), "auth");
    let headers = [("cookie", cookie.as_str()), ("x-madome-identity", identity.as_str())];
    assert_eq!(app.call("GET /auth/token", &headers, "").await, refused("Unauthorized"), "another session's");
    let bearer = format!("Bearer {}", other.access);
    let headers = [headers[0], headers[1], ("authorization", bearer.as_str())];
    assert_eq!(
        app.call("GET /auth/token", &headers, "").await.status,
        200,
        "of the two tokens, the verified one"
    );
}

#[tokio::test]
async fn a_check_beside_another_tenant_is_refused() {
    const OTHER: &str = "00000000-0000-7000-8000-000000000002";
    let app = TestApp::new().await;
    let pair = app.login(DEMO_EMAIL).await;
    let (cookie, person) = (pair.cookie(), crate::app::person(&pair));
    let identity = app.edge.person(&person, "auth");
    for tenant in ["", OTHER] {
        let headers =
            [("cookie", cookie.as_str()), ("x-madome-identity", identity.as_str()), ("x-tenant-id", tenant)];
        assert_eq!(app.call("GET /auth/token", &headers, "").await, refused("Unauthorized"), "{tenant:?}");
    }
    assert_eq!(app.check(&pair, "").await.status, 200);
}

#[tokio::test]
async fn a_check_accepts_a_minute_after_expiry_and_no_more() {
    let app = TestApp::new().await;
    let pair = app.login(DEMO_EMAIL).await;
    for (seconds, status) in [(14_400 + 58, 200), (2, 200), (1, 401)] {
        app.clock.advance_seconds(seconds);
        assert_eq!(app.check(&pair, "").await.status, status);
    }
}

#[tokio::test]
async fn a_refresh_replaces_the_session() {
    let app = TestApp::new().await;
    let old = app.login(DEMO_EMAIL).await;
    app.clock.advance_seconds(100);
    let answer = app.refresh(&old).await;
    assert_eq!((answer.status, answer.body.as_str()), (201, ""));
    assert_eq!(answer.expires, Some((app.now() + 14_400).to_string()));
    let new = answer.pair();
    assert_ne!(new.claim("sid"), old.claim("sid"));
    assert_eq!((new.claim("sub"), new.claim("exp")), (json!(DEMO), json!(app.now() + 14_400)));

    assert_eq!(app.refresh(&old).await, refused("Unauthorized"), "the old refresh token is dead at once");
    let until = old.claim("exp").as_u64().unwrap() + 120;
    assert_eq!(app.revoked(), [json!({ "sid": old.claim("sid"), "from": app.now() + 60, "until": until })]);
    app.clock.advance_seconds(59);
    assert_eq!(app.check(&old, "").await.status, 200, "the old access token lives for a minute");
    app.clock.advance_seconds(1);
    assert_eq!(app.check(&old, "").await, refused("Unauthorized"));
    assert_eq!(app.check(&new, "").await.status, 200);
    assert_eq!(app.refresh(&new).await.status, 201);
}

#[tokio::test]
async fn a_refresh_takes_an_access_token_of_any_age_but_a_refresh_token_in_time() {
    let app = TestApp::new().await;
    let pair = app.login(DEMO_EMAIL).await;
    app.clock.advance_seconds(604_800 + 60);
    let answer = app.refresh(&pair).await;
    assert_eq!(answer.status, 201);
    assert!(app.revoked().is_empty(), "an access token that is no longer valid needs no revocation");
    app.clock.advance_seconds(604_800 + 61);
    assert_eq!(app.refresh(&answer.pair()).await, refused("Unauthorized"));
}

#[tokio::test]
async fn a_refresh_needs_two_genuine_tokens_that_belong_together() {
    let app = TestApp::new().await;
    let (one, two) = (app.login(DEMO_EMAIL).await, app.login(DEMO_EMAIL).await);
    let patch = async |cookie: &str| app.call("PATCH /auth/token", &[("cookie", cookie)], "").await;
    let Pair { access, refresh } = &one;
    let unauthorized = [
        String::new(),
        format!("madome_access_token={access}"),
        format!("madome_refresh_token={refresh}"),
        format!("madome_access_token={refresh}; madome_refresh_token={access}"),
        format!("madome_access_token={access}; madome_refresh_token=\"{refresh}\""),
        format!("madome_access_token={access}; madome_refresh_token={refresh}x"),
        format!("madome_access_token={access}; Madome_refresh_token={refresh}"),
    ];
    for cookie in &unauthorized {
        assert_eq!(patch(cookie).await, refused("Unauthorized"), "{cookie}");
    }
    let bearer = format!("Bearer {access}");
    let only_refresh = format!("madome_refresh_token={refresh}");
    let headers = [("authorization", bearer.as_str()), ("cookie", only_refresh.as_str())];
    assert_eq!(app.call("PATCH /auth/token", &headers, "").await, refused("Unauthorized"));
    let mixed = Pair { access: access.clone(), refresh: two.refresh.clone() };
    assert_eq!(app.refresh(&mixed).await, refused("Invalid token pair"));
    let (first, second) = (one.cookie(), two.cookie());
    let lines = [("cookie", first.as_str()), ("cookie", second.as_str())];
    assert_eq!(app.call("PATCH /auth/token", &lines, "").await, refused("Unauthorized"), "ambiguous");
    // None of these requests used the session up. A foreign cookie beside is ignored, and no space is needed.
    let odd = format!("madome_refresh_token=x;madome_refresh_token={refresh};madome_access_token={access}");
    assert_eq!(patch(&odd).await.status, 201);
}

#[tokio::test]
async fn a_refresh_reads_the_role_again_and_refuses_a_removed_person() {
    let app = TestApp::new().await;
    let pair = app.login("bot@example.com").await;
    app.people.set("bot@example.com", BOT, 1);
    let pair = app.refresh(&pair).await.pair();
    assert_eq!(pair.claim("role"), 1);
    app.people.remove("bot@example.com");
    assert_eq!(app.refresh(&pair).await, refused("Unauthorized"));
    app.people.set_raw("bot@example.com", json!({ "id": BOT, "role": "x", "tenant_id": TENANT }));
    assert_eq!(app.refresh(&pair).await, Answer::text(500, "Internal server error"));
    app.people.set("bot@example.com", BOT, 2);
    assert_eq!(app.refresh(&pair).await.status, 201, "a failed lookup uses nothing up");
}

#[tokio::test]
async fn a_logout_ends_the_session_at_once() {
    let app = TestApp::new().await;
    let pair = app.login(DEMO_EMAIL).await;
    let signed_out = Answer { cookies: CLEARING.map(str::to_owned).to_vec(), ..Answer::text(204, "") };
    assert_eq!(app.logout(&pair).await, signed_out);
    let line = json!({ "sid": pair.claim("sid"), "from": app.now(), "until": app.now() + 14_400 + 120 });
    assert_eq!(app.revoked(), std::slice::from_ref(&line));
    assert_eq!(app.check(&pair, "").await, refused("Unauthorized"));
    assert_eq!(app.refresh(&pair).await, refused("Unauthorized"));
    app.clock.advance_seconds(5);
    assert_eq!(app.logout(&pair).await, signed_out, "a repetition changes nothing");
    assert_eq!(app.revoked(), [line]);
}

#[tokio::test]
async fn a_logout_works_with_one_cookie_and_after_expiry() {
    let app = TestApp::new().await;
    for name in ["access", "refresh"] {
        let pair = app.login(DEMO_EMAIL).await;
        app.clock.advance_seconds(604_800 + 3_600);
        let value = if name == "access" { &pair.access } else { &pair.refresh };
        let cookie = format!("madome_{name}_token={value}");
        let answer = app.call("DELETE /auth/token", &[("cookie", &cookie)], "").await;
        assert_eq!((answer.status, answer.cookies.len()), (204, 2), "{name}");
    }
    for cookie in ["", "madome_access_token=x", "madome_access_token=; madome_refresh_token=a.b.c", "a=b"] {
        let answer = app.call("DELETE /auth/token", &[("cookie", cookie)], "").await;
        assert_eq!(answer, refused("Invalid token"), "{cookie}");
    }
}

#[tokio::test]
async fn a_logout_with_a_mixed_pair_ends_the_refresh_tokens_session() {
    let app = TestApp::new().await;
    let (one, two) = (app.login(DEMO_EMAIL).await, app.login(DEMO_EMAIL).await);
    let mixed = Pair { access: one.access.clone(), refresh: two.refresh.clone() };
    assert_eq!(app.logout(&mixed).await.status, 204);
    assert_eq!((app.check(&one, "").await.status, app.check(&two, "").await.status), (200, 401));
}

#[tokio::test]
async fn a_logout_after_a_refresh_cuts_the_grace_short() {
    let app = TestApp::new().await;
    let old = app.login(DEMO_EMAIL).await;
    let new = app.refresh(&old).await.pair();
    assert_eq!(app.logout(&old).await.status, 204);
    assert_eq!((app.check(&old, "").await.status, app.check(&new, "").await.status), (401, 401));
    let mut ends: Vec<_> =
        app.revoked().iter().map(|line| (line["sid"].to_string(), line["from"].as_u64().unwrap())).collect();
    ends.sort();
    let (old, new) = (old.claim("sid").to_string(), new.claim("sid").to_string());
    let mut expected = [(old.clone(), app.now()), (old, app.now() + 60), (new, app.now())];
    expected.sort();
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn a_genuine_token_of_a_forgotten_session_opens_no_session_but_can_be_revoked() {
    let mut app = TestApp::new().await;
    let pair = app.login(DEMO_EMAIL).await;
    // The database is gone, the keys are still there.
    std::fs::remove_dir_all(app.home.path().join("db")).unwrap();
    let restarted = auth::app(&app.settings, std::sync::Arc::new(app.clock.clone())).await.unwrap();
    app.router = auth::routes::router(restarted);
    assert_eq!(app.check(&pair, "").await, refused("Unauthorized"));
    assert_eq!(app.refresh(&pair).await, refused("Unauthorized"));
    for _ in 0..2 {
        assert_eq!(app.logout(&pair).await.status, 204);
        assert_eq!(app.revoked().len(), 1, "one death, one line");
    }
}
