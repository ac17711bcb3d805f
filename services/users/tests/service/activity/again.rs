//! What a service repeats, and what people change while it works.

use kit::testing::{PrivatePostgres, TENANT};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement, TransactionTrait as _};
use serde_json::json;

use super::at_once::{waiting, waits_for_a_row};
use super::renewal::{about, post, restored};
use crate::app::{DEMO, DEV, TestApp};

async fn number(database: &DatabaseConnection, text: &str) -> i64 {
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), text)).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// The person likes the tag of [`announce`].
async fn like_the_group(app: &TestApp, person: &str) {
    let tag = json!({"kind": "book_tag", "tag_kind": "group", "tag_name": "some group", "is_dislike": false});
    let identity = app.as_person(person, identity::Role::NORMAL);
    post(app, "POST /users/@me/tastes", &identity, tag).await;
}

async fn announce(app: &TestApp, book: i32) {
    let book = json!({"kind": "book", "book_id": book, "book_tags": [["group", "some group"]]});
    post(app, "POST /_/users/notifications", &app.edge.service("library", "users"), book).await;
}

/// Counts the statements that add notifications.
const COUNT: &str = "
CREATE SEQUENCE statements;
CREATE FUNCTION count_one() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM nextval('statements'); RETURN NULL; END $$;
CREATE TRIGGER count_one BEFORE INSERT ON notifications_book FOR EACH STATEMENT EXECUTE FUNCTION count_one();
";

#[tokio::test]
async fn a_repeated_announcement_goes_on_where_the_last_one_stopped() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url())).await;
    app.sql(COUNT).await;
    for person in [DEMO, DEV] {
        like_the_group(&app, person).await;
    }
    announce(&app, 41).await;
    let database = app.database().await;
    assert_eq!(number(&database, "SELECT last_value FROM statements").await, 2);
    // As if the first one was cut off before its last person.
    app.sql(&format!("DELETE FROM notifications_book WHERE user_id = '{DEV}'")).await;
    announce(&app, 41).await;
    assert_eq!(
        number(&database, "SELECT last_value FROM statements").await,
        3,
        "nothing is done for who was told"
    );
    assert_eq!(number(&database, "SELECT count(*) FROM notifications_book").await, 2);
}

#[tokio::test]
async fn a_renewal_undoes_nothing_that_a_person_does_meanwhile() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url())).await;
    let (database, library) = (app.database().await, app.edge.service("library", "users"));
    for (old, change, list, left) in [
        (2_u8, "DELETE FROM likes_book WHERE book_id = 2", "tastes", None),
        (
            4,
            "UPDATE likes_book SET is_dislike = true WHERE book_id = 4",
            "tastes",
            Some(("is_dislike", json!(true))),
        ),
        (6, "DELETE FROM histories_book WHERE book_id = 6", "histories", None),
        (8, "UPDATE histories_book SET page = 4 WHERE book_id = 8", "histories", Some(("page", json!(4)))),
        (10, "DELETE FROM notifications_book WHERE book_id = 10", "notifications", None),
    ] {
        match list {
            "tastes" => restored(&app, false, (old, "likes_book", old.into()), "false").await,
            "histories" => restored(&app, false, (old, "histories_book", old.into()), "2").await,
            _ => restored(&app, false, (old, "notifications_book", old.into()), "").await,
        }
        let new = old + 1;
        let faster = database.begin().await.unwrap();
        faster.execute_unprepared(change).await.unwrap();
        let commit = async {
            harness::eventually_async("the renewal waits", async || waits_for_a_row(&database).await).await;
            faster.commit().await.unwrap();
        };
        let line = format!("PATCH /_/users/books/{old}/{new}");
        let (answer, ()) = tokio::join!(app.call(&line, &library, ""), commit);
        assert_eq!(answer.status, 204, "{change}");
        assert_eq!(about(&app, list, old.into()).await.len(), 0, "{change}");
        let found = about(&app, list, new.into()).await;
        assert_eq!(found.len(), usize::from(left.is_some()), "{change}");
        if let Some((field, value)) = left {
            assert_eq!(found[0][field], value, "{change}");
        }
    }
}

/// Makes each new row of the table wait for a lock that the test has.
fn held_back(table: &str) -> String {
    format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
         CREATE TRIGGER hold BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION hold();"
    )
}

#[tokio::test]
async fn what_is_written_during_a_removal_is_removed() {
    for table in ["notifications_book", "fcm_token"] {
        let postgres = PrivatePostgres::start();
        let app = TestApp::on(Some(postgres.url())).await;
        let (database, tenants) = (app.database().await, app.edge.service("tenants", "users"));
        like_the_group(&app, DEMO).await;
        app.sql(&held_back(table)).await;
        let held = database.begin().await.unwrap();
        held.execute_unprepared("SELECT pg_advisory_xact_lock(4711)").await.unwrap();
        let removal = format!("/_/users/tenants/{TENANT}");
        assert_eq!(app.call(&format!("PUT {removal}/removal"), &tenants, "").await.status, 204);
        let write = async {
            match table {
                "fcm_token" => {
                    post(&app, "POST /users/@me/fcm-token", &app.as_demo(), json!({"token": "phone"})).await;
                }
                _ => announce(&app, 41).await,
            }
        };
        let people = format!("SELECT count(*) FROM users WHERE tenant_id = '{TENANT}'");
        let remove = async {
            harness::eventually_async("the row waits", async || waits_for_a_row(&database).await).await;
            assert_eq!(app.call(&format!("DELETE {removal}"), &tenants, "").await.status, 204, "{table}");
        };
        let release = async {
            let is_under_way =
                async || waiting(&database).await == 2 || number(&database, &people).await == 0;
            harness::eventually_async("the removal waits or is done", is_under_way).await;
            held.commit().await.unwrap();
        };
        tokio::join!(write, remove, release);
        assert_eq!(number(&database, &people).await, 0);
        assert_eq!(number(&database, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn two_histories_about_one_book_both_have_it() {
    for app in [TestApp::new().await, TestApp::older(None).await] {
        for number in [1, 2] {
            restored(&app, true, (number, "histories_book", 7), "3").await;
        }
        let found = about(&app, "histories", 7).await;
        assert_eq!(found.len(), 2);
        for history in found {
            assert_eq!(history["book"]["id"], 7, "{history}");
        }
    }
}

#[tokio::test]
async fn tastes_about_named_books_are_all_there_without_a_number() {
    let app = TestApp::new().await;
    for book in 1..=30 {
        restored(&app, true, (book, "likes_book", book.into()), "false").await;
    }
    let named: String = (1..=30).map(|book| format!("&book-ids[]={book}")).collect();
    for (query, expected) in [(String::new(), 25), (named.clone(), 30), (format!("{named}&per-page=5"), 5)] {
        let answer = app.call(&format!("GET /users/@me/tastes?{query}"), &app.as_demo(), "").await;
        let found: Vec<serde_json::Value> = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(found.len(), expected, "{query}");
    }
}
