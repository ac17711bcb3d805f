//! Answers as on the socket: which headers, in which case, and no others.

use identity::Role;
use kit::testing::Wire;

use crate::app::{BOT, TestApp};

#[tokio::test]
async fn answers_are_exact_to_the_byte() {
    let app = TestApp::new().await;
    let wire = Wire::start(app.router.clone()).await;
    let demo = app.as_demo();
    let bot = app.as_person(BOT, Role::BOT);
    let change = format!(
        "PATCH /users/@me HTTP/1.1\nx-madome-identity: {demo}\ncontent-type: application/json\ncontent-length: 14"
    );
    let new = r#"{"name":"Newer","handle":"newer","email":"newer@example.com"}"#;
    let create = format!(
        "POST /users HTTP/1.1\nx-madome-identity: {bot}\ncontent-type: application/json\ncontent-length: {}",
        new.len()
    );
    let me = concat!(
        r#"{"id":"00000000-0000-7000-8000-0000000000a0","name":"Demo","handle":"demo","#,
        r#""email":"demo@example.com","role":0,"#,
        r#""created_at":"2026-11-20T00:00:00.000Z","updated_at":"2026-11-20T00:00:00.000Z"}"#
    );
    let cases = [
        (
            format!("GET /users/@me HTTP/1.1\nx-madome-identity: {demo}"),
            "",
            format!("HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: {}\n\n{me}", me.len()),
        ),
        (
            "GET /users/@me HTTP/1.1".to_owned(),
            "",
            "HTTP/1.1 401 Unauthorized\ncontent-length: 12\n\nUnauthoirzed".to_owned(),
        ),
        (change, r#"{"name":"New"}"#, "HTTP/1.1 204 No Content\n\n".to_owned()),
        (create.clone(), new, "HTTP/1.1 201 Created\ncontent-length: 0\n\n".to_owned()),
        (create, new, "HTTP/1.1 409 Conflict\ncontent-length: 18\n\nAlready exist user".to_owned()),
        (
            "HEAD /users/@me HTTP/1.1".to_owned(),
            "",
            "HTTP/1.1 404 Not Found\ncontent-length: 9\n\n".to_owned(),
        ),
        (
            "OPTIONS /users/@me HTTP/1.1".to_owned(),
            "",
            "HTTP/1.1 404 Not Found\ncontent-length: 9\n\nNot found".to_owned(),
        ),
    ];
    for (head, body, expected) in cases {
        assert_eq!(wire.send(&head, body).await, expected, "{head}");
    }
}
