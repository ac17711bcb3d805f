//! Answers as on the socket: which headers, in which case, in which order, and no others.

use kit::testing::Wire;

use crate::app::TestApp;

#[tokio::test]
async fn answers_are_exact_to_the_byte() {
    let app = TestApp::new().await;
    let wire = Wire::start(app.router.clone()).await;
    let email = r#"{"email":"demo@example.com"}"#;
    let post = |path: &str, body: &str| format!("POST {path} HTTP/1.1\ncontent-length: {}", body.len());

    assert_eq!(
        wire.send(&post("/auth/code", email), email).await,
        "HTTP/1.1 201 Created\ncontent-length: 0\n\n"
    );
    let login = format!(r#"{{"email":"demo@example.com","code":"{}"}}"#, app.last_code("demo@example.com"));
    let answer = wire.send(&post("/auth/token", &login), &login).await;
    let value = |name: &str| answer.split_once(&format!("{name}=")).unwrap().1.split_once(';').unwrap().0;
    let (access, refresh) = (value("madome_access_token"), value("madome_refresh_token"));
    assert_eq!(
        answer,
        format!(
            "HTTP/1.1 201 Created\n\
             set-cookie: madome_access_token={access}; Domain=dev-domain.test; Max-Age=604800; Path=/; SameSite=Lax; \
             HttpOnly; Secure\n\
             set-cookie: madome_refresh_token={refresh}; Domain=dev-domain.test; Max-Age=604800; Path=/auth/token; \
             SameSite=Lax; HttpOnly; Secure\n\
             x-madome-access-token-expires: {}\n\
             content-length: 0\n\n",
            app.now() + 14_400
        )
    );
    let cookie = format!("cookie: madome_access_token={access}; madome_refresh_token={refresh}");
    let clearing = "HTTP/1.1 204 No Content\n\
         set-cookie: madome_access_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure\n\
         set-cookie: madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure\n\n";
    assert_eq!(wire.send(&format!("DELETE /auth/token HTTP/1.1\n{cookie}"), "").await, clearing);
    assert_eq!(
        wire.send("DELETE /auth/token HTTP/1.1", "").await,
        "HTTP/1.1 401 Unauthorized\ncontent-length: 13\n\nInvalid token"
    );
    assert_eq!(
        wire.send("GET /auth/token HTTP/1.1", "").await,
        "HTTP/1.1 401 Unauthorized\ncontent-length: 12\n\nUnauthorized"
    );
    assert_eq!(
        wire.send("HEAD /auth/token HTTP/1.1", "").await,
        "HTTP/1.1 404 Not Found\ncontent-length: 9\n\n"
    );
}
