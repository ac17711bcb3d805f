//! Where keys come from, and what is refused at load (ATTACKS.md A25, G106).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authz_service::credential::keys::url::KeyUrl;
use authz_service::credential::keys::{KeyRing, KeySet};
use authz_service::source::Reloads;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use clock::{ManualClock, UnixTime};
use prometheus::IntCounter;
use serde_json::{Value, json};

use crate::kit::mint::{Es256, claims};
use crate::kit::{Authz, Home, NOW, eventually, pause_async, within_async};

#[test]
fn a_set_that_weakens_verification_is_refused() {
    let key = Es256::generate("a");
    let with = |name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        json!({ "keys": [jwk] }).to_string()
    };
    let without = |name: &str| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove(name);
        json!({ "keys": [jwk] }).to_string()
    };
    let octets = json!({ "kty": "oct", "kid": "a", "alg": "HS256", "k": "AAAA" });
    for (what, set) in [
        ("use=enc", with("use", json!("enc"))),
        ("key_ops", with("key_ops", json!(["encrypt"]))),
        ("symmetric alg", with("alg", json!("HS256"))),
        ("alg of another family", with("alg", json!("RS256"))),
        ("alg of another curve", with("alg", json!("ES384"))),
        ("unknown alg", with("alg", json!("none"))),
        ("a private key", with("d", json!("AAAA"))),
        ("no point of the curve", with("x", key.jwk()["y"].clone())),
        ("half a point", with("x", json!("AAAA"))),
        ("no kty", without("kty")),
        ("an unknown curve", with("crv", json!("P-999"))),
        ("kid twice", json!({ "keys": [key.jwk(), Es256::generate("a").jwk()] }).to_string()),
        ("symmetric", json!({ "keys": [octets] }).to_string()),
        ("empty", json!({ "keys": [] }).to_string()),
        ("not a set", "{}".to_owned()),
        ("not JSON", "keys".to_owned()),
    ] {
        assert!(KeySet::from_json(set.as_bytes()).is_err(), "{what} was accepted");
    }
    for set in [key.jwks(), without("alg"), json!({ "keys": [key.jwk(), key.jwk()] }).to_string()] {
        assert_eq!(KeySet::from_json(set.as_bytes()).unwrap().ids(), ["a"], "{set}");
    }
    assert_eq!(KeySet::from_json(without("kid").as_bytes()).unwrap().keys().len(), 1);
}

#[tokio::test]
async fn keys_rotate_while_serving_and_a_withdrawn_key_is_forgotten() {
    let authz = Authz::start().await;
    let old = authz.token();
    let next = Es256::generate("session-2");
    let new = next.token(&claims());
    authz.ask_with(&old).await.expect(200, "allowed");
    authz.ask_with(&new).await.expect(401, "token_unknown_key");
    let both = json!({ "keys": [authz.home.session.jwk(), next.jwk()] }).to_string();
    authz.home.write("session.jwks.json", &both);
    eventually("both", async || authz.ask_with(&new).await.is(200, "allowed")).await;
    authz.ask_with(&old).await.expect(200, "allowed");
    authz.home.write("session.jwks.json", &next.jwks());
    eventually("withdrawn", async || authz.ask_with(&old).await.is(401, "token_unknown_key")).await;
    authz.ask_with(&new).await.expect(200, "allowed");
}

