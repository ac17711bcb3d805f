//! The later surface: tastes, pages, milliseconds; the same on both databases.

use identity::Role;
use kit::testing::PrivatePostgres;
use serde_json::{Value, json};

use crate::app::{Answer, DEV, TestApp};

const TASTES: &str = "/users/@me/tastes";
const HISTORIES: &str = "/users/@me/histories";

async fn ask(app: &TestApp, line: &str) -> Value {
    let answer = app.call(line, &app.as_demo(), "").await;
    assert_eq!(answer.status, 200, "{line}: {answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

async fn tell(app: &TestApp, line: &str, body: &Value) -> Answer {
    app.clock.advance_seconds(1);
    app.call(line, &app.as_demo(), &body.to_string()).await
}

fn subjects(list: &Value) -> Vec<String> {
    let one = |item: &Value| match item["kind"].as_str().unwrap() {
        "book" => format!("book {}", item["book_id"]),
        _ => format!("{} {}", item["tag_kind"].as_str().unwrap(), item["tag_name"].as_str().unwrap()),
    };
    list.as_array().unwrap().iter().map(one).collect()
}

async fn tastes(app: &TestApp) {
    let express = async |body: Value| tell(app, &format!("POST {TASTES}"), &body).await;
    assert_eq!(ask(app, &format!("GET {TASTES}")).await, json!([]));
    let like = json!({"kind": "book", "book_id": 7, "is_dislike": false});
    assert_eq!(express(like.clone()).await, Answer::text(201, ""));
    assert_eq!(express(like).await, Answer::text(409, "Already exists like"));
    let color = json!({"kind": "book_tag", "tag_kind": "misc", "tag_name": "full color", "is_dislike": true});
    assert_eq!(express(color.clone()).await.status, 201);
    assert_eq!(express(color).await.status, 409);
    let missing = express(json!({"kind": "book", "book_id": 999, "is_dislike": true})).await;
    assert_eq!(missing, Answer::text(404, "Not found book in library"));
    let unsaid = express(json!({"kind": "book", "book_id": 8})).await;
    assert_eq!(unsaid, Answer::text(400, "Json deserialize: missing field `is_dislike`"));

    let all = app.call(&format!("GET {TASTES}?books-per-page=1"), &app.as_demo(), "").await;
    let book = |id: u8, kind: &str, minute: u8, tags: &str| {
        format!(
            r#"{{"id":{id},"title":"Sample book {id}","kind":"{kind}","tags":[{tags}],"legacy":false,"published_at":null,"created_at":"2022-01-31T17:{minute}:00.000Z","updated_at":"2022-01-31T17:{minute}:00.000Z"}}"#
        )
    };
    let some = r#"{"kind":"artist","name":"some artist"},{"kind":"misc","name":"full color"}"#;
    let another = r#"{"kind":"artist","name":"another artist"},{"kind":"misc","name":"full color"},{"kind":"group","name":"some group"}"#;
    let expected = format!(
        r#"[{{"kind":"book_tag","tag_kind":"misc","tag_name":"full color","is_dislike":true,"created_at":"2026-11-20T00:00:03.000Z","books":[{}]}},{{"kind":"book","book_id":7,"is_dislike":false,"created_at":"2026-11-20T00:00:01.000Z","book":{}}}]"#,
        book(40, "doujinshi", 52, another),
        book(7, "game-cg", 19, some),
    );
    assert_eq!(all.body, expected);
    for (query, expected) in [
        ("sort-by=created-at-asc", vec!["book 7", "misc full color"]),
        ("kind=book", vec!["book 7"]),
        ("kind=book-tag", vec!["misc full color"]),
        ("kind=book_tag", vec!["misc full color"]),
        ("is-dislike=true", vec!["misc full color"]),
        ("is-dislike=false", vec!["book 7"]),
        ("book-ids[]=7&book-ids[]=8", vec!["book 7"]),
        ("book-ids[]=8", vec![]),
        ("book-ids[]=99999999999", vec![]),
        ("per-page=1&page=2", vec!["book 7"]),
        ("page=18446744073709551615", vec![]),
    ] {
        assert_eq!(subjects(&ask(app, &format!("GET {TASTES}?{query}")).await), expected, "{query}");
    }
    let mut random = subjects(&ask(app, &format!("GET {TASTES}?sort-by=random")).await);
    random.sort();
    assert_eq!(random, ["book 7", "misc full color"]);
    let many: String = (1..=101).map(|id| format!("&book-ids[]={id}")).collect();
    for (query, why) in [
        ("is-dislike=1", "Querystring deserialize: provided string was not `true` or `false`"),
        ("books-per-page=0", "books-per-page: 0 less than 1"),
        ("books-per-page=101", "books-per-page: 101 more than 100"),
        (&many[1..], "book-ids: length of 101 more than 100"),
        ("book-ids[]=x", "Querystring deserialize: invalid digit found in string"),
    ] {
        let answer = app.call(&format!("GET {TASTES}?{query}"), &app.as_demo(), "").await;
        assert_eq!(answer, Answer::text(400, why), "{query}");
    }
    the_opposite_replaces(app).await;
}

async fn the_opposite_replaces(app: &TestApp) {
    let dislike = json!({"kind": "book", "book_id": 7, "is_dislike": true});
    assert_eq!(tell(app, &format!("POST {TASTES}"), &dislike).await.status, 201);
    assert_eq!(tell(app, &format!("POST {TASTES}"), &dislike).await.status, 409);
    let one = app.call(&format!("GET {TASTES}/book/7"), &app.as_demo(), "").await;
    let expected = r#"{"kind":"book","book_id":7,"is_dislike":true,"created_at":"2026-11-20T00:00:01.000Z"}"#;
    assert_eq!(one.body, expected, "the time stays");
    for path in ["book-tag/misc-full-color", "book_tag/misc-full-color", "book-tag/misc-full%20color"] {
        let tag = ask(app, &format!("GET {TASTES}/{path}")).await;
        assert_eq!(tag["tag_name"], "full color", "{path}");
        assert_eq!(tag.get("books"), None, "{path}");
    }
    for path in
        ["book/8", "book/x", "book/99999999999", "book-tag/misc", "other/7", "book-tag/a-%00", "book/%ff"]
    {
        let answer = app.call(&format!("GET {TASTES}/{path}"), &app.as_demo(), "").await;
        assert_eq!(answer, Answer::text(404, "Not found like"), "{path}");
    }
    // Those of another person are theirs.
    let dev = app.as_person(DEV, Role::DEVELOPER);
    assert_eq!(app.call(&format!("GET {TASTES}"), &dev, "").await.body, "[]");
    assert_eq!(app.call(&format!("GET {TASTES}/book/7"), &dev, "").await.status, 404);
    let remove = json!({"kind": "book", "book_id": 7}).to_string();
    assert_eq!(app.call(&format!("DELETE {TASTES}"), &dev, &remove).await.status, 404);
    let remove = json!({"kind": "book", "book_id": 7});
    assert_eq!(tell(app, &format!("DELETE {TASTES}"), &remove).await.status, 204);
    assert_eq!(tell(app, &format!("DELETE {TASTES}"), &remove).await, Answer::text(404, "Not found like"));
}

async fn histories(app: &TestApp) {
    let read = async |book: i64, page: i64| {
        let body = json!({"kind": "book", "book_id": book, "page": page});
        tell(app, &format!("POST {HISTORIES}"), &body).await.status
    };
    assert_eq!((read(7, 2).await, read(9, 1).await, read(7, 5).await), (201, 201, 201));
    assert_eq!((read(7, 99_999_999_999).await, read(999, 1).await), (201, 404));
    let list = ask(app, &format!("GET {HISTORIES}")).await;
    assert_eq!(subjects(&list), ["book 7", "book 9"]);
    assert_eq!(list[0]["book"]["title"], "Sample book 7");
    let one = app.call(&format!("GET {HISTORIES}/book/9"), &app.as_demo(), "").await;
    assert!(
        one.body.starts_with(r#"{"kind":"book","book_id":9,"page":1,"created_at":"2026-11-20T"#),
        "{one:?}"
    );
    assert!(one.body.ends_with(r#".000Z"}"#), "{one:?}");
    assert_eq!(ask(app, &format!("GET {HISTORIES}/book/7")).await["page"], i32::MAX);
    for path in ["book/8", "book/x", "tag/7"] {
        let answer = app.call(&format!("GET {HISTORIES}/{path}"), &app.as_demo(), "").await;
        assert_eq!(answer, Answer::text(404, "Not found history"), "{path}");
    }
    let forget = json!({"kind": "book", "book_id": 7});
    assert_eq!(tell(app, &format!("DELETE {HISTORIES}"), &forget).await.status, 204);
    assert_eq!(
        tell(app, &format!("DELETE {HISTORIES}"), &forget).await,
        Answer::text(404, "Not found history")
    );
    assert_eq!(subjects(&ask(app, &format!("GET {HISTORIES}")).await), ["book 9"]);
}

#[tokio::test]
async fn tastes_and_histories_on_sqlite() {
    let app = TestApp::new().await;
    tastes(&app).await;
    histories(&app).await;
}

#[tokio::test]
async fn tastes_and_histories_on_postgresql() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url())).await;
    tastes(&app).await;
    histories(&app).await;
}

#[tokio::test]
async fn without_the_library_what_needs_it_fails_and_the_rest_works() {
    let mut app = TestApp::new().await;
    let like = json!({"kind": "book", "book_id": 7, "is_dislike": false});
    assert_eq!(tell(&app, &format!("POST {TASTES}"), &like).await.status, 201);
    app.listener = None;
    let failed = Answer::text(500, "Internal server error");
    // The connection to the library ends after the answers that are under way.
    let line = format!("POST {TASTES}");
    harness::eventually_async("the library is gone", async || tell(&app, &line, &like).await == failed).await;
    assert_eq!(app.call(&format!("GET {TASTES}"), &app.as_demo(), "").await, failed);
    assert_eq!(app.call(&format!("GET {TASTES}/book/7"), &app.as_demo(), "").await.status, 200);
    assert_eq!(app.call(&format!("GET {HISTORIES}"), &app.as_demo(), "").await.body, "[]");
    let remove = json!({"kind": "book", "book_id": 7});
    assert_eq!(tell(&app, &format!("DELETE {TASTES}"), &remove).await.status, 204);
}

#[tokio::test]
async fn two_requests_at_once_express_one_taste() {
    let app = TestApp::new().await;
    let like = json!({"kind": "book", "book_id": 7, "is_dislike": false}).to_string();
    let (line, demo) = (format!("POST {TASTES}"), app.as_demo());
    let all = futures_util::future::join_all((0..6).map(|_| app.call(&line, &demo, &like))).await;
    let mut statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}
