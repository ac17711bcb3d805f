//! The exchange through the legacy backend's own endpoint: with the legacy sample as it is run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auth::settings::{Legacy, LegacyWay, Settings};
use axum::Router;
use axum::routing::get;
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
    let check_role = async |(cookie, identity): (String, String), query: &str| {
        let headers = [("cookie", cookie.as_str()), ("x-madome-identity", identity.as_str())];
        app.call(&format!("GET /auth/token{query}"), &headers, "").await
    };
    let check = async |request| check_role(request, "").await;
    let answer = check(as_the_edge(&old, &old)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&body["user_id"], &body["user_role"]),
        (&json!(SAMPLE_DEMO), &json!(1)),
        "the account's role"
    );
    assert_eq!(check_role(as_the_edge(&old, &old), "?role=1").await.status, 200);
    assert_eq!(check_role(as_the_edge(&old, &old), "?role=2").await.status, 403);
    let refused = Answer::text(401, "Unauthorized");
    assert_eq!(check(as_the_edge(&old, &other)).await, refused, "the token of another session");
    let forged = Pair { access: format!("{}x", old.access), ..old.clone() };
    assert_eq!(check(as_the_edge(&old, &forged)).await, refused, "the legacy backend does not know it");
    assert_eq!(app.logout(&old).await.status, 204);
    assert_eq!(check(as_the_edge(&old, &old)).await, refused, "it has ended");
    sample.legacy.stop();
    assert_eq!(check(as_the_edge(&other, &other)).await.status, 500, "no answer is not a yes");
}

/// A browser keeps the legacy refresh cookie of an exchanged session when the two generations have other paths.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_session_of_this_service_signs_out_while_the_legacy_backend_is_away() {
    let mut sample = Sample::start();
    let app = beside(sample.legacy.address()).await;
    let old = sample.sign_in().await;
    let new = app.refresh(&old).await.pair();
    sample.legacy.stop();
    let both = format!("{}; madome_refresh_token={}", new.cookie(), old.refresh);
    let answer = app.call("DELETE /auth/token", &[("cookie", &both)], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert!(answer.cookies.len() >= 2 && answer.cookies.iter().all(|line| line.contains("Max-Age=0")));
    assert_eq!(app.check(&new, "").await.status, 401, "it has ended");
}

/// How many sign-outs a server that holds them has, in all and at once.
#[derive(Default)]
struct Held {
    came: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

/// A legacy backend that answers a check at once, and a sign-out when `release` says so.
async fn slow(held: &Arc<Held>, release: &tokio::sync::watch::Receiver<bool>) -> kit::testing::Wire {
    let (held, release) = (Arc::clone(held), release.clone());
    let sign_out = move || {
        let (held, mut release) = (Arc::clone(&held), release.clone());
        async move {
            held.came.fetch_add(1, Ordering::SeqCst);
            held.most.fetch_max(held.open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            release.wait_for(|released| *released).await.unwrap();
            held.open.fetch_sub(1, Ordering::SeqCst);
            http::StatusCode::NO_CONTENT
        }
    };
    let check = || async { http::StatusCode::OK };
    kit::testing::Wire::start(Router::new().route("/auth/token", get(check).delete(sign_out))).await
}

/// A token in the legacy backend's form, which any client can write.
fn made_up(number: usize, marker: &str) -> String {
    let session = format!("0192d3c0-0000-4000-8000-{number:012}");
    let claims = json!({
        "sub": "madome token", "iss": "x", "iat": 1, "exp": 4_000_000_000_u64, "id": session, "user_id": SAMPLE_DEMO, marker: true,
    });
    crate::exchange::token(&claims, "made up")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_outs_has_a_bound_at_the_legacy_backend_and_takes_no_place_of_a_check() {
    let (held, (release, released)) = (Arc::new(Held::default()), tokio::sync::watch::channel(false));
    let legacy = slow(&held, &released).await;
    let way = LegacyWay::Endpoint { url: format!("http://{}", legacy.address()) };
    let legacy = Some(Legacy { way, timeout: Duration::from_secs(60) });
    let app = TestApp::with(|settings| Settings { legacy, ..settings }).await;
    app.people.set(EMAIL, SAMPLE_DEMO, 1);
    let sign_out = async |number: usize| {
        let cookie = format!("madome_refresh_token={}", made_up(number, "_r"));
        app.call("DELETE /auth/token", &[("cookie", &cookie)], "").await.status
    };
    let flood = futures_util::future::join_all((0..100).map(sign_out));
    let meanwhile = async {
        harness::eventually_async("every place is taken", async || held.open.load(Ordering::SeqCst) == 32)
            .await;
        let session = "0192d3c0-0000-4000-8000-000000000001";
        let identity =
            app.edge.person(&kit::testing::person(SAMPLE_DEMO, session, identity::Role(0)), "auth");
        let cookie = format!("madome_access_token={}", made_up(1, "_a"));
        let headers = [("cookie", cookie.as_str()), ("x-madome-identity", identity.as_str())];
        let check = app.call("GET /auth/token", &headers, "").await;
        release.send(true).unwrap();
        check
    };
    let (answers, check) = tokio::join!(flood, meanwhile);
    assert_eq!(check.status, 200, "{check:?}");
    assert!(answers.iter().all(|status| *status == 204), "each had its turn: {answers:?}");
    assert_eq!((held.came.load(Ordering::SeqCst), held.most.load(Ordering::SeqCst)), (100, 32));
    // One request with eight of them: the last two count.
    let cookies: Vec<_> =
        (0..8).map(|number| format!("madome_refresh_token={}", made_up(number, "_r"))).collect();
    let answer = app.call("DELETE /auth/token", &[("cookie", &cookies.join("; "))], "").await;
    assert_eq!((answer.status, held.came.load(Ordering::SeqCst)), (204, 102));
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
