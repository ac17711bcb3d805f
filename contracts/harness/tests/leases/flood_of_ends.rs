//! One person refreshes without end, and the authorizer has room for a few ended sessions only: other people are not
//! affected, and a session that signs out is refused as always. With the file and with Redis.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::tokens::DEMO_TENANT;
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, Part, Redis, eventually};
use serde_json::Value;

/// Few enough that the flood exceeds it by far.
const ROOM: &str = "6";

fn edge(backend: &Backend, redis: Option<&Redis>) -> Edge {
    let mut builder = Edge::dev()
        .without(Part::Authz)
        .stand_in("LEGACY_ADDRESS", backend.address())
        .variable("AUTHZ_REVOCATIONS", ROOM)
        .replace(
            "policies:\n",
            "api_keys: { file: \"${CUTOVER_HOME}/api-keys.jsonl\" }

policies:
  either: { kind: session, accept: [session, api-key] }
",
        )
        .replace(
            "routes:\n",
            "routes:
  - { name: either, host: api, prefix: /either, policy: either, to: legacy, answers: users }
",
        );
    if let Some(redis) = redis {
        builder = builder.variable("REDIS_URL", &redis.url());
    }
    builder.start()
}

struct Person {
    cookies: String,
}

impl Person {
    fn of(answer: &Answer) -> Self {
        let lines = answer.all("set-cookie");
        let cookies: Vec<&str> = lines.iter().filter_map(|line| line.split(';').next()).collect();
        assert_eq!(cookies.len(), 2, "{answer:?}");
        Self { cookies: cookies.join("; ") }
    }

    fn sign_in(edge: &Edge, address: &str) -> Self {
        let asked = edge.request("POST", "/auth/code").body(format!("{{\"email\":\"{address}\"}}")).send();
        assert_eq!(asked.status, 201, "{asked:?}");
        let code = edge.login_code(address);
        let body = format!("{{\"email\":\"{address}\",\"code\":\"{code}\"}}");
        let answer = edge.request("POST", "/auth/token").body(body).send();
        assert_eq!(answer.status, 201, "{answer:?}");
        Self::of(&answer)
    }

    fn with(&self, request: Request) -> Answer {
        request.header("cookie", &self.cookies).send()
    }

    fn me(&self, edge: &Edge) -> u16 {
        self.with(edge.get("/users/@me")).status
    }
}

fn api_key(edge: &Edge) -> String {
    let arguments = ["apikey", "--json", "new", "--client", "nightly", "--tenant", DEMO_TENANT];
    let made: Value = serde_json::from_str(&edge.cutover(&arguments)).expect("it prints JSON");
    made.get("key").and_then(Value::as_str).expect("a key has a text").to_owned()
}

fn admin(edge: &Edge, path: &str) -> Answer {
    Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", path).send()
}

fn a_flood_of_one_person_affects_no_other_person(redis: Option<&Redis>) {
    let backend = Backend::plain();
    let mut edge = edge(&backend, redis);
    let key = api_key(&edge);
    edge.start(Part::Authz);
    edge.wait_until_ready();

    let dev = Person::sign_in(&edge, "dev@example.com");
    let mut flooder = Person::sign_in(&edge, "demo@example.com");
    let mut refreshes = 0;
    // As often as the edge and the service allow one person: each refresh ends a session.
    for _ in 0..500 {
        let answer = flooder.with(edge.request("PATCH", "/auth/token"));
        if answer.status == 429 {
            break;
        }
        assert_eq!(answer.status, 201, "{answer:?}");
        flooder = Person::of(&answer);
        refreshes += 1;
    }
    assert!((10..500).contains(&refreshes), "{refreshes} refreshes until the first refusal");
    eventually("the list has no room for all of them", || {
        let stats = admin(&edge, "/stats").json();
        stats.pointer("/revocations/beyond_room").and_then(Value::as_u64) > Some(0)
    });

    // Other people are not affected.
    for _ in 0..20 {
        assert_eq!(dev.me(&edge), 200, "another person's session");
        assert_eq!(flooder.me(&edge), 200, "the newest session of the flooder");
        assert_eq!(edge.get("/either").header("x-api-key", &key).send().status, 200, "an API key");
    }
    assert_eq!(edge.get("/users/@me").send().status, 401, "a request without a session gets 401 and not 503");
    let bot = Person::sign_in(&edge, "bot@example.com");
    assert_eq!(bot.me(&edge), 200, "signing in works, and services look people up");
    let ready = admin(&edge, "/readyz");
    assert_eq!(ready.status, 200, "{ready:?}");
    assert!(ready.text().contains("no room for"), "{}", ready.text());
    assert!(admin(&edge, "/metrics").text().contains("authz_revocations_beyond_room"));

    // A session that signs out is refused, although the list has no room to note it.
    assert_eq!(dev.with(edge.request("DELETE", "/auth/token")).status, 204);
    eventually("the session that was signed out is refused", || dev.me(&edge) != 200);
    for _ in 0..20 {
        assert_ne!(dev.me(&edge), 200, "it stays refused");
    }
    assert_eq!((bot.me(&edge), flooder.me(&edge)), (200, 200));
}

#[test]
fn one_person_who_refreshes_without_end_affects_no_other_person_with_the_file() {
    a_flood_of_one_person_affects_no_other_person(None);
}

#[test]
fn one_person_who_refreshes_without_end_affects_no_other_person_with_redis() {
    let redis = Redis::start();
    a_flood_of_one_person_affects_no_other_person(Some(&redis));
}
