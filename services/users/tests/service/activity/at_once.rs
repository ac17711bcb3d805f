//! Two requests of one person about one subject at the same time: the later one finds the row that the first one stored.

use kit::testing::PrivatePostgres;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement, TransactionTrait as _};
use serde_json::{Value, json};

use crate::app::{DEMO, TestApp};

const LINE: &str = "POST /users/@me/tastes";

/// Whether a statement of another connection waits for a row that is not committed yet.
pub(super) async fn waits_for_a_row(database: &DatabaseConnection) -> bool {
    waiting(database).await == 1
}

/// How many statements of other connections wait.
pub(super) async fn waiting(database: &DatabaseConnection) -> i64 {
    let text = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), text)).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_taste_replaces_the_opposite_one_of_a_request_that_was_faster() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url())).await;
    let (database, demo) = (app.database().await, app.as_demo());
    let book = json!({"kind": "book", "book_id": 7});
    let tag = json!({"kind": "book_tag", "tag_kind": "misc", "tag_name": "full color"});
    // The ids that the other request gives its rows, as `activity::row_id` has them.
    let of_book = "likes_book (id, book_id, user_id, is_dislike, created_at) \
                   VALUES ('89d870a4-f496-5e34-8507-7d2a185a765f', 7";
    let of_tag = "likes_book_tag (id, tag_kind, tag_name, user_id, is_dislike, created_at) \
                  VALUES ('2e7cb823-3732-5008-bbab-17137b15724a', 'misc', 'full color'";
    for (into, subject, path) in [(of_book, book, "book/7"), (of_tag, tag, "book-tag/misc-full-color")] {
        for (is_dislike, status) in [(true, 201), (false, 409)] {
            let faster = database.begin().await.unwrap();
            faster.execute_unprepared(&format!("INSERT INTO {into}, '{DEMO}', false, now())")).await.unwrap();
            let mut body = subject.clone();
            body["is_dislike"] = json!(is_dislike);
            let commit = async {
                harness::eventually_async("the request waits", async || waits_for_a_row(&database).await)
                    .await;
                faster.commit().await.unwrap();
            };
            let body = body.to_string();
            let (answer, ()) = tokio::join!(app.call(LINE, &demo, &body), commit);
            assert_eq!(answer.status, status, "{body}");
            let stored = app.call(&format!("GET /users/@me/tastes/{path}"), &demo, "").await;
            let stored: Value = serde_json::from_str(&stored.body).unwrap();
            assert_eq!(stored["is_dislike"], is_dislike, "{body}");
            let remove = app.call("DELETE /users/@me/tastes", &demo, &subject.to_string()).await;
            assert_eq!(remove.status, 204);
        }
    }
}

/// Of the two, one is new and the other one replaces it, in whichever order.
#[tokio::test]
async fn a_like_and_a_dislike_at_once_are_both_stored_on_sqlite() {
    let app = TestApp::new().await;
    let demo = app.as_demo();
    for book in 1..=20 {
        let body =
            |is_dislike: bool| json!({"kind": "book", "book_id": book, "is_dislike": is_dislike}).to_string();
        let (like, dislike) = (body(false), body(true));
        let (like, dislike) = tokio::join!(app.call(LINE, &demo, &like), app.call(LINE, &demo, &dislike));
        assert_eq!((like.status, dislike.status), (201, 201), "{book}");
    }
}

/// The like is there when the request reads it, and a removal is faster than the change to a dislike.
#[tokio::test]
async fn a_taste_whose_opposite_is_removed_meanwhile_is_stored() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url())).await;
    let (database, demo) = (app.database().await, app.as_demo());
    let book = json!({"kind": "book", "book_id": 7});
    let tag = json!({"kind": "book_tag", "tag_kind": "misc", "tag_name": "full color"});
    for (table, subject, path) in
        [("likes_book", book, "book/7"), ("likes_book_tag", tag, "book-tag/misc-full-color")]
    {
        let body = |is_dislike: bool| {
            let mut body = subject.clone();
            body["is_dislike"] = json!(is_dislike);
            body.to_string()
        };
        assert_eq!(app.call(LINE, &demo, &body(false)).await.status, 201);
        let faster = database.begin().await.unwrap();
        faster.execute_unprepared(&format!("DELETE FROM {table}")).await.unwrap();
        let commit = async {
            harness::eventually_async("the request waits", async || waits_for_a_row(&database).await).await;
            faster.commit().await.unwrap();
        };
        let dislike = body(true);
        let (answer, ()) = tokio::join!(app.call(LINE, &demo, &dislike), commit);
        assert_eq!(answer.status, 201, "{subject}");
        let stored = app.call(&format!("GET /users/@me/tastes/{path}"), &demo, "").await;
        let stored: Value = serde_json::from_str(&stored.body).unwrap();
        assert_eq!(stored["is_dislike"], true, "{subject}");
    }
}

/// SQLite has one writer, so a trigger removes the like in the moment of its change.
#[tokio::test]
async fn a_taste_whose_opposite_is_removed_meanwhile_is_stored_on_sqlite() {
    let app = TestApp::new().await;
    let demo = app.as_demo();
    let body = |is_dislike: bool| json!({"kind": "book", "book_id": 7, "is_dislike": is_dislike}).to_string();
    assert_eq!(app.call(LINE, &demo, &body(false)).await.status, 201);
    app.sql(
        "CREATE TRIGGER faster BEFORE UPDATE ON likes_book BEGIN \
         DELETE FROM likes_book WHERE id = OLD.id; SELECT RAISE(IGNORE); END",
    )
    .await;
    assert_eq!(app.call(LINE, &demo, &body(true)).await.status, 201);
    let stored = app.call("GET /users/@me/tastes/book/7", &demo, "").await;
    let stored: Value = serde_json::from_str(&stored.body).unwrap();
    assert_eq!(stored["is_dislike"], true);
}
