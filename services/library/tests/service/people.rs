//! What the users service hears from the library, and what it tells the library.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, Router};
use clock::ManualClock;
use http::{Method, StatusCode, Uri};
use identity::Role;
use kit::generation::Surface;
use kit::testing::{PrivatePostgres, START, ServiceListener, TestHome};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::app::{Answer, DEMO, TestApp};

/// A users service that records its calls, and fails while it is told to.
#[derive(Clone, Default)]
pub(crate) struct Users(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    calls: Vec<String>,
    status: Option<StatusCode>,
    dislikes: Value,
}

impl Users {
    pub(crate) fn router(&self) -> Router {
        Router::new().fallback(any(Self::answer)).with_state(self.clone())
    }

    async fn answer(State(users): State<Self>, method: Method, uri: Uri, body: Bytes) -> Response {
        let mut recorded = users.0.lock();
        recorded
            .calls
            .push(format!("{method} {uri} {}", String::from_utf8_lossy(&body)).trim_end().to_owned());
        if let Some(status) = recorded.status {
            return status.into_response();
        }
        match method {
            Method::GET => Json(recorded.dislikes.clone()).into_response(),
            Method::POST => StatusCode::CREATED.into_response(),
            _ => StatusCode::NO_CONTENT.into_response(),
        }
    }

    fn set(&self, status: Option<StatusCode>) {
        self.0.lock().status = status;
    }

    fn calls(&self) -> Vec<String> {
        self.0.lock().calls.clone()
    }
}

async fn on(database_url: Option<String>, surface: Surface) -> (TestApp, Users, ServiceListener) {
    let users = Users::default();
    let (app, listener) = TestApp::beside(database_url, surface, users.router()).await;
    (app, users, listener)
}

fn book(id: i32) -> String {
    json!({
        "id": id, "title": "New", "kind": "manga", "tags": [["artist", "some artist"], ["misc", "full color"]],
        "language": "english", "page": 3, "created_at": 0,
    })
    .to_string()
}

const TAGS: &str = r#""book_tags":[["artist","some artist"],["misc","full color"]]"#;

