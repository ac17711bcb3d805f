//! What no passkey may do: wrong answers, used and expired ceremonies, other people's passkeys, and hostile bytes.

use harness::Authenticator;
use serde_json::{Value, json};

use crate::app::{Answer, Pair, TestApp};
use crate::passkeys::{BOT, EMAIL, ORIGIN, on_every_store, unauthorized};

/// A person with one passkey.
async fn with_passkey(app: &TestApp, email: &str) -> (Pair, Authenticator) {
    let pair = app.login(email).await;
    let mut device = Authenticator::new(ORIGIN);
    assert_eq!(app.register(&pair, &mut device).await.status, 201);
    (pair, device)
}

/// A way in which an answer does not fit: what it is called, and what makes it so.
type Wrong = (&'static str, fn(&mut Authenticator));

fn wrong_answers() -> Vec<Wrong> {
    vec![
        ("another origin", |device| device.origin = "https://evil.test".to_owned()),
        ("a page below the domain that is not listed", |device| {
            device.origin = "https://www.dev-domain.test".to_owned();
        }),
        ("the same page without TLS", |device| device.origin = "http://dev-domain.test".to_owned()),
        ("another domain", |device| device.domain = Some("evil.test".to_owned())),
        ("another challenge", |device| device.challenge = Some("AAAA".to_owned())),
        ("no challenge", |device| device.challenge = Some(String::new())),
        ("another kind of ceremony", |device| device.kind = Some("payment.get".to_owned())),
        ("the person was not verified", |device| device.flags = 0x01),
        ("the person was not there", |device| device.flags = 0x04),
        ("a backup of what cannot be backed up", |device| device.flags = 0x15),
    ]
}

#[tokio::test]
async fn an_answer_that_does_not_fit_registers_nothing() {
    let app = TestApp::new().await;
    let pair = app.login(EMAIL).await;
    for (what, change) in wrong_answers() {
        let mut device = Authenticator::new(ORIGIN);
        change(&mut device);
        assert_eq!(app.register(&pair, &mut device).await, unauthorized(), "{what}");
    }
    let mut device = Authenticator::new(ORIGIN);
    device.kind = Some("webauthn.get".to_owned());
    assert_eq!(app.register(&pair, &mut device).await, unauthorized());
    let mut device = Authenticator::new(ORIGIN);
    device.algorithm = -65_535;
    assert_eq!(app.register(&pair, &mut device).await, unauthorized(), "an algorithm that was not offered");
    for length in [0, 1_024] {
        let mut device = Authenticator::new(ORIGIN);
        device.id = vec![7; length];
        assert_eq!(app.register(&pair, &mut device).await, unauthorized(), "an id of {length} bytes");
    }
    assert_eq!(app.passkeys(&pair).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_fit_signs_nobody_in() {
    on_every_store(async |app: TestApp| {
        let (_, mut device) = with_passkey(&app, EMAIL).await;
        for (what, change) in wrong_answers() {
            let honest = (device.origin.clone(), device.flags);
            change(&mut device);
            assert_eq!(app.sign_in(EMAIL, &mut device).await, unauthorized(), "{what}");
            (device.origin, device.flags) = honest;
            (device.domain, device.challenge, device.kind) = (None, None, None);
        }
        device.kind = Some("webauthn.create".to_owned());
        assert_eq!(app.sign_in(EMAIL, &mut device).await, unauthorized());
        device.kind = None;
        let begun = app.begun_sign_in(EMAIL).await;
        let mut answer = device.get(&begun.options);
        answer["response"]["signature"] =
            Authenticator::new(ORIGIN).get(&begun.options)["response"]["signature"].clone();
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized(), "another key");
        let begun = app.begun_sign_in(EMAIL).await;
        let mut answer = device.get(&begun.options);
        answer["response"]["userHandle"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized(), "of another person");
        assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201, "and the passkey still works");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceremony_is_used_once_by_its_owner_and_in_time() {
    on_every_store(async |app: TestApp| {
        let (pair, mut device) = with_passkey(&app, EMAIL).await;
        let bot = app.login(BOT).await;

        // Registration: of another person, then its owner, then again.
        let begun = app.begin_registration(&pair).await;
        let answer = Authenticator::new(ORIGIN).create(&begun.options).unwrap();
        assert_eq!(app.finish_registration(&bot, &begun.id, &answer).await, unauthorized());
        assert_eq!(app.finish_registration(&pair, &begun.id, &answer).await.status, 201);
        assert_eq!(app.finish_registration(&pair, &begun.id, &answer).await, unauthorized());

        // Sign-in: under another address, then the right one, then again.
        let begun = app.begun_sign_in(EMAIL).await;
        let answer = device.get(&begun.options);
        for other in [BOT, "nobody@example.com", "no-address", "%00@b", ""] {
            assert_eq!(app.finish_sign_in(other, &begun.id, &answer).await, unauthorized(), "{other:?}");
        }
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await.status, 201);
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized(), "replayed");
        let next = app.begun_sign_in(EMAIL).await;
        assert_eq!(app.finish_sign_in(EMAIL, &next.id, &answer).await, unauthorized(), "of the last ceremony");

        // A refused answer uses the ceremony up.
        let begun = app.begun_sign_in(EMAIL).await;
        let mut wrong = device.get(&begun.options);
        wrong["response"]["signature"] = json!("AAAA");
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &wrong).await, unauthorized());
        let right = device.get(&begun.options);
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &right).await, unauthorized());

        // The id of one kind of ceremony is none of the other.
        let begun = app.begin_registration(&pair).await;
        let answer = device.get(&json!({ "publicKey": { "rpId": "dev-domain.test", "challenge": begun.options["publicKey"]["challenge"] } }));
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized());
        for id in ["", "x", "00000000-0000-4000-8000-000000000000"] {
            assert_eq!(app.finish_sign_in(EMAIL, id, &answer).await, unauthorized(), "{id:?}");
        }
    })
    .await;
}

