//! The answers of the routes to callers who may use them.

use axum::body::Body;
use http::Request;
use identity::Role;

use crate::app::{Answer, BOT, DEV, SESSION, TestApp};

#[tokio::test]
async fn probes_answer_without_a_caller() {
    let app = TestApp::new().await;
    assert_eq!(app.call("GET /healthz", "", "").await, Answer::text(200, "ok"));
    assert_eq!(app.call("GET /readyz", "", "").await, Answer::text(200, "ready"));
}

#[tokio::test]
async fn the_expiry_comes_from_the_token_of_the_proved_session() {
    let app = TestApp::new().await;
    // {"sid":SESSION,"exp":1795147200}, and the same for another session.
    let own = token(SESSION, 1_795_147_200);
    let other = token("00000000-0000-7000-8000-0000000000ee", 1);
    let cases = [
        (vec![("cookie", format!("madome_access_token={own}"))], Some("1795147200")),
        (vec![("authorization", format!("Bearer {own}"))], Some("1795147200")),
        (
            vec![
                ("cookie", format!("madome_access_token={other}")),
                ("authorization", format!("Bearer {own}")),
            ],
            Some("1795147200"),
        ),
        (vec![("cookie", format!("madome_access_token={other}"))], None),
        (vec![("cookie", "madome_access_token=x".to_owned())], None),
        (vec![], None),
    ];
    for (headers, expected) in cases {
        let mut request = Request::get("/users/@me").header("x-madome-identity", app.as_demo());
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.expires.as_deref()), (200, expected), "{headers:?}");
    }
}

