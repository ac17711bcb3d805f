//! Reads made-up pictures.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use identity::Role;
use image_service::settings::Source;

use crate::app::TestApp;

const PLENTY: u64 = 64 * 1024 * 1024;

#[tokio::test]
async fn a_picture_is_what_its_name_says_and_the_same_everywhere() {
    let app = TestApp::made_up("salt", PLENTY).await;
    let other = TestApp::made_up("salt", PLENTY).await;
    let salted = TestApp::made_up("pepper", PLENTY).await;
    for (name, kind, format) in [
        ("thumbnail.avif", "image/avif", image::ImageFormat::Avif),
        ("1.png", "image/png", image::ImageFormat::Png),
        ("1.jpg", "image/jpeg", image::ImageFormat::Jpeg),
        ("1.webp", "image/webp", image::ImageFormat::WebP),
    ] {
        let path = format!("/image/library/7/{name}");
        let answer = app.get(&path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{name}");
        assert_eq!(image::guess_format(&answer.body).unwrap(), format);
        let again = other.get(&path).await;
        assert_eq!((&again.body, again.header("etag")), (&answer.body, answer.header("etag")), "{name}");
        assert_ne!(salted.get(&path).await.body, answer.body, "{name}");
    }
}

/// The bytes of other machines. A new version of an encoder may change them: then say so in the changelog.
#[tokio::test]
async fn the_bytes_are_those_of_every_other_machine() {
    use sha2::{Digest as _, Sha256};
    let app = TestApp::made_up("dev", PLENTY).await;
    let mut digests = Vec::new();
    for name in ["thumbnail.avif", "1.png", "1.jpg", "1.webp"] {
        let answer = app.get(&format!("/image/library/7/{name}")).await;
        let digest: String =
            Sha256::digest(&answer.body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        digests.push(format!("{name} {} {digest}", answer.body.len()));
    }
    assert_eq!(
        digests,
        [
            "thumbnail.avif 2392 c29401e1df67419f",
            "1.png 9431 ad701ca7dee6ac4e",
            "1.jpg 5172 3109a7da49f0e6d1",
            "1.webp 298 062fbe43c2b36a0e",
        ]
    );
}

#[tokio::test]
async fn pages_differ_in_picture_ratio_and_size() {
    let app = TestApp::made_up("salt", PLENTY).await;
    let mut sizes = BTreeSet::new();
    for page in 1..=20 {
        let body = app.get(&format!("/image/library/7/{page}.png")).await.body;
        let picture = image::load_from_memory(&body).unwrap();
        sizes.insert((picture.width(), picture.height()));
    }
    assert!(sizes.len() > 3, "{sizes:?}");
}

#[tokio::test]
async fn a_name_without_a_format_is_a_png_and_what_is_no_page_is_404() {
    let app = TestApp::made_up("salt", PLENTY).await;
    assert_eq!(app.get("/v1/image/library/7/1").await.body, app.get("/image/library/7/1.png").await.body);
    for name in ["0.png", "01.png", "40.png", "10000.png", "cover.png", "1.gif", "1.txt", "1.html", "-1.png"]
    {
        assert_eq!(app.get(&format!("/image/library/7/{name}")).await.status, 404, "{name}");
    }
    assert_eq!(app.get("/image/%2e%2e/1.png").await.status, 403);
}

#[tokio::test]
async fn a_listing_names_pages_that_exist() {
    let app = TestApp::made_up("salt", PLENTY).await;
    let names: Vec<String> = serde_json::from_str(app.get("/image/library/7/@").await.text()).unwrap();
    assert!((8..40).contains(&names.len()), "{names:?}");
    assert_eq!(names[..2], ["1.png", "2.png"]);
    let with_cover = app.get("/image/library/7/@?visible-thumbnail=true").await;
    assert!(with_cover.text().ends_with("\"thumbnail.png\"]"), "{}", with_cover.text());
    let last = names.last().unwrap();
    assert_eq!(app.get(&format!("/image/library/7/{last}")).await.status, 200);
}

#[tokio::test]
async fn ranges_and_conditions_work_on_made_up_pictures_too() {
    let app = TestApp::made_up("salt", PLENTY).await;
    let whole = app.get("/image/library/7/1.png").await;
    let part = app.call("GET /image/library/7/1.png", &[("range", "bytes=0-7")]).await;
    assert_eq!((part.status, part.body.clone()), (206, b"\x89PNG\r\n\x1a\n".to_vec()));
    let tag = whole.header("etag").unwrap();
    assert_eq!(app.call("GET /image/library/7/1.png", &[("if-none-match", tag)]).await.status, 304);
    let outside = app.call("GET /image/library/7/1.png", &[("range", "bytes=10000000-")]).await;
    assert_eq!(outside.status, 416);
}

#[tokio::test]
async fn the_directory_stays_below_its_size_and_survives_a_restart() {
    let size = 32 * 1024;
    let app = TestApp::made_up("salt", size).await;
    for page in 1..=30 {
        assert_eq!(app.get(&format!("/image/library/7/{page}.jpg")).await.status, 200);
    }
    let cache = app.path().join("cache");
    let used = || {
        let files = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        files.sum::<u64>()
    };
    // One picture may be written before another is removed.
    assert!((1..=size + 64 * 1024).contains(&used()), "{}", used());
    std::fs::write(cache.join(".tmpleft"), b"half").unwrap();
    let source = Source::Stub { salt: "salt".to_owned(), cache: cache.clone(), bytes: size };
    let app = app.restarted(source).await;
    assert!(!cache.join(".tmpleft").exists());
    assert_eq!(app.get("/image/library/7/1.jpg").await.status, 200);
}

#[tokio::test]
async fn a_file_that_was_removed_by_hand_is_made_again_and_many_at_once_share_one() {
    let app = TestApp::made_up("salt", PLENTY).await;
    let first = app.get("/image/library/7/1.png").await.body;
    for entry in std::fs::read_dir(app.path().join("cache")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let many = (0..50).map(|_| app.get("/image/library/7/1.png"));
    for answer in futures_util::future::join_all(many).await {
        assert_eq!((answer.status, &answer.body), (200, &first));
    }
    assert_eq!(std::fs::read_dir(app.path().join("cache")).unwrap().count(), 1);
}

#[tokio::test]
async fn made_up_pictures_take_no_uploads() {
    let app = TestApp::made_up("salt", PLENTY).await;
    let request = Request::put("/image/library/7/1.png").header("x-madome-identity", app.identity(Role::BOT));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text()), (403, "Pictures are made up here"));
}
