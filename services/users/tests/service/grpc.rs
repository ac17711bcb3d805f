//! The calls in gRPC: each gives what its form in HTTP gives, to the same callers.

use kit::testing::{Direct, PrivatePostgres, TENANT};
use proto::users::v1::accounts_client::AccountsClient;
use proto::users::v1::activity_client::ActivityClient;
use proto::users::v1::get_account_request::Person;
use proto::users::v1::taste::Subject;
use proto::users::v1::{
    Account, AnnounceBookRequest, GetAccountRequest, ListDeviceTokensRequest, ListDislikesRequest,
    ListHistoriesRequest, ListTastesRequest, RenewBookRequest, Tag,
};
use serde_json::{Value, json};
use tonic::{Code, Response, Status};

use crate::app::{BOT, DEMO, DEV, TestApp};

const OTHER_TENANT: &str = "00000000-0000-7000-8000-000000000002";

/// A client of a service's calls, as `identity`.
fn accounts(app: &TestApp, identity: &str) -> AccountsClient<Direct> {
    AccountsClient::new(Direct::new(&app.router, identity))
}

fn activity(app: &TestApp, identity: &str) -> ActivityClient<Direct> {
    ActivityClient::new(Direct::new(&app.router, identity))
}

fn tag(kind: &str, name: &str) -> Tag {
    Tag { kind: kind.to_owned(), name: name.to_owned() }
}

fn by(person: Person) -> GetAccountRequest {
    GetAccountRequest { person: Some(person) }
}

fn code<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Code {
    answer.expect_err("a refusal").code()
}

/// A time as the forms in HTTP write it.
fn written(time: Option<prost_types::Timestamp>) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    kit::grpc::time(time).unwrap().format(&format).unwrap()
}

fn shown(account: &Account) -> Value {
    json!({
        "id": account.id, "name": account.name, "handle": account.handle, "email": account.email,
        "role": account.role, "created_at": written(account.created_at),
        "updated_at": written(account.updated_at), "tenant_id": account.tenant_id,
    })
}

async fn an_account_is_the_same_in_both_forms(app: &TestApp) {
    let auth = app.edge.service("auth", "users");
    for (id, email) in [(DEMO, "demo@example.com"), (BOT, "bot@example.com")] {
        let http = app.call(&format!("GET /_/users/{id}"), &auth, "").await.body;
        let http: Value = serde_json::from_str(&http).unwrap();
        for person in [Person::Id(id.to_owned()), Person::Email(email.to_owned())] {
            let account = accounts(app, &auth).get_account(by(person)).await.unwrap().into_inner();
            assert_eq!(shown(&account), http);
        }
    }
    let missing = ["", "x", "demo@example.co", "a\0b", "00000000-0000-7000-8000-0000000000ff", "%", "ä"];
    for text in missing {
        for person in [Person::Id(text.to_owned()), Person::Email(text.to_owned())] {
            assert_eq!(code(accounts(app, &auth).get_account(by(person)).await), Code::NotFound, "{text:?}");
        }
    }
    let empty = GetAccountRequest { person: None };
    assert_eq!(code(accounts(app, &auth).get_account(empty).await), Code::InvalidArgument);
}

/// The same callers as of the forms in HTTP: 401 is UNAUTHENTICATED, and the 404 of a path that does not exist for the caller
/// is UNIMPLEMENTED.
async fn a_call_is_for_services_and_within_their_tenant(app: &TestApp) {
    let demo = || by(Person::Id(DEMO.to_owned()));
    let of_tenant = app.edge.service_of(TENANT, "reports", "users");
    let of_other = app.edge.service_of(OTHER_TENANT, "reports", "users");
    let for_another = app.edge.service("auth", "library");
    for (caller, expected) in [
        (app.as_demo(), Code::Unimplemented),
        (of_other.clone(), Code::NotFound),
        (for_another, Code::Unauthenticated),
        ("x.y.z".to_owned(), Code::Unauthenticated),
        (String::new(), Code::Unauthenticated),
    ] {
        assert_eq!(code(accounts(app, &caller).get_account(demo()).await), expected);
        let dislikes = ListDislikesRequest { person_id: DEMO.to_owned() };
        assert_eq!(code(activity(app, &caller).list_dislikes(dislikes).await), expected);
        let histories = ListHistoriesRequest { person_id: DEMO.to_owned(), book_ids: vec![1] };
        assert_eq!(code(activity(app, &caller).list_histories(histories).await), expected);
        let tastes = ListTastesRequest { person_id: DEMO.to_owned(), ..ListTastesRequest::default() };
        assert_eq!(code(activity(app, &caller).list_tastes(tastes).await), expected);
    }
    assert!(accounts(app, &of_tenant).get_account(demo()).await.is_ok());
    let tokens = ListDeviceTokensRequest { person_ids: vec![DEMO.to_owned()] };
    let of_others = activity(app, &of_other).list_device_tokens(tokens).await.unwrap().into_inner();
    assert!(of_others.tokens.is_empty());
    for caller in [app.as_demo(), of_tenant] {
        let announce = AnnounceBookRequest { book_id: 1, tags: Vec::new() };
        assert_eq!(code(activity(app, &caller).announce_book(announce).await), Code::Unimplemented);
        let renew = RenewBookRequest { old_id: 1, new_id: 2 };
        assert_eq!(code(activity(app, &caller).renew_book(renew).await), Code::Unimplemented);
    }
}

