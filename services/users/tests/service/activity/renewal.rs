//! Rows from before the legacy backend have random ids. A renewal and an announcement find them by what they are about.

use kit::testing::PrivatePostgres;
use serde_json::{Value, json};

use crate::app::{DEMO, TestApp};
use crate::older::uuid;

/// Adds a row of the person with the id that its number makes.
pub(super) async fn restored(
    app: &TestApp,
    sqlite: bool,
    (number, table, book): (u8, &str, i32),
    rest: &str,
) {
    let id = uuid(sqlite, &format!("11111111-1111-4111-8111-1111111111{number:02}"));
    let (user, at) = (uuid(sqlite, DEMO), "'2022-01-31 17:12:00+00:00'");
    let (columns, values) = match table {
        "likes_book" => (", is_dislike", rest.to_owned()),
        "histories_book" => (", page, updated_at", format!("{rest}, {at}")),
        _ => ("", String::new()),
    };
    let values = if values.is_empty() { values } else { format!(", {values}") };
    let row = format!(
        "INSERT INTO {table} (id, book_id, user_id, created_at{columns}) VALUES ({id}, {book}, {user}, {at}{values})"
    );
    app.sql(&row).await;
}

/// What a list of the person has about a book.
pub(super) async fn about(app: &TestApp, list: &str, book: i32) -> Vec<Value> {
    let answer = app.call(&format!("GET /users/@me/{list}?per-page=100"), &app.as_demo(), "").await;
    let all: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    all.into_iter().filter(|one| one["book_id"] == book).collect()
}

pub(super) async fn post(app: &TestApp, line: &str, caller: &str, body: Value) {
    let answer = app.call(line, caller, &body.to_string()).await;
    assert_eq!(answer.status, 201, "{line} {body} {answer:?}");
}

async fn a_person_has_one_row_about_a_renewed_book(app: TestApp, sqlite: bool) {
    let (demo, library) = (app.as_demo(), app.edge.service("library", "users"));
    let tag = json!({"kind": "book_tag", "tag_kind": "group", "tag_name": "some group", "is_dislike": false});
    post(&app, "POST /users/@me/tastes", &demo, tag).await;
    let announce = async |book: i32| {
        let book = json!({"kind": "book", "book_id": book, "book_tags": [["group", "some group"]]});
        post(&app, "POST /_/users/notifications", &library, book).await;
    };
    let taste = json!({"kind": "book", "book_id": 5, "is_dislike": false});
    post(&app, "POST /users/@me/tastes", &demo, taste).await;
    post(&app, "POST /users/@me/histories", &demo, json!({"kind": "book", "book_id": 5, "page": 2})).await;
    announce(5).await;
    // About the new book there are rows already.
    restored(&app, sqlite, (1, "likes_book", 6), "true").await;
    restored(&app, sqlite, (2, "histories_book", 6), "9").await;
    restored(&app, sqlite, (3, "notifications_book", 6), "").await;
    // About another old one there are two.
    for (number, page) in [(4, "3"), (5, "4")] {
        restored(&app, sqlite, (number, "histories_book", 8), page).await;
        restored(&app, sqlite, (number, "likes_book", 8), "true").await;
        restored(&app, sqlite, (number, "notifications_book", 8), "").await;
    }
    for (old, new) in [(5, 6), (8, 9)] {
        let answer = app.call(&format!("PATCH /_/users/books/{old}/{new}"), &library, "").await;
        assert_eq!(answer.status, 204);
        for list in ["tastes", "histories", "notifications"] {
            let found = (about(&app, list, old).await.len(), about(&app, list, new).await.len());
            assert_eq!(found, (0, 1), "{list} about {old} and {new}");
        }
    }
    assert_eq!(about(&app, "tastes", 6).await[0]["is_dislike"], true, "the one of before stays");
    assert_eq!(about(&app, "histories", 6).await[0]["page"], 9);
    announce(6).await;
    assert_eq!(about(&app, "notifications", 6).await.len(), 1, "the person was told of it before");
    announce(10).await;
    assert_eq!(about(&app, "notifications", 10).await.len(), 1);
}

#[tokio::test]
async fn a_person_has_one_row_about_a_renewed_book_on_sqlite() {
    a_person_has_one_row_about_a_renewed_book(TestApp::new().await, true).await;
}

#[tokio::test]
async fn a_person_has_one_row_about_a_renewed_book_on_postgresql() {
    let postgres = PrivatePostgres::start();
    a_person_has_one_row_about_a_renewed_book(TestApp::on(Some(postgres.url())).await, false).await;
}
