//! Passkeys with a software authenticator: registration, sign-in, list and removal, on both databases, with ceremonies in the
//! database and in Redis.

use harness::{Authenticator, Redis};
use kit::generation::Surface;
use kit::testing::PrivatePostgres;
use serde_json::{Value, json};

use auth::passkey::MAX_PASSKEYS;
use auth::passkey::ceremony::MAX_ALIVE;
use auth::settings::Settings;

use crate::app::{Answer, Pair, TestApp, person};

pub(crate) const EMAIL: &str = "demo@example.com";
pub(crate) const BOT: &str = "bot@example.com";
pub(crate) const ORIGIN: &str = "https://dev-domain.test";
const SIGN_IN: &str = "/auth/passkey/authentication";

/// The first half of a ceremony: its id, and its options.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) options: Value,
}

impl Begun {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.content_type.as_deref(), Some("application/json"));
        let options = serde_json::from_str(&answer.body).unwrap();
        Self { id: answer.ceremony.clone().unwrap(), options }
    }
}

impl TestApp {
    /// Sends `METHOD /path` as the edge does for a signed-in person.
    pub(crate) async fn call_as(&self, pair: &Pair, line: &str, body: &str) -> Answer {
        let identity = self.edge.person(&person(pair), "auth");
        self.call(line, &[("x-madome-identity", &identity)], body).await
    }

    pub(crate) async fn begin_registration(&self, pair: &Pair) -> Begun {
        Begun::of(&self.call_as(pair, "POST /auth/passkey/registration", "").await)
    }

    pub(crate) async fn finish_registration(&self, pair: &Pair, id: &str, answer: &Value) -> Answer {
        let line = format!("PATCH /auth/passkey/registration?registration-id={id}");
        self.call_as(pair, &line, &answer.to_string()).await
    }

    pub(crate) async fn register(&self, pair: &Pair, device: &mut Authenticator) -> Answer {
        let begun = self.begin_registration(pair).await;
        let answer = device.create(&begun.options).unwrap();
        self.finish_registration(pair, &begun.id, &answer).await
    }

    pub(crate) async fn begin_sign_in(&self, email: &str) -> Answer {
        self.call(&format!("POST {SIGN_IN}?email={email}"), &[], "").await
    }

    pub(crate) async fn begun_sign_in(&self, email: &str) -> Begun {
        Begun::of(&self.begin_sign_in(email).await)
    }

    pub(crate) async fn finish_sign_in(&self, email: &str, id: &str, answer: &Value) -> Answer {
        let line = format!("PATCH {SIGN_IN}?authentication-id={id}&email={email}");
        self.call(&line, &[], &answer.to_string()).await
    }

    pub(crate) async fn sign_in(&self, email: &str, device: &mut Authenticator) -> Answer {
        let begun = self.begun_sign_in(email).await;
        let answer = device.get(&begun.options);
        self.finish_sign_in(email, &begun.id, &answer).await
    }

