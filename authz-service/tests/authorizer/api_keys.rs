//! API keys over the wire (ATTACKS F 94), and more than one credential.

use ::api_keys::{Record, file, text};
use identity::assertion::Verifier;
use identity::{Caller, Role};

use crate::kit::check::{Answer, Check};
use crate::kit::{Authz, Home, NOW, SUSPENDED, TENANT, UNLISTED, eventually};

pub(crate) const FILE: &str = "api-keys.jsonl";

pub(crate) fn with_api_keys(home: &Home) -> impl Fn(String) -> String + use<> {
    let path = home.at(FILE).to_str().unwrap().to_owned();
    move |edge: String| {
        edge.replace("services:\n  auth", &format!("api_keys: {{ file: \"{path}\" }}\nservices:\n  auth")).replace(
            "policies:\n",
            "policies:\n  either: { kind: session, accept: [session, api-key] }\n  keys-only: { kind: session, accept: [api-key], role: 1, scopes: [books.write] }\n",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: either, host: api, prefix: /either, policy: either, to: legacy, answers: library }\n  - { name: keys-only, host: api, prefix: /keys, policy: keys-only, to: legacy, answers: library }\n",
        )
    }
}

/// A new key in `home`'s file, after `change`.
pub(crate) fn add(home: &Home, change: impl FnOnce(&mut Record)) -> String {
    let (id, key, sha256) = text::generate(&text::Prefix::default()).unwrap();
    let mut record = Record {
        id,
        sha256,
        imported: false,
        client: "nightly".parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        roles: Vec::new(),
        role: Some(Role(1)),
        scopes: vec!["books.write".to_owned()],
        plan: None,
        created: NOW,
        expires: None,
        revoked: None,
    };
    change(&mut record);
    file::update(&home.at(FILE), |records| records.push(record)).unwrap();
    key
}

pub(crate) fn check(authz: &Authz, route: &str) -> Check {
    authz.check("me").extension("route", route).extension("policy", route)
}

async fn ask(authz: &Authz, route: &str, key: &str) -> Answer {
    authz.ask(check(authz, route).header("x-api-key", key)).await
}

#[tokio::test]
async fn a_client_passes_as_itself_and_its_key_goes_no_further() {
    let home = Home::new();
    let key = add(&home, |_| {});
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    let answer = ask(&authz, "either", &key).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-auth-subject"], "nightly");
    assert_eq!(answer.headers["x-tenant-id"], TENANT);
    assert_eq!(answer.headers["x-auth-role"], "1");
    assert_eq!(answer.headers["x-auth-scopes"], "books.write");
    for name in ["x-api-key", "x-auth-session", "x-auth-public"] {
        assert!(answer.removed.iter().any(|removed| removed == name), "{name} is not removed");
    }
    assert_eq!(answer.metadata["subject"], "nightly");
    assert!(!format!("{answer:?}").contains(&key[20..]));
    let verifier = Verifier::new("legacy").trust_file("test", &authz.home.at("identity.jwks.json")).unwrap();
    let caller =
        verifier.verify(&answer.headers["x-auth-identity"], clock::UnixTime::from_seconds(NOW)).unwrap();
    let Caller::Client(client) = caller else { panic!("{caller:?} is not a client") };
    assert_eq!((client.name.as_str(), client.role), ("nightly", Some(Role(1))));

    // A route that does not accept keys does not look at one, and leaves the header alone.
    authz.ask(authz.check("me").header("x-api-key", &key)).await.expect(401, "no_credential");
    let answer = authz.ask(authz.check("me").header("x-api-key", "x").session(&authz.token())).await;
    answer.expect(200, "allowed");
    assert!(!answer.removed.iter().any(|removed| removed == "x-api-key"));
}

