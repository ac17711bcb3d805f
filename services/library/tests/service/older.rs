//! The older surface, on both databases. `contracts/harness/tests/services/library_service.rs` compares it with the legacy
//! sample.

use axum::body::Body;
use http::Request;
use identity::Role;
use kit::generation::Surface;
use kit::startup::HeaderCase;
use kit::testing::Wire;

use crate::app::{Answer, TestApp, long_texts, on_both};

const NEW: &str = r#"{"id":1000,"title":"A new \"book\"","kind":"artist_cg","language":"english","page":7,"tags":[["misc","full color"],["series","x-y z"]],"created_at":"2022-01-31T18:12:00.5+01:00"}"#;
const READ: &str = r#"{"id":1000,"title":"A new \"book\"","kind":"artist_cg","language":"english","page":7,"tags":[["misc","full color"],["series","x-y z"]],"created_at":"2022-01-31T17:12:00.500Z","updated_at":"2022-01-31T17:12:00.500Z"}"#;

async fn books_are_listed_found_and_added(app: TestApp) {
    assert_eq!(app.get("/books").await.ids(), (16..=40).rev().collect::<Vec<i64>>());
    assert_eq!(app.get("/books?ids[]=3&ids=99&ids[]=1").await.ids(), [3, 1]);
    assert_eq!(app.get("/books?less-than=3&kind=bad").await.ids(), [2, 1], "a window hides the kind");
    assert_eq!(app.get("/books?kind=artist-cg&sort-by=id-asc&per-page=2&page=2").await.ids(), [10, 14]);
    assert_eq!(app.get("/books?page=9999999999&per-page=100").await.body, "[]");
    assert_eq!(app.get("/books?sort-by=random&per-page=100").await.ids().len(), 40);
    let tagged =
        app.get("/books?tags[]=group-some-group&tags[0][0]=misc&tags[0][1]=none&per-page=2").await.value();
    assert_eq!(tagged.as_array().unwrap().len(), 1, "{tagged}");
    assert_eq!(tagged[0][0], serde_json::json!(["group", "some group"]));
    assert_eq!((&tagged[0][1][0]["id"], &tagged[0][1][1]["id"]), (&40.into(), &35.into()));

    assert_eq!(app.call(Role::NORMAL, "POST /books", NEW).await, Answer::json(201, r#"{"id":1000}"#));
    let again = Answer::json(409, r#"{"name":"Already exists resource","message":"Already exists book"}"#);
    assert_eq!(app.call(Role::NORMAL, "POST /books", NEW).await, again);
    for path in ["/books/1000", "/Books/%31000/", "/BOOKS%2F1000"] {
        assert_eq!(app.get(path).await, Answer::json(200, READ), "{path}");
    }
    for (path, expected) in [
        ("title&q=new", vec![1000]),
        ("title&q=NOT+sample+AND+a", vec![1000]),
        ("title&q=sample+book+4", vec![40, 4]),
        ("title&q=sample+4+book", vec![4]),
        ("title&q=(new+OR+7)+AND+NOT+17", vec![1000, 7]),
        ("tag&q=series-some+NOT+another&sort-by=id-asc&per-page=3", vec![3, 9, 15]),
        ("tag&q=x-y", vec![1000]),
        ("tag&q=%22x%27", vec![1000]),
    ] {
        let found = app.get(&format!("/books/search?search-kind={path}")).await;
        assert_eq!(found.ids(), expected, "{path}");
    }
    let rank = app.get("/books/search?search-kind=title&q=new+OR+3+OR+sample&per-page=3").await;
    assert_eq!(rank.ids(), [3, 1000, 40], "two words before one; `3` is not a prefix");
    let rank = app.get("/books/search?search-kind=title&q=sample+OR+7&per-page=3").await;
    assert_eq!(rank.ids(), [7, 40, 39], "both words before one");
    let completed = app.get("/books/search/completion?search-kind=tag&q=series-some+AND+(ful").await;
    assert_eq!(completed, Answer::invalid("Invalid search query"));
    let completed = app.get("/books/search/completion?search-kind=tag&q=series+AND+ful").await;
    let expected = r#"[{"keyword":"misc-full color","completion":"series AND misc-full-color"}]"#;
    assert_eq!(completed, Answer::json(200, expected));
    let completed = app.get("/books/search/completion?search-kind=title&q=sample+4&per-page=1&page=2").await;
    assert_eq!(completed, Answer::json(200, r#"[{"keyword":"Sample book 40"}]"#));
    assert_eq!(app.get("/books/search/completion?search-kind=title&q=").await, Answer::json(200, "[]"));
}

#[tokio::test]
async fn books_are_listed_found_and_added_on_both() {
    on_both(Surface::Older, books_are_listed_found_and_added).await;
}

async fn hostile_input_gets_the_contracts_answer(app: TestApp) {
    for path in ["/books/0", "/books/00", "/books/-1", "/books/x", "/books/1%00", "/books/%F0%9F%98%80"] {
        assert_eq!(app.get(path).await, Answer::invalid("\"bookId\" must be a number"), "{path}");
    }
    let many = format!("/books/{}", "9".repeat(5000));
    for path in ["/books/41", "/books/2147483648", &many, "/books/41/images", "/books/41/images/1.jpg"] {
        assert_eq!(app.get(path).await, Answer::no_book(), "{path}");
    }
    for path in ["/", "//books", "/books//1", "/books/1/2", "/books/1/images/a/b", "/unknown"] {
        assert_eq!(app.get(path).await, Answer::text(404, "Not Found"), "{path}");
    }
    let ids: String = (1..=101).map(|id| format!("&ids[]={id}")).collect();
    for (query, message) in [
        ("ids[]=1&ids[]=1", "\"bookIds[1]\" contains a duplicate value"),
        ("ids=0", "\"bookIds[0]\" must be greater than or equal to 1"),
        ("ids=a", "\"bookIds[0]\" must be a number"),
        (&ids, "\"bookIds\" must contain less than or equal to 100 items"),
        ("tags[]=tag-x", "\"bookTags\" does not match any of the allowed types"),
        ("per-page=101", "\"perPage\" must be less than or equal to 100"),
        ("per-page=0", "\"perPage\" must be greater than or equal to 1"),
        ("page=0", "\"page\" must be greater than or equal to 1"),
        ("page=%00", "\"page\" must be a number"),
        ("sort-by=rank-desc", "\"sortBy\" must be one of [id-desc, id-asc, random]"),
        ("kind=image-set", "\"kind\" must be one of [doujinshi, manga, artist-cg, game-cg]"),
        ("less-than=1&more-than=2", "must be only one of less-than or more-than"),
    ] {
        assert_eq!(app.get(&format!("/books?{query}")).await, Answer::invalid(message), "{query}");
    }
    for q in ["", "%00", "'", "%22", "a+AND", "(", "*", "%3A*", &"(".repeat(5000)] {
        let found = app.get(&format!("/books/search?search-kind=title&q={q}")).await;
        assert_eq!(found, Answer::invalid("Invalid search query"), "{q}");
    }
    for q in long_texts() {
        for kind in ["title", "tag"] {
            let found = app.get(&format!("/books/search?search-kind={kind}&q={q}")).await;
            assert_eq!(found, Answer::invalid("Invalid search query"), "{} characters", q.len());
            let found = app.get(&format!("/books/search/completion?search-kind={kind}&q={q}")).await;
            assert_eq!(found, Answer::invalid("Invalid search query"), "{} characters", q.len());
        }
    }
    // Text that a database reads in its own way finds nothing, and breaks nothing.
    for q in ["x'%7C!y", "qq%5C", "title:x", "%00x", "x%22+OR+%22y", "%25", "\u{e9}"] {
        for kind in ["title", "tag"] {
            let q = q.replace('\u{e9}', "%C3%A9");
            let found = app.get(&format!("/books/search?search-kind={kind}&q={q}")).await;
            assert!(found.body == "[]" || found.status == 400, "{q}: {found:?}");
            let found = app.get(&format!("/books/search/completion?search-kind={kind}&q={q}")).await;
            assert!(found.body == "[]" || found.status == 400, "{q}: {found:?}");
        }
    }
    assert_eq!(app.get("/books?tags[]=misc-%00").await.body, "[]");
    assert_eq!(app.get("/books?tags[]=misc-'%22").await.body, "[]");
    let with = |name: &str, value: serde_json::Value| {
        let mut body = serde_json::json!({
            "id": 2000, "title": "T", "kind": "manga", "language": "l", "page": 1,
            "tags": [["misc", "a"]], "created_at": 0,
        });
        body[name] = value;
        body.to_string()
    };
    let long = serde_json::json!("x".repeat(501));
    let many = serde_json::json!(vec![["misc", "a"]; 201]);
    for (name, value, message) in [
        ("id", serde_json::json!(0), "\"id\" must be greater than or equal to 1"),
        ("id", serde_json::json!("1"), "\"id\" must be a number"),
        ("id", serde_json::json!(1.5), "\"id\" must be an integer"),
        ("id", serde_json::json!(2_147_483_648_u64), "\"id\" must be less than or equal to 2147483647"),
        ("id", serde_json::json!(u64::MAX), "\"id\" must be less than or equal to 2147483647"),
        ("id", serde_json::json!(1e30), "\"id\" must be less than or equal to 2147483647"),
        ("id", serde_json::json!(-1e30), "\"id\" must be greater than or equal to 1"),
        ("page", serde_json::json!(32_768), "\"page\" must be less than or equal to 32767"),
        ("title", serde_json::json!(""), "\"title\" is not allowed to be empty"),
        ("title", serde_json::json!("a\0"), "\"title\" contains an invalid character"),
        ("title", long, "\"title\" length must be less than or equal to 500 characters long"),
        (
            "kind",
            serde_json::json!("artist-cg"),
            "\"kind\" must be one of [doujinshi, manga, artist_cg, game_cg]",
        ),
        ("tags", serde_json::json!([]), "\"tags\" must contain at least 1 items"),
        ("tags", serde_json::json!([["misc", "a\0"]]), "\"tags\" does not match any of the allowed types"),
        ("tags", serde_json::json!([["tag", "a"]]), "\"tags\" does not match any of the allowed types"),
        ("tags", many, "\"tags\" must contain less than or equal to 200 items"),
        ("created_at", serde_json::json!("yesterday"), "\"created_at\" must be a valid date"),
        ("created_at", serde_json::json!(i64::MAX), "\"created_at\" must be a valid date"),
        ("created_at", serde_json::json!("9999-12-31T23:59:59-23:59"), "\"created_at\" must be a valid date"),
        ("created_at", serde_json::json!("0000-01-01"), "\"created_at\" must be a valid date"),
    ] {
        let answer = app.call(Role::NORMAL, "POST /books", &with(name, value)).await;
        assert_eq!(answer, Answer::invalid(message), "{name}");
    }
    for body in ["{", "\"\\ud800\"", "[1,]", &"[".repeat(10_000)] {
        assert_eq!(app.call(Role::NORMAL, "POST /books", body).await, Answer::text(400, "Bad Request"));
    }
    // The longest of everything is stored, found and read.
    let wide = serde_json::json!({
        "id": i32::MAX, "title": "\u{10400}".repeat(500), "kind": "manga", "language": "l", "page": 32_767,
        "tags": (0..60).map(|n| ["misc".to_owned(), format!("{n}{}", "\u{20000}".repeat(198))]).collect::<Vec<_>>(),
        "created_at": "Mon, 31 Jan 2022 17:12:00 GMT",
    });
    assert_eq!(app.call(Role::NORMAL, "POST /books", &wide.to_string()).await.status, 201);
    assert_eq!(app.get("/books/2147483647").await.value()["created_at"], "2022-01-31T17:12:00.000Z");
    let found = app.get(&format!("/books/search?search-kind=title&q={}", "%F0%90%90%80".repeat(500))).await;
    assert_eq!(found.ids(), [2_147_483_647]);
}

#[tokio::test]
async fn hostile_input_gets_the_contracts_answer_on_both() {
    on_both(Surface::Older, hostile_input_gets_the_contracts_answer).await;
}

#[tokio::test]
async fn answers_are_exact_to_the_byte() {
    let app = TestApp::on(None, Surface::Older).await;
    let wire = Wire::start_as(app.router.clone(), HeaderCase::Title).await;
    let me = format!("x-madome-identity: {}", app.identity(Role::NORMAL));
    let url = "http://file.test/v1/image/library/1/a%0D%0Ab%27?madome-2022=true";
    let html = format!("Redirecting to <a href=\"{url}\">{url}</a>.");
    for (head, expected) in [
        (
            "GET /books HTTP/1.1".to_owned(),
            "HTTP/1.1 401 Unauthorized\nX-Powered-By: Koa\nContent-Type: text/plain; charset=utf-8\nContent-Length: 12\n\nUnauthorized".to_owned(),
        ),
        (
            format!("PUT /Books/ HTTP/1.1\n{me}"),
            "HTTP/1.1 405 Method Not Allowed\nX-Powered-By: Koa\nContent-Type: text/plain; charset=utf-8\nAllow: POST, HEAD, GET\nContent-Length: 18\n\nMethod Not Allowed".to_owned(),
        ),
        (
            format!("OPTIONS /books/1 HTTP/1.1\n{me}"),
            "HTTP/1.1 200 OK\nX-Powered-By: Koa\nAllow: HEAD, GET\nContent-Length: 0\n\n".to_owned(),
        ),
        (
            format!("HEAD /books/41 HTTP/1.1\n{me}"),
            "HTTP/1.1 404 Not Found\nX-Powered-By: Koa\nContent-Type: application/json; charset=utf-8\nContent-Length: 56\n\n".to_owned(),
        ),
        (
            format!("GET /books/1/images/a%0d%0ab' HTTP/1.1\naccept: text/html\n{me}"),
            format!("HTTP/1.1 302 Found\nX-Powered-By: Koa\nContent-Type: text/html; charset=utf-8\nLocation: {url}\nContent-Length: {}\n\n{html}", html.len()),
        ),
    ] {
        assert_eq!(wire.send(&head, "").await, expected, "{head}");
    }
}

#[tokio::test]
async fn only_a_verified_person_gets_an_answer() {
    let app = TestApp::on(None, Surface::Older).await;
    let refused = Answer::text(401, "Unauthorized");
    let other_audience = app.edge.person(
        &kit::testing::person(
            "00000000-0000-7000-8000-0000000000a0",
            "00000000-0000-7000-8000-00000000005e",
            Role::NORMAL,
        ),
        "users",
    );
    let service = app.edge.service("auth", "library");
    for identity in ["", "x", &other_audience, &service] {
        for path in ["/books", "/unknown", "/books/0"] {
            let request = Request::builder()
                .uri(path)
                .header("x-madome-identity", identity)
                .header("x-madome-auth-sub", "00000000-0000-7000-8000-0000000000a0")
                .body(Body::empty())
                .unwrap();
            assert_eq!(app.send(request).await.1, refused, "{identity} {path}");
        }
    }
}
