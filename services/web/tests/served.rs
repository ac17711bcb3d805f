//! Which request gets a file, the entry document, or 404, and with which headers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use tempfile::TempDir;
use tower::ServiceExt as _;
use web::openapi::{Documents, JSON_PATHS, YAML_PATHS};
use web::settings::Missing;
use web::site::{Build, Site};

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

fn router(root: &Path) -> Router {
    let metrics = kit::Metrics::new("web").unwrap();
    web::routes::router(Build::at(root.to_owned()), Documents::new().unwrap(), &metrics)
}

struct Served {
    root: TempDir,
    router: Router,
}

impl Served {
    fn new() -> Self {
        Self::of(build("https://api.example.com"))
    }

    fn of(root: TempDir) -> Self {
        let router = router(root.path());
        Self { root, router }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, 1_000_000).await.unwrap();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        self.send("GET", path, headers).await
    }
}

#[tokio::test]
async fn every_page_begins_with_the_entry_document() {
    let served = Served::new();
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
        assert_eq!(headers["content-type"], "text/html; charset=utf-8", "{path}");
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
    let served = Served::new();
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
    let served = Served::new();
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
    let served = Served::new();
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

/// The document as it is in the repository.
fn document(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/openapi").join(name);
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn the_public_openapi_document_is_served_as_yaml_and_as_json() {
    let served = Served::new();
    for path in YAML_PATHS {
        let (status, headers, body) = served.get(path, &[]).await;
        assert_eq!((status, headers["content-type"].as_bytes()), (200, &b"application/yaml"[..]), "{path}");
        assert!(body == document("public.yaml"), "{path} has other bytes");
    }
    let expected: serde_json::Value = serde_saphyr::from_str(&document("public.yaml")).unwrap();
    for path in JSON_PATHS {
        let (status, headers, body) = served.get(path, &[]).await;
        assert_eq!((status, headers["content-type"].as_bytes()), (200, &b"application/json"[..]), "{path}");
        assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap() == expected, "{path}");
    }
    for path in YAML_PATHS.iter().chain(JSON_PATHS) {
        let (_, whole, body) = served.get(path, PAGE).await;
        assert_eq!(whole["cache-control"], "no-cache", "{path}");
        assert_eq!(whole["access-control-allow-origin"], "*", "{path}");
        assert_eq!(whole["x-content-type-options"], "nosniff", "{path}");
        let head = served.send("HEAD", path, &[]).await;
        assert_eq!((head.0, head.2.as_str()), (200, ""), "{path}");
        assert_eq!(head.1["content-length"], body.len().to_string(), "{path}");
        let tag = whole["etag"].to_str().unwrap();
        for method in ["GET", "HEAD"] {
            let known = served.send(method, path, &[("if-none-match", tag)]).await;
            assert_eq!((known.0, known.2.as_str(), &known.1["etag"]), (304, "", &whole["etag"]), "{path}");
        }
        assert_eq!(served.get(path, &[("if-none-match", "\"other\"")]).await.0, 200, "{path}");
        let (status, headers, _) = served.send("POST", path, &[]).await;
        assert_eq!((status, headers["allow"].as_bytes()), (405, &b"GET,HEAD"[..]), "{path}");
    }
    let tags = [YAML_PATHS, JSON_PATHS].map(|paths| paths.first().copied().unwrap());
    let (yaml, json) = (served.get(tags[0], &[]).await.1, served.get(tags[1], &[]).await.1);
    assert_ne!(yaml["etag"], json["etag"], "each form has a tag of its own");
}

#[tokio::test]
async fn nothing_else_is_below_openapi_and_no_spelling_leads_out_of_it() {
    let served = Served::new();
    std::fs::create_dir(served.root.path().join("openapi")).unwrap();
    std::fs::write(served.root.path().join("openapi/internal.yaml"), "internal").unwrap();
    for path in [
        "/openapi",
        "/openapi/internal.yaml",
        "/openapi/internal.json",
        "/openapi/public.yaml/",
        "/openapi/PUBLIC.yaml",
        "/openapi/%70ublic.yaml",
        "/openapi//public.yaml",
        "/openapi/./public.yaml",
        "/openapi/../openapi/internal.yaml",
        "/openapi/..%2finternal.yaml",
        "/openapi/%2e%2e/site.json",
        "/openapi/../site.json",
        "/openapi/..\\site.json",
    ] {
        for headers in [&[][..], PAGE] {
            let (status, answered, body) = served.get(path, headers).await;
            assert_eq!((status, body.as_str()), (404, "Not found"), "{path}");
            assert_eq!(answered["cache-control"], "no-store", "{path}");
        }
    }
    // A page of the application, not of the document.
    assert_eq!(served.get("/openapis", PAGE).await.0, 200);
}

#[tokio::test]
async fn without_a_build_there_are_no_pages_until_it_is_made_and_the_document_is_served() {
    let served = Served::of(tempfile::tempdir().unwrap());
    for (path, headers) in [("/", PAGE), ("/books/1", &[]), (SCRIPT, &[]), ("/site.json", &[])] {
        let (status, answered, body) = served.get(path, headers).await;
        assert_eq!(status, 503, "{path}");
        assert!(body.contains("`make pages`"), "{body}");
        assert_eq!(answered["content-type"], "text/plain; charset=utf-8", "{path}");
        assert_eq!(answered["cache-control"], "no-store", "{path}");
        assert_eq!(
            answered["content-security-policy"], "default-src 'none'; frame-ancestors 'none'",
            "{path}"
        );
    }
    for path in YAML_PATHS.iter().chain(JSON_PATHS) {
        assert_eq!(served.get(path, &[]).await.0, 200, "{path}");
    }
    assert_eq!(served.get("/readyz", &[]).await.0, 200);
    let built = build("https://api.example.com");
    for name in ["index.html", "site.json"] {
        std::fs::copy(built.path().join(name), served.root.path().join(name)).unwrap();
    }
    let (status, headers, body) = served.get("/books/1", PAGE).await;
    assert_eq!((status, body.as_str()), (200, "<!doctype html>"), "without a restart");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("https://api.example.com"), "{policy}");
}

#[test]
fn a_missing_build_is_waited_for_only_when_the_settings_say_so() {
    let read = |value: Option<&str>| {
        let reader = kit::settings::Reader::new(web::settings::VARIABLES, |name| {
            (name == "WEB_BUILD").then(|| value.map(str::to_owned)).flatten()
        });
        web::settings::Settings::read(reader).map(|settings| settings.missing)
    };
    assert_eq!(read(None).unwrap(), Missing::Fails);
    assert_eq!(read(Some("required")).unwrap(), Missing::Fails);
    assert_eq!(read(Some("awaited")).unwrap(), Missing::Awaited);
    let fault = read(Some("later")).unwrap_err().to_string();
    assert!(fault.contains("WEB_BUILD") && fault.contains("`required` or `awaited`"), "{fault}");
}

#[tokio::test]
async fn a_missing_build_ends_the_start_unless_it_is_awaited() {
    let root = tempfile::tempdir().unwrap();
    let start = |build: &'static str| {
        let root = root.path().display().to_string();
        web::assemble(kit::settings::Reader::new(web::settings::VARIABLES, move |name| match name {
            "WEB_ROOT" => Some(root.clone()),
            "WEB_BUILD" => Some(build.to_owned()),
            _ => None,
        }))
    };
    let error = start("required").await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("index.html does not exist"), "{error}");
    assert!(start("awaited").await.is_ok());
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let served = Served::new();
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
        assert!(error.contains(named) && error.contains("make pages"), "{error}");
    }
}