fn token(session: &str, exp: u64) -> String {
    use base64::Engine as _;
    let claims = format!(r#"{{"sid":"{session}","exp":{exp}}}"#);
    format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn people_change_their_own_name_and_handle() {
    let app = TestApp::new().await;
    let demo = app.as_demo();
    let patch = |body: &'static str| app.call("PATCH /users/@me", &demo, body);
    assert_eq!(patch(r#"{"name":"New","handle":"new","email":"ignored@x"}"#).await, Answer::text(204, ""));
    let me = app.call("GET /users/@me", &demo, "").await.body;
    assert!(me.contains(r#""name":"New","handle":"new","email":"demo@example.com""#), "{me}");
    assert_eq!(patch("{}").await, Answer::text(204, ""));
    assert_eq!(patch(r#"{"handle":"new"}"#).await, Answer::text(204, ""), "their own is not taken");
    assert_eq!(patch(r#"{"handle":"dev"}"#).await, Answer::text(409, "Already exist user"));
    assert_eq!(patch(r#"{"name":"Bot"}"#).await, Answer::text(409, "Already exist user"));
    assert_eq!(
        patch(r#"{"name":"一二三四五六七八九十一二三四五六七八九十"}"#).await.status,
        204,
        "characters count, not bytes"
    );
}

#[tokio::test]
async fn a_body_is_refused_in_the_legacys_words() {
    let app = TestApp::new().await;
    let demo = app.as_demo();
    let bot = app.as_person(BOT, Role::BOT);
    let long = "a".repeat(21);
    let new = |name: &str, handle: &str, email: &str, role: i64| {
        format!(r#"{{"name":"{name}","handle":"{handle}","email":"{email}","role":{role}}}"#)
    };
    let cases = [
        (
            "PATCH /users/@me",
            &demo,
            r#"{"name":""}"#.to_owned(),
            r#"name: length of "" less than 1"#.to_owned(),
        ),
        (
            "PATCH /users/@me",
            &demo,
            format!(r#"{{"handle":"{long}"}}"#),
            format!("handle: length of \"{long}\" more than 20"),
        ),
        ("POST /users", &bot, new("", "h", "a@b", 0), r#"name: length of "" less than 1"#.to_owned()),
        ("POST /users", &bot, new(&long, "h", "a@b", 0), format!("name: length of \"{long}\" more than 20")),
        ("POST /users", &bot, new("n", "h", "a@", 0), r#"email: "a@" is not email"#.to_owned()),
        ("POST /users", &bot, new("n", "h", "a@b", 2), "role: 2 more than 1".to_owned()),
        ("POST /users", &bot, new("n", "h", "a@b", 4_294_967_295), "role: 4294967295 more than 1".to_owned()),
    ];
    for (line, identity, body, expected) in cases {
        assert_eq!(app.call(line, identity, &body).await, Answer::text(400, &expected), "{line} {body}");
    }
    for body in ["{", "[]", r#"{"name":1,"handle":"h","email":"a@b"}"#, &new("n", "h", "a@b", -1)] {
        let answer = app.call("POST /users", &bot, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body.starts_with("Json deserialize: "), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_has_to_be_declared_json() {
    let app = TestApp::new().await;
    for (content_type, status) in [
        (None, 400),
        (Some("text/plain"), 400),
        (Some(" application/json"), 204),
        (Some("application/json; charset=utf-8"), 204),
        (Some("Application/JSON"), 204),
    ] {
        let mut request = Request::patch("/users/@me").header("x-madome-identity", app.as_demo());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type.trim());
        }
        let answer = app.send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, status, "{content_type:?}");
        if status == 400 {
            let given = content_type.unwrap_or_default();
            assert_eq!(answer.body, format!("Not supported content-type: {given}"));
        }
    }
}

#[tokio::test]
async fn only_bots_make_accounts() {
    let app = TestApp::new().await;
    let body = r#"{"name":"New","handle":"new","email":"new@example.com","role":1}"#;
    for identity in [app.as_demo(), app.as_person(DEV, Role::DEVELOPER)] {
        assert_eq!(app.call("POST /users", &identity, body).await, Answer::text(403, "Permission Denied"));
        let refused_first = app.call("POST /users", &identity, "{").await;
        assert_eq!(refused_first.status, 403, "the role comes before the body");
    }
    let bot = app.as_person(BOT, Role::BOT);
    assert_eq!(app.call("POST /users", &bot, body).await, Answer::text(201, ""));
    for taken in [
        r#"{"name":"New","handle":"x","email":"x@x"}"#,
        r#"{"name":"x","handle":"new","email":"x@x"}"#,
        r#"{"name":"x","handle":"x","email":"new@example.com"}"#,
    ] {
        assert_eq!(app.call("POST /users", &bot, taken).await, Answer::text(409, "Already exist user"));
    }
    let found = app.call("GET /_/users/new@example.com", &app.edge.service("auth", "users"), "").await.body;
    assert!(found.contains(r#""role":1,"#) && found.contains(kit::testing::TENANT), "{found}");
}

#[tokio::test]
async fn services_look_people_up_by_id_or_address() {
    let app = TestApp::new().await;
    let auth = app.edge.service("auth", "users");
    let expected = concat!(
        r#"{"id":"00000000-0000-7000-8000-0000000000a1","name":"Dev","handle":"dev","email":"dev@example.com","#,
        r#""role":1,"created_at":"2026-11-20T00:00:00.000Z","updated_at":"2026-11-20T00:00:00.000Z","#,
        r#""tenant_id":"00000000-0000-7000-8000-000000000001"}"#
    );
    for key in ["dev@example.com", "dev%40example.com", "00000000-0000-7000-8000-0000000000a1"] {
        let answer = app.call(&format!("GET /_/users/{key}"), &auth, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{key}");
    }
    for key in ["DEV@example.com", "nobody@example.com", "00000000-0000-7000-8000-0000000000ff", "%ff", "dev"]
    {
        let answer = app.call(&format!("GET /_/users/{key}"), &auth, "").await;
        assert_eq!(answer, Answer::text(404, "Not found user"), "{key}");
    }
}

#[tokio::test]
async fn a_name_has_one_form_and_nothing_in_it_that_cannot_be_seen() {
    let postgres = kit::testing::PrivatePostgres::start();
    for app in [TestApp::new().await, TestApp::on(Some(postgres.url())).await] {
        let (demo, bot) = (app.as_demo(), app.as_person(BOT, Role::BOT));
        for field in ["name", "handle"] {
            for unseen in
                ["\\u0000", "\\u001b", "\\u202e", "\\u200b", "\\u2066", "\\ufeff", "\\u2028", "\\u3164"]
            {
                let body = format!(r#"{{"{field}":"De{unseen}mo"}}"#);
                let answer = app.call("PATCH /users/@me", &demo, &body).await;
                assert_eq!(answer.status, 400, "{body}");
                assert!(answer.body.contains("cannot be seen"), "{}", answer.body);
                assert!(!answer.body.chars().any(char::is_control), "{}", answer.body);
            }
            let blank = app.call("PATCH /users/@me", &demo, &format!(r#"{{"{field}":" \u00a0 "}}"#)).await;
            assert_eq!(blank, Answer::text(400, &format!("{field}: length of \"\" less than 1")));
        }
        // Two spellings, one name.
        assert_eq!(app.call("PATCH /users/@me", &demo, r#"{"name":" Zoe\u0308 "}"#).await.status, 204);
        let me = app.call("GET /users/@me", &demo, "").await.body;
        assert!(me.contains("\"name\":\"Zo\u{eb}\""), "{me}");
        for same in ["Zo\u{eb}", "Zoe\u{308}", "\u{3000}Zo\u{eb}"] {
            let body = format!(r#"{{"name":"{same}","handle":"zoe","email":"zoe@example.com"}}"#);
            assert_eq!(app.call("POST /users", &bot, &body).await, Answer::text(409, "Already exist user"));
        }
        for email in ["a@b@c", "a b@c", "a@b,c@d", "a\\u0000@b", "a\\u202e@b"] {
            let body = format!(r#"{{"name":"n","handle":"h","email":"{email}"}}"#);
            let answer = app.call("POST /users", &bot, &body).await;
            assert!(answer.status == 400 && answer.body.ends_with("is not email"), "{answer:?}");
        }
        let auth = app.edge.service("auth", "users");
        for line in ["GET /_/users/a%00b", "GET /_/users?email=a%00%40b", "GET /_/users/%00"] {
            assert_eq!(app.call(line, &auth, "").await, Answer::text(404, "Not found user"), "{line}");
        }
    }
}