    pub(crate) async fn passkeys(&self, pair: &Pair) -> Vec<Value> {
        let answer = self.call_as(pair, "GET /auth/passkeys", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }
}

pub(crate) fn unauthorized() -> Answer {
    Answer::text(401, "Unauthorized")
}

/// Every kind of store: SQLite, PostgreSQL, and Redis beside SQLite.
pub(crate) async fn on_every_store(what: impl AsyncFn(TestApp)) {
    what(TestApp::new().await).await;
    let postgres = PrivatePostgres::start();
    what(TestApp::on(Some(postgres.url())).await).await;
    let redis = Redis::start();
    what(TestApp::on_both(None, Some(redis.url())).await).await;
}

#[tokio::test]
async fn every_answer_to_a_person_has_the_expiry_of_the_access_token() {
    let app = TestApp::new().await;
    let pair = app.login(EMAIL).await;
    let exp = Some(pair.claim("exp").to_string());
    let (cookie, identity) = (pair.cookie(), app.edge.person(&person(&pair), "auth"));
    let headers = [("cookie", cookie.as_str()), ("x-madome-identity", identity.as_str())];
    let send = async |line: &str, body: &str, status: u16| {
        let answer = app.call(line, &headers, body).await;
        assert_eq!((answer.status, &answer.expires), (status, &exp), "{line}: {answer:?}");
        answer
    };
    let begun = Begun::of(&send("POST /auth/passkey/registration", "", 200).await);
    let mut device = Authenticator::new(ORIGIN);
    let made = device.create(&begun.options).unwrap().to_string();
    let finish = format!("PATCH /auth/passkey/registration?registration-id={}", begun.id);
    send(&finish, "no JSON", 400).await;
    send(&finish, &made, 201).await;
    send(&finish, &made, 401).await;
    send("GET /auth/passkeys", "", 200).await;
    let delete = format!("DELETE /auth/passkeys/{}", device.id_text());
    send(&delete, "", 204).await;
    send(&delete, "", 404).await;
    send("DELETE /auth/passkeys/!", "", 400).await;
    send("DELETE /auth/passkeys/%ff", "", 400).await;
    // A client without a session gets none.
    let answer = app.call("GET /auth/passkeys", &headers[..1], "").await;
    assert_eq!(answer, unauthorized());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_like_a_code_until_it_is_deleted() {
    on_every_store(async |app: TestApp| {
        let pair = app.login(EMAIL).await;
        assert_eq!(app.passkeys(&pair).await, Vec::<Value>::new());
        let mut device = Authenticator::new(ORIGIN);
        let registered = app.register(&pair, &mut device).await;
        assert_eq!(registered, Answer::text(201, ""), "no cookies: the person is signed in already");

        let listed = app.passkeys(&pair).await;
        let [one] = &listed[..] else { unreachable!("{listed:?}") };
        assert_eq!(one["credential_id"], device.id_text());
        let at = one["created_at"].as_str().unwrap();
        assert!(at.len() == 24 && at.ends_with(".000Z"), "milliseconds: {at}");

        for _ in 0..2 {
            let answer = app.sign_in(EMAIL, &mut device).await;
            let new = answer.pair();
            let expires = new.claim("exp").to_string();
            let lines = [
                format!(
                    "madome_access_token={}; Domain=dev-domain.test; Max-Age=604800; Path=/; SameSite=Lax; HttpOnly; Secure",
                    new.access
                ),
                format!(
                    "madome_refresh_token={}; Domain=dev-domain.test; Max-Age=604800; Path=/auth/token; SameSite=Lax; HttpOnly; Secure",
                    new.refresh
                ),
            ];
            let expected = Answer {
                status: 201,
                content_type: None,
                expires: Some(expires),
                ceremony: None,
                cookies: lines.to_vec(),
                body: String::new(),
            };
            assert_eq!(answer, expected);
            assert_eq!(new.claim("sub"), pair.claim("sub"));
            // A session like any other.
            assert_eq!(app.check(&new, "").await.status, 200);
            let newer = app.refresh(&new).await.pair();
            assert_eq!(app.logout(&newer).await.status, 204);
        }

        let path = format!("DELETE /auth/passkeys/{}", device.id_text());
        assert_eq!(app.call_as(&pair, &path, "").await, Answer::text(204, ""));
        assert_eq!(app.call_as(&pair, &path, "").await, Answer::text(404, "Not found passkey"));
        assert_eq!(app.passkeys(&pair).await, Vec::<Value>::new());
        assert_eq!(app.begin_sign_in(EMAIL).await, Answer::text(404, "Not found user"), "as for an unknown address");
    })
    .await;
}

#[tokio::test]
async fn the_options_are_those_of_this_domain_and_name_the_passkeys_of_the_person() {
    let app = TestApp::new().await;
    let pair = app.login(EMAIL).await;
    let begun = app.begin_registration(&pair).await;
    assert_eq!(uuid::Uuid::parse_str(&begun.id).unwrap().get_version_num(), 4);
    let options = &begun.options["publicKey"];
    assert_eq!(options["rp"], json!({ "name": "Madome", "id": "dev-domain.test" }));
    assert_eq!(options["user"]["name"], EMAIL);
    assert_eq!(options["user"]["displayName"], "Somebody");
    assert_eq!(options["timeout"], 120_000);
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["excludeCredentials"], json!([]));

    let mut device = Authenticator::new(ORIGIN);
    assert_eq!(app.register(&pair, &mut device).await.status, 201);
    let again = app.begin_registration(&pair).await;
    assert!(device.create(&again.options).is_none(), "a browser does not register the same device again");
    let begun = app.begun_sign_in(EMAIL).await;
    assert_eq!(uuid::Uuid::parse_str(&begun.id).unwrap().get_version_num(), 4);
    let options = &begun.options["publicKey"];
    assert_eq!(options["rpId"], "dev-domain.test");
    assert_eq!(options["userVerification"], "required");
    let allowed = options["allowCredentials"].as_array().unwrap();
    assert_eq!((allowed.len(), &allowed[0]["id"]), (1, &json!(device.id_text())));
    let challenges = [&begun.options, &app.begun_sign_in(EMAIL).await.options]
        .map(|o| o["publicKey"]["challenge"].clone());
    assert_ne!(challenges[0], challenges[1]);
    assert!(challenges[0].as_str().unwrap().len() >= 43, "32 random bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_passkeys_and_a_device_that_does_not_count() {
    on_every_store(async |app: TestApp| {
        let pair = app.login(EMAIL).await;
        let (mut one, mut other) = (Authenticator::new(ORIGIN), Authenticator::new(ORIGIN));
        other.counter = None;
        for device in [&mut one, &mut other] {
            assert_eq!(app.register(&pair, device).await.status, 201);
        }
        for _ in 0..3 {
            assert_eq!(app.sign_in(EMAIL, &mut one).await.status, 201);
            assert_eq!(app.sign_in(EMAIL, &mut other).await.status, 201);
        }
        assert_eq!(app.passkeys(&pair).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_simultaneous_answers_in_one_ceremony_one_signs_in() {
    on_every_store(async |app: TestApp| {
        let pair = app.login(EMAIL).await;
        let mut device = Authenticator::new(ORIGIN);
        assert_eq!(app.register(&pair, &mut device).await.status, 201);
        let begun = app.begun_sign_in(EMAIL).await;
        let answer = device.get(&begun.options);
        let finish = || app.finish_sign_in(EMAIL, &begun.id, &answer);
        let (a, b, c, d) = tokio::join!(finish(), finish(), finish(), finish());
        let mut statuses = [a.status, b.status, c.status, d.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 401, 401, 401]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_ceremony_replaces_the_oldest_and_locks_nobody_out() {
    on_every_store(async |app: TestApp| {
        let pair = app.login(EMAIL).await;
        let mut device = Authenticator::new(ORIGIN);
        assert_eq!(app.register(&pair, &mut device).await.status, 201);
        let first = app.begun_sign_in(EMAIL).await;
        app.clock.advance_seconds(1);
        let second = app.begun_sign_in(EMAIL).await;
        app.clock.advance_seconds(1);
        for _ in 0..MAX_ALIVE - 1 {
            let _ = app.begun_sign_in(EMAIL).await;
        }
        let answer = device.get(&first.options);
        assert_eq!(app.finish_sign_in(EMAIL, &first.id, &answer).await, unauthorized());
        let answer = device.get(&second.options);
        assert_eq!(app.finish_sign_in(EMAIL, &second.id, &answer).await.status, 201);
        // A stranger begins as many as they like; the person still signs in.
        for _ in 0..MAX_ALIVE / 4 {
            let _ = app.begun_sign_in(EMAIL).await;
        }
        assert_eq!(app.sign_in(EMAIL, &mut device).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn a_person_has_a_bounded_number_of_passkeys() {
    let app = TestApp::new().await;
    let pair = app.login(EMAIL).await;
    let early = app.begin_registration(&pair).await;
    for _ in 0..MAX_PASSKEYS {
        assert_eq!(app.register(&pair, &mut Authenticator::new(ORIGIN)).await.status, 201);
    }
    let refused = Answer::text(429, "Too many created passkey");
    assert_eq!(app.call_as(&pair, "POST /auth/passkey/registration", "").await, refused);
    let answer = Authenticator::new(ORIGIN).create(&early.options).unwrap();
    assert_eq!(app.finish_registration(&pair, &early.id, &answer).await, refused);
    let bot = app.login(BOT).await;
    assert_eq!(app.register(&bot, &mut Authenticator::new(ORIGIN)).await.status, 201);
}

#[tokio::test]
async fn ceremonies_are_in_redis_under_their_names_and_expire_there() {
    use redis::AsyncCommands as _;
    let redis = Redis::start();
    let app = TestApp::on_both(None, Some(redis.url())).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut store = client.get_multiplexed_async_connection().await.unwrap();
    let pair = app.login(EMAIL).await;
    let registration = app.begin_registration(&pair).await;
    assert_eq!(app.register(&pair, &mut Authenticator::new(ORIGIN)).await.status, 201);
    let sign_in = app.begun_sign_in(EMAIL).await;
    let person = pair.claim("sub");
    for name in [
        format!("passkey_reg:{}:{}", person.as_str().unwrap(), registration.id),
        format!("passkey_auth:{EMAIL}:{}", sign_in.id),
        format!("passkey_auth:{EMAIL}:ids"),
    ] {
        let life: i64 = store.ttl(&name).await.unwrap();
        assert!((100..=120).contains(&life), "{name} lives for {life} s");
    }
    for _ in 0..3 * MAX_ALIVE {
        let _ = app.begun_sign_in(EMAIL).await;
    }
    let all: Vec<String> = store.keys("passkey_auth:*").await.unwrap();
    assert_eq!(all.len(), MAX_ALIVE + 1, "with the list of ids");
}

#[tokio::test]
async fn the_older_surface_has_no_passkeys() {
    let older = |settings| Settings { surface: Surface::Older, cookies: Surface::Older, ..settings };
    let app = TestApp::with(older).await;
    let pair = app.login(EMAIL).await;
    for line in ["GET /auth/passkeys", "DELETE /auth/passkeys/AA", "POST /auth/passkey/registration"] {
        assert_eq!(app.call_as(&pair, line, "").await, Answer::text(404, "Not found"), "{line}");
    }
    assert_eq!(app.begin_sign_in(EMAIL).await, Answer::text(404, "Not found"));
}
