//! Login codes: `POST /auth/code` and `POST /auth/token`.

use auth::settings::{Bounds, Settings};
use serde_json::json;

use crate::app::{Answer, DEMO, TestApp};

const DEMO_EMAIL: &str = "demo@example.com";

#[tokio::test]
async fn a_code_goes_to_the_mail_and_nowhere_else() {
    let app = TestApp::new().await;
    for _ in 0..2 {
        assert_eq!(app.request_code(DEMO_EMAIL).await, Answer::text(201, ""));
    }
    let mail = app.mail(DEMO_EMAIL);
    let names: Vec<&str> = mail.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0001.json", "0002.json"]);
    for (_, mail) in &mail {
        let code = mail["variables"]["authcode"].as_str().unwrap();
        assert_eq!(code.len(), 12);
        assert!(code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{code}");
        assert_eq!(
            *mail,
            json!({
                "to": DEMO_EMAIL,
                "template": "authcode",
                "variables": { "authcode": code, "link": format!("madome:///auth?value={code}") },
                "created_at": "2026-11-20T00:00:00Z",
            })
        );
    }
}

#[tokio::test]
async fn requests_for_a_code_are_refused_in_the_legacys_words() {
    let app = TestApp::new().await;
    for email in ["", "demo", "@", "@example.com", "@@", "demo@", "\0"] {
        assert_eq!(app.request_code(email).await, Answer::text(400, "Invalid email"), "{email:?}");
    }
    // The later ones are no addresses for mail. They are not even looked up: the directory would find them.
    let undeliverable =
        ["a@b@c", "a b@c", "demo@@example.com", "a@b\r\n", "<demo@example.com>", "a@b\0", "a@b."];
    for email in undeliverable {
        app.people.set(email, DEMO, 0);
    }
    for email in ["nobody@example.com", "Demo@example.com", "../../keys/x@x"].iter().chain(&undeliverable) {
        assert_eq!(app.request_code(email).await, Answer::text(404, "Not found user"), "{email:?}");
    }
    app.people.set_raw("homeless@example.com", json!({ "id": DEMO, "role": 0, "tenant_id": null }));
    assert_eq!(app.request_code("homeless@example.com").await, Answer::text(404, "Not found user"));
    for body in ["", "{", "{}", r#"{"email":1}"#, r#"{"email":"a@b","email":"a@b"}"#] {
        let answer = app.call("POST /auth/code", &[], body).await;
        assert_eq!((answer.status, answer.content_type), (400, None), "{body}");
        assert!(!answer.body.is_empty());
    }
    assert!(!app.home.path().join("mail").exists(), "no refusal leaves a trace in the mail");
}

#[tokio::test]
async fn the_content_type_and_unknown_fields_do_not_matter() {
    let app = TestApp::new().await;
    let body = r#"{"email":"demo@example.com","ses_flag":true}"#;
    for content_type in ["text/plain", "application/json", "x"] {
        let answer = app.call("POST /auth/code", &[("content-type", content_type)], body).await;
        assert_eq!(answer, Answer::text(201, ""), "{content_type}");
    }
}

#[tokio::test]
async fn five_codes_are_alive_at_most() {
    let app = TestApp::new().await;
    for _ in 0..5 {
        assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201);
    }
    assert_eq!(app.request_code(DEMO_EMAIL).await, Answer::text(429, "Too many created authcode"));
    assert_eq!(app.request_code("bot@example.com").await.status, 201, "another address is not affected");
    assert_eq!(app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await.status, 201);
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201, "the used code makes room");
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 429, "the four others live on");
    app.clock.advance_seconds(120);
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201, "expired codes make room");
}

#[tokio::test]
async fn a_code_works_once_for_two_minutes_for_its_address() {
    let app = TestApp::new().await;
    let wrong = Answer::text(404, "Invalid authcode");
    app.request_code(DEMO_EMAIL).await;
    let code = app.last_code(DEMO_EMAIL);
    assert_eq!(app.login_with("bot@example.com", &code).await, wrong);
    assert_eq!(app.login_with("nobody@example.com", "000000000000").await, wrong);
    for bad in ["000000000000", "", &code[..11], &format!("{code}x")] {
        assert_eq!(app.login_with(DEMO_EMAIL, bad).await, wrong, "{bad:?}");
    }
    app.clock.advance_seconds(119);
    assert_eq!(app.login_with(DEMO_EMAIL, &code).await.status, 201);
    assert_eq!(app.login_with(DEMO_EMAIL, &code).await, wrong, "used");

    app.request_code(DEMO_EMAIL).await;
    app.clock.advance_seconds(120);
    assert_eq!(app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await, wrong, "expired");
}

