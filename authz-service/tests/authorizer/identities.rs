//! What a backend receives, and what a refused client receives.

use std::path::Path;

use clock::UnixTime;
use identity::assertion::Verifier;
use identity::{Caller, Person, Role};
use serde_json::json;

use crate::kit::mint::claims_with;
use crate::kit::{Authz, NOW, SESSION, SUBJECT, TENANT};

fn verifier(audience: &str, keys: &Path) -> Verifier {
    Verifier::new(audience).trust_file("test", keys).unwrap()
}

#[tokio::test]
async fn a_person_arrives_whole() {
    let authz = Authz::start().await;
    let answer = authz.ask(authz.check("me").session(&authz.token())).await;
    answer.expect(200, "allowed");
    let set = |name: &str| answer.headers.get(name).map(String::as_str);
    assert_eq!(set("x-cutover-decided"), Some("1"));
    assert_eq!(set("x-auth-subject"), Some(SUBJECT));
    assert_eq!(set("x-auth-session"), Some(SESSION));
    assert_eq!(set("x-auth-role"), Some("1"));
    assert_eq!(set("x-auth-scopes"), Some("books.read books.list"));
    assert_eq!(set("x-tenant-id"), Some(TENANT));
    assert_eq!(answer.removed, ["x-auth-public"]);
    assert_eq!(answer.headers.len(), 7, "{:?}", answer.headers);

    let signed = set("x-auth-identity").unwrap();
    let keys = authz.home.at("identity.jwks.json");
    let caller = Caller::Person(Person {
        subject: SUBJECT.parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        roles: Vec::new(),
        session: Some(SESSION.parse().unwrap()),
        role: Some(Role::DEVELOPER),
        scopes: vec!["books.read".to_owned(), "books.list".to_owned()],
    });
    let now = UnixTime::from_seconds(NOW);
    assert_eq!(verifier("users", &keys).verify(signed, now), Ok(caller));
    assert!(verifier("legacy", &keys).verify(signed, now).is_err(), "made for its backend only");

    let metadata = |name: &str| answer.metadata.get(name).map(String::as_str);
    assert_eq!(metadata("decision"), Some("allow"));
    assert_eq!(metadata("route"), Some("me"));
    assert_eq!(metadata("policy"), Some("signed-in"));
    assert_eq!(metadata("subject"), Some(SUBJECT));
    assert_eq!(metadata("tenant"), Some(TENANT));
    assert_eq!(metadata("session"), Some(SESSION));
}

#[tokio::test]
async fn scopes_are_sent_once_each_or_not_at_all() {
    let authz = Authz::start().await;
    let scoped = |scope: &str| authz.home.session.token(&claims_with(&json!({ "scope": scope })));
    let answer = authz.ask_with(&scoped("a b a")).await;
    assert_eq!(answer.headers["x-auth-scopes"], "a b");
    let answer = authz.ask_with(&scoped("")).await;
    assert!(!answer.headers.contains_key("x-auth-scopes"));
    assert_eq!(answer.removed, ["x-auth-public", "x-auth-scopes"]);
}

#[tokio::test]
async fn a_signed_identity_is_reused_while_fresh() {
    let authz = Authz::start().await;
    let token = authz.token();
    let signed = async |route: &str| {
        authz.ask(authz.check(route).session(&token)).await.headers["x-auth-identity"].clone()
    };
    let first = signed("me").await;
    assert_eq!(signed("me").await, first);
    assert_ne!(signed("books").await, first, "another backend, another audience");
    authz.clock.advance_seconds(30);
    assert_eq!(signed("me").await, first);
    authz.clock.advance_seconds(1);
    let second = signed("me").await;
    assert_ne!(second, first);
    authz.clock.set(UnixTime::from_seconds(NOW));
    assert_ne!(signed("me").await, second, "one from the future is not handed out");
}

#[tokio::test]
async fn a_public_route_gets_the_public_mark_and_no_identity() {
    let authz = Authz::start().await;
    // Whatever it carries.
    let answer = authz.ask(authz.check("open").session(&authz.token())).await;
    answer.expect(200, "allowed");
    let headers: Vec<(&str, &str)> = answer.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("x-auth-public", "1"), ("x-cutover-decided", "1")]);
    let mut removed = answer.removed;
    removed.sort();
    assert_eq!(
        removed,
        [
            "x-auth-identity",
            "x-auth-role",
            "x-auth-scopes",
            "x-auth-session",
            "x-auth-subject",
            "x-tenant-id"
        ]
    );
}

#[tokio::test]
async fn roles_and_scopes() {
    let authz = Authz::start().await;
    let with = |changes: &serde_json::Value| authz.home.session.token(&claims_with(changes));
    for (route, changes, status, reason) in [
        ("create", json!({ "role": 1 }), 403, "role_too_low"),
        ("create", json!({ "role": 2 }), 200, "allowed"),
        ("create", json!({ "role": 3 }), 200, "allowed"),
        ("shelf", json!({ "scope": "books.list x books.read" }), 200, "allowed"),
        ("shelf", json!({ "scope": "books.read" }), 403, "scope_missing"),
        ("shelf", json!({ "scope": "books.rea books.list" }), 403, "scope_missing"),
        ("shelf", json!({ "scope": "" }), 403, "scope_missing"),
        ("me", json!({ "role": 0, "scope": "" }), 200, "allowed"),
    ] {
        let answer = authz.ask(authz.check(route).session(&with(&changes))).await;
        assert!(answer.is(status, reason), "{route} {changes}: {} {}", answer.status, answer.reason);
    }
}

#[tokio::test]
async fn refusals_speak_the_words_of_their_route() {
    let authz = Authz::start().await;
    let bare = authz.ask(authz.check("me")).await;
    assert_eq!((bare.status, bare.body.as_str()), (401, "Unauthoirzed"));
    assert_eq!(bare.headers.into_iter().collect::<Vec<_>>(), [("x-cutover-bare".to_owned(), "1".to_owned())]);

    let json = authz.ask(authz.check("books")).await;
    assert_eq!(
        (json.status, json.body.as_str()),
        (401, r#"{"name":"Unauthorized","message":"Unauthorized"}"#)
    );
    assert_eq!(
        json.headers.into_iter().collect::<Vec<_>>(),
        [("content-type".to_owned(), "application/json; charset=utf-8".to_owned())]
    );

    let forbidden = authz.ask(authz.check("create").session(&authz.token())).await;
    assert_eq!((forbidden.status, forbidden.body.as_str()), (403, "Permission Denied"));
    // The log can say who was refused.
    assert_eq!(forbidden.metadata["subject"], SUBJECT);
    assert_eq!(forbidden.metadata["tenant"], TENANT);
    assert_eq!(forbidden.metadata["decision"], "deny");
}
