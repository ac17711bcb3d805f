//! Passkeys through the development edge: only a person registers one, and any client signs in with it.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::Answer;
use harness::{Authenticator, Edge, SESSION_COOKIE};
use serde_json::Value;

const EMAIL: &str = "demo@example.com";

/// The options of a first half, and the id for the second.
fn begun(answer: &Answer, kind: &str) -> (Value, String) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.all(&format!("x-madome-passkey-{kind}-id")).pop().expect("the id of the ceremony");
    (serde_json::from_str(&answer.text()).expect("options"), id)
}

/// The access token of an answer that signs in.
fn access_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text());
    let lines = answer.all("set-cookie");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let prefix = format!("{SESSION_COOKIE}=");
    let value = lines.iter().find_map(|line| line.strip_prefix(&prefix)?.split(';').next());
    value.expect("an access token").to_owned()
}

fn signed_in_with_a_code(edge: &Edge) -> String {
    let body = format!("{{\"email\":\"{EMAIL}\"}}");
    assert_eq!(edge.request("POST", "/auth/code").body(&body).send().status, 201);
    let code = edge.login_code(EMAIL);
    let body = format!("{{\"email\":\"{EMAIL}\",\"code\":\"{code}\"}}");
    access_token(&edge.request("POST", "/auth/token").body(&body).send())
}

#[test]
fn a_passkey_is_registered_by_a_person_and_signs_in_through_the_edge() {
    let edge = Edge::dev().start();
    for (method, target) in [
        ("GET", "/auth/passkeys"),
        ("DELETE", "/auth/passkeys/AA"),
        ("POST", "/auth/passkey/registration"),
        ("PATCH", "/auth/passkey/registration?registration-id=x"),
    ] {
        assert_eq!(edge.request(method, target).body("{}").send().status, 401, "{method} {target}");
    }
    let token = signed_in_with_a_code(&edge);
    let mut device = Authenticator::new("https://dev-domain.test");

    let (options, id) =
        begun(&edge.request("POST", "/auth/passkey/registration").token(&token).send(), "registration");
    let new = device.create(&options).expect("a new passkey").to_string();
    let target = format!("/auth/passkey/registration?registration-id={id}");
    assert_eq!(edge.request("PATCH", &target).token(&token).body(&new).send().status, 201);
    let listed = edge.get("/auth/passkeys").token(&token).send();
    assert!(listed.status == 200 && listed.text().contains(&device.id_text()), "{}", listed.text());

    let start = format!("/auth/passkey/authentication?email={EMAIL}");
    let (options, id) = begun(&edge.request("POST", &start).send(), "authentication");
    let assertion = device.get(&options).to_string();
    let target = format!("/auth/passkey/authentication?authentication-id={id}&email={EMAIL}");
    let answer = edge.request("PATCH", &target).body(&assertion).send();
    assert!(answer.header("x-madome-access-token-expires").is_some());
    let second = access_token(&answer);
    assert_ne!(second, token);
    assert_eq!(edge.get("/users/@me").token(&second).send().status, 200, "a session like any other");
    assert_eq!(edge.request("PATCH", &target).body(&assertion).send().status, 401, "the sign-in is used up");

    let target = format!("/auth/passkeys/{}", device.id_text());
    assert_eq!(edge.request("DELETE", &target).token(&second).send().status, 204);
    assert_eq!(edge.request("POST", &start).send().status, 404);
}