async fn activity_is_the_same_in_both_forms(app: &TestApp) {
    let library = app.edge.service("library", "users");
    let calls = activity(app, &library);
    let express = async |subject: Value| {
        let answer = app.call("POST /users/@me/tastes", &app.as_demo(), &subject.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    };
    express(json!({"kind": "book", "book_id": 3, "is_dislike": true})).await;
    express(json!({"kind": "book_tag", "tag_kind": "group", "tag_name": "some group", "is_dislike": false}))
        .await;
    let read = r#"{"kind":"book","book_id":3,"page":2}"#;
    assert_eq!(app.call("POST /users/@me/histories", &app.as_demo(), read).await.status, 201);
    let token = r#"{"token":"of a telephone"}"#;
    assert_eq!(app.call("POST /users/@me/fcm-token", &app.as_demo(), token).await.status, 201);

    let http = async |path: String| {
        let answer = app.call(&format!("GET /_/users/{path}"), &library, "").await;
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    let request = ListTastesRequest {
        person_id: DEMO.to_owned(),
        book_ids: vec![3, 9],
        ..ListTastesRequest::default()
    };
    let found = calls.clone().list_tastes(request).await.unwrap().into_inner().tastes;
    let as_http = json!([{
        "kind": "book", "book_id": 3, "is_dislike": true, "created_at": written(found[0].created_at),
    }]);
    assert_eq!(found[0].subject, Some(Subject::BookId(3)));
    assert_eq!((as_http, found.len()), (http(format!("{DEMO}/likes?ids[]=3&ids[]=9")).await, 1));
    let request = ListTastesRequest {
        person_id: DEMO.to_owned(),
        tags: vec![tag("group", "some group"), tag("misc", "a\0b")],
        is_dislike: Some(false),
        ..ListTastesRequest::default()
    };
    let found = calls.clone().list_tastes(request).await.unwrap().into_inner().tastes;
    assert_eq!(found[0].subject, Some(Subject::Tag(tag("group", "some group"))));
    assert_eq!(found.len(), 1);

    let request = ListDislikesRequest { person_id: DEMO.to_owned() };
    let found = calls.clone().list_dislikes(request).await.unwrap().into_inner();
    let tags: Vec<_> = found.tags.iter().map(|tag| json!([tag.kind, tag.name])).collect();
    assert_eq!(json!({"books": found.book_ids, "tags": tags}), http(format!("{DEMO}/dislikes")).await);
    let request = ListHistoriesRequest { person_id: DEMO.to_owned(), book_ids: vec![3] };
    let found = calls.clone().list_histories(request).await.unwrap().into_inner().histories;
    let as_http = json!([{
        "kind": "book", "book_id": found[0].book_id, "page": found[0].page,
        "created_at": written(found[0].created_at), "updated_at": written(found[0].updated_at),
    }]);
    assert_eq!(as_http, http(format!("{DEMO}/histories?ids[]=3")).await);
    let request = ListDeviceTokensRequest { person_ids: vec![DEMO.to_owned(), DEV.to_owned()] };
    let found = calls.clone().list_device_tokens(request).await.unwrap().into_inner().tokens;
    assert_eq!(json!(found), http(format!("fcm-token?user-ids[]={DEMO}&user-ids[]={DEV}")).await);
    assert_eq!(found, ["of a telephone"]);

    let request =
        AnnounceBookRequest { book_id: 7, tags: vec![tag("group", "some group"), tag("misc", "\0")] };
    for _ in 0..2 {
        assert!(calls.clone().announce_book(request.clone()).await.is_ok());
    }
    assert!(calls.clone().renew_book(RenewBookRequest { old_id: 7, new_id: 8 }).await.is_ok());
    let told = app.call("GET /users/@me/notifications", &app.as_demo(), "").await.body;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (told[0]["book_id"].clone(), told.as_array().unwrap().len()),
        (json!(8), 1),
        "once, and moved: {told}"
    );
}

async fn hostile_messages_are_refused(app: &TestApp) {
    let library = app.edge.service("library", "users");
    let calls = || activity(app, &library);
    let many = |count: usize| vec![1; count];
    for (old_id, new_id) in [(0, 1), (1, 0), (-1, 1), (i32::MIN, i32::MAX)] {
        let renew = RenewBookRequest { old_id, new_id };
        assert_eq!(code(calls().renew_book(renew).await), Code::InvalidArgument);
    }
    for (book_id, count) in [(0, 1), (-5, 0), (1, 201)] {
        let request = AnnounceBookRequest { book_id, tags: vec![tag("misc", "x"); count] };
        assert_eq!(code(calls().announce_book(request).await), Code::InvalidArgument);
    }
    let long = AnnounceBookRequest { book_id: 1, tags: vec![tag("misc", &"x".repeat(300_000))] };
    assert_eq!(code(calls().announce_book(long).await), Code::OutOfRange, "longer than a message may be");
    let longest =
        AnnounceBookRequest { book_id: 1, tags: vec![tag(&"ä".repeat(200), &"ß".repeat(200)); 200] };
    assert!(calls().announce_book(longest).await.is_ok(), "two hundred of the longest tags fit");
    for person_id in ["", "x", "\0", &"9".repeat(10_000)] {
        let person_id = person_id.to_owned();
        let request = ListHistoriesRequest { person_id, book_ids: Vec::new() };
        assert_eq!(code(calls().list_histories(request).await), Code::NotFound);
    }
    let request = ListHistoriesRequest { person_id: DEMO.to_owned(), book_ids: many(101) };
    assert_eq!(code(calls().list_histories(request).await), Code::InvalidArgument);
    let request = ListTastesRequest {
        person_id: DEMO.to_owned(),
        book_ids: vec![i32::MIN, -1, 0],
        tags: vec![tag("\0", "\0"), tag(&"x".repeat(9_000), "")],
        is_dislike: None,
    };
    assert!(calls().list_tastes(request).await.unwrap().into_inner().tastes.is_empty());
    let request = ListTastesRequest {
        person_id: DEMO.to_owned(),
        tags: vec![tag("a", "b"); 101],
        ..ListTastesRequest::default()
    };
    assert_eq!(code(calls().list_tastes(request).await), Code::InvalidArgument);
    for people in [vec!["x".to_owned()], vec!["\0".to_owned()], vec![DEMO.to_owned(); 101]] {
        let request = ListDeviceTokensRequest { person_ids: people };
        assert_eq!(code(calls().list_device_tokens(request).await), Code::InvalidArgument);
    }
}

async fn all(app: &TestApp) {
    an_account_is_the_same_in_both_forms(app).await;
    a_call_is_for_services_and_within_their_tenant(app).await;
    activity_is_the_same_in_both_forms(app).await;
    hostile_messages_are_refused(app).await;
}

#[tokio::test]
async fn calls_are_answered_as_their_forms_in_http_on_sqlite() {
    all(&TestApp::new().await).await;
}

#[tokio::test]
async fn calls_are_answered_as_their_forms_in_http_on_postgresql() {
    let postgres = PrivatePostgres::start();
    all(&TestApp::on(Some(postgres.url())).await).await;
}

/// What is no message at all, what is cut off, and what no call is: never a failure of the service.
#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    use axum::body::Body;
    use tower::ServiceExt as _;
    let app = TestApp::new().await;
    let auth = app.edge.service("auth", "users");
    let framed = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0], &length[..], bytes].concat()
    };
    for (path, body) in [
        ("Accounts/GetAccount", framed(b"\xff\xff\xff")),
        ("Accounts/GetAccount", framed(b"\x0a\x02\xff\xfe")),
        ("Accounts/GetAccount", framed(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
        ("Accounts/GetAccount", b"\x00\x00\x00\x00\x09abc".to_vec()),
        ("Accounts/GetAccount", b"\x00\xff\xff\xff\xffabc".to_vec()),
        ("Accounts/GetAccount", b"\x07\x00\x00\x00\x00".to_vec()),
        ("Accounts/GetAccount", Vec::new()),
        ("Accounts/getaccount", framed(b"")),
        ("Activity/ListDislikes", framed(b"{}")),
    ] {
        let request = http::Request::post(format!("/cutover.users.v1.{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-madome-identity", &auth)
            .body(Body::from(body.clone()))
            .unwrap();
        let response = app.router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
        let status = response.headers()["grpc-status"].to_str().unwrap().parse::<i32>().unwrap();
        let code = Code::from(status);
        let is_refused = matches!(
            code,
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented | Code::ResourceExhausted
        );
        assert!(is_refused, "{path} {body:?}: {code:?}");
    }
}
