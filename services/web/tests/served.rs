//! Which request gets a file, the entry document, or 404, and with which headers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use tempfile::TempDir;
use tower::ServiceExt as _;
use web::site::Site;

const SCRIPT: &str = "/assets/index-D1.js";
const PAGE: &[(&str, &str)] = &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

/// A small build. The contents of the compressed twins are not compressed, so that a test can tell them apart.
fn build(api: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("assets")).unwrap();
    for (name, text) in [
        ("index.html", "<!doctype html>".to_owned()),
        ("icon.svg", "<svg/>".to_owned()),
        ("site.json", format!("{{\"api\":\"{api}\"}}")),
        (&SCRIPT[1..], "0123456789".to_owned()),
        ("assets/index-D1.js.br", "brotli".to_owned()),
        ("assets/index-D1.js.gz", "gzip".to_owned()),
    ] {
        std::fs::write(root.path().join(name), text).unwrap();
    }
    root
}

async fn router(root: &Path) -> Router {
    web::routes::router(root, &Site::read(root).await.unwrap(), &kit::Metrics::new("web").unwrap())
}

struct Served {
    root: TempDir,
    router: Router,
}

impl Served {
    async fn new() -> Self {
        let root = build("https://api.example.com");
        let router = router(root.path()).await;
        Self { root, router }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        self.send("GET", path, headers).await
    }
}

#[tokio::test]
async fn every_page_begins_with_the_entry_document() {
    let served = Served::new().await;
    for path in [
        "/",
        "/books",
        "/books/1",
        "/books/1/reader?page=2",
        "/books/tags/artist/some%20artist",
        "/books/tags/artist/m.%20dot",
        "/tastes",
        "/histories",
        "/search/books?q=a.b",
        "/settings",
        "/profile",
        "/profile/edit",
        "/profile/passkey",
        "/apis",
    ] {
        let (status, headers, body) = served.get(path, PAGE).await;
        assert_eq!((status, body.as_str()), (200, "<!doctype html>"), "{path}");
        assert_eq!(headers["content-type"], "text/html", "{path}");
        assert_eq!(headers["cache-control"], "no-cache", "{path}");
        let head = served.send("HEAD", path, PAGE).await;
        assert_eq!((head.0, head.2.as_str()), (200, ""), "{path}");
        // A browser that opens it, and a program that takes anything.
        assert_eq!(served.get(path, &[("sec-fetch-dest", "document")]).await.0, 200, "{path}");
    }
    for accept in [&[][..], &[("accept", "*/*")], &[("accept", "text/*")]] {
        assert_eq!(served.get("/books/1", accept).await.0, 200, "{accept:?}");
    }
}

#[tokio::test]
async fn what_is_no_page_and_no_file_is_404() {
    let served = Served::new().await;
    let any: &[(&str, &str)] = &[("accept", "*/*")];
    for (path, headers) in [
        ("/assets/index-OLD.js", PAGE),
        ("/assets/index-OLD.js", any),
        ("/assets", PAGE),
        ("/assets/", PAGE),
        ("/assets/../site", PAGE),
        ("/api", PAGE),
        ("/api/books", PAGE),
        ("/missing.js", any),
        ("/missing.png", &[]),
        ("/books", &[("accept", "application/json")]),
        ("/books", &[("accept", "text/html"), ("sec-fetch-dest", "script")]),
        ("/books", &[("accept", "*/*"), ("sec-fetch-dest", "empty")]),
    ] {
        let (status, answered, body) = served.get(path, headers).await;
        assert_eq!((status, body.as_str()), (404, "Not found"), "{path} {headers:?}");
        assert_eq!(answered["cache-control"], "no-store", "{path}");
    }
    // Above the root there is nothing.
    std::fs::write(served.root.path().join("../outside.txt"), "outside").ok();
    for path in ["/../outside.txt", "/%2e%2e/outside.txt", "/assets/..%2f..%2foutside.txt"] {
        let (status, _, body) = served.get(path, any).await;
        assert!(status == 404 || body == "<!doctype html>", "{path}: {status} {body}");
    }
    std::fs::remove_file(served.root.path().join("../outside.txt")).ok();
}

#[tokio::test]
async fn files_are_kept_by_browsers_and_come_in_parts() {
    let served = Served::new().await;
    let (status, whole, body) = served.get(SCRIPT, &[]).await;
    assert_eq!((status, body.as_str()), (200, "0123456789"));
    assert_eq!(whole["content-type"], "text/javascript");
    assert_eq!(whole["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(served.get("/icon.svg", &[]).await.1["cache-control"], "no-cache");

    let tag = whole["etag"].to_str().unwrap();
    let (status, headers, body) = served.get(SCRIPT, &[("if-none-match", tag)]).await;
    assert_eq!((status, body.as_str()), (304, ""));
    assert_eq!((&headers["etag"], &headers["cache-control"]), (&whole["etag"], &whole["cache-control"]));
    assert_eq!(served.get(SCRIPT, &[("if-none-match", "\"other\"")]).await.0, 200);

    let (status, headers, body) = served.get(SCRIPT, &[("range", "bytes=2-4")]).await;
    assert_eq!((status, body.as_str()), (206, "234"));
    assert_eq!(headers["content-range"], "bytes 2-4/10");
    assert_eq!(served.get(SCRIPT, &[("range", "bytes=20-")]).await.0, 416);

    for (accepted, encoding, body) in [("gzip, br", "br", "brotli"), ("gzip", "gzip", "gzip")] {
        let (status, headers, text) = served.get(SCRIPT, &[("accept-encoding", accepted)]).await;
        assert_eq!((status, text.as_str()), (200, body));
        assert_eq!(headers["content-encoding"], encoding);
        assert_ne!(headers["etag"], whole["etag"], "each form has a tag of its own");
        assert!(headers["vary"].to_str().unwrap().contains("accept-encoding"));
    }
}

#[tokio::test]
async fn every_answer_has_the_policy_of_its_build() {
    let served = Served::new().await;
    for (path, status) in
        [("/", 200), ("/books/1", 200), (SCRIPT, 200), ("/icon.svg", 200), ("/assets/no.js", 404)]
    {
        let (answered, headers, _) = served.get(path, &[]).await;
        assert_eq!(answered, status, "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("connect-src 'self' https://api.example.com;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let served = Served::new().await;
    for method in ["POST", "PUT", "DELETE"] {
        let (status, headers, _) = served.send(method, "/books", PAGE).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(headers["allow"], "GET,HEAD");
    }
}

#[tokio::test]
async fn what_is_not_a_build_is_named_with_its_fix() {
    let absent = tempfile::tempdir().unwrap();
    let incomplete = build("x");
    std::fs::remove_file(incomplete.path().join("site.json")).unwrap();
    let (secret, path) = (build("x"), build("https://api.example.com/v1"));
    std::fs::write(secret.path().join("site.json"), "{\"api\":\"https://a.example\",\"token\":\"t\"}")
        .unwrap();
    for (root, named) in [
        (&absent, "index.html does not exist"),
        (&incomplete, "site.json"),
        (&secret, "token"),
        (&path, "https://api.example.com/v1"),
    ] {
        let error = Site::read(root.path()).await.unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("make web"), "{error}");
    }
}
