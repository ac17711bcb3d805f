//! What the users service hears from the library, and what it tells the library.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::middleware::{self, Next};
use clock::ManualClock;
use identity::Role;
use kit::generation::Surface;
use kit::testing::{PrivatePostgres, START, ServiceListener, TestHome};
use parking_lot::Mutex;
use proto::users::v1::activity_server::{Activity, ActivityServer};
use proto::users::v1::{
    AnnounceBookRequest, AnnounceBookResponse, ListDeviceTokensRequest, ListDeviceTokensResponse,
    ListDislikesRequest, ListDislikesResponse, ListHistoriesRequest, ListHistoriesResponse,
    ListTastesRequest, ListTastesResponse, RenewBookRequest, RenewBookResponse, Tag,
};
use serde_json::json;
use tokio::runtime::Runtime;
use tonic::{Code, Request, Response, Status};
use tower::ServiceExt as _;

use crate::app::{Answer, DEMO, TestApp};

/// A users service that records its calls, and fails while it is told to.
#[derive(Clone, Default)]
pub(crate) struct Users(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    calls: Vec<String>,
    code: Option<Code>,
    dislikes: ListDislikesResponse,
}

impl Users {
    pub(crate) fn router(&self) -> Router {
        let calls = ActivityServer::new(self.clone());
        let calls = calls.map_request(|request: HttpRequest<Body>| request.map(tonic::body::Body::new));
        Router::new().route_service("/cutover.users.v1.Activity/{call}", calls)
    }

    fn answer<T>(&self, call: String, answer: impl FnOnce(&Recorded) -> T) -> Result<Response<T>, Status> {
        let mut recorded = self.0.lock();
        recorded.calls.push(call);
        match recorded.code {
            Some(code) => Err(Status::new(code, "told to fail")),
            None => Ok(Response::new(answer(&recorded))),
        }
    }

    pub(crate) fn set_disliked_books(&self, books: &[i32]) {
        self.0.lock().dislikes.book_ids = books.to_vec();
    }

    fn set(&self, code: Option<Code>) {
        self.0.lock().code = code;
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.0.lock().calls.clone()
    }
}

#[tonic::async_trait]
impl Activity for Users {
    async fn list_dislikes(
        &self,
        request: Request<ListDislikesRequest>,
    ) -> Result<Response<ListDislikesResponse>, Status> {
        self.answer(format!("dislikes of {}", request.get_ref().person_id), |known| known.dislikes.clone())
    }

    async fn announce_book(
        &self,
        request: Request<AnnounceBookRequest>,
    ) -> Result<Response<AnnounceBookResponse>, Status> {
        let AnnounceBookRequest { book_id, tags } = request.into_inner();
        let tags: Vec<String> = tags.iter().map(|tag| format!("{}-{}", tag.kind, tag.name)).collect();
        self.answer(format!("announce {book_id}: {}", tags.join(", ")), |_| AnnounceBookResponse {})
    }

    async fn renew_book(
        &self,
        request: Request<RenewBookRequest>,
    ) -> Result<Response<RenewBookResponse>, Status> {
        let RenewBookRequest { old_id, new_id } = request.into_inner();
        self.answer(format!("renew {old_id} as {new_id}"), |_| RenewBookResponse {})
    }

    async fn list_tastes(
        &self,
        _: Request<ListTastesRequest>,
    ) -> Result<Response<ListTastesResponse>, Status> {
        Err(Status::permission_denied("the library has no use for it"))
    }

    async fn list_histories(
        &self,
        _: Request<ListHistoriesRequest>,
    ) -> Result<Response<ListHistoriesResponse>, Status> {
        Err(Status::permission_denied("the library has no use for it"))
    }

