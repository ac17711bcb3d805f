//! The calls in gRPC: each gives what its form in HTTP gives, to the same callers.

use axum::body::{Body, to_bytes};
use http::Request;
use identity::Role;
use kit::generation::Surface;
use kit::testing::{Direct, PrivatePostgres};
use proto::catalogue::v1::catalogue_client::CatalogueClient;
use proto::catalogue::v1::{
    Book, HasBookRequest, HasTagRequest, ListBooksByTagsRequest, ListBooksRequest, Order, RenewBookRequest,
    Tag,
};
use serde_json::{Value, json};
use tonic::{Code, Response, Status};
use tower::ServiceExt as _;

use crate::app::TestApp;

const TENANT: &str = "00000000-0000-7000-8000-000000000001";

fn calls(app: &TestApp, identity: &str) -> CatalogueClient<Direct> {
    CatalogueClient::new(Direct::new(&app.router, identity))
}

fn tag(kind: &str, name: &str) -> Tag {
    Tag { kind: kind.to_owned(), name: name.to_owned() }
}

fn code<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Code {
    match answer {
        Ok(answer) => panic!("an answer: {answer:?}"),
        Err(status) => status.code(),
    }
}

/// A book as the form in HTTP writes it.
fn shown(book: &Book) -> Value {
    let written = |time: Option<prost_types::Timestamp>| {
        let format = time::macros::format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        kit::grpc::time(time).map(|time| time.format(&format).unwrap())
    };
    let tags: Vec<_> = book.tags.iter().map(|tag| json!({"kind": tag.kind, "name": tag.name})).collect();
    json!({
        "id": book.id, "title": book.title, "kind": book.kind, "tags": tags, "language": book.language,
        "page": book.pages, "legacy": book.legacy, "published_at": written(book.published_at),
        "created_at": written(book.created_at), "updated_at": written(book.updated_at),
    })
}