#[tokio::test]
async fn every_other_spelling_and_state_is_refused() {
    let home = Home::new();
    let key = add(&home, |_| {});
    let other = add(&home, |_| {});
    let expired = add(&home, |record| record.expires = Some(NOW));
    let expiring = add(&home, |record| record.expires = Some(NOW + 1));
    let revoked = add(&home, |record| record.revoked = Some(NOW));
    let suspended = add(&home, |record| record.tenant = Some(SUSPENDED.parse().unwrap()));
    let unlisted = add(&home, |record| record.tenant = Some(UNLISTED.parse().unwrap()));
    let weak = add(&home, |record| record.role = None);
    let narrow = add(&home, |record| record.scopes.clear());
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    let crossed = format!("{}{}", &key[..20], &other[20..]);
    for (what, key, status, reason) in [
        ("the key", key.clone(), 200, "allowed"),
        ("the last second", expiring, 200, "allowed"),
        ("expired", expired, 401, "api_key_expired"),
        ("revoked", revoked, 401, "api_key_revoked"),
        ("another's secret", crossed, 401, "api_key_wrong_secret"),
        ("an unknown id", format!("ck_0000000000000000{}", &key[19..]), 401, "api_key_unknown"),
        ("upper case", key.to_uppercase(), 401, "api_key_malformed"),
        ("a space before", format!(" {key}"), 401, "api_key_malformed"),
        ("a tab behind", format!("{key}\t"), 401, "api_key_malformed"),
        ("cut off", key[..key.len() - 1].to_owned(), 401, "api_key_malformed"),
        ("the id alone", key[..19].to_owned(), 401, "api_key_malformed"),
        ("another prefix", key.replacen("ck_", "pk_", 1), 401, "api_key_wrong_secret"),
        ("joined", format!("{key},{key}"), 401, "api_key_malformed"),
        ("empty", String::new(), 401, "api_key_malformed"),
        ("60 KB", "a".repeat(60_000), 401, "api_key_malformed"),
        ("of a suspended tenant", suspended, 403, "tenant_suspended"),
        ("of an unlisted tenant", unlisted, 403, "tenant_unknown"),
        ("without a role", weak, 403, "role_too_low"),
        ("without a scope", narrow, 403, "scope_missing"),
    ] {
        let answer = ask(&authz, "keys-only", &key).await;
        assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{what}");
    }
    let twice = check(&authz, "keys-only").header("x-api-key", &key).header("x-api-key", &key);
    authz.ask(twice).await.expect(401, "api_key_repeated");
    // The key in any other place does not count.
    authz.ask(check(&authz, "keys-only").bearer(&key)).await.expect(401, "no_credential");
    authz.ask(check(&authz, "keys-only").session(&key)).await.expect(401, "no_credential");
    // The session of a person is none either, on a route for keys.
    authz.ask(check(&authz, "keys-only").session(&authz.token())).await.expect(401, "no_credential");
}

#[tokio::test]
async fn several_live_keys_for_rotation_and_a_revoked_one_is_dead_within_a_second() {
    let home = Home::new();
    let old = add(&home, |_| {});
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    ask(&authz, "either", &old).await.expect(200, "allowed");
    let new = add(&authz.home, |_| {});
    eventually("the new key is known", || async { ask(&authz, "either", &new).await.is(200, "allowed") })
        .await;
    ask(&authz, "either", &old).await.expect(200, "allowed");

    let revoke = || {
        file::update(&authz.home.at(FILE), |records| records[0].revoked = Some(NOW)).unwrap();
    };
    revoke();
    eventually("the old key is dead", || async {
        ask(&authz, "either", &old).await.is(401, "api_key_revoked")
    })
    .await;
    ask(&authz, "either", &new).await.expect(200, "allowed");
}

#[tokio::test]
async fn more_than_one_credential() {
    let home = Home::new();
    let key = add(&home, |_| {});
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    let token = authz.token();
    for (what, session, key, status, reason) in [
        ("neither", None, None, 401, "no_credential"),
        ("a session", Some(&*token), None, 200, "allowed"),
        ("a key", None, Some(&*key), 200, "allowed"),
        ("a bad session", Some("x"), None, 401, "token_malformed"),
        ("a bad session and a good key", Some("x"), Some(&*key), 401, "token_malformed"),
        ("a good session and a bad key", Some(&*token), Some("x"), 401, "api_key_malformed"),
        ("both bad: the first speaks", Some("x"), Some("x"), 401, "token_malformed"),
        ("both good, and never the same", Some(&*token), Some(&*key), 401, "ambiguous_credential"),
    ] {
        let mut question = check(&authz, "either");
        if let Some(session) = session {
            question = question.session(session);
        }
        if let Some(key) = key {
            question = question.header("x-api-key", key);
        }
        let answer = authz.ask(question).await;
        assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{what}");
    }
}