    async fn list_device_tokens(
        &self,
        _: Request<ListDeviceTokensRequest>,
    ) -> Result<Response<ListDeviceTokensResponse>, Status> {
        Err(Status::permission_denied("the library has no use for it"))
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

const ANNOUNCED: &str = "announce 1000: artist-some artist, misc-full color";

#[tokio::test]
async fn a_stop_waits_for_the_call_that_runs() {
    let (begun, going_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let (begin, go_on) = (Arc::clone(&begun), Arc::clone(&going_on));
    let wait = middleware::from_fn(move |request: HttpRequest<Body>, next: Next| {
        let (begin, go_on) = (Arc::clone(&begin), Arc::clone(&go_on));
        async move {
            begin.notify_one();
            go_on.notified().await;
            next.run(request).await
        }
    });
    let users = Users::default().router().layer(wait);
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
    users.set(Some(Code::Unavailable));
    assert_eq!(bot("PATCH /books/1000/release", "").await, 204);
    assert_eq!(bot("PATCH /books/1000/release", "").await, 204);
    let announced = ANNOUNCED.to_owned();
    app.until("the announcement is tried", || users.calls().contains(&announced)).await;
    assert_eq!(bot("POST /books/40/renew/1000", "").await, 204);
    // People come first: the library goes on showing the old book until the users service has heard of it.
    assert!(app.get("/books/40").await.body.contains("\"legacy\":false"));
    assert_eq!(app.get("/books/currently-renewing").await.ids(), [40]);
    assert_eq!(app.get("/books/40/currently-renewing").await.status, 204);
    assert_eq!(app.get("/books/1000/currently-renewing").await, Answer::no_book());
    users.set(None);
    let before = users.calls().len();
    let renewed = "renew 40 as 1000".to_owned();
    app.until("both are told", || {
        let calls = users.calls().split_off(before);
        calls.contains(&announced) && calls.contains(&renewed)
    })
    .await;
    app.until_async("nothing waits", async || app.waiting().await == 0).await;
    assert!(app.get("/books/40").await.body.contains("\"legacy\":true"));
    assert_eq!(app.get("/books/currently-renewing").await, Answer::json(200, "[]"));
    assert_eq!(app.get("/books/40/currently-renewing").await, Answer::no_book());
    let told = users.calls().len();
    assert_eq!(bot("PATCH /books/1000/release", "").await, 204);
    assert_eq!(app.waiting().await, 0, "a book appears once");
    assert_eq!(users.calls().len(), told);
    // A service replaces a book, too.
    let renewal = app.service("PATCH", "/_/books/39/1000").await;
    assert_eq!((renewal.status, renewal.body.as_str()), (204, ""));
    assert!(
        app.get("/books/39").await.body.contains("\"legacy\":true"),
        "people were told within the request"
    );
    app.until_async("the row finds nothing to do", async || app.waiting().await == 0).await;
    let renewals = || users.calls().into_iter().filter(|call| call == "renew 39 as 1000").count();
    assert_eq!(renewals(), 1);
    // Of two orders that wait, the later one counts.
    users.set(Some(Code::Unavailable));
    for order in ["POST /books/1/renew/2", "POST /books/2/renew/1"] {
        assert_eq!(bot(order, "").await, 204);
    }
    assert_eq!(app.get("/books/currently-renewing").await.ids(), [2]);
    users.set(None);
    let before = users.calls().len();
    app.until_async("nothing waits", async || app.waiting().await == 0).await;
    assert_eq!(users.calls().split_off(before), ["renew 2 as 1"]);
    let legacy = async |path: &str| app.get(path).await.body.contains("\"legacy\":true");
    assert_eq!((legacy("/books/1").await, legacy("/books/2").await), (false, true));
    // An order that is completed late undoes none that came after it, and people's part goes on to the book that is shown.
    users.set(Some(Code::Unavailable));
    assert_eq!(bot("POST /books/3/renew/4", "").await, 204);
    users.set(None);
    assert_eq!(bot("POST /books/4/renew/5", "").await, 204);
    app.until_async("nothing waits", async || app.waiting().await == 0).await;
    assert!(
        users.calls().ends_with(&["renew 4 as 5".to_owned(), "renew 3 as 5".to_owned()]),
        "{:?}",
        users.calls()
    );
    assert_eq!((legacy("/books/3").await, legacy("/books/4").await), (true, true));
    assert_eq!(bot("POST /books/3/renew/4", "").await, 204);
    assert_eq!((legacy("/books/4").await, legacy("/books/5").await), (true, false));
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
    let announced = ANNOUNCED.to_owned();
    app.until_async("it is told", async || app.waiting().await == 0).await;
    assert_eq!(users.calls(), [announced]);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_can_never_be_told_is_a_dead_letter_that_says_why() {
    let (app, users, _listener) = on(None, Surface::Older).await;
    users.set(Some(Code::InvalidArgument));
    assert_eq!(app.call(Role::NORMAL, "POST /books", &book(1000)).await.status, 201);
    app.until_async("it is dead", async || app.waiting().await == 0).await;
    let dead = events::outbox::dead(&app.database().await, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].kind.as_str(), dead[0].attempts), ("library.book.appeared", 1));
    assert!(dead[0].last_error.contains("InvalidArgument"), "{}", dead[0].last_error);
}

async fn lists_leave_out_what_the_caller_dislikes(database_url: Option<String>) {
    let (app, users, _listener) = on(database_url, Surface::Later).await;
    let tag = |kind: &str, name: &str| Tag { kind: kind.to_owned(), name: name.to_owned() };
    users.0.lock().dislikes = ListDislikesResponse {
        book_ids: vec![40, 38, 99_999],
        tags: vec![tag("series", "some series"), tag("misc", "a\0b"), tag("nokind", "x")],
    };
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
    let read = format!("dislikes of {DEMO}");
    assert!(users.calls().iter().all(|call| *call == read), "{:?}", users.calls());
    assert_eq!(app.get("/books?exclude-dislikes=no").await.status, 400);
    // A thousand dislikes of each are what the users service gives at most.
    let tags = (0..1000).map(|n| tag("misc", &format!("tag {n}"))).collect();
    users.0.lock().dislikes = ListDislikesResponse { book_ids: (100..1100).collect(), tags };
    // Requests of one person at once share one call, and the service counts it.
    let calls = users.calls().len();
    let tagged = format!("/books?tags[]=series-some-series&{without}");
    let list = format!("/books?{without}");
    let again = "00000000-0000-7000-8000-0000000000b0";
    let all = tokio::join!(
        app.get_as(again, &list),
        app.get_as(again, &tagged),
        app.get_as(again, &list),
        app.get_as(again, &tagged)
    );
    assert_eq!([&all.0, &all.1, &all.2, &all.3].map(|answer| answer.status), [200; 4]);
    assert!(users.calls().len() < calls + 4, "{:?}", users.calls());
    let counts = app.get("/metrics").await.body;
    assert!(counts.contains(r#"cache_reads_total{cache="dislikes",tier="source"}"#), "{counts}");
    assert!(counts.contains(r#"library_outbox_rows{kind="news",state="dead"} 0"#), "{counts}");
    assert!(counts.contains(r#"service_database_connections{state="in_use"}"#), "{counts}");
    let other = |number: u8| format!("00000000-0000-7000-8000-0000000000{number:02}");
    assert_eq!(app.get_as(&other(1), &list).await.ids().len(), 40, "dislikes of another person");
    // A person whom the users service does not have dislikes nothing; one that is away cannot say.
    users.set(Some(Code::NotFound));
    assert_eq!(app.get_as(&other(2), &list).await.ids().len(), 40);
    users.set(Some(Code::Internal));
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
    users.set(Some(Code::Unavailable));
    let beside = Runtime::new().unwrap();
    let home = Arc::new(TestHome::new());
    let clock = ManualClock::at(START);
    let backends = vec![("/cutover.users.v1.", "users", users.router())];
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
