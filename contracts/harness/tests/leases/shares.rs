//! Which backend gets a request when a route has several: by weight, sticky, and for canaries by the authorizer's
//! answer. Nothing that a client sends decides.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use harness::tokens::DEMO_TENANT;
use harness::wire::Request;
use harness::{Backend, Edge, EdgeBuilder};
use serde_json::{Value, json};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy, answers: library";

/// The edge of these tests; `leases_shares.rs` runs the same tests on another.
pub(crate) fn dev() -> EdgeBuilder {
    Edge::dev()
}

/// Two backends that answer with their own name.
struct Two {
    legacy: Backend,
    users: Backend,
}

impl Two {
    fn new() -> Self {
        Self {
            legacy: Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlegacy"),
            users: Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nusers"),
        }
    }

    /// The dev edge with this text for `/books`.
    fn edge(&self, words: &str) -> EdgeBuilder {
        super::dev()
            .replace(BOOKS, words)
            .stand_in("LEGACY_ADDRESS", self.legacy.address())
            .stand_in("USERS_ADDRESS", self.users.address())
    }
}

fn words(to: &str) -> String {
    format!("prefix: /books, policy: signed-in, {to}, answers: library")
}

fn who_answered(request: &Request) -> String {
    let answer = request.send();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

#[test]
fn shares_are_dealt_by_weight_and_none_at_zero() {
    let two = Two::new();
    let edge = two.edge(&words("to: { legacy: 50, users: 50 }")).start();
    let token = edge.mint().good(0);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..200 {
        *count.entry(who_answered(&edge.get("/books").token(&token))).or_default() += 1;
    }
    // 200 tosses of a coin give between 50 and 150 heads, except once in 10¹² times.
    assert!(count["legacy"] > 50 && count["users"] > 50, "{count:?}");

    let none = two.edge(&words("to: { legacy: 100, users: 0, sticky: session }")).start();
    for _ in 0..50 {
        assert_eq!(who_answered(&none.get("/books").token(&none.mint().good(0))), "legacy");
    }
}

#[test]
fn a_session_stays_where_it_is_and_no_header_moves_it() {
    let two = Two::new();
    let edge = two.edge(&words("to: { legacy: 50, users: 50, sticky: session }")).start();
    let mut seen = BTreeSet::new();
    for _ in 0..24 {
        let session = uuid::Uuid::now_v7();
        // A refresh is another token of the same session.
        let token = || edge.mint().with(|claims| drop(claims.insert("sid".to_owned(), json!(session))));
        let first = who_answered(&edge.get("/books").token(&token()));
        for forged in 0..4 {
            let other = uuid::Uuid::now_v7().to_string();
            let request = edge.get(format!("/books/{forged}?x=1")).token(&token());
            let request = request.header("x-madome-auth-sid", &other).header("X-Madome-Auth-Sub", &other);
            assert_eq!(who_answered(&request.header("x-tenant-id", &other)), first, "{session}");
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "24 sessions go both ways");
    let answer = edge.signed_in("/books").send();
    assert!(answer.all("set-cookie").is_empty(), "the edge adds no cookie: {answer:?}");
}

#[test]
fn more_weight_moves_only_those_whose_share_moved() {
    let two = Two::new();
    let sessions: Vec<_> = (0..40).map(|_| uuid::Uuid::now_v7()).collect();
    let mut before: Option<Vec<String>> = None;
    for (legacy, users) in [(80, 20), (50, 50), (10, 90)] {
        let to = format!("to: {{ legacy: {legacy}, users: {users}, sticky: session }}");
        let edge = two.edge(&words(&to)).start();
        let now: Vec<String> = sessions
            .iter()
            .map(|session| {
                let token = edge.mint().with(|claims| drop(claims.insert("sid".to_owned(), json!(session))));
                who_answered(&edge.get("/books").token(&token))
            })
            .collect();
        for (was, is) in before.iter().flatten().zip(&now) {
            assert!(!(was == "users" && is == "legacy"), "no one goes back: {before:?} {now:?}");
        }
        before = Some(now);
    }
}

#[test]
fn a_cookie_or_a_tenant_can_hold_a_client_too() {
    let two = Two::new();
    let public = "prefix: /books, policy: public, to: { legacy: 50, users: 50, sticky: { cookie: device } }, answers: library";
    let edge = two.edge(public).start();
    let mut seen = BTreeSet::new();
    for device in 0..24 {
        let ask = || who_answered(&edge.get("/books").header("cookie", format!("device=d{device}")));
        let first = ask();
        assert!((0..4).all(|_| ask() == first), "device {device}");
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2);

    let edge = two.edge(&words("to: { legacy: 50, users: 50, sticky: tenant }")).start();
    let answers: BTreeSet<String> =
        (0..16).map(|_| who_answered(&edge.get("/books").token(&edge.mint().good(0)))).collect();
    assert_eq!(answers.len(), 1, "everybody of one tenant: {answers:?}");
}

#[test]
fn canaries_are_decided_by_the_verified_caller_and_keep_the_policy() {
    let two = Two::new();
    let chosen = uuid::Uuid::now_v7();
    let canary = format!(
        "to: legacy, canary: [{{ header: x-madome-auth-sub, value: {chosen}, to: users }}, {{ header: x-madome-auth-role, value: '1', to: users }}]"
    );
    let edge = two.edge(&words(&canary)).start();
    let ask = |token: &str| edge.get("/books/1").token(token);
    let is_chosen = edge.mint().with(|claims| drop(claims.insert("sub".to_owned(), json!(chosen))));
    assert_eq!(who_answered(&ask(&is_chosen)), "users");
    assert_eq!(who_answered(&ask(&edge.mint().good(1))), "users");
    assert_eq!(who_answered(&ask(&edge.mint().good(0))), "legacy");
    for name in ["x-madome-auth-sub", "X-MADOME-AUTH-SUB"] {
        let forged =
            ask(&edge.mint().good(0)).header(name, chosen.to_string()).header("x-madome-auth-role", "1");
        assert_eq!(who_answered(&forged), "legacy", "{name}");
    }
    // Without a session it is 401 with the route's text, whatever the headers say: the policy does not change.
    let refused = edge.get("/books/1").header("x-madome-auth-sub", chosen.to_string()).send();
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(refused.text(), "Unauthorized");

    let tenant = format!("to: legacy, canary: [{{ tenant: {DEMO_TENANT}, to: users }}]");
    let edge = two.edge(&words(&tenant)).start();
    assert_eq!(who_answered(&edge.signed_in("/books")), "users");
    let foreign =
        edge.mint().with(|claims| drop(claims.insert("tenantId".to_owned(), json!(uuid::Uuid::now_v7()))));
    let denied = edge.get("/books").token(&foreign).header("x-tenant-id", DEMO_TENANT).send();
    assert!((400..500).contains(&denied.status), "a tenant that does not exist: {denied:?}");
    assert!(edge.logged("/books", 200)["cluster"] == "backend-users");
}

#[test]
fn an_identity_is_made_for_every_backend_of_its_route() {
    let two = Two::new();
    let edge = two.edge(&words("to: { legacy: 50, users: 50, sticky: session }")).start();
    assert_eq!(edge.signed_in("/books").send().status, 200);
    let seen = two.legacy.seen().pop().or_else(|| two.users.seen().pop());
    let token = seen.and_then(|seen| seen.header("x-madome-identity")).unwrap_or_default();
    let claims = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    assert_eq!(claims["aud"], json!(["legacy", "users"]), "{token}");
    // The constant header of one backend is not sent to another.
    for _ in 0..40 {
        assert_eq!(edge.signed_in("/books").send().status, 200);
    }
    let constant = |backend: &Backend| -> BTreeSet<Option<String>> {
        backend.seen().iter().map(|seen| seen.header("x-madome-public-access")).collect()
    };
    assert_eq!(constant(&two.legacy), BTreeSet::from([Some("true".to_owned())]));
    assert_eq!(constant(&two.users), BTreeSet::from([None]));
}
