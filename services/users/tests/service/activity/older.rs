//! The older surface answers as the legacy backend does, byte for byte: the sample is asked the same questions.

use identity::Role;
use kit::testing::{PrivatePostgres, Wire};

use crate::app::{Answer, TestApp};
use crate::older::{OLD, Sample, with_the_person_of_the_sample};

const JSON: &str = "application/json";

/// Method, path, content type, body.
type Exchange = (&'static str, &'static str, &'static str, &'static str);

/// Every endpoint with its refusals. The order matters: rows are made on the way.
const EXCHANGES: &[Exchange] = &[
    ("GET", "/users/@me/likes", "", ""),
    ("GET", "/users/@me/likes/", "", ""),
    ("GET", "/users/@me/Likes", "", ""),
    ("PATCH", "/users/@me/likes", JSON, "{}"),
    ("HEAD", "/users/@me/likes", "", ""),
    ("GET", "/users/@me/tastes", "", ""),
    ("GET", "/users/@me/likes?books-per-page=0", "", ""),
    ("GET", "/users/@me/likes?books-per-page=abc&books-page=0&books-sort-by=x", "", ""),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":7}"#),
    ("GET", "/users/@me/likes?books-per-page=abc", "", ""),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":7}"#),
    ("POST", "/users/@me/likes", "application/json; charset=utf-8", r#"{"kind":"book","book_id":8}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"full color"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"full color"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"group","tag_name":"some group"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":999}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":0}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":-1}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":99999999999}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"none"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"nothing","tag_name":"full color"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"a\u0000"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc"}"#),
    ("POST", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_name":"misc"}"#),
    ("POST", "/users/@me/likes", JSON, "{"),
    ("POST", "/users/@me/likes", "text/plain", r#"{"kind":"book","book_id":9}"#),
    ("POST", "/users/@me/likes", "", r#"{"kind":"book","book_id":9}"#),
    ("GET", "/users/@me/likes", "", ""),
    ("GET", "/users/@me/likes?sort-by=created-at-asc", "", ""),
    ("GET", "/users/@me/likes?sort-by=created-at-desc&per-page=2", "", ""),
    ("GET", "/users/@me/likes?per-page=2&page=2", "", ""),
    ("GET", "/users/@me/likes?per-page=2&page=3", "", ""),
    ("GET", "/users/@me/likes?page=99999999999999999999", "", ""),
    ("GET", "/users/@me/likes?per-page=100", "", ""),
    ("GET", "/users/@me/likes?kind=book", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag", "", ""),
    ("GET", "/users/@me/likes?kind=book_tag", "", ""),
    ("GET", "/users/@me/likes?kind=", "", ""),
    ("GET", "/users/@me/likes?kind=other&per-page=0", "", ""),
    ("GET", "/users/@me/likes?per-page=0", "", ""),
    ("GET", "/users/@me/likes?per-page=101", "", ""),
    ("GET", "/users/@me/likes?per-page=-1", "", ""),
    ("GET", "/users/@me/likes?per-page=007", "", ""),
    ("GET", "/users/@me/likes?per-page=000", "", ""),
    ("GET", "/users/@me/likes?per-page=x", "", ""),
    ("GET", "/users/@me/likes?per-page=", "", ""),
    ("GET", "/users/@me/likes?per-page=99999999999999999999", "", ""),
    ("GET", "/users/@me/likes?page=0", "", ""),
    ("GET", "/users/@me/likes?page=-99999999999999999999", "", ""),
    ("GET", "/users/@me/likes?page=0&per-page=0", "", ""),
    ("GET", "/users/@me/likes?page=x&per-page=0", "", ""),
    ("GET", "/users/@me/likes?per-page=1&per-page=2", "", ""),
    ("GET", "/users/@me/likes?sort-by=updated-at-desc", "", ""),
    ("GET", "/users/@me/likes?sort-by=&unknown=1", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=1", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=2&books-page=2&books-sort-by=id-asc", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-page=4&books-per-page=10", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=0", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=101", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-sort-by=x", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-sort-by=", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-page=0", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=abc", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-per-page=", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-page=x&books-per-page=0", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-sort-by=x&books-page=1.5", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&books-page=99999999999999999999", "", ""),
    ("GET", "/users/@me/likes?kind=book&books-per-page=abc", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&page=9&books-per-page=abc", "", ""),
    ("GET", "/users/@me/likes?kind=book-tag&per-page=0&books-per-page=abc", "", ""),
    ("DELETE", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/likes", JSON, r#"{"kind":"book","book_id":99999999999}"#),
    ("DELETE", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"full color"}"#),
    ("DELETE", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"full color"}"#),
    ("DELETE", "/users/@me/likes", JSON, r#"{"kind":"book_tag","tag_kind":"misc","tag_name":"a\u0000"}"#),
    ("DELETE", "/users/@me/likes", "", ""),
    ("DELETE", "/users/@me/likes", JSON, "{"),
    ("GET", "/users/@me/likes?sort-by=created-at-asc", "", ""),
    ("GET", "/users/@me/histories", "", ""),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":7,"page":2}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":9,"page":1}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":7,"page":3}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":0,"page":0}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":7,"page":0}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":7,"page":-3}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":999,"page":1}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":99999999999,"page":1}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","page":1}"#),
    ("POST", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":1}"#),
    ("POST", "/users/@me/histories", "", r#"{"kind":"book","book_id":1,"page":1}"#),
    ("GET", "/users/@me/histories", "", ""),
    ("GET", "/users/@me/histories?sort-by=updated-at-asc", "", ""),
    ("GET", "/users/@me/histories?sort-by=created-at-desc", "", ""),
    ("GET", "/users/@me/histories?sort-by=created-at-asc&per-page=1&page=2", "", ""),
    ("GET", "/users/@me/histories?sort-by=x", "", ""),
    ("GET", "/users/@me/histories?per-page=0", "", ""),
    ("GET", "/users/@me/histories/book/7", "", ""),
    ("DELETE", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/histories", JSON, r#"{"kind":"book","book_id":7}"#),
    ("DELETE", "/users/@me/histories", JSON, r#"{"kind":"book"}"#),
    ("DELETE", "/users/@me/histories", "", ""),
    ("GET", "/users/@me/histories", "", ""),
    ("GET", "/users/@me/notifications", "", ""),
    ("GET", "/users/@me/notifications?kind=book&sort-by=created-at-asc", "", ""),
    ("GET", "/users/@me/notifications?kind=book-tag", "", ""),
    ("GET", "/users/@me/notifications?sort-by=random", "", ""),
    ("GET", "/users/@me/notifications?per-page=0", "", ""),
    ("POST", "/users/@me/notifications", JSON, "{}"),
    (
        "POST",
        "/users/@me/fcm-token",
        JSON,
        r#"{"udid":"00000000-0000-4000-8000-00000000000a","fcm_token":"sample"}"#,
    ),
    (
        "POST",
        "/users/@me/fcm-token",
        JSON,
        r#"{"udid":"00000000-0000-4000-8000-00000000000a","fcm_token":"other"}"#,
    ),
    ("POST", "/users/@me/fcm-token", JSON, r#"{"fcm_token":"other"}"#),
    ("POST", "/users/@me/fcm-token", "", r#"{"fcm_token":"other"}"#),
    ("GET", "/users/@me/fcm-token", "", ""),
];

/// Replaces the moments of this run, and adapts the length to it.
fn without_moments(answer: &str) -> String {
    let Some((head, body)) = answer.split_once("\n\n") else { return answer.to_owned() };
    let mut shown = String::new();
    let mut rest = body;
    while let Some(place) = rest.find("_at\":\"") {
        let (before, after) = rest.split_at(place + 6);
        let (moment, end) = after.split_once('"').unwrap();
        // Those of the books are fixed.
        let is_fixed = moment.starts_with("2022-");
        shown.push_str(before);
        shown.push_str(if is_fixed { moment } else { "MOMENT" });
        shown.push('"');
        rest = end;
    }
    shown.push_str(rest);
    let length = format!("content-length: {}", body.len());
    format!("{}\n\n{shown}", head.replace(&length, &format!("content-length: {}", shown.len())))
}

async fn equals_the_sample(app: TestApp, sqlite: bool) {
    let sample = Sample::start();
    with_the_person_of_the_sample(&app, sqlite).await;
    let wire = Wire::start(app.router.clone()).await;
    let mut different = Vec::new();
    for (method, path, content_type, body) in EXCHANGES {
        // Rows get different moments, and so one order.
        app.clock.advance_seconds(1);
        let identity = app.as_person(OLD, Role::NORMAL);
        let mut head = format!("{method} {path} HTTP/1.1\nx-madome-identity: {identity}");
        if !content_type.is_empty() {
            head.push_str(&format!("\ncontent-type: {content_type}"));
        }
        if !body.is_empty() {
            head.push_str(&format!("\ncontent-length: {}", body.len()));
        }
        let new = without_moments(&wire.send(&head, body).await);
        let old = without_moments(&sample.ask(method, path, content_type, body));
        if new != old {
            different.push(format!("{method} {path} {body}\n--- legacy\n{old}\n--- users\n{new}\n"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[tokio::test]
async fn activity_equals_the_sample_on_sqlite() {
    equals_the_sample(TestApp::older(None).await, true).await;
}

#[tokio::test]
async fn activity_equals_the_sample_on_postgresql() {
    let postgres = PrivatePostgres::start();
    equals_the_sample(TestApp::older(Some(postgres.url())).await, false).await;
}

#[tokio::test]
async fn what_the_legacy_backend_does_not_answer_is_a_failure_or_better() {
    let app = TestApp::older(None).await;
    for method in ["GET", "POST", "DELETE"] {
        let answer = app.call(&format!("{method} /users/@me/dislikes"), &app.as_demo(), "").await;
        assert_eq!(answer, Answer::text(500, "Internal server error"), "{method}");
    }
    let read = r#"{"kind":"book","book_id":7,"page":2}"#;
    assert_eq!(app.call("POST /users/@me/histories", &app.as_demo(), read).await.status, 201);
    let without = app.call("GET /users/@me/histories", &app.as_demo(), "").await;
    assert!(without.body.contains(r#""book_id":7"#), "{without:?}");
    assert_eq!(app.call("GET /users/@me/histories?kind=book", &app.as_demo(), "").await, without);
}

#[tokio::test]
async fn a_person_whose_account_is_gone_gets_404_before_anything_is_read() {
    let app = TestApp::older(None).await;
    let gone = app.as_person("00000000-0000-7000-8000-0000000000ff", Role::NORMAL);
    for line in [
        "GET /users/@me/likes?per-page=0",
        "POST /users/@me/likes",
        "DELETE /users/@me/likes",
        "GET /users/@me/dislikes",
        "GET /users/@me/histories",
        "POST /users/@me/histories",
        "DELETE /users/@me/histories",
        "GET /users/@me/notifications",
        "POST /users/@me/fcm-token",
    ] {
        let body = if line.starts_with("GET") { "" } else { "{" };
        assert_eq!(app.call(line, &gone, body).await, Answer::text(404, "Not found user"), "{line}");
        assert_eq!(app.call(line, "", body).await, Answer::text(401, "Unauthoirzed"), "{line}");
    }
}
