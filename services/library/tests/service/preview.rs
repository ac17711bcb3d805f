//! Previews of links, on both surfaces and both databases.

use axum::body::Body;
use http::Request;
use identity::Role;
use kit::generation::Surface;

use crate::app::{TestApp, on_both};

async fn a_title_is_shown_as_text(app: TestApp) {
    let hostile = r#"{"id":1000,"title":"<script>'\"&","kind":"manga","language":"x","page":1,"tags":[["misc","<i>"]],"created_at":"2022-01-31T17:13:00.000Z"}"#;
    let created = app.call(Role::BOT, "POST /books", hostile).await;
    assert_eq!(created.status, 201, "{created:?}");
    // Without any identity.
    let get = async |path: &str| app.send(Request::get(path).body(Body::empty()).unwrap()).await.1;
    let shown = |title: &str| {
        format!(
            "<!doctype html>\n<html prefix=\"og: https://ogp.me/ns#\"><head><title>{title}</title><meta property=\"og:title\" content=\"{title}\"><meta property=\"og:type\" content=\"website\"></head></html>\n"
        )
    };
    for (path, title) in [
        ("/open-graph/books/7", "Sample book 7"),
        ("/open-graph/books/1000", "&lt;script&gt;&#x27;&quot;&amp;"),
        ("/open-graph/books/tags/misc/full%20color", "misc/full color"),
        ("/open-graph/books/tags/misc/%3ci%3E", "misc/&lt;i&gt;"),
    ] {
        let page = get(path).await;
        let html = "text/html; charset=utf-8".to_owned();
        assert_eq!((page.status, page.content_type, page.body), (200, html, shown(title)), "{path}");
    }
    for path in [
        "/open-graph/books/999",
        "/open-graph/books/0",
        "/open-graph/books/x",
        "/open-graph/books/99999999999",
        "/open-graph/books/%37",
        "/open-graph/books/tags/misc/none",
        "/open-graph/books/tags/nokind/x",
        "/open-graph/books/tags/misc/%00%ff",
        "/open-graph/elsewhere",
    ] {
        let page = get(path).await;
        let plain = "text/plain; charset=utf-8".to_owned();
        assert_eq!((page.status, page.content_type, page.body.as_str()), (404, plain, "Not Found"), "{path}");
    }
    assert_eq!(get("/books/7").await.status, 401, "the book itself needs a person");
}

#[tokio::test]
async fn a_title_is_shown_as_text_on_the_older_surface() {
    on_both(Surface::Older, a_title_is_shown_as_text).await;
}

#[tokio::test]
async fn a_title_is_shown_as_text_on_the_later_surface() {
    on_both(Surface::Later, a_title_is_shown_as_text).await;
}
