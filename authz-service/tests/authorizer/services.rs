//! Internal policies: services among themselves, and nobody from outside.

use std::path::Path;

use clock::UnixTime;
use identity::assertion::{Signer, Verifier};
use identity::{Caller, Person, Role};

use crate::kit::{Authz, NOW, SESSION, SUBJECT, TENANT};

fn sign(issuer: &str, key: &Path, caller: &Caller, audience: &str) -> String {
    Signer::from_file(issuer, key).unwrap().sign(caller, audience, UnixTime::from_seconds(NOW)).unwrap()
}

fn service(name: &str) -> Caller {
    Caller::Service(name.parse().unwrap())
}

#[tokio::test]
async fn a_service_passes_with_its_own_key_and_arrives_with_the_edges() {
    let authz = Authz::start().await;
    let assertion = sign("auth", &authz.home.at("auth.pem"), &service("auth"), "test");
    let answer = authz.ask(authz.check("lookup").bearer(&assertion)).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-madome-auth-sub"], "auth");
    assert_eq!(answer.headers.len(), 3, "{:?}", answer.headers);
    let mut removed = answer.removed.clone();
    removed.sort();
    assert_eq!(
        removed,
        ["x-madome-auth-role", "x-madome-auth-scope", "x-madome-auth-sid", "x-madome-public", "x-tenant-id"]
    );
    let verifier = Verifier::new("users").trust_file("test", &authz.home.at("identity.jwks.json")).unwrap();
    let forwarded = &answer.headers["x-madome-identity"];
    assert_eq!(verifier.verify(forwarded, UnixTime::from_seconds(NOW)), Ok(service("auth")));
    assert_eq!(answer.metadata["subject"], "auth");
    assert!(!answer.metadata.contains_key("tenant"));
}

#[tokio::test]
async fn who_is_not_believed() {
    let authz = Authz::start().await;
    let auth = authz.home.at("auth.pem");
    let sync = authz.home.at("sync.pem");
    let edge = authz.home.at("identity.pem");
    let person = Caller::Person(Person {
        subject: SUBJECT.parse().unwrap(),
        tenant: TENANT.parse().unwrap(),
        session: SESSION.parse().unwrap(),
        role: Role::BOT,
        scopes: Vec::new(),
    });
    for (what, route, assertion, status, reason) in [
        ("listed", "events", sign("sync", &sync, &service("sync"), "test"), 200, "allowed"),
        ("not listed", "lookup", sign("sync", &sync, &service("sync"), "test"), 403, "service_not_allowed"),
        (
            "other's key",
            "lookup",
            sign("auth", &sync, &service("auth"), "test"),
            401,
            "assertion_bad_signature",
        ),
        (
            "other audience",
            "lookup",
            sign("auth", &auth, &service("auth"), "prod"),
            401,
            "assertion_wrong_audience",
        ),
        (
            "the edge's own",
            "lookup",
            sign("test", &edge, &service("auth"), "test"),
            401,
            "assertion_unknown_key",
        ),
        ("for a person", "lookup", sign("auth", &auth, &person, "test"), 401, "assertion_wrong_claims"),
        ("access token", "lookup", authz.token(), 401, "assertion_malformed"),
        ("nonsense", "lookup", "x".to_owned(), 401, "assertion_malformed"),
    ] {
        let answer = authz.ask(authz.check(route).bearer(&assertion)).await;
        assert!(answer.is(status, reason), "{what}: {} {}", answer.status, answer.reason);
    }
    authz.ask(authz.check("lookup")).await.expect(401, "no_credential");
    authz.ask(authz.check("lookup").session(&authz.token())).await.expect(401, "no_credential");

    let assertion = sign("auth", &auth, &service("auth"), "test");
    authz.clock.advance_seconds(66);
    authz.ask(authz.check("lookup").bearer(&assertion)).await.expect(401, "assertion_wrong_time");
}

/// A service that signs for another: its key is trusted for its own name only.
#[tokio::test]
async fn a_service_speaks_for_itself_only() {
    let authz = Authz::start().await;
    let as_auth = sign("sync", &authz.home.at("sync.pem"), &service("auth"), "test");
    authz.ask(authz.check("lookup").bearer(&as_auth)).await.expect(401, "assertion_wrong_claims");
}

#[tokio::test]
async fn internal_is_not_to_be_seen_from_outside() {
    let authz = Authz::start().await;
    let assertion = sign("auth", &authz.home.at("auth.pem"), &service("auth"), "test");
    let outside = authz.check("lookup").extension("exposure", "public");
    let answer = authz.ask(outside.clone().bearer(&assertion)).await;
    answer.expect(404, "internal_only");
    assert_eq!(answer.body, "Not found");
    authz.ask(outside.session(&authz.token())).await.expect(404, "internal_only");
    // A session route says nothing different because of where it is asked from.
    let inside = authz.check("me").extension("exposure", "internal").session(&authz.token());
    authz.ask(inside).await.expect(200, "allowed");
}
