//! The later surface, on both databases.

use std::time::Duration;

use clock::Clock as _;
use identity::Role;
use kit::generation::Surface;

use crate::app::{Answer, TestApp, long_texts, on_both};

const NEW: &str =
    r#"{"id":1000,"title":"New","kind":"image-set","tags":[["misc","full color"],["series","x-y z"]]}"#;

async fn bots_add_release_check_and_renew(app: TestApp) {
    let bot = async |line: &str, body: &str| app.call(Role::BOT, line, body).await;
    let (created, done) = (bot("POST /books", NEW).await, ("", 204));
    assert_eq!((created.status, created.body.as_str()), (201, ""));
    assert_eq!(bot("POST /books", NEW).await.status, 409);
    let unreleased = r#"{"id":1000,"title":"New","kind":"image-set","tags":[{"kind":"misc","name":"full color"},{"kind":"series","name":"x-y z"}],"legacy":false,"published_at":null,"created_at":"2026-11-20T00:00:00.000Z","updated_at":"2026-11-20T00:00:00.000Z"}"#;
    assert_eq!(app.get("/books/1000").await, Answer::json(200, unreleased));
    assert_eq!(app.get("/books?released=true").await.ids(), [0_i64; 0]);
    app.clock.advance_seconds(1);
    for line in ["PATCH /books/1000/release", "PATCH /books/1000/check", "POST /books/40/renew/1000"] {
        let answer = bot(line, "").await;
        assert_eq!((answer.body.as_str(), answer.status), done, "{line}");
    }
    app.clock.advance_seconds(1);
    assert_eq!(bot("PATCH /books/1000/release", "").await.status, 204, "a second release changes nothing");
    let released =
        unreleased.replace("\"published_at\":null", "\"published_at\":\"2026-11-20T00:00:01.000Z\"");
    assert_eq!(app.get("/books/1000").await, Answer::json(200, &released));
    assert_eq!(app.get("/books?released=true&sort-by=published-at-desc").await.ids(), [1000]);
    assert_eq!(
        app.get("/books?sort-by=published-at-asc&per-page=2").await.ids(),
        [1000, 39],
        "unreleased last"
    );
    assert_eq!(app.get("/books?legacy-only=true").await.ids(), [40], "the renewed one");
    assert!(app.get("/books/40").await.body.contains("\"legacy\":true"));
    assert_eq!(app.get("/books/search?q=book+40").await.body, "[]", "a renewed book is not found");
    let unchecked = app.call(Role::DEVELOPER, "GET /books/need-check?per-page=100", "").await;
    assert_eq!(unchecked.ids().len(), 39);
    assert_eq!(app.call(Role::DEVELOPER, "GET /books/ids?per-page=2", "").await.body, "[1000,40]");

    let changed =
        bot("PATCH /books", r#"{"id":1000,"title":"Other","kind":"manga","tags":[["misc","zebra"]]}"#).await;
    assert_eq!((changed.status, changed.body.as_str()), (200, ""));
    assert_eq!(app.get("/books/search?q=other").await.ids(), [1000]);
    assert_eq!(app.get("/books/search?q=new").await.body, "[]", "the old words are gone");
    assert_eq!(app.get("/books/search?q=misc-zeb").await.ids(), [1000]);
    assert_eq!(app.get("/books?kinds[]=game-cg&kinds[]=image-set&per-page=1").await.ids(), [39]);
    let tag = r#"{"kind":"series","name":"x-y z"}"#;
    assert_eq!(app.get("/books/tags/search?q=x-y").await, Answer::json(200, &format!("[{tag}]")));
    assert_eq!(app.get("/books/tags/series-x-y%20z").await, Answer::json(200, tag));
    let preview = app.get("/open-graph/books/tags/series/x-y%20z").await;
    assert_eq!(preview.status, 200, "a tag stays without books, and so does its preview");
    let spaced = Answer::json(200, r#"{"kind":"misc","name":"full color"}"#);
    assert_eq!(app.get("/books/tags/misc-full-color").await, spaced);
    for path in ["/books/tags/misc-none", "/books/tags/misc", "/books/tags/x-%00", "/books/tags/nokind-b"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    assert_eq!(app.get("/books/currently-renewing").await, Answer::json(200, "[]"));
    assert_eq!(app.get("/books/1000/currently-renewing").await, Answer::no_book());

    // The largest book that the document allows is added, and not a body that no book needs.
    let of_length = |length: usize| {
        let tags: Vec<_> = (0..200).map(|n| ("misc", format!("{n:03}{}", "é".repeat(length - 3)))).collect();
        serde_json::json!({"id": 2000, "title": "Long", "kind": "manga", "tags": tags}).to_string()
    };
    assert_eq!(bot("POST /books", &of_length(200)).await.status, 201);
    assert_eq!(bot("PATCH /books", &of_length(200)).await.status, 200);
    assert_eq!(bot("POST /books", &of_length(2_000)).await.status, 413);

    // The later order counts, so one of two books that replace each other is shown.
    let shown = async || app.get("/books?per-page=3&sort-by=id-asc").await.ids();
    let replaced = async || app.get("/books?legacy-only=true").await.ids();
    for (line, first, legacy) in [
        ("POST /books/1/renew/2", [2, 3, 4], vec![40, 1]),
        ("POST /books/2/renew/1", [1, 3, 4], vec![40, 2]),
        ("POST /books/1/renew/3", [3, 4, 5], vec![40, 2, 1]),
        ("POST /books/3/renew/2", [2, 4, 5], vec![40, 3, 1]),
    ] {
        assert_eq!(bot(line, "").await.status, 204, "{line}");
        assert_eq!((shown().await.as_slice(), replaced().await), (first.as_slice(), legacy), "{line}");
    }
}

#[tokio::test]
async fn bots_add_release_check_and_renew_on_both() {
    on_both(Surface::Later, bots_add_release_check_and_renew).await;
}

async fn times_within_a_second_have_their_order(app: TestApp) {
    let bot = async |line: &str, body: &str| app.call(Role::BOT, line, body).await;
    // The fractions have other lengths without their trailing zeros, and the first one has none.
    let start = app.clock.now();
    for (id, millis) in [(2001, 0), (2002, 120), (2003, 125), (2004, 500)] {
        app.clock.set(start.plus(Duration::from_millis(millis)));
        assert_eq!(bot("POST /books", &NEW.replace("1000", &id.to_string())).await.status, 201);
        assert_eq!(bot(&format!("PATCH /books/{id}/release"), "").await.status, 204);
        assert_eq!(bot(&format!("PATCH /books/{id}/check"), "").await.status, 204);
    }
    let order = [2001, 2002, 2003, 2004];
    let listed = async |query: &str| app.get(&format!("/books?released=true&{query}")).await.ids();
    for column in ["published-at", "updated-at"] {
        assert_eq!(listed(&format!("sort-by={column}-asc")).await, order, "{column}");
        assert_eq!(listed(&format!("sort-by={column}-desc")).await, [2004, 2003, 2002, 2001], "{column}");
    }
}

#[tokio::test]
async fn times_within_a_second_have_their_order_on_both() {
    on_both(Surface::Later, times_within_a_second_have_their_order).await;
}

async fn tags_are_found_by_the_words_of_the_index(app: TestApp) {
    let named =
        |name: &str| format!(r#"{{"id":3000,"title":"T","kind":"manga","tags":[["artist","{name}"]]}}"#);
    for (name, q) in [
        ("c+d", "d"),
        ("a\u{30fb}b", "b"),
        ("one&Two~three", "THREE+two"),
        ("\u{c9}lan", "%C3%A9l"),
        ("\u{416}\u{443}\u{43a}", "%D0%B6%D1%83"),
        ("x-y", "artist+y"),
    ] {
        let line = if name == "c+d" { "POST /books" } else { "PATCH /books" };
        assert!(app.call(Role::BOT, line, &named(name)).await.status < 300, "{name}");
        let found = app.get(&format!("/books/tags/search?q={q}")).await;
        assert!(found.body.contains(&format!(r#"{{"kind":"artist","name":"{name}"}}"#)), "{q}: {found:?}");
        assert!(app.get(&format!("/books/search?q={q}")).await.ids().contains(&3000), "{q}");
    }
}

#[tokio::test]
async fn tags_are_found_by_the_words_of_the_index_on_both() {
    on_both(Surface::Later, tags_are_found_by_the_words_of_the_index).await;
}

async fn searches_are_filtered_by_tags_and_lists_have_no_copies(app: TestApp) {
    let all = async |path: &str| app.get(&format!("{path}&per-page=100")).await.ids();
    let sample = all("/books/search?q=sample&sort-by=id-asc").await;
    let series = all("/books/search?q=sample&sort-by=id-asc&filter=series-some-series").await;
    assert_eq!((sample.len(), series.len()), (40, 13), "every third book from the third on: {series:?}");
    assert_eq!(all("/books/search?q=sample&filter=").await.len(), 40, "an empty filter is none");
    assert_eq!(all("/books/search?q=sample&filter=NOT+series").await.len(), 27);
    assert_eq!(all("/books/search?q=sample&filter=series+AND+group").await, [30, 15]);
    assert_eq!(all("/books/search?q=book+AND+15&filter=group").await, [15], "title and tag together");
    assert_eq!(all("/books/search?q=sample&filter=grou").await, [0_i64; 0], "whole words");
    assert_eq!(all("/books/search?q=sample&filter=sample").await, [0_i64; 0], "titles are not filtered");
    assert_eq!(app.get("/books/search?q=a&filter=a+OR").await, Answer::invalid("Invalid search query"));
    assert_eq!(app.get("/books/search?q=a&filter=%00").await, Answer::invalid("Invalid search query"));

    let copies = [
        (1001, "Twin", "manga"),
        (1002, "Twin", "manga"),
        (1003, "Twin", "game-cg"),
        (1004, "twin", "manga"),
    ];
    for (id, title, kind) in copies {
        let book = format!(r#"{{"id":{id},"title":"{title}","kind":"{kind}","tags":[["misc","x"]]}}"#);
        assert_eq!(app.call(Role::BOT, "POST /books", &book).await.status, 201);
    }
    let newest = "/books?deduplicate=true&sort-by=id-desc";
    assert_eq!(app.get(&format!("{newest}&per-page=4")).await.ids(), [1004, 1003, 1002, 40]);
    assert_eq!(app.get("/books?deduplicate=false&per-page=4").await.ids(), [1004, 1003, 1002, 1001]);
    assert_eq!(app.get("/books?per-page=4").await.ids(), [1004, 1003, 1002, 1001]);
    assert_eq!(app.get(&format!("{newest}&kinds[]=manga&per-page=2")).await.ids(), [1004, 1002]);
    // A copy that the list does not have hides none that it has.
    assert_eq!(app.call(Role::BOT, "PATCH /books/1001/release", "").await.status, 204);
    assert_eq!(app.get("/books?released=true&deduplicate=true").await.ids(), [1001]);
    assert_eq!(app.get("/books?released=false&deduplicate=true&per-page=3").await.ids(), [1004, 1003, 1002]);
    let by_tags = app.get("/books?tags[]=misc-x&deduplicate=true&per-page=9").await.value();
    let ids: Vec<_> = by_tags[0][1].as_array().unwrap().iter().map(|book| book["id"].clone()).collect();
    assert_eq!(ids, [1004, 1003, 1002]);
    for (old, new) in [(1002, 1004), (1001, 1004)] {
        assert_eq!(app.call(Role::BOT, &format!("POST /books/{old}/renew/{new}"), "").await.status, 204);
    }
    let replaced = "/books?legacy-only=true&deduplicate=true";
    assert_eq!(app.get(replaced).await.ids(), [1002, 1001], "replaced books are shown one by one");
    assert_eq!(app.get(&format!("{newest}&kinds[]=manga&per-page=2")).await.ids(), [1004, 37]);
    let refused = app.get("/books?deduplicate=x").await;
    assert_eq!(refused, Answer::invalid("\"deduplicate\" must be a boolean"));
}

#[tokio::test]
async fn searches_are_filtered_by_tags_and_lists_have_no_copies_on_both() {
    on_both(Surface::Later, searches_are_filtered_by_tags_and_lists_have_no_copies).await;
}

async fn searches_are_bounded(app: TestApp) {
    for text in long_texts() {
        for path in [
            format!("/books/search?q={text}"),
            format!("/books/search?q={text}&sort-by=id-desc"),
            format!("/books/search?q=sample&filter={text}"),
            format!("/books/tags/search?q={text}"),
        ] {
            let refused = app.get(&path).await;
            assert_eq!(refused, Answer::invalid("Invalid search query"), "{} characters", path.len());
        }
    }
    // The longest that is allowed, in every place at once.
    let most = "sample.".repeat(64);
    for path in [
        format!("/books/search?q={most}&filter={}&exclude-dislikes=false", "misc.".repeat(64)),
        format!("/books/search?q={}sample&sort-by=id-asc", "NOT+".repeat(16)),
        format!("/books/tags/search?q={}", "m+".repeat(64)),
        format!("/books?{}", "kinds[]=manga&".repeat(4_000)),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", &path[..60]);
    }
    assert_eq!(app.get(&format!("/books/search?q={most}&per-page=2")).await.ids(), [40, 39]);
}

#[tokio::test]
async fn searches_are_bounded_on_both() {
    on_both(Surface::Later, searches_are_bounded).await;
}

async fn the_last_word_of_a_search_is_whole_without_completion(app: TestApp) {
    let all = async |query: &str| app.get(&format!("/books/search?q={query}&per-page=100")).await.ids().len();
    for (query, count) in [
        ("samp", 40),
        ("samp&completion=true", 40),
        ("samp&completion=false", 0),
        ("sample&completion=false", 40),
        ("sample+OR+boo&completion=false", 40),
        ("boo+OR+sampl&completion=false", 0),
    ] {
        assert_eq!(all(query).await, count, "{query}");
    }
    for bad in ["", "1", "False", "%00"] {
        let refused = app.get(&format!("/books/search?q=sample&completion={bad}")).await;
        assert_eq!(refused, Answer::invalid("\"completion\" must be a boolean"), "{bad}");
    }
}

#[tokio::test]
async fn the_last_word_of_a_search_is_whole_without_completion_on_both() {
    on_both(Surface::Later, the_last_word_of_a_search_is_whole_without_completion).await;
}

#[tokio::test]
async fn a_lower_role_and_a_missing_book_are_refused() {
    let app = TestApp::on(None, Surface::Later).await;
    let forbidden = Answer::json(403, r#"{"name":"Permission denied","message":"Permission denied"}"#);
    for line in [
        "POST /books",
        "PATCH /books",
        "PATCH /books/1/release",
        "PATCH /books/1/check",
        "POST /books/1/renew/2",
    ] {
        assert_eq!(app.call(Role::DEVELOPER, line, NEW).await, forbidden, "{line}");
    }
    for line in ["GET /books/need-check", "GET /books/ids"] {
        assert_eq!(app.call(Role::NORMAL, line, "").await, forbidden, "{line}");
    }
    for line in [
        "PATCH /books/99/release",
        "PATCH /books/99/check",
        "POST /books/1/renew/99",
        "POST /books/99/renew/1",
        "PATCH /books",
    ] {
        assert_eq!(app.call(Role::BOT, line, NEW).await, Answer::no_book(), "{line}");
    }
    for path in ["/Books", "/books/", "/books/1/images", "/books/search/completion"] {
        assert_eq!(app.get(path).await, Answer::text(404, "Not Found"), "paths are exact: {path}");
    }
}
