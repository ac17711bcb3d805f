//! Reads files and listings from a directory.

use std::os::unix::fs::symlink;

use axum::body::Body;
use http::Request;

use crate::app::{Answer, TestApp};

/// A hundred bytes that begin like a PNG.
fn png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend((0..92).map(|at| b'a' + at % 26));
    bytes
}

async fn book() -> TestApp {
    let app = TestApp::on_disk().await;
    app.put("image/library/7/1.png", &png());
    app
}

#[tokio::test]
async fn a_file_comes_whole_with_what_caches_need() {
    let app = book().await;
    for path in ["/image/library/7/1.png", "/v1/image/library/7/1.png"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, &answer.body), (200, &png()));
        assert_eq!(answer.header("content-type"), Some("image/png"));
        assert_eq!(answer.header("content-length"), Some("100"));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert_eq!(answer.header("cache-control"), Some("private,max-age=1209600"));
        assert!(answer.header("etag").unwrap().starts_with('"'));
        assert!(answer.header("last-modified").unwrap().ends_with(" GMT"));
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = book().await;
    let get = app.get("/image/library/7/1.png").await;
    let head = app.call("HEAD /image/library/7/1.png", &[]).await;
    assert_eq!((head.status, head.headers, head.body.len()), (200, get.headers, 0));
}

#[tokio::test]
async fn an_empty_file_is_an_empty_answer() {
    let app = book().await;
    app.put("image/library/7/2.png", b"");
    let answer = app.get("/image/library/7/2.png").await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (200, Some("0"), 0));
    let ranged = app.call("GET /image/library/7/2.png", &[("range", "bytes=0-")]).await;
    assert_eq!((ranged.status, ranged.header("content-range")), (416, Some("bytes */0")));
}

#[tokio::test]
async fn a_range_is_206_and_one_outside_is_416() {
    let app = book().await;
    let part = app.call("GET /image/library/7/1.png", &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &png()[10..20]));
    assert_eq!(part.header("content-range"), Some("bytes 10-19/100"));
    assert_eq!(part.header("content-length"), Some("10"));
    let outside = app.call("GET /image/library/7/1.png", &[("range", "bytes=100-")]).await;
    assert_eq!(
        (outside.status, outside.header("content-range"), outside.body.len()),
        (416, Some("bytes */100"), 0)
    );
    assert_eq!(outside.header("content-type"), None);
}

#[tokio::test]
async fn several_ranges_are_parts_with_heads_of_their_own() {
    let app = book().await;
    let answer = app.call("GET /image/library/7/1.png", &[("range", "bytes=0-3,-4")]).await;
    assert_eq!(answer.status, 206);
    let kind = answer.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let png = png();
    let mut expected = Vec::new();
    for (first, range, bytes) in [("", "0-3", &png[..4]), ("\r\n", "96-99", &png[96..])] {
        let head = format!(
            "{first}--{boundary}\r\ncontent-type: image/png\r\ncontent-range: bytes {range}/100\r\n\r\n"
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(bytes);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!(answer.header("content-range"), None);
}

#[tokio::test]
async fn a_client_that_has_the_file_gets_304_until_it_is_replaced() {
    let app = book().await;
    let first = app.get("/image/library/7/1.png").await;
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for condition in [("if-none-match", tag), ("if-modified-since", modified)] {
        let again = app.call("GET /image/library/7/1.png", &[condition]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)));
        assert_eq!((again.header("content-length"), again.header("content-type")), (Some("100"), None));
    }
    // The same length, and perhaps within the same tick of the clock: another file all the same.
    let other = app.picture("image/library/7/other.png");
    let mut bytes = png();
    bytes.reverse();
    std::fs::write(&other, &bytes).unwrap();
    std::fs::rename(other, app.picture("image/library/7/1.png")).unwrap();
    let replaced =
        app.call("GET /image/library/7/1.png", &[("if-none-match", tag), ("range", "bytes=0-1")]).await;
    assert_eq!(replaced.status, 206);
    let ranged = app.call("GET /image/library/7/1.png", &[("if-range", tag), ("range", "bytes=0-1")]).await;
    assert_eq!((ranged.status, ranged.body), (200, bytes));
    assert_eq!(app.call("GET /image/library/7/1.png", &[("if-match", tag)]).await.status, 412);
}

