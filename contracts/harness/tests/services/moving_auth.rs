//! People with a session of the legacy backend and people with a new one, behind one edge whose auth routes lead to
//! the new service (docs/moving-auth.md).
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod browser;

use std::path::Path;

use browser::{Browser, people};
use harness::tokens::DEMO_TENANT;
use harness::wire::Request;
use harness::{Edge, Part, Redis, eventually};

/// An edge that accepts sessions of the legacy backend, whose keys are in `redis`.
fn edge(redis: &Redis, people: &Path) -> Edge {
    let verify = format!("{{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: 3000 }} }}", redis.url());
    let section = format!(
        "legacy_sessions: {{ cookie: madome_access_token, tenant: {DEMO_TENANT}, role: 0, verify: {verify} }}\n\npolicies:\n"
    );
    Edge::dev()
        .replace("policies:\n", &section)
        .replace(
            "signed-in: { kind: session }",
            "signed-in: { kind: session, accept: [session, legacy-session] }",
        )
        .replace("timeout_ms: 200", "timeout_ms: 5000")
        .variable("LEGACY_SESSIONS_REDIS", &redis.url())
        .variable("LEGACY_SESSIONS_PREFIX", "s:")
        .variable("AUTH_SURFACE", "older")
        .variable("USERS_SEED", &people.display().to_string())
        .start()
}

#[test]
fn a_legacy_session_works_everywhere_and_is_exchanged_at_its_refresh() {
    let (redis, people) = (Redis::start(), people());
    let edge = edge(&redis, people.path());
    let legacy = |method: &str, path: &str| Request::new(edge.address("LEGACY_ADDRESS"), method, path);
    let old = Browser::sign_in(&edge, legacy);
    // The library checks the session at the edge, which sends the check to the new service.
    for path in ["/books", "/users/@me", "/users/@me/likes"] {
        assert_eq!(old.status(&edge, path), 200, "{path}");
    }
    let answers = [old.send(legacy("GET", "/auth/token")), old.send(edge.get("/auth/token"))];
    let [direct, moved] = answers.map(|answer| (answer.status, answer.text()));
    assert_eq!(direct, moved, "no client can distinguish them");

    let new = Browser::of(&old.send(edge.request("PATCH", "/auth/token")));
    assert_eq!(old.send(legacy("GET", "/auth/token")).status, 401, "it ended at the legacy backend");
    let again = old.send(edge.request("PATCH", "/auth/token"));
    assert_eq!((again.status, again.text()), (401, "Unauthorized".to_owned()));
    eventually("the old access token is refused", || old.status(&edge, "/books") == 401);
    for path in ["/books", "/users/@me", "/users/@me/likes", "/auth/token"] {
        assert_eq!(new.status(&edge, path), 200, "{path}");
    }
    let next = Browser::of(&new.send(edge.request("PATCH", "/auth/token")));
    let out = next.send(edge.request("DELETE", "/auth/token"));
    assert_eq!((out.status, out.all("set-cookie").len()), (204, 2), "{out:?}");
    for browser in [&new, &next] {
        eventually("the session is dead", || browser.status(&edge, "/books") == 401);
    }
}

#[test]
fn a_sign_out_ends_a_legacy_session_on_both_stacks() {
    let (redis, people) = (Redis::start(), people());
    let edge = edge(&redis, people.path());
    let legacy = |method: &str, path: &str| Request::new(edge.address("LEGACY_ADDRESS"), method, path);
    let old = Browser::sign_in(&edge, legacy);
    assert_eq!(old.status(&edge, "/books"), 200);
    assert_eq!(old.send(edge.request("DELETE", "/auth/token")).status, 204);
    assert_eq!(old.send(legacy("GET", "/auth/token")).status, 401);
    assert_eq!(old.send(legacy("PATCH", "/auth/token")).status, 401);
    eventually("the session is dead", || old.status(&edge, "/books") == 401);
}

/// The grace of a refresh is for requests that are under way, not for a person who signs out.
#[test]
fn a_sign_out_ends_the_grace_of_a_refresh() {
    let edge = Edge::dev().without(Part::Legacy).start();
    let old = Browser::sign_in(&edge, |method, path| edge.request(method, path));
    let new = Browser::of(&old.send(edge.request("PATCH", "/auth/token")));
    for browser in [&old, &new] {
        assert_eq!(browser.status(&edge, "/users/@me"), 200);
    }
    // Within the 60 s of grace.
    assert_eq!(new.send(edge.request("DELETE", "/auth/token")).status, 204);
    for browser in [&old, &new] {
        eventually("the access token is dead", || browser.status(&edge, "/users/@me") == 401);
        assert_eq!(browser.send(edge.request("PATCH", "/auth/token")).status, 401);
    }
}
