//! Internal policies: services among themselves, and no caller from outside.

use std::path::Path;
use std::time::Duration;

use clock::UnixTime;
use identity::assertion::{Signer, Verifier};
use identity::service_token::{Issuer, ServiceToken};
use identity::{Caller, Person, Role, Service};
use serde_json::json;

use crate::kit::mint::Ed25519;
use crate::kit::{Authz, Home, NOW, SESSION, SUBJECT, SUSPENDED, TENANT, UNLISTED, eventually};

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
    assert_eq!(answer.headers["x-auth-subject"], "auth");
    assert_eq!(answer.headers.len(), 3, "{:?}", answer.headers);
    let mut removed = answer.removed.clone();
    removed.sort();
    assert_eq!(removed, ["x-auth-public", "x-auth-role", "x-auth-scopes", "x-auth-session", "x-tenant-id"]);
    let verifier = Verifier::new("users").trust_file("test", &authz.home.at("identity.jwks.json")).unwrap();
    let forwarded = &answer.headers["x-auth-identity"];
    assert_eq!(verifier.verify(forwarded, UnixTime::from_seconds(NOW)), Ok(service("auth")));
    assert_eq!(answer.metadata["subject"], "auth");
    assert!(!answer.metadata.contains_key("tenant"));
}

#[tokio::test]
async fn untrusted_services_are_refused() {
    let authz = Authz::start().await;
    let auth = authz.home.at("auth.pem");
    let sync = authz.home.at("sync.pem");
    let edge = authz.home.at("identity.pem");
    let person = Caller::Person(Person {
        subject: SUBJECT.parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        roles: Vec::new(),
        session: Some(SESSION.parse().unwrap()),
        role: Some(Role::BOT),
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

/// The edge of these tests with an issuer of service tokens, and a route that asks for a permission.
async fn with_tokens() -> (Authz, Issuer) {
    let home = Home::new();
    let key = Ed25519::generate(&home.at("tokens.pem"));
    home.write("tokens.jwks.json", &key.jwks());
    let issuer = Issuer::from_file("https://auth.test", "test", &home.at("tokens.pem")).unwrap();
    let keys = home.at("tokens.jwks.json").display().to_string();
    let authz = Authz::start_with(home, move |edge| {
        edge.replace("auth.jwks.json\" }", "auth.jwks.json\", permissions: [users.read, users.write], tenants: [00000000-0000-7000-8000-000000000001, 00000000-0000-7000-8000-000000000002] }")
            .replace(
                "kind: internal, services: [auth] }",
                "kind: internal, services: [auth], permissions: [users.read] }",
            )
            .replace(
                "policies:\n",
                &format!(
                    "service_tokens: {{ issuer: \"https://auth.test\", keys: \"{keys}\" }}\npolicies:\n"
                ),
            )
    })
    .await;
    (authz, issuer)
}

fn token(name: &str, permissions: &[&str]) -> ServiceToken {
    let permissions = permissions.iter().map(|permission| (*permission).to_owned()).collect();
    ServiceToken { service: name.parse().unwrap(), permissions, tenant: None }
}

/// Reads the audit as a file, which is what its reader has.
fn audited(home: &Home, kind: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(home.at("audit.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|event| event["kind"] == kind).collect()
}

#[tokio::test]
async fn a_token_for_a_tenant_acts_for_it_alone_and_every_call_is_audited() {
    let (authz, issuer) = with_tokens().await;
    let now = UnixTime::from_seconds(NOW);
    let call = async |tenant: Option<&str>, id: &str| {
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        let token = ServiceToken { tenant, ..token("auth", &["users.read"]) };
        let issued = issuer.issue(&token, "id", Duration::from_secs(600), now).unwrap();
        authz.ask(authz.check("lookup").bearer(&issued).header("x-request-id", id)).await
    };
    let ids = [
        "01932c07-0000-7000-8000-00000000000a",
        "01932c07-0000-7000-8000-00000000000b",
        "01932c07-0000-7000-8000-00000000000c",
    ];
    let answer = call(Some(TENANT), ids[0]).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-tenant-id"], TENANT);
    assert_eq!(answer.headers["x-auth-subject"], "auth");
    assert_eq!(answer.metadata["tenant"], TENANT);
    let verifier = Verifier::new("users").trust_file("test", &authz.home.at("identity.jwks.json")).unwrap();
    let acting = Service { name: "auth".parse().unwrap(), tenant: Some(TENANT.parse().unwrap()) };
    assert_eq!(verifier.verify(&answer.headers["x-auth-identity"], now), Ok(Caller::Service(acting)));

    // The identity of one tenant is never handed out for another, or for none.
    let platform = call(None, ids[1]).await;
    platform.expect(200, "allowed");
    assert!(platform.removed.contains(&"x-tenant-id".to_owned()), "{:?}", platform.removed);
    assert_eq!(verifier.verify(&platform.headers["x-auth-identity"], now), Ok(service("auth")));
    call(Some(SUSPENDED), ids[2]).await.expect(403, "tenant_suspended");
    // One that the edge file does not list for the service.
    call(Some(UNLISTED), ids[2]).await.expect(401, "service_token_wrong_claims");

    eventually("the calls are in the audit", async || audited(&authz.home, "service_call").len() == 2).await;
    let calls = audited(&authz.home, "service_call");
    for (event, (id, tenant)) in calls.iter().zip([(ids[0], Some(TENANT)), (ids[1], None)]) {
        assert_eq!(event["request_id"], id, "{event}");
        assert_eq!(event["subject"], "auth", "{event}");
        assert_eq!(event["principal"], "service", "{event}");
        assert_eq!((&event["route"], &event["policy"]), (&"lookup".into(), &"lookup".into()), "{event}");
        assert_eq!(event["tenant"].as_str(), tenant, "{event}");
    }
    eventually("the refusal too", async || !audited(&authz.home, "decision").is_empty()).await;
    let refused = audited(&authz.home, "decision");
    assert_eq!(refused.first().unwrap()["reason"], "tenant_suspended");

    authz.home.list_tenant("suspended");
    eventually("the tenant is suspended", async || {
        call(Some(TENANT), ids[0]).await.is(403, "tenant_suspended")
    })
    .await;
}

#[tokio::test]
async fn a_service_has_its_own_counter() {
    let authz = Authz::start_with(Home::new(), |edge| {
        edge.replacen(
            "answers:\n",
            "limits:\n  calls: { per: service, rate: 2, seconds: 3600 }\nanswers:\n",
            1,
        )
        .replace(
            "policy: any-service, to: users, answers: library",
            "policy: any-service, to: users, answers: library, limits: [calls]",
        )
    })
    .await;
    let assertion = |name: &str| sign(name, &authz.home.at(&format!("{name}.pem")), &service(name), "test");
    for _ in 0..2 {
        authz.ask(authz.check("events").bearer(&assertion("auth"))).await.expect(200, "allowed");
    }
    let answer = authz.ask(authz.check("events").bearer(&assertion("auth"))).await;
    answer.expect(429, "rate_limited");
    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    authz.ask(authz.check("events").bearer(&assertion("sync"))).await.expect(200, "allowed");
    // A route without the limit is not counted.
    authz.ask(authz.check("lookup").bearer(&assertion("auth"))).await.expect(200, "allowed");
}

#[tokio::test]
async fn a_service_token_passes_for_permissions_that_both_it_and_the_edge_file_name() {
    let (authz, issuer) = with_tokens().await;
    let now = UnixTime::from_seconds(NOW);
    let issue = |token: &ServiceToken| issuer.issue(token, "id", Duration::from_secs(600), now).unwrap();
    let answer = authz.ask(authz.check("lookup").bearer(&issue(&token("auth", &["users.read"])))).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-auth-subject"], "auth");
    for (token, status, reason) in [
        (token("auth", &[]), 403, "permission_missing"),
        (token("auth", &["users.write"]), 403, "permission_missing"),
        (token("sync", &["users.read"]), 403, "service_not_allowed"),
        (token("stranger", &["users.read"]), 401, "service_token_wrong_claims"),
    ] {
        authz.ask(authz.check("lookup").bearer(&issue(&token))).await.expect(status, reason);
    }
    // The operator reads which permissions the service had, and which one it lacked.
    let records = authz.get("/decisions?reason=permission_missing").await.1;
    let records: serde_json::Value = serde_json::from_str(&records).unwrap();
    for (record, had) in [(&records[0], json!(["permission users.write"])), (&records[1], json!([]))] {
        assert_eq!(
            (&record["had"], &record["needed"]),
            (&had, &json!(["permission users.read"])),
            "{record:#}"
        );
    }
    // A permission that the edge file does not list has no effect, whichever key signed it.
    authz
        .ask(authz.check("events").bearer(&issue(&token("sync", &["users.read"]))))
        .await
        .expect(200, "allowed");
    // Its own assertion stands for everything that the file lists.
    let assertion = sign("auth", &authz.home.at("auth.pem"), &service("auth"), "test");
    authz.ask(authz.check("lookup").bearer(&assertion)).await.expect(200, "allowed");
}

#[tokio::test]
async fn a_service_token_is_nothing_else_and_nothing_else_is_one() {
    let (authz, issuer) = with_tokens().await;
    let now = UnixTime::from_seconds(NOW);
    let life = Duration::from_secs(600);
    let good = issuer.issue(&token("auth", &["users.read"]), "id", life, now).unwrap();
    // Not for people's routes, and not from outside.
    authz.ask(authz.check("me").bearer(&good)).await.expect(401, "token_unknown_key");
    let outside = authz.check("lookup").extension("exposure", "public").bearer(&good);
    authz.ask(outside).await.expect(404, "internal_only");
    // A person's token is not one.
    authz.ask(authz.check("lookup").bearer(&authz.token())).await.expect(401, "service_token_malformed");

    let pem = authz.home.at("tokens.pem");
    let elsewhere = Issuer::from_file("https://auth.test", "prod", &pem).unwrap();
    let stranger = Issuer::from_file("https://evil.test", "test", &pem).unwrap();
    let auths = Issuer::from_file("https://auth.test", "test", &authz.home.at("auth.pem")).unwrap();
    let issue =
        |issuer: &Issuer, now| issuer.issue(&token("auth", &["users.read"]), "id", life, now).unwrap();
    for (bearer, reason) in [
        (issue(&elsewhere, now), "service_token_wrong_audience"),
        (issue(&stranger, now), "service_token_wrong_claims"),
        (issue(&auths, now), "service_token_unknown_key"),
        (issue(&issuer, UnixTime::from_seconds(NOW + 6)), "service_token_wrong_time"),
        (issue(&issuer, UnixTime::from_seconds(NOW - 606)), "service_token_wrong_time"),
        (good.replacen('.', ".x", 1), "service_token_bad_signature"),
    ] {
        authz.ask(authz.check("lookup").bearer(&bearer)).await.expect(401, reason);
    }
    let last = issue(&issuer, UnixTime::from_seconds(NOW - 605));
    authz.ask(authz.check("lookup").bearer(&last)).await.expect(200, "allowed");
}

/// The keys of service tokens, and those of a service, gone or wrong: the last good ones serve for an hour, then that
/// service is 503 on internal routes until they are back.
#[tokio::test]
async fn keys_of_services_that_are_gone_or_wrong_serve_for_an_hour() {
    for (file, wrong) in [
        ("tokens.jwks.json", None),
        ("tokens.jwks.json", Some("{}")),
        ("auth.jwks.json", None),
        ("auth.jwks.json", Some("x")),
    ] {
        let (authz, issuer) = with_tokens().await;
        let call = async |at: u64| {
            let now = UnixTime::from_seconds(at);
            let token =
                issuer.issue(&token("auth", &["users.read"]), "id", Duration::from_secs(600), now).unwrap();
            authz.ask(authz.check("lookup").bearer(&token)).await
        };
        call(NOW).await.expect(200, "allowed");
        let keys = std::fs::read_to_string(authz.home.at(file)).unwrap();
        match wrong {
            None => std::fs::remove_file(authz.home.at(file)).unwrap(),
            Some(text) => authz.home.write(file, text),
        }
        eventually("reported", async || authz.get("/readyz").await.1.contains(file)).await;
        authz.clock.advance_seconds(3_600);
        call(NOW + 3_600).await.expect(200, "allowed");
        authz.clock.advance_seconds(1);
        call(NOW + 3_601).await.expect(503, "keys_unavailable");
        assert_eq!(authz.ask_with(&authz.token()).await.status, 200, "sessions do not depend on it");
        authz.home.write(file, &keys);
        eventually("back", async || call(NOW + 3_601).await.is(200, "allowed")).await;
    }
}

/// An assertion of `name`, made at `at`, on the route for every service.
async fn announce(authz: &Authz, name: &str, at: u64) -> (u16, String) {
    let signer = Signer::from_file(name, &authz.home.at(&format!("{name}.pem"))).unwrap();
    let assertion = signer.sign(&service(name), "test", UnixTime::from_seconds(at)).unwrap();
    let answer = authz.ask(authz.check("events").bearer(&assertion)).await;
    (answer.status, answer.reason)
}

/// One service's key file, in every wrong way that a file can be: that service is closed after an hour, and no other; and
/// the others' files are followed all the while.
#[tokio::test]
async fn a_faulty_key_file_closes_its_own_service_and_no_other() {
    for wrong in ["gone", "not JSON", "an empty set", "another's keys", "hanging"] {
        let authz = Authz::start().await;
        let path = authz.home.at("sync.jwks.json");
        let reported = match wrong {
            "gone" => std::fs::remove_file(&path).map(|()| "sync.jwks.json").unwrap(),
            "hanging" => {
                crate::hanging::hang(&path);
                "takes longer than 5 s"
            }
            "another's keys" => {
                let keys = std::fs::read_to_string(authz.home.at("auth.jwks.json")).unwrap();
                authz.home.write("sync.jwks.json", &keys.replace("EdDSA", "ES256"));
                "sync.jwks.json"
            }
            text => {
                authz.home.write("sync.jwks.json", if text == "not JSON" { text } else { r#"{"keys":[]}"# });
                "sync.jwks.json"
            }
        };
        eventually(wrong, async || authz.get("/readyz").await.1.contains(reported)).await;
        assert_eq!(announce(&authz, "sync", NOW).await.0, 200, "{wrong}: the last good keys serve");
        // Another service rotates its key meanwhile.
        let next = Ed25519::generate(&authz.home.at("auth.pem"));
        authz.home.write("auth.jwks.json", &next.jwks());
        eventually("the new key counts", async || announce(&authz, "auth", NOW).await.0 == 200).await;
        authz.clock.advance_seconds(3_601);
        let at = NOW + 3_601;
        assert_eq!(announce(&authz, "sync", at).await, (503, "keys_unavailable".to_owned()), "{wrong}");
        assert_eq!(announce(&authz, "auth", at).await.0, 200, "{wrong}");
        let nonsense = authz.ask(authz.check("events").bearer("x")).await;
        assert!(
            nonsense.is(401, "assertion_malformed"),
            "{wrong}: an unreadable token is the caller's fault"
        );
        assert_eq!(authz.get("/readyz").await.0, 200, "{wrong}: people do not depend on it");
    }
}