#[tokio::test]
async fn a_file_that_is_missing_or_broken() {
    let home = Home::new();
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    let key = text::generate(&text::Prefix::default()).unwrap().1;
    ask(&authz, "either", &key).await.expect(503, "api_keys_unavailable");
    // Sessions are decided all the same, but the replica says that it lacks something.
    authz.ask(check(&authz, "either").session(&authz.token())).await.expect(200, "allowed");
    assert_eq!(authz.get("/readyz").await.0, 503);

    let key = add(&authz.home, |_| {});
    eventually("the key is known", || async { ask(&authz, "either", &key).await.is(200, "allowed") }).await;
    assert_eq!(authz.get("/readyz").await.0, 200);
    authz.home.write(FILE, "nonsense\n");
    eventually("the fault is reported", || async { authz.get("/readyz").await.1.contains("line 1") }).await;
    ask(&authz, "either", &key).await.expect(200, "allowed");
    authz.clock.advance_seconds(301);
    ask(&authz, "either", &key).await.expect(503, "api_keys_unavailable");
}

#[tokio::test]
async fn a_file_that_is_gone_is_missed_after_a_minute() {
    let home = Home::new();
    let key = add(&home, |_| {});
    let content = std::fs::read_to_string(home.at(FILE)).unwrap();
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    ask(&authz, "either", &key).await.expect(200, "allowed");
    std::fs::remove_file(authz.home.at(FILE)).unwrap();
    eventually("reported", || async { authz.get("/readyz").await.1.contains("stale since") }).await;
    authz.clock.advance_seconds(60);
    ask(&authz, "either", &key).await.expect(200, "allowed");
    authz.clock.advance_seconds(1);
    ask(&authz, "either", &key).await.expect(503, "api_keys_unavailable");
    authz.home.write(FILE, &content);
    eventually("back", || async { ask(&authz, "either", &key).await.is(200, "allowed") }).await;
}

#[tokio::test]
async fn an_imported_key_counts_in_each_header_and_never_in_two() {
    let home = Home::new();
    let own = add(&home, |_| {});
    let foreign = "sk_live_51H8abcdefgh+/=";
    add(&home, |record| {
        (record.imported, record.sha256) = (true, ::api_keys::KeyHash::of(foreign.as_bytes()));
        record.client = "held-before".parse().unwrap();
    });
    let edit = with_api_keys(&home);
    let headers = |text: String| {
        edit(text)
            .replace("api_keys: { file:", "api_keys: { headers: [x-api-key, x-old-key, authorization], file:")
    };
    let authz = Authz::start_with(home, headers).await;
    let ask = async |lines: &[(&str, &str)]| {
        let check =
            lines.iter().fold(check(&authz, "keys-only"), |check, (name, value)| check.header(name, value));
        authz.ask(check).await
    };
    let scheme = |scheme: &str| format!("{scheme} {foreign}");
    for (header, value) in [
        ("x-api-key", foreign),
        ("x-old-key", foreign),
        ("authorization", &scheme("ApiKey")),
        ("authorization", &scheme("apikey")),
    ] {
        let answer = ask(&[(header, value)]).await;
        answer.expect(200, "allowed");
        let removes = |name: &str| answer.removed.iter().any(|removed| removed == name);
        assert_eq!(removes("authorization"), header == "authorization", "{header}");
        assert!(removes("x-api-key") && removes("x-old-key"), "{header}");
    }
    let bearer = ask(&[("authorization", "Bearer of.the.backend"), ("x-old-key", &own)]).await;
    bearer.expect(200, "allowed");
    assert!(!bearer.removed.iter().any(|removed| removed == "authorization"), "it is the backend's own");
    for (lines, code) in [
        (vec![("x-api-key", foreign), ("x-old-key", foreign)], "api_key_repeated"),
        (vec![("x-api-key", &*own), ("authorization", &scheme("ApiKey"))], "api_key_repeated"),
        (vec![("authorization", "ApiKey")], "api_key_malformed"),
        (vec![("authorization", &scheme("ApiKey "))], "api_key_malformed"),
        (vec![("authorization", &scheme("ApiKeys"))], "no_credential"),
        (vec![("x-api-key", "sk_live_51H8abcdefgh+/")], "api_key_unknown"),
    ] {
        ask(&lines).await.expect(401, code);
    }
}
