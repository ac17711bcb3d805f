//! Unknown paths and methods, probes, and the limit of a body.

use crate::app::{Answer, TestApp};

#[tokio::test]
async fn paths_and_methods_match_byte_for_byte() {
    let app = TestApp::new().await;
    let lines = [
        "GET /auth/token/",
        "GET /auth/Token",
        "GET /auth/%74oken",
        "GET //auth/token",
        "GET /auth",
        "GET /auth/",
        "POST /auth/code/",
        "GET /auth/code",
        "PUT /auth/token",
        "OPTIONS /auth/token",
        "OPTIONS /auth/code",
        "GET /auth/passkey",
        "GET /auth/passkeys/",
        "PUT /auth/passkeys",
        "GET /auth/passkey/registration",
        "DELETE /auth/passkey/authentication",
        "GET /",
    ];
    for line in lines {
        assert_eq!(app.call(line, &[], "").await, Answer::text(404, "Not found"), "{line}");
    }
    let head = app.call("HEAD /auth/token", &[], "").await;
    assert_eq!((head.status, head.content_type), (404, None));
}

#[tokio::test]
async fn probes_answer_without_a_caller() {
    let app = TestApp::new().await;
    assert_eq!(app.call("GET /healthz", &[], "").await, Answer::text(200, "ok"));
    assert_eq!(app.call("GET /readyz", &[], "").await, Answer::text(200, "ready"));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let app = TestApp::new().await;
    let body = "x".repeat(kit::surface::MAX_BODY_BYTES + 1);
    assert_eq!(app.call("POST /auth/code", &[], &body).await, Answer::text(413, "Payload too large"));
}