/// Sends a request as the users service, and returns the status and the JSON of the answer.
async fn http(app: &TestApp, request: http::request::Builder, body: &Value) -> (u16, Value) {
    let identity = app.edge.service("users", "library");
    let request = request.header("x-madome-identity", identity).header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = app.router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn books_are_the_same_in_both_forms(app: &TestApp) {
    let users = app.edge.service("users", "library");
    let ids = vec![7, 3, 99_999, i32::MAX];
    let found = calls(app, &users).list_books(ListBooksRequest { ids: ids.clone() }).await.unwrap();
    let found: Vec<Value> = found.into_inner().books.iter().map(shown).collect();
    let query: Vec<String> = ids.iter().map(|id| format!("ids[]={id}")).collect();
    let get = Request::get(format!("/_/books?{}", query.join("&")));
    assert_eq!((200, json!(found)), http(app, get, &Value::Null).await);
    assert_eq!(found.len(), 2);

    for (order, name) in [(Order::IdDesc, "id-desc"), (Order::IdAsc, "id-asc")] {
        let tags = vec![tag("series", "some series"), tag("misc", "\0"), tag("none", "x")];
        let pairs: Vec<_> = tags.iter().map(|tag| json!([tag.kind, tag.name])).collect();
        let request = ListBooksByTagsRequest { tags, per_page: 3, page: 2, order: order.into() };
        let found = calls(app, &users).list_books_by_tags(request).await.unwrap().into_inner();
        let found: Vec<Value> = found
            .tags
            .iter()
            .map(|of_tag| {
                let Tag { kind, name } = of_tag.tag.clone().unwrap();
                json!([[kind, name], of_tag.books.iter().map(shown).collect::<Vec<_>>()])
            })
            .collect();
        let question = json!({"tags": pairs, "per_page": 3, "page": 2, "sort_by": name});
        assert_eq!((200, json!(found)), http(app, Request::post("/_/books/by-tags"), &question).await);
        assert_eq!(found.len(), 1);
    }
    for id in [1, 99_999, 0, -1, i32::MIN] {
        let has = calls(app, &users).has_book(HasBookRequest { book_id: id }).await.unwrap().into_inner().has;
        let question = json!({"kind": "has_book", "book_id": id});
        assert_eq!((200, json!({"has": has})), http(app, Request::post("/_/command"), &question).await);
        assert_eq!(has, id == 1);
    }
    for (kind, name) in [("series", "some series"), ("series", "none"), ("misc", "\0"), ("", "")] {
        let request = HasTagRequest { tag: Some(tag(kind, name)) };
        let has = calls(app, &users).has_tag(request).await.unwrap().into_inner().has;
        let question = json!({"kind": "has_book_tag", "book_tag": [kind, name]});
        assert_eq!((200, json!({"has": has})), http(app, Request::post("/_/command"), &question).await);
        assert_eq!(has, name == "some series");
    }
    let renewal = RenewBookRequest { old_id: 5, new_id: 6 };
    assert!(calls(app, &users).renew_book(renewal).await.is_ok());
    let request = ListBooksRequest { ids: vec![5] };
    assert!(calls(app, &users).list_books(request).await.unwrap().into_inner().books[0].legacy);
    for (old_id, new_id, expected) in [
        (1, 99_999, Code::NotFound),
        (99_999, 1, Code::NotFound),
        (0, 1, Code::InvalidArgument),
        (1, -1, Code::InvalidArgument),
        (2, 2, Code::InvalidArgument),
    ] {
        let request = RenewBookRequest { old_id, new_id };
        assert_eq!(code(calls(app, &users).renew_book(request).await), expected, "{old_id} {new_id}");
    }
}

async fn other_callers_and_other_messages_are_refused(app: &TestApp) {
    let users = app.edge.service("users", "library");
    for (caller, expected) in [
        (app.identity(Role::BOT), Code::Unimplemented),
        (app.edge.service_of(TENANT, "reports", "library"), Code::Unimplemented),
        (app.edge.service("users", "users"), Code::Unauthenticated),
        (String::new(), Code::Unauthenticated),
    ] {
        assert_eq!(code(calls(app, &caller).has_book(HasBookRequest { book_id: 1 }).await), expected);
        let request = RenewBookRequest { old_id: 1, new_id: 2 };
        assert_eq!(code(calls(app, &caller).renew_book(request).await), expected);
        let request = ListBooksRequest { ids: vec![1] };
        assert_eq!(code(calls(app, &caller).list_books(request).await), expected);
    }
    for ids in [vec![0], vec![-1], vec![1, 1], (1..=101).collect()] {
        let request = ListBooksRequest { ids };
        assert_eq!(code(calls(app, &users).list_books(request).await), Code::InvalidArgument);
    }
    for (count, per_page, page) in [(1, 0, 1), (1, 101, 1), (1, 1, 0), (101, 1, 1)] {
        let tags = vec![tag("misc", "x"); count];
        let request = ListBooksByTagsRequest { tags, per_page, page, order: 0 };
        assert_eq!(code(calls(app, &users).list_books_by_tags(request).await), Code::InvalidArgument);
    }
    // An order of a later version is the usual one, and a part behind the last one is empty.
    let tags = vec![tag("series", "some series")];
    let request = ListBooksByTagsRequest { tags, per_page: 100, page: u32::MAX, order: 77 };
    assert!(calls(app, &users).list_books_by_tags(request).await.unwrap().into_inner().tags.is_empty());
    assert_eq!(code(calls(app, &users).has_tag(HasTagRequest { tag: None }).await), Code::InvalidArgument);
}

#[tokio::test]
async fn calls_are_answered_as_their_forms_in_http_on_sqlite_and_both_surfaces() {
    for surface in [Surface::Older, Surface::Later] {
        let app = TestApp::on(None, surface).await;
        books_are_the_same_in_both_forms(&app).await;
        other_callers_and_other_messages_are_refused(&app).await;
    }
}

#[tokio::test]
async fn calls_are_answered_as_their_forms_in_http_on_postgresql() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url()), Surface::Later).await;
    books_are_the_same_in_both_forms(&app).await;
    other_callers_and_other_messages_are_refused(&app).await;
}