#[tokio::test]
async fn a_person_who_is_gone_uses_the_code_up() {
    let app = TestApp::new().await;
    app.request_code(DEMO_EMAIL).await;
    let code = app.last_code(DEMO_EMAIL);
    app.people.remove(DEMO_EMAIL);
    assert_eq!(app.login_with(DEMO_EMAIL, &code).await, Answer::text(404, "Not found user"));
    app.people.set(DEMO_EMAIL, DEMO, 0);
    assert_eq!(app.login_with(DEMO_EMAIL, &code).await, Answer::text(404, "Invalid authcode"));
}

#[tokio::test]
async fn no_person_is_taken_for_absent_when_the_users_service_is_down_or_stuck() {
    let mut app = TestApp::new().await;
    app.people.set_raw("broken@example.com", json!("not an account"));
    assert_eq!(app.request_code("broken@example.com").await, Answer::text(500, "Internal server error"));
    // A port without a listener.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    app.settings.service_edge_url = format!("http://{free}");
    let down = auth::app(&app.settings, std::sync::Arc::new(app.clock.clone())).await.unwrap();
    app.router = auth::routes::router(down);
    assert_eq!(app.request_code(DEMO_EMAIL).await, Answer::text(500, "Internal server error"));
    // A listener that accepts connections and never answers.
    let mute = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    app.settings.service_edge_url = format!("http://{}", mute.local_addr().unwrap());
    let stuck = auth::app(&app.settings, std::sync::Arc::new(app.clock.clone())).await.unwrap();
    app.router = auth::routes::router(stuck);
    let asked = std::time::Instant::now();
    assert_eq!(app.request_code(DEMO_EMAIL).await, Answer::text(500, "Internal server error"));
    let waited = asked.elapsed();
    assert!((1..8).contains(&waited.as_secs()), "the lookup waits about two seconds, not {waited:?}");
}

async fn every_living_code_signs_in_once_in_any_order(app: TestApp) {
    let wrong = Answer::text(404, "Invalid authcode");
    let mut codes = Vec::new();
    for _ in 0..5 {
        app.request_code(DEMO_EMAIL).await;
        codes.push(app.last_code(DEMO_EMAIL));
    }
    app.request_code("bot@example.com").await;
    for place in [3, 0, 4, 1] {
        assert_eq!(app.login_with(DEMO_EMAIL, &codes[place]).await.status, 201, "{place}");
        assert_eq!(app.login_with(DEMO_EMAIL, &codes[place]).await, wrong, "{place} is used");
    }
    app.clock.advance_seconds(119);
    assert_eq!(app.login_with(DEMO_EMAIL, &codes[2]).await.status, 201, "to its last second");
    assert_eq!(app.login_with("bot@example.com", &app.last_code("bot@example.com")).await.status, 201);
    app.clock.advance_seconds(1);
    for code in &codes {
        assert_eq!(app.login_with(DEMO_EMAIL, code).await, wrong);
    }
}

#[tokio::test]
async fn signing_in_uses_up_the_matching_code_alone_on_sqlite() {
    every_living_code_signs_in_once_in_any_order(TestApp::new().await).await;
}

#[tokio::test]
async fn signing_in_uses_up_the_matching_code_alone_on_postgresql() {
    let postgres = kit::testing::PrivatePostgres::start();
    every_living_code_signs_in_once_in_any_order(TestApp::on(Some(postgres.url())).await).await;
}

async fn an_outage_of_the_mail_uses_up_no_codes(app: TestApp) {
    let directory = app.home.path().join("mail");
    std::fs::write(&directory, "in the way").unwrap();
    for _ in 0..40 {
        assert_eq!(app.request_code(DEMO_EMAIL).await.status, 500);
    }
    std::fs::remove_file(&directory).unwrap();
    for _ in 0..5 {
        assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201);
    }
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 429, "five are alive");
    assert_eq!(app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await.status, 201);
}

#[tokio::test]
async fn an_outage_of_the_mail_uses_up_no_codes_on_sqlite() {
    an_outage_of_the_mail_uses_up_no_codes(TestApp::new().await).await;
}

