//! The routes for services: books are put by a service that the edge proved, and by no person.

use axum::body::Body;
use http::Request;
use identity::Role;
use kit::generation::Surface;
use kit::testing::{PrivatePostgres, START};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, on_both};
use crate::people::Users;

async fn put(app: &TestApp, body: &str) -> Answer {
    let request = Request::put("/_/books")
        .header("x-madome-identity", app.edge.service("sync", "library"))
        .header("content-type", "application/json");
    app.send(request.body(Body::from(body.to_owned())).unwrap()).await.1
}

fn book(id: u32, title: &str, page: u32) -> Value {
    json!({
        "id": id, "title": title, "kind": "manga", "tags": [["artist", "some artist"]], "language": "english", "page": page,
        "created_at": "2022-01-31T17:12:00.000Z",
    })
}

fn batch(books: &[Value]) -> String {
    json!({ "books": books }).to_string()
}

async fn books_are_put(app: TestApp) {
    let two = batch(&[book(9001, "One", 3), book(9002, "Two", 4)]);
    assert_eq!(put(&app, &two).await.value(), json!({ "added": [9001, 9002], "changed": [] }));
    // The same books again are neither new nor changed.
    assert_eq!(put(&app, &two).await.value(), json!({ "added": [], "changed": [] }));
    let changed = batch(&[book(9002, "Another", 5), book(9003, "Three", 1)]);
    assert_eq!(put(&app, &changed).await.value(), json!({ "added": [9003], "changed": [9002] }));
    let read = app.get("/books/9002").await.value();
    assert_eq!((&read["title"], &read["page"]), (&"Another".into(), &5.into()));
    assert_eq!(app.get("/books/search?search-kind=title&q=another").await.ids(), [9002]);
    // A batch with an invalid book changes nothing.
    let invalid = batch(&[book(9004, "Four", 1), book(0, "None", 1)]);
    assert_eq!(
        put(&app, &invalid).await,
        Answer::invalid("\"books[1]\": \"id\" must be greater than or equal to 1")
    );
    assert_eq!(app.get("/books/9004").await, Answer::no_book());
    for refused in
        [batch(&[]), batch(&vec![book(1, "One", 1); 51]), "{}".to_owned(), r#"{"books":[1]}"#.to_owned()]
    {
        assert_eq!(put(&app, &refused).await.status, 400, "{refused}");
    }
    // A person cannot find the route, and it is the same without an identity.
    assert_eq!(app.call(Role::BOT, "PUT /_/books", &two).await.status, 404);
    let bare = Request::put("/_/books").body(Body::from(two)).unwrap();
    assert_eq!(app.send(bare).await.1.status, 401);
}

#[tokio::test]
async fn a_service_puts_books_on_the_older_surface() {
    on_both(Surface::Older, books_are_put).await;
}

fn released(mut book: Value, released: &Value) -> Value {
    book["released"] = released.clone();
    book
}

/// Puts one book, and returns the ids of new books and of changed ones.
async fn put_one(app: &TestApp, book: Value) -> (Value, Value) {
    let answer = put(app, &batch(&[book])).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.value()["added"].clone(), answer.value()["changed"].clone())
}

/// The ids of the released books, with their seconds after the start of the clock.
async fn releases(app: &TestApp) -> Vec<(i32, i64)> {
    let database = app.database().await;
    let text = "SELECT id, published_at FROM books WHERE published_at IS NOT NULL ORDER BY id";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), text)).await;
    let read = |row: &sea_orm::QueryResult| {
        let at: time::OffsetDateTime = row.try_get_by("published_at").unwrap();
        (row.try_get_by("id").unwrap(), at.unix_timestamp() - i64::try_from(START.seconds()).unwrap())
    };
    let found = rows.unwrap().iter().map(read).collect();
    database.close().await.unwrap();
    found
}