#[tokio::test]
async fn without_keys_nothing_is_decided() {
    let home = Home::new();
    std::fs::remove_file(home.at("session.jwks.json")).unwrap();
    let authz = Authz::start_with(home, |edge| edge).await;
    let token = authz.token();
    authz.ask_with(&token).await.expect(503, "keys_unavailable");
    authz.ask(authz.check("me")).await.expect(401, "no_credential");
    let (status, detail) = authz.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(detail.contains("session.jwks.json"), "{detail}");
    authz.home.write("session.jwks.json", &authz.home.session.jwks());
    eventually("loaded", async || authz.ask_with(&token).await.is(200, "allowed")).await;
    assert_eq!(authz.get("/readyz").await.0, 200);

    // A broken set: the last good one, for an hour.
    authz.home.write("session.jwks.json", "{}");
    eventually("reported", async || authz.get("/readyz").await.1.contains("stale since")).await;
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.clock.advance_seconds(3_601);
    authz.ask_with(&token).await.expect(503, "keys_unavailable");
    assert_eq!(authz.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn service_keys_are_read_again_too() {
    let home = Home::new();
    std::fs::remove_file(home.at("auth.jwks.json")).unwrap();
    let authz = Authz::start_with(home, |edge| edge).await;
    let signer = identity::assertion::Signer::from_file("auth", &authz.home.at("auth.pem")).unwrap();
    let caller = identity::Caller::Service("auth".parse().unwrap());
    let assertion = signer.sign(&caller, "test", UnixTime::from_seconds(NOW)).unwrap();
    authz.ask(authz.check("lookup").bearer(&assertion)).await.expect(503, "keys_unavailable");
    assert_eq!(authz.get("/readyz").await.0, 200, "sessions do not depend on it");
    authz.home.write("auth.jwks.json", &authz.home.auth.jwks());
    eventually("loaded", async || {
        authz.ask(authz.check("lookup").bearer(&assertion)).await.is(200, "allowed")
    })
    .await;
}

/// What the fake issuer answers, and how often it was asked.
#[derive(Clone)]
struct Issuer {
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(body: String) -> (Self, String) {
        let issuer = Self {
            answer: Arc::new(Mutex::new((StatusCode::OK, body))),
            asked: Arc::new(AtomicUsize::new(0)),
        };
        let shared = issuer.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let router = Router::new().route(
            "/keys",
            get(async move || {
                shared.asked.fetch_add(1, Ordering::SeqCst);
                shared.answer.lock().unwrap().clone()
            }),
        );
        tokio::spawn(async move { axum::serve(listener, router).await });
        (issuer, url)
    }

    fn set(&self, status: StatusCode, body: String) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn keys_from_a_url_follow_an_unknown_key_but_not_a_flood() {
    let first = Es256::generate("one");
    let second = Es256::generate("two");
    let (issuer, url) = Issuer::start(first.jwks()).await;
    let clock = ManualClock::at(UnixTime::from_seconds(NOW));
    let ring = Arc::new(KeyRing::default());
    let counter = |name: &str| IntCounter::new(name, "x").unwrap();
    let reloads = Reloads { done: counter("done"), failed: counter("failed") };
    let cooldown = Duration::from_millis(300);
    let loader = KeyUrl::new(&url, Arc::clone(&ring), Arc::new(clock.clone()), reloads.clone())
        .unwrap()
        .with_cooldown(cooldown);
    assert!(ring.current(UnixTime::from_seconds(NOW)).is_err(), "nothing before the first answer");
    let running = tokio::spawn(loader.run());
    eventually("fetched", async || ring.ids() == ["one"]).await;

    issuer.set(StatusCode::OK, second.jwks());
    let before = issuer.asked();
    let started = std::time::Instant::now();
    eventually("refreshed", async || {
        ring.ask_for_refresh();
        ring.ids() == ["two"]
    })
    .await;
    for _ in 0..10_000 {
        ring.ask_for_refresh();
    }
    let allowed = 2 + usize::try_from(started.elapsed().as_millis() / cooldown.as_millis()).unwrap();
    assert!(issuer.asked() - before <= allowed, "{} fetches", issuer.asked() - before);

    // Broken in each way: the last good set stays.
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        (StatusCode::OK, "{}".to_owned()),
        (StatusCode::FOUND, second.jwks()),
        (StatusCode::OK, " ".repeat(300_000)),
    ] {
        issuer.set(status, body);
        let failed = reloads.failed.get();
        eventually("failed", async || {
            ring.ask_for_refresh();
            reloads.failed.get() > failed
        })
        .await;
        assert_eq!(ring.ids(), ["two"]);
        assert!(ring.current(UnixTime::from_seconds(NOW)).is_ok());
    }
    assert!(ring.current(UnixTime::from_seconds(NOW + 3_601)).is_err(), "for an hour at most");
    issuer.set(StatusCode::OK, second.jwks());
    // A failed attempt is repeated without being asked for.
    eventually("mended", async || ring.current(UnixTime::from_seconds(NOW + 3_601)).is_ok()).await;
    running.abort();
}

/// Tokens with made-up keys of one issuer, without end: another issuer's rotation is seen as soon as ever, and its server is
/// not asked on their account.
#[tokio::test]
async fn a_flood_of_unknown_keys_of_one_issuer_delays_no_other_issuer() {
    let (old, new) = (Es256::generate("old"), Es256::generate("new"));
    let (flooded, quiet) = (Issuer::start(old.jwks()).await, Issuer::start(old.jwks()).await);
    let counter = |name: &str| IntCounter::new(name, "x").unwrap();
    let cooldown = Duration::from_millis(300);
    let ring_of = |url: &str| {
        let ring = Arc::new(KeyRing::default());
        let reloads = Reloads { done: counter("done"), failed: counter("failed") };
        let clock = Arc::new(ManualClock::at(UnixTime::from_seconds(NOW)));
        let loader = KeyUrl::new(url, Arc::clone(&ring), clock, reloads).unwrap().with_cooldown(cooldown);
        (ring, tokio::spawn(loader.run()))
    };
    let (flooded_ring, one) = ring_of(&flooded.1);
    let (quiet_ring, other) = ring_of(&quiet.1);
    eventually("both are there", async || flooded_ring.ids() == ["old"] && quiet_ring.ids() == ["old"]).await;
    let flood = {
        let ring = Arc::clone(&flooded_ring);
        tokio::spawn(async move {
            loop {
                ring.ask_for_refresh();
                pause_async(Duration::from_millis(1), "a thousand unknown keys a second").await;
            }
        })
    };
    eventually("the flood has its fetches", async || flooded.0.asked() > 3).await;
    assert_eq!(quiet.0.asked(), 1, "the quiet issuer's keys were not fetched again");
    quiet.0.set(StatusCode::OK, new.jwks());
    quiet_ring.ask_for_refresh();
    eventually("the rotation is seen", async || quiet_ring.ids() == ["new"]).await;
    assert_eq!(quiet.0.asked(), 2);
    for task in [flood, one, other] {
        task.abort();
    }
}

/// A JWKS server that the test can kill, and one that accepts connections and never answers. The last good keys serve
/// for an hour, no request waits for them, and the authorizer polls a server that is back by itself.
#[tokio::test]
async fn keys_from_a_url_outlive_their_server_for_an_hour_whether_it_is_gone_or_hangs() {
    let key = Es256::generate("one");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = |listener: std::net::TcpListener, body: String| {
        listener.set_nonblocking(true).unwrap();
        let router = Router::new().route("/keys", get(async move || body.clone()));
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let served = axum::serve(listener, router).with_graceful_shutdown(async { drop(ended.await) });
        (tokio::spawn(async move { served.await }), end)
    };
    let (server, end) = serve(listener, key.jwks());
    let clock = ManualClock::at(UnixTime::from_seconds(NOW));
    let ring = Arc::new(KeyRing::default());
    let counter = |name: &str| IntCounter::new(name, "x").unwrap();
    let reloads = Reloads { done: counter("done"), failed: counter("failed") };
    let loader = KeyUrl::new(
        &format!("http://{address}/keys"),
        Arc::clone(&ring),
        Arc::new(clock.clone()),
        reloads.clone(),
    )
    .unwrap()
    .with_cooldown(Duration::from_millis(50));
    let running = tokio::spawn(loader.run());
    eventually("fetched", async || ring.ids() == ["one"]).await;

    let good_for_an_hour = async |what: &str| {
        let failed = reloads.failed.get();
        eventually(what, async || {
            ring.ask_for_refresh();
            reloads.failed.get() > failed
        })
        .await;
        let asked = std::time::Instant::now();
        assert!(ring.current(UnixTime::from_seconds(NOW + 3_600)).is_ok(), "{what}");
        assert!(ring.current(UnixTime::from_seconds(NOW + 3_601)).is_err(), "{what}: for an hour at most");
        assert!(asked.elapsed() < Duration::from_secs(1), "{what}: no request waits");
    };
    end.send(()).unwrap();
    server.await.unwrap().unwrap();
    good_for_an_hour("nothing listens").await;

    // Takes connections, and says nothing: given up after five seconds, and asked again.
    let listen = async || std::net::TcpListener::bind(address).ok();
    let mute = within_async(Duration::from_mins(1), listen).await.unwrap();
    good_for_an_hour("it hangs").await;
    drop(mute);
    let again = within_async(Duration::from_mins(1), listen).await.unwrap();
    let (_server, _end) = serve(again, key.jwks());
    eventually("mended by itself", async || ring.current(UnixTime::from_seconds(NOW + 3_601)).is_ok()).await;
    running.abort();
}

#[tokio::test]
async fn a_key_file_that_is_gone_is_missed_after_an_hour() {
    let authz = Authz::start().await;
    let token = authz.home.session.token(&crate::kit::mint::claims_with(&json!({ "exp": NOW + 100_000 })));
    authz.ask_with(&token).await.expect(200, "allowed");
    std::fs::remove_file(authz.home.at("session.jwks.json")).unwrap();
    eventually("reported", async || authz.get("/readyz").await.1.contains("stale since")).await;
    authz.clock.advance_seconds(3_600);
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.clock.advance_seconds(1);
    authz.ask_with(&token).await.expect(503, "keys_unavailable");
    authz.home.write("session.jwks.json", &authz.home.session.jwks());
    eventually("back", async || authz.ask_with(&token).await.is(200, "allowed")).await;
}

/// An issuer's server: what it answers at each path, and 404 elsewhere.
type Pages = Arc<Mutex<std::collections::HashMap<String, String>>>;

async fn serve_pages() -> (String, Pages) {
    let pages = Pages::default();
    let shared = Arc::clone(&pages);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async move |uri: axum::http::Uri| {
        match shared.lock().unwrap().get(uri.path()) {
            Some(page) => (StatusCode::OK, page.clone()),
            None => (StatusCode::NOT_FOUND, String::new()),
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (origin, pages)
}

/// The issuer's name alone is enough: its metadata names the keys, at either place, and is trusted only when it is its own.
#[tokio::test]
async fn an_issuer_is_named_by_its_address_alone() {
    let key = Es256::generate("one");
    let (origin, pages) = serve_pages().await;
    let issuer = format!("{origin}/realms/acme");
    let home = Home::new();
    let text = home.edge_text(|edge| {
        let path = home.path().to_str().unwrap();
        edge.replace("issuer: https://api.test/auth", &format!("issuer: \"{issuer}\""))
            .replace(&format!("  keys: {{ file: \"{path}/session.jwks.json\" }}\n"), "")
    });
    let edge = edge_config::parse(std::path::Path::new("test.yaml"), &text, &|_| None).unwrap();
    let edge_config::edge::KeySource::Discovery(addresses) = &edge.sessions.unwrap().issuers[0].keys else {
        panic!("the keys are discovered")
    };
    let ring = Arc::new(KeyRing::default());
    let counter = |name: &str| IntCounter::new(name, "x").unwrap();
    let reloads = Reloads { done: counter("done"), failed: counter("failed") };
    let clock = ManualClock::at(UnixTime::from_seconds(NOW));
    let mut loader = KeyUrl::discovering(&issuer, addresses, Arc::clone(&ring), Arc::new(clock), reloads);
    let now = UnixTime::from_seconds(NOW);
    let put = |path: &str, page: &Value| pages.lock().unwrap().insert(path.to_owned(), page.to_string());
    let metadata = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys, "scopes_supported": ["openid"] });
    let open_id = "/realms/acme/.well-known/openid-configuration";
    let oauth = "/.well-known/oauth-authorization-server/realms/acme";
    pages.lock().unwrap().insert("/keys".to_owned(), key.jwks());
    let keys = format!("{origin}/keys");

    assert!(!loader.refresh().await && ring.current(now).is_err(), "the metadata is missing");
    for (what, page) in [
        ("another issuer", metadata(&format!("{origin}/realms/other"), &keys)),
        ("a slash more", metadata(&format!("{issuer}/"), &keys)),
        ("keys in the clear", metadata(&issuer, "http://192.0.2.1/keys")),
        ("keys in a file", metadata(&issuer, "file:///etc/passwd")),
        ("no keys", json!({ "issuer": issuer })),
        ("no issuer", json!({ "jwks_uri": keys })),
        ("no metadata", json!([])),
    ] {
        put(open_id, &page);
        assert!(!loader.refresh().await && ring.current(now).is_err(), "{what}");
    }
    assert!(ring.health(now).detail.contains("openid-configuration"), "{}", ring.health(now).detail);

    put(oauth, &metadata(&issuer, &keys));
    assert!(loader.refresh().await && ring.ids() == ["one"], "RFC 8414");
    pages.lock().unwrap().remove(oauth);
    // The address is still known, and so is a new key there.
    pages.lock().unwrap().insert("/keys".to_owned(), Es256::generate("two").jwks());
    assert!(loader.refresh().await && ring.ids() == ["two"], "the last known address");
    pages.lock().unwrap().insert("/next".to_owned(), Es256::generate("three").jwks());
    put(open_id, &metadata(&issuer, &format!("{origin}/next")));
    assert!(loader.refresh().await && ring.ids() == ["three"], "OpenID Connect Discovery");
}