#[tokio::test]
async fn an_outage_of_the_mail_uses_up_no_codes_on_postgresql() {
    let postgres = kit::testing::PrivatePostgres::start();
    an_outage_of_the_mail_uses_up_no_codes(TestApp::on(Some(postgres.url())).await).await;
}

/// Requests codes as often as allowed for `hours`, and returns how many mails were written.
async fn mails_within(app: &TestApp, hours: u64) -> u64 {
    let mut mailed = 0;
    for _ in 0..hours * 60 {
        for _ in 0..3 {
            match app.request_code(DEMO_EMAIL).await.status {
                201 => mailed += 1,
                status => assert_eq!(status, 429),
            }
        }
        app.clock.advance_seconds(60);
    }
    mailed
}

/// The numbers of docs/sessions.md.
async fn a_stranger_cannot_mail_without_end_nor_lock_the_owner_out(mut app: TestApp) {
    let first = mails_within(&app, 1).await;
    assert!((55..=60).contains(&first), "{first} mails in the first hour");
    let second = mails_within(&app, 1).await;
    assert!((29..=30).contains(&second), "{second} mails in another hour");
    app.restart().await;
    while app.request_code(DEMO_EMAIL).await.status == 201 {}
    // While the next code is refused, the newest mail signs in: from its first second to its last.
    app.clock.advance_seconds(119);
    let wrong = Answer::text(404, "Invalid authcode");
    match app.request_code(DEMO_EMAIL).await.status {
        429 => assert_eq!(app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await.status, 201),
        status => assert_eq!(status, 201),
    }
    assert_eq!(app.login_with("bot@example.com", &app.last_code(DEMO_EMAIL)).await, wrong);
    // The owner has signed in, so the count starts again.
    app.clock.advance_seconds(120);
    let _ = app.request_code(DEMO_EMAIL).await;
    assert_eq!(app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await.status, 201);
    for _ in 0..5 {
        assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201);
    }
    assert_eq!(app.request_code("bot@example.com").await.status, 201, "another address was never affected");
}

#[tokio::test]
async fn mails_are_bounded_and_the_newest_signs_in_on_sqlite() {
    a_stranger_cannot_mail_without_end_nor_lock_the_owner_out(TestApp::new().await).await;
}

#[tokio::test]
async fn mails_are_bounded_and_the_newest_signs_in_on_postgresql() {
    let postgres = kit::testing::PrivatePostgres::start();
    a_stranger_cannot_mail_without_end_nor_lock_the_owner_out(TestApp::on(Some(postgres.url())).await).await;
}

/// A client that requests a code whenever the last one has expired is never refused, and every code lives equally long.
#[tokio::test]
async fn one_code_after_another_is_never_refused_and_every_one_lives_for_two_minutes() {
    let app = TestApp::new().await;
    for code in 0..60 {
        assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201, "code {code}");
        app.clock.advance_seconds(121);
        let late = app.login_with(DEMO_EMAIL, &app.last_code(DEMO_EMAIL)).await;
        assert_eq!(late, Answer::text(404, "Invalid authcode"), "code {code} lived for more than 120 s");
    }
}

#[tokio::test]
async fn the_number_of_codes_in_an_hour_is_a_setting() {
    let bounds = Bounds { codes_per_hour: 6, ..Bounds::default() };
    let app = TestApp::with(|settings| Settings { bounds, ..settings }).await;
    for _ in 0..5 {
        assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201);
    }
    app.clock.advance_seconds(120);
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201);
    assert_eq!(app.request_code(DEMO_EMAIL).await, Answer::text(429, "Too many created authcode"));
    app.clock.advance_seconds(480);
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201, "one in ten minutes");
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 429);
}

#[tokio::test]
async fn an_invalid_address_never_reaches_the_database() {
    let postgres = kit::testing::PrivatePostgres::start();
    for app in [TestApp::new().await, TestApp::on(Some(postgres.url())).await] {
        for email in ["a\0@example.com", "a@b\0"] {
            assert_eq!(app.request_code(email).await, Answer::text(404, "Not found user"), "{email:?}");
            let wrong = Answer::text(404, "Invalid authcode");
            assert_eq!(app.login_with(email, "000000000000").await, wrong, "{email:?}");
            assert_eq!(app.login_with(DEMO_EMAIL, "00000000000\0").await, wrong);
        }
    }
}
