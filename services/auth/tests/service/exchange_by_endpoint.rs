//! The exchange through the legacy backend's own endpoint: with the legacy sample as it is run.

use std::net::SocketAddr;
use std::time::Duration;

use auth::settings::{Legacy, LegacyWay, Settings};
use harness::LegacySample;
use serde_json::{Value, json};

use crate::app::{Answer, DEMO, Pair, TestApp};

const EMAIL: &str = "demo@example.com";
/// Demo's id in the sample.
const SAMPLE_DEMO: &str = "00000000-0000-7000-8000-0000000000d0";

/// The legacy sample, and a client of it.
struct Sample {
    legacy: LegacySample,
    client: reqwest::Client,
}

impl Sample {
    fn start() -> Self {
        Self { legacy: LegacySample::start(), client: reqwest::Client::new() }
    }

    async fn call(&self, method: &str, path: &str, cookie: &str, body: Value) -> (u16, Vec<String>) {
        let url = format!("http://{}{path}", self.legacy.address());
        let request = self.client.request(method.parse().unwrap(), url).header("cookie", cookie);
        let answer = request.body(body.to_string()).send().await.unwrap();
        let lines =
            answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned());
        (answer.status().as_u16(), lines.collect())
    }

    /// Signs in as a person does.
    async fn sign_in(&self) -> Pair {
        assert_eq!(self.call("POST", "/auth/code", "", json!({ "email": EMAIL })).await.0, 201);
        let mut mails: Vec<_> = std::fs::read_dir(self.legacy.home().join("mail").join(EMAIL))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        mails.sort();
        let mail: Value = serde_json::from_slice(&std::fs::read(mails.last().unwrap()).unwrap()).unwrap();
        let body = json!({ "email": EMAIL, "code": mail["variables"]["authcode"] });
        pair(&self.call("POST", "/auth/token", "", body).await.1)
    }

    async fn check(&self, pair: &Pair) -> u16 {
        self.call("GET", "/auth/token", &pair.cookie(), Value::Null).await.0
    }
}

/// Returns the tokens of `Set-Cookie` lines in any order.
fn pair(lines: &[String]) -> Pair {
    let value = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(&format!("madome_{name}_token="))).unwrap();
        line.split(';').next().unwrap().to_owned()
    };
    Pair { access: value("access"), refresh: value("refresh") }
}

async fn beside(address: SocketAddr) -> TestApp {
    let way = LegacyWay::Endpoint { url: format!("http://{address}") };
    let legacy = Some(Legacy { way, timeout: Duration::from_secs(2) });
    let app = TestApp::with(|settings| Settings { legacy, ..settings }).await;
    app.people.set(EMAIL, SAMPLE_DEMO, 1);
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_exchanged_once_and_ends_at_the_legacy_backend() {
    let sample = Sample::start();
    let app = beside(sample.legacy.address()).await;
    let (old, other) = (sample.sign_in().await, sample.sign_in().await);
    let mixed = Pair { access: old.access.clone(), refresh: other.refresh.clone() };
    assert_eq!(app.refresh(&mixed).await, Answer::text(401, "Invalid token pair"));
    let forged = Pair { refresh: format!("{}x", old.refresh), ..old.clone() };
    assert_eq!(app.refresh(&forged).await, Answer::text(401, "Unauthorized"));
    assert_eq!(sample.check(&old).await, 200, "nothing was used up");

    let all = futures_util::future::join_all((0..8).map(|_| app.refresh(&old))).await;
    let won: Vec<_> = all.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1, "{all:?}");
    assert_eq!(
        all.iter().filter(|answer| **answer == Answer::text(401, "Unauthorized")).count(),
        7,
        "{all:?}"
    );
    let new = won[0].pair();
    assert_eq!((new.claim("sub"), new.claim("role")), (json!(SAMPLE_DEMO), json!(1)));
    assert_eq!(app.check(&new, "").await.status, 200);
    assert_eq!(sample.check(&old).await, 401);
    assert_eq!(app.refresh(&new).await.status, 201);

    assert_eq!(app.logout(&other).await.status, 204);
    assert_eq!(sample.check(&other).await, 401);
}

/// The edge has verified the session at the legacy backend, and signs who it is. What it says is asked again here: the
/// legacy backend's word counts, and not that of a token whose signature this service cannot verify.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_answered_while_the_legacy_backend_says_that_the_session_is_alive() {
    let mut sample = Sample::start();
    let app = beside(sample.legacy.address()).await;
    let (old, other) = (sample.sign_in().await, sample.sign_in().await);
    let as_the_edge = |pair: &Pair, presented: &Pair| {
        let text = |name: &str| pair.claim(name).as_str().unwrap().to_owned();
        let (subject, session) = (text("user_id").parse().unwrap(), text("id").parse().unwrap());
        let role = Some(identity::Role(0));
        let (tenant, session) = (Some(kit::testing::TENANT.parse().unwrap()), Some(session));
        let (roles, scopes) = (Vec::new(), Vec::new());
        let person = identity::Person { subject, tenant, session, role, roles, scopes };
        (presented.cookie(), app.edge.person(&person, "auth"))
    };
    let check = async |(cookie, identity): (String, String)| {
        let headers = [("cookie", cookie.as_str()), ("x-madome-identity", identity.as_str())];
        app.call("GET /auth/token", &headers, "").await
    };
    let answer = check(as_the_edge(&old, &old)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains(SAMPLE_DEMO), "{answer:?}");
    let refused = Answer::text(401, "Unauthorized");
    assert_eq!(check(as_the_edge(&old, &other)).await, refused, "the token of another session");
    let forged = Pair { access: format!("{}x", old.access), ..old.clone() };
    assert_eq!(check(as_the_edge(&old, &forged)).await, refused, "the legacy backend does not know it");
    assert_eq!(app.logout(&old).await.status, 204);
    assert_eq!(check(as_the_edge(&old, &old)).await, refused, "it has ended");
    sample.legacy.stop();
    assert_eq!(check(as_the_edge(&other, &other)).await.status, 500, "no answer is not a yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_exchange_hands_over_what_the_legacy_backend_gave() {
    let mut sample = Sample::start();
    let app = beside(sample.legacy.address()).await;
    let old = sample.sign_in().await;
    app.people.set_raw(EMAIL, json!({ "id": SAMPLE_DEMO, "role": "x" }));
    let answer = app.refresh(&old).await;
    assert_eq!((answer.status, answer.cookies.len()), (201, 2));
    let still = pair(&answer.cookies);
    assert_eq!(sample.check(&still).await, 200, "the client stays signed in there");
    app.people.set(EMAIL, SAMPLE_DEMO, 0);
    // A person who is gone is signed out on both sides.
    app.people.set(EMAIL, DEMO, 0);
    assert_eq!(app.refresh(&still).await, Answer::text(401, "Unauthorized"));
    assert_eq!(sample.check(&still).await, 401);

    app.people.set(EMAIL, SAMPLE_DEMO, 0);
    let pair = sample.sign_in().await;
    // SIGTERM lets gunicorn end its worker too.
    sample.legacy.stop();
    assert_eq!(app.refresh(&pair).await, Answer::text(500, "Internal server error"));
    assert_eq!(app.logout(&pair).await, Answer::text(500, "Internal server error"), "it did not end");
}