#[tokio::test]
async fn a_stop_waits_for_the_call_that_runs() {
    let (begun, going_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let (begin, go_on) = (Arc::clone(&begun), Arc::clone(&going_on));
    let users = Router::new().fallback(any(async move || {
        begin.notify_one();
        go_on.notified().await;
        StatusCode::CREATED
    }));
    let (app, _listener) = TestApp::beside(None, Surface::Older, users).await;
    assert_eq!(app.call(Role::BOT, "POST /books", &book(1000)).await.status, 201);
    begun.notified().await;
    let work = app.work.clone();
    let stop = tokio::spawn(async move { work.stop().await });
    tokio::task::yield_now().await;
    going_on.notify_one();
    stop.await.unwrap();
    assert_eq!(app.waiting().await, 0, "the call was made, and it is recorded");
}

#[tokio::test]
async fn a_book_that_could_not_be_stored_is_announced_once_it_is() {
    let postgres = PrivatePostgres::start();
    let (app, users, _listener) = on(Some(postgres.url()), Surface::Older).await;
    // The transaction fails at its very end.
    postgres
        .sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$");
    let trigger = "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON books DEFERRABLE INITIALLY DEFERRED \
                   FOR EACH ROW EXECUTE FUNCTION refuse()";
    postgres.sql(trigger);
    assert_eq!(app.call(Role::BOT, "POST /books", &book(1000)).await.status, 500);
    assert_eq!(
        postgres.sql("SELECT count(*) FROM outbox_events"),
        "0",
        "no people hear of a book that is not there"
    );
    postgres.sql("DROP TRIGGER refuse ON books");
    assert_eq!(app.call(Role::BOT, "POST /books", &book(1000)).await.status, 201);
    app.until("the book is announced", || users.calls().len() == 1).await;
}

async fn people_hear_of_releases_and_renewals(database_url: Option<String>) {
    let (app, users, _listener) = on(database_url, Surface::Later).await;
    let bot = async |line: &str, body: &str| app.call(Role::BOT, line, body).await.status;
    let new = book(1000).replace(",\"created_at\":0", "");
    assert_eq!(bot("POST /books", &new).await, 201);
    // While the users service is away, nothing is lost, and the caller does not wait.
    users.set(Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(bot("PATCH /books/1000/release", "").await, 204);
    assert_eq!(bot("PATCH /books/1000/release", "").await, 204);
    let announced = format!("POST /_/users/notifications {{\"kind\":\"book\",\"book_id\":1000,{TAGS}}}");
    app.until("the announcement is tried", || users.calls().contains(&announced)).await;
    assert_eq!(bot("POST /books/40/renew/1000", "").await, 204);
    users.set(None);
    let before = users.calls().len();
    let renewed = "PATCH /_/users/books/40/1000".to_owned();
    app.until("both are told", || {
        let calls = users.calls().split_off(before);
        calls.contains(&announced) && calls.contains(&renewed)
    })
    .await;
    app.until_async("nothing waits", async || app.waiting().await == 0).await;
    let told = users.calls().len();
    assert_eq!(bot("PATCH /books/1000/release", "").await, 204);
    assert_eq!(app.waiting().await, 0, "a book appears once");
    assert_eq!(users.calls().len(), told);
    // A service replaces a book, too.
    let renewal = app.service("PATCH", "/_/books/39/1000").await;
    assert_eq!((renewal.status, renewal.body.as_str()), (204, ""));
    app.until("it is told", || users.calls().contains(&"PATCH /_/users/books/39/1000".to_owned())).await;
    assert!(app.get("/books/39").await.body.contains("\"legacy\":true"));
    assert_eq!(app.service("PATCH", "/_/books/1/99999").await, Answer::no_book());
    assert_eq!(app.service("PATCH", "/_/books/0/1").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_hear_of_releases_and_renewals_on_sqlite() {
    people_hear_of_releases_and_renewals(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_hear_of_releases_and_renewals_on_postgresql() {
    let postgres = PrivatePostgres::start();
    people_hear_of_releases_and_renewals(Some(postgres.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_older_surface_people_hear_of_a_book_when_it_is_added() {
    let (app, users, _listener) = on(None, Surface::Older).await;
    assert_eq!(app.waiting().await, 0, "the initial books are no news");
    assert_eq!(app.call(Role::NORMAL, "POST /books", &book(1000)).await.status, 201);
    assert_eq!(app.call(Role::NORMAL, "POST /books", &book(1000)).await.status, 409);
    let announced = format!("POST /_/users/notifications {{\"kind\":\"book\",\"book_id\":1000,{TAGS}}}");
    app.until_async("it is told", async || app.waiting().await == 0).await;
    assert_eq!(users.calls(), [announced]);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_can_never_be_told_is_a_dead_letter_that_says_why() {
    let (app, users, _listener) = on(None, Surface::Older).await;
    users.set(Some(StatusCode::BAD_REQUEST));
    assert_eq!(app.call(Role::NORMAL, "POST /books", &book(1000)).await.status, 201);
    app.until_async("it is dead", async || app.waiting().await == 0).await;
    let dead = events::outbox::dead(&app.database().await, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].kind.as_str(), dead[0].attempts), ("library.book.appeared", 1));
    assert!(dead[0].last_error.contains("400"), "{}", dead[0].last_error);
}

async fn lists_leave_out_what_the_caller_dislikes(database_url: Option<String>) {
    let (app, users, _listener) = on(database_url, Surface::Later).await;
    users.0.lock().dislikes = json!({ "books": [40, 38, 99_999], "tags": [
        ["series", "some series"], ["misc", "a\u{0}b"], ["nokind", "x"],
    ] });
    let all = app.get("/books?sort-by=id-desc&per-page=100").await.ids();
    assert_eq!(all.len(), 40);
    assert_eq!(users.calls(), Vec::<String>::new(), "the users service is not called without a reason");
    let tagged = app.get("/books?tags[]=series-some-series&per-page=100").await.value();
    let tagged: Vec<_> =
        tagged[0][1].as_array().unwrap().iter().map(|book| book["id"].as_i64().unwrap()).collect();
    let expected: Vec<_> =
        all.into_iter().filter(|id| ![40, 38].contains(id) && !tagged.contains(id)).collect();
    assert!(!tagged.is_empty() && expected.len() > 20);
    let without = "exclude-dislikes=true&per-page=100";
    assert_eq!(app.get(&format!("/books?sort-by=id-desc&{without}")).await.ids(), expected);
    assert_eq!(app.get(&format!("/books/search?q=sample&sort-by=id-desc&{without}")).await.ids(), expected);
    assert_eq!(app.get(&format!("/books?tags[]=series-some-series&{without}")).await.body, "[]");
    let read = format!("GET /_/users/{DEMO}/dislikes");
    assert!(users.calls().iter().all(|call| *call == read), "{:?}", users.calls());
    assert_eq!(app.get("/books?exclude-dislikes=no").await.status, 400);
    // A thousand dislikes of each are what the users service gives at most.
    let many: Vec<_> = (0..1000).map(|n| json!(["misc", format!("tag {n}")])).collect();
    let books: Vec<_> = (100..1100).collect();
    users.0.lock().dislikes = json!({ "books": books, "tags": many });
    // Requests of one person at once share one call, and the service counts it.
    let calls = users.calls().len();
    let tag = format!("/books?tags[]=series-some-series&{without}");
    let list = format!("/books?{without}");
    let again = "00000000-0000-7000-8000-0000000000b0";
    let all = tokio::join!(
        app.get_as(again, &list),
        app.get_as(again, &tag),
        app.get_as(again, &list),
        app.get_as(again, &tag)
    );
    assert_eq!([&all.0, &all.1, &all.2, &all.3].map(|answer| answer.status), [200; 4]);
    assert!(users.calls().len() < calls + 4, "{:?}", users.calls());
    let counts = app.get("/metrics").await.body;
    assert!(counts.contains(r#"cache_reads_total{cache="dislikes",tier="source"}"#), "{counts}");
    let other = |number: u8| format!("00000000-0000-7000-8000-0000000000{number:02}");
    assert_eq!(app.get_as(&other(1), &list).await.ids().len(), 40, "dislikes of another person");
    // A person whom the users service does not have dislikes nothing; one that is away cannot say.
    users.set(Some(StatusCode::NOT_FOUND));
    assert_eq!(app.get_as(&other(2), &list).await.ids().len(), 40);
    users.set(Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(app.get_as(&other(3), &list).await, Answer::text(503, "Service unavailable"));
    assert_eq!(app.get_as(&other(3), "/books?exclude-dislikes=false&per-page=100").await.ids().len(), 40);
    // A failure is not kept.
    users.set(None);
    assert_eq!(app.get_as(&other(3), &list).await.ids().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_leave_out_what_the_caller_dislikes_on_sqlite() {
    lists_leave_out_what_the_caller_dislikes(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_leave_out_what_the_caller_dislikes_on_postgresql() {
    let postgres = PrivatePostgres::start();
    lists_leave_out_what_the_caller_dislikes(Some(postgres.url())).await;
}

/// Killed between the change and the call, it tells people when it runs again.
#[test]
fn a_library_that_is_killed_before_it_tells_people_does_so_when_it_runs_again() {
    let users = Users::default();
    users.set(Some(StatusCode::SERVICE_UNAVAILABLE));
    let beside = Runtime::new().unwrap();
    let home = Arc::new(TestHome::new());
    let clock = ManualClock::at(START);
    let backends = vec![("/_/users", "users", users.router())];
    let listener = beside.block_on(ServiceListener::start(&home, &clock, backends));
    let run = async || TestApp::at(Arc::clone(&home), &clock, None, Surface::Older, listener.url()).await;

    let first = Runtime::new().unwrap();
    first.block_on(async {
        let app = run().await;
        let added = app.call(Role::NORMAL, "POST /books", &book(1000)).await;
        assert_eq!(added.status, 201);
        app.until("the first attempt", || !users.calls().is_empty()).await;
    });
    // Nothing of it goes on.
    first.shutdown_background();
    users.set(None);
    let before = users.calls().len();

    let second = Runtime::new().unwrap();
    second.block_on(async {
        let app = run().await;
        app.until("people are told", || users.calls().len() > before).await;
        app.until_async("nothing waits", async || app.waiting().await == 0).await;
    });
    assert_eq!(users.calls().len(), before + 1, "once");
}