/// Redis has a clock of its own, so this is about the databases.
#[tokio::test]
async fn a_ceremony_expires_after_two_minutes() {
    let app = TestApp::new().await;
    let (pair, mut device) = with_passkey(&app, EMAIL).await;
    for (seconds, expected) in [(119, 201), (120, 401)] {
        let begun = app.begun_sign_in(EMAIL).await;
        let registration = app.begin_registration(&pair).await;
        app.clock.advance_seconds(seconds);
        let answer = device.get(&begun.options);
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await.status, expected, "{seconds}");
        let answer = Authenticator::new(ORIGIN).create(&registration.options).unwrap();
        assert_eq!(
            app.finish_registration(&pair, &registration.id, &answer).await.status,
            expected,
            "{seconds}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_does_not_grow_is_a_copy_of_the_passkey() {
    on_every_store(async |app: TestApp| {
        let (_, mut device) = with_passkey(&app, EMAIL).await;
        device.counter = Some(9);
        assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201, "10");
        for counter in [9, 3] {
            device.counter = Some(counter);
            assert_eq!(app.sign_in(EMAIL, &mut device).await, unauthorized(), "{} after 10", counter + 1);
        }
        device.counter = None;
        assert_eq!(
            app.sign_in(EMAIL, &mut device).await,
            unauthorized(),
            "a device that has counted goes on counting"
        );
        device.counter = Some(10);
        assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201, "11");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_belongs_to_one_person() {
    on_every_store(async |app: TestApp| {
        let (pair, mut device) = with_passkey(&app, EMAIL).await;
        let (bot, mut bots) = with_passkey(&app, BOT).await;

        // Not to be deleted, nor registered, by another person.
        let path = format!("DELETE /auth/passkeys/{}", device.id_text());
        assert_eq!(app.call_as(&bot, &path, "").await, Answer::text(404, "Not found passkey"));
        assert_eq!(app.register(&bot, &mut device).await, unauthorized());
        assert_eq!(app.passkeys(&bot).await.len(), 1);

        // Not to sign another person in.
        assert_eq!(app.sign_in(EMAIL, &mut bots).await, unauthorized());
        // Nor when the address has moved to another person in the middle of the ceremony.
        let mut own = Authenticator::new(ORIGIN);
        assert_eq!(app.register(&pair, &mut own).await.status, 201);
        let begun = app.begun_sign_in(EMAIL).await;
        let answer = own.get(&begun.options);
        app.people.set(EMAIL, crate::app::BOT, 2);
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized());
        app.people.remove(EMAIL);
        assert_eq!(app.begin_sign_in(EMAIL).await, Answer::text(404, "Not found user"));
        app.people.set(EMAIL, crate::app::DEMO, 0);

        // Deleted in the middle of the ceremony.
        let begun = app.begun_sign_in(EMAIL).await;
        let answer = own.get(&begun.options);
        let path = format!("DELETE /auth/passkeys/{}", own.id_text());
        assert_eq!(app.call_as(&pair, &path, "").await.status, 204);
        assert_eq!(app.finish_sign_in(EMAIL, &begun.id, &answer).await, unauthorized());
    })
    .await;
}

#[tokio::test]
async fn without_a_person_there_is_nothing() {
    let app = TestApp::new().await;
    for line in [
        "GET /auth/passkeys",
        "DELETE /auth/passkeys/AA",
        "POST /auth/passkey/registration",
        "PATCH /auth/passkey/registration?registration-id=x",
    ] {
        assert_eq!(app.call(line, &[], "{}").await, unauthorized(), "{line}");
    }
    let unknown = Answer::text(404, "Not found user");
    for email in ["nobody@example.com", EMAIL, "no-address", "a%00@b", "", "a@b%0d%0ac", &"x".repeat(5_000)] {
        assert_eq!(app.begin_sign_in(email).await, unknown, "{email:?}");
    }
    let line = "POST /auth/passkey/authentication";
    assert_eq!(app.call(line, &[], "").await, Answer::text(400, "the query has no `email`"));
}

#[tokio::test]
async fn hostile_bytes_get_the_contracts_answer() {
    let app = TestApp::new().await;
    let (pair, mut device) = with_passkey(&app, EMAIL).await;
    for id in ["A", "A=", "AA==", "*", "%ff", "A/A", &"A".repeat(3_000)] {
        let status = app.call_as(&pair, &format!("DELETE /auth/passkeys/{id}"), "").await.status;
        // The last one is base64url, and longer than the id of any passkey.
        assert_eq!(status, if id.contains('/') || id.len() == 3_000 { 404 } else { 400 }, "{id}");
    }
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies =
        ["", "{", "null", "[]", "{}", "{\"rawId\":1}", "\u{0}", &deep, "{\"rawId\":\"AA\",\"response\":{}}"];
    for body in bodies {
        let begun = app.begun_sign_in(EMAIL).await;
        let path = format!("PATCH /auth/passkey/authentication?authentication-id={}&email={EMAIL}", begun.id);
        assert_eq!(app.call(&path, &[], body).await.status, 400, "{body:.40}");
        let begun = app.begin_registration(&pair).await;
        let path = format!("PATCH /auth/passkey/registration?registration-id={}", begun.id);
        assert_eq!(app.call_as(&pair, &path, body).await.status, 400, "{body:.40}");
    }
    let large = "x".repeat(kit::surface::MAX_BODY_BYTES + 1);
    let path = "PATCH /auth/passkey/authentication?authentication-id=x&email=x";
    assert_eq!(app.call(path, &[], &large).await.status, 413);

    // Each part of an honest answer replaced by rubbish: not base64, not CBOR, nested CBOR, lengths that lie.
    let nested = base64(&[0x81; 40_000]);
    let lies = base64(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let map = base64(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    for rubbish in ["", "A", "*", "AAAA", "bnVsbA", "W10", &nested, &lies, &map] {
        for part in ["clientDataJSON", "attestationObject"] {
            let begun = app.begin_registration(&pair).await;
            let mut answer = Authenticator::new(ORIGIN).create(&begun.options).unwrap();
            answer["response"][part] = json!(rubbish);
            let refused = app.finish_registration(&pair, &begun.id, &answer).await;
            assert_eq!(refused, unauthorized(), "{part}: {rubbish:.20}");
        }
        for part in ["clientDataJSON", "authenticatorData", "signature", "userHandle"] {
            let begun = app.begun_sign_in(EMAIL).await;
            let mut answer = device.get(&begun.options);
            answer["response"][part] = json!(rubbish);
            let refused = app.finish_sign_in(EMAIL, &begun.id, &answer).await;
            assert_eq!(refused, unauthorized(), "{part}: {rubbish:.20}");
        }
        let begun = app.begun_sign_in(EMAIL).await;
        let mut answer = device.get(&begun.options);
        answer["rawId"] = json!(rubbish);
        assert_eq!(
            app.finish_sign_in(EMAIL, &begun.id, &answer).await,
            unauthorized(),
            "rawId: {rubbish:.20}"
        );
    }
    assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_passkey_that_cannot_be_read_does_not_keep_the_person_from_the_others() {
    use sea_orm::ConnectionTrait as _;
    let app = TestApp::new().await;
    let (pair, mut device) = with_passkey(&app, EMAIL).await;
    let mut foreign = Authenticator::new(ORIGIN);
    assert_eq!(app.register(&pair, &mut foreign).await.status, 201);
    let id: String = foreign.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let damage = format!("update passkeys set credential = x'7b7d' where credential_id = x'{id}'");
    app.database().await.execute_unprepared(&damage).await.unwrap();
    assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201);
    assert_eq!(app.sign_in(EMAIL, &mut foreign).await, unauthorized());
    let path = format!("DELETE /auth/passkeys/{}", foreign.id_text());
    assert_eq!(app.call_as(&pair, &path, "").await.status, 204);
}
