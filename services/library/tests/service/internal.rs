//! The routes for services: books are put by a service that the edge proved, and by no person.

use axum::body::Body;
use http::Request;
use identity::Role;
use kit::generation::Surface;

use crate::app::{Answer, TestApp, on_both};

async fn put(app: &TestApp, body: &str) -> Answer {
    let request = Request::put("/_/books")
        .header("x-madome-identity", app.edge.service("sync", "library"))
        .header("content-type", "application/json");
    app.send(request.body(Body::from(body.to_owned())).unwrap()).await.1
}

fn book(id: u32, title: &str, page: u32) -> serde_json::Value {
    serde_json::json!({
        "id": id, "title": title, "kind": "manga", "tags": [["artist", "some artist"]], "language": "english", "page": page,
        "created_at": "2022-01-31T17:12:00.000Z",
    })
}

fn batch(books: &[serde_json::Value]) -> String {
    serde_json::json!({ "books": books }).to_string()
}

async fn books_are_put(app: TestApp) {
    let two = batch(&[book(9001, "One", 3), book(9002, "Two", 4)]);
    assert_eq!(put(&app, &two).await.value(), serde_json::json!({ "added": [9001, 9002], "changed": [] }));
    // The same books again are neither new nor changed.
    assert_eq!(put(&app, &two).await.value(), serde_json::json!({ "added": [], "changed": [] }));
    let changed = batch(&[book(9002, "Another", 5), book(9003, "Three", 1)]);
    assert_eq!(put(&app, &changed).await.value(), serde_json::json!({ "added": [9003], "changed": [9002] }));
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