#[tokio::test]
async fn a_large_file_arrives_whole_and_in_parts() {
    let app = book().await;
    let large: Vec<u8> = (0..300_001_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    app.put("image/library/7/3.webp", &large);
    assert_eq!(app.get("/image/library/7/3.webp").await.body, large);
    let part = app.call("GET /image/library/7/3.webp", &[("range", "bytes=65535-196609")]).await;
    assert_eq!(part.body, large[65_535..=196_609]);
}

#[tokio::test]
async fn a_name_without_a_match_means_the_best_that_begins_with_it() {
    let app = book().await;
    for name in ["10.png", "1.avif", "thumbnail.webp"] {
        app.put(&format!("image/library/7/{name}"), name.as_bytes());
    }
    assert_eq!(app.get("/image/library/7/1").await.body, png());
    assert_eq!(app.get("/image/library/7/10").await.text(), "10.png");
    assert_eq!(app.get("/image/library/7/thumb").await.text(), "thumbnail.webp");
    assert_eq!(app.get("/image/library/7/2").await.status, 404);
}

#[tokio::test]
async fn a_listing_is_sorted_by_length_and_hides_what_is_no_page() {
    let app = book().await;
    for name in ["10.png", "2.jpg", "thumbnail.png", "image_list.txt", "notes.md", ".draft.png"] {
        app.put(&format!("image/library/7/{name}"), b"x");
    }
    let listed = app.get("/image/library/7/@").await;
    assert_eq!((listed.status, listed.text()), (200, r#"["1.png","2.jpg","10.png"]"#));
    assert_eq!(listed.header("content-type"), Some("application/json"));
    let all = app.get("/v1/image/library/7/@?visible-thumbnail=true").await;
    assert_eq!(all.text(), r#"["1.png","2.jpg","10.png","thumbnail.png"]"#);
    assert_eq!(app.get("/image/library/7/@?visible-thumbnail=false").await.text(), listed.text());
    assert_eq!(app.get("/image/library/8/@").await.status, 404);
    assert_eq!(app.get("/image/library/7/1.png/@").await.status, 404);
    assert_eq!(app.get("/image/library/7/image_list.txt").await.text(), "x");
    // Older clients read, or are redirected to, a list by another name.
    for path in [
        "/image/library/7/image_list",
        "/v1/image/library/7/image_list?x",
        "/v1/image/library/7/image_list?madome-2022=true",
        "/image/library/7/image_list?madome-2022=true",
        "/image/library/7/image_list.txt?madome-2022=true",
    ] {
        let older = app.get(path).await;
        assert_eq!(older.text(), all.text(), "{path}");
        assert_eq!(older.header("content-type"), Some("application/json"));
    }
    assert_eq!(app.get("/image/library/8/image_list").await.status, 404);
    assert_eq!(app.get("/image/library/8/image_list?madome-2022=true").await.status, 404);
    assert_eq!(app.get("/image_list?madome-2022=true").await.status, 404);
    assert_eq!(app.get("/image/../image_list?madome-2022=true").await.status, 403);
}

#[tokio::test]
async fn nothing_but_files_of_known_formats_below_the_root_is_read() {
    let app = book().await;
    std::fs::write(app.path().join("secret.png"), b"secret").unwrap();
    symlink(app.path(), app.picture("image/library/out")).unwrap();
    symlink(app.path().join("secret.png"), app.picture("image/library/7/secret.png")).unwrap();
    app.put("image/library/7/key.pem", b"secret");
    app.put("image/library/7/.hidden.png", b"secret");
    let refused = |path: &'static str| async { app.get(path).await };
    for path in [
        "/image/../../secret.png",
        "/image/library/7/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.png",
        "/image/library/7/..%2f..%2f..%2f..%2fsecret.png",
        "/image/library/out/secret.png",
        "/image/library/7/secret.png",
        "/image/library/out/@",
    ] {
        let Answer { status, body, .. } = refused(path).await;
        assert_eq!((status, body.as_slice()), (403, b"Permission denied".as_slice()), "{path}");
    }
    for path in [
        "/image/library/7/key.pem",
        "/image/library/7/.hidden.png",
        "/image/library/7",
        "/",
        "/@",
        "//@",
        "/%00.png",
    ] {
        let Answer { status, body, .. } = refused(path).await;
        assert_eq!((status, body.len()), (404, 0), "{path}");
    }
}

#[tokio::test]
async fn without_a_session_every_path_is_401_and_other_methods_are_405() {
    let app = book().await;
    for path in ["/image/library/7/1.png", "/nothing", "/image/library/7/@"] {
        let answer = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.text()), (401, "Unauthenticated"), "{path}");
    }
    let answer = app.call("DELETE /image/library/7/1.png", &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, PUT")));
}
