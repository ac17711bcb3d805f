//! Uploads files as forms.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use identity::Role;

use crate::app::{Answer, TestApp};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand more";

fn form(bytes: &[u8]) -> Vec<u8> {
    let mut form = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n".to_vec();
    form.extend_from_slice(bytes);
    form.extend_from_slice(b"\r\n--b--\r\n");
    form
}

async fn put(app: &TestApp, role: Role, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::put(path)
        .header("x-madome-identity", app.identity(role))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body.into());
    app.send(request.unwrap()).await
}

#[tokio::test]
async fn a_bot_puts_a_file_in_its_place_over_an_older_one() {
    let app = TestApp::on_disk().await;
    for more in ["", "!"] {
        let bytes = [PNG, more.as_bytes()].concat();
        let answer = put(&app, Role::BOT, "/v1/image/library/8/1.png", form(&bytes)).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert_eq!(app.get("/image/library/8/1.png").await.body, bytes);
    }
    assert_eq!(app.get("/image/library/8/@").await.text(), r#"["1.png"]"#);
}

#[tokio::test]
async fn a_person_of_a_lower_role_is_refused() {
    let app = TestApp::on_disk().await;
    let answer = put(&app, Role::NORMAL, "/image/library/8/1.png", form(PNG)).await;
    assert_eq!((answer.status, answer.text()), (403, "Permission denied"));
    assert!(!app.picture("image").exists());
}

#[tokio::test]
async fn what_is_no_picture_of_its_name_is_400_and_leaves_no_trace() {
    let app = TestApp::on_disk().await;
    let page = b"<script>alert(1)</script>".as_slice();
    for (path, bytes, why) in [
        ("/image/library/8/1.png", page, "Unknown type"),
        ("/image/library/8/1.jpg", PNG, "Unknown type"),
        ("/image/library/8/1.html", page, "Unknown type"),
        ("/image/library/8/1", PNG, "Unknown type"),
        ("/image/library/8/image_list.txt", page, "Unknown type"),
        ("/image/library/8/1.png", b"", "Unknown type"),
    ] {
        let answer = put(&app, Role::BOT, path, form(bytes)).await;
        assert_eq!((answer.status, answer.text()), (400, why), "{path}");
    }
    for body in [b"".as_slice(), b"nonsense", b"--b--\r\n", &form(PNG)[..70]] {
        assert_eq!(
            put(&app, Role::BOT, "/image/library/8/1.png", body.to_vec()).await.status,
            400,
            "{body:?}"
        );
    }
    assert!(!app.picture("image").exists());
}

#[tokio::test]
async fn a_file_above_20_mb_is_refused_and_the_older_one_stays() {
    let app = TestApp::on_disk().await;
    app.put("image/library/8/1.png", PNG);
    let mut large = PNG.to_vec();
    large.resize(20 * 1024 * 1024 + 1, 0);
    let answer = put(&app, Role::BOT, "/image/library/8/1.png", form(&large)).await;
    assert_eq!((answer.status, answer.text()), (400, "Too large"));
    assert_eq!(app.get("/image/library/8/1.png").await.body, PNG);
    large.pop();
    assert_eq!(put(&app, Role::BOT, "/image/library/8/1.png", form(&large)).await.status, 204);
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_published() {
    let app = TestApp::on_disk().await;
    app.put("image/library/8/1.png", PNG);
    let form = form(&[PNG, &[b'x'; 1_000]].concat());
    let half = Bytes::copy_from_slice(&form[..500]);
    let pieces = [Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    let answer =
        put(&app, Role::BOT, "/image/library/8/1.png", Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(answer.status, 400);
    assert_eq!(app.get("/image/library/8/1.png").await.body, PNG);
    let left = std::fs::read_dir(app.picture("image/library/8")).unwrap().count();
    assert_eq!(left, 1, "a draft was left behind");
}

#[tokio::test]
async fn nothing_is_written_outside_the_root() {
    let app = TestApp::on_disk().await;
    app.put("image/library/8/1.png", PNG);
    std::os::unix::fs::symlink(app.path(), app.picture("image/out")).unwrap();
    for path in [
        "/../stolen.png",
        "/image/%2e%2e/%2e%2e/stolen.png",
        "/image/out/stolen.png",
        "/image/out/new/stolen.png",
    ] {
        let answer = put(&app, Role::BOT, path, form(PNG)).await;
        assert_eq!((answer.status, answer.text()), (403, "Permission denied"), "{path}");
    }
    assert!(!app.path().join("stolen.png").exists() && !app.path().join("new").exists());
    for path in ["/image/library/8/1.png/2.png", "/image/library/8/.png"] {
        assert_ne!(put(&app, Role::BOT, path, form(PNG)).await.status, 204, "{path}");
    }
}