async fn books_are_released_with_their_batch(app: TestApp) {
    let (yes, none) = (json!(true), json!([]));
    let (first, second) = (book(9001, "One", 3), book(9002, "Two", 4));
    assert_eq!(put_one(&app, released(first.clone(), &yes)).await, (json!([9001]), none.clone()));
    assert_eq!(put_one(&app, second.clone()).await, (json!([9002]), none.clone()));
    assert_eq!(releases(&app).await, [(9001, 0)]);
    // The first release's time stays: whatever else is put, and whether it says so again or not.
    app.clock.advance_seconds(10);
    for (again, changed) in [
        (released(first.clone(), &yes), &none),
        (released(first.clone(), &json!(false)), &none),
        (first.clone(), &none),
        (book(9001, "Another", 3), &json!([9001])),
        (released(book(9001, "A third", 3), &yes), &json!([9001])),
        (released(book(9001, "A fourth", 3), &json!(false)), &json!([9001])),
    ] {
        assert_eq!(put_one(&app, again.clone()).await, (none.clone(), changed.clone()), "{again}");
        assert_eq!(releases(&app).await, [(9001, 0)], "{again}");
    }
    // A release alone is a change, and one with other content is one change.
    assert_eq!(put_one(&app, released(second.clone(), &json!(false))).await, (none.clone(), none.clone()));
    assert_eq!(put_one(&app, released(second.clone(), &yes)).await, (none.clone(), json!([9002])));
    assert_eq!(put_one(&app, released(second, &yes)).await, (none.clone(), none.clone()));
    let third = released(book(9003, "Three now", 4), &yes);
    assert_eq!(put_one(&app, book(9003, "Three", 4)).await, (json!([9003]), none.clone()));
    assert_eq!(put_one(&app, third.clone()).await, (none.clone(), json!([9003])));
    assert_eq!(put_one(&app, third).await, (none.clone(), none));
    assert_eq!(releases(&app).await, [(9001, 0), (9002, 10), (9003, 10)]);
    for invalid in [json!(null), json!(1), json!("true"), json!([true])] {
        let answer = put(&app, &batch(&[released(book(9004, "Four", 1), &invalid)])).await;
        assert_eq!(answer, Answer::invalid("\"books[0]\": \"released\" must be a boolean"), "{invalid}");
    }
    // It is a word of batches alone: who adds a book releases it with a request of its own, on the surface that has one.
    let added = released(book(9005, "Five", 1), &yes).to_string();
    assert_eq!(app.call(Role::BOT, "POST /books", &added).await.status, 201);
    assert_eq!(releases(&app).await.len(), 3);
}

#[tokio::test]
async fn a_service_releases_books_with_its_batch_on_the_older_surface() {
    on_both(Surface::Older, books_are_released_with_their_batch).await;
}

#[tokio::test]
async fn a_service_releases_books_with_its_batch_on_the_later_surface() {
    on_both(Surface::Later, books_are_released_with_their_batch).await;
}

/// People hear of a book once: when it is added on the older surface, and when it is released on the later one.
async fn people_hear_of_books_that_are_put(database_url: Option<String>, surface: Surface) {
    let users = Users::default();
    let (app, _listener) = TestApp::beside(database_url, surface, users.router()).await;
    let told = async || {
        app.until_async("nothing waits", async || app.waiting().await == 0).await;
        users.calls()
    };
    let announced = |id: u32| format!("announce {id}: artist-some artist");
    let (yes, at_once) = (json!(true), surface == Surface::Older);
    put_one(&app, book(9001, "One", 3)).await;
    assert_eq!(told().await, if at_once { vec![announced(9001)] } else { vec![] }, "{surface}: added");
    put_one(&app, released(book(9001, "One", 3), &yes)).await;
    assert_eq!(told().await, [announced(9001)], "{surface}: released");
    put_one(&app, book(9002, "Two", 3)).await;
    put_one(&app, released(book(9002, "Two now", 3), &yes)).await;
    assert_eq!(told().await, [announced(9001), announced(9002)], "{surface}: changed and released");
    put_one(&app, released(book(9003, "Three", 3), &yes)).await;
    let all = [announced(9001), announced(9002), announced(9003)];
    assert_eq!(told().await, all, "{surface}: added and released");
    for id in 9001..=9003 {
        put_one(&app, released(book(id, "Again", 3), &yes)).await;
    }
    if surface == Surface::Later {
        assert_eq!(app.call(Role::BOT, "PATCH /books/9001/release", "").await.status, 204);
    }
    assert_eq!(told().await, all, "{surface}: a book appears once");
}

#[tokio::test]
async fn people_hear_once_of_a_book_that_a_service_puts_on_sqlite() {
    for surface in [Surface::Older, Surface::Later] {
        people_hear_of_books_that_are_put(None, surface).await;
    }
}

#[tokio::test]
async fn people_hear_once_of_a_book_that_a_service_puts_on_postgresql() {
    for surface in [Surface::Older, Surface::Later] {
        let postgres = PrivatePostgres::start();
        people_hear_of_books_that_are_put(Some(postgres.url()), surface).await;
    }
}
