//! Back again by the legacy backend's own store: sessions that begin at the new auth service are sessions of the legacy
//! backend, too (`AUTH_SESSIONS=legacy`). Every route can go back to it, and the auth service can even be stopped.

use super::moving_auth::browser::{Browser, people};
use harness::tokens::{DEMO_TENANT, now};
use harness::wire::Request;
use harness::{Edge, Part, Process, Redis, Signal, eventually};

const DEMO: &str = "00000000-0000-7000-8000-0000000000d0";

/// Everything of auth is at the new service, whose sessions have the legacy backend's form.
struct Moved {
    edge: Edge,
    watch: Process,
    _redis: Redis,
    _people: tempfile::NamedTempFile,
}

impl Moved {
    fn start() -> Self {
        let (redis, people) = (Redis::start(), people());
        let verify =
            format!("{{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: 3000 }} }}", redis.url());
        let section = format!(
            "legacy_sessions: {{ cookie: madome_access_token, refresh_cookie: madome_refresh_token, tenant: {DEMO_TENANT}, role: 0, verify: {verify} }}\n\npolicies:\n  renewal: {{ kind: public, ended: refuse }}\n"
        );
        let shares = "to: { auth: 100, legacy: 0 }, answers: auth";
        let sorted = "to: { legacy-session: auth, session: auth, auth: 100, legacy: 0 }, answers: auth";
        let edge = Edge::dev()
            .replace("policies:\n", &section)
            .replace("  cookie: madome_access_token\n", "  cookie: madome_access_token\n  refresh_cookie: madome_refresh_token\n")
            .replace("signed-in: { kind: session }", "signed-in: { kind: session, accept: [session, legacy-session] }")
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .replace("to: auth, answers: auth, limits: [codes]", &format!("{shares}, limits: [codes]"))
            .replace("to: auth, answers: auth, limits: [sign-ins]", &format!("{shares}, limits: [sign-ins]"))
            .replace("methods: [PATCH], policy: public, to: auth, answers: auth", &format!("methods: [PATCH], policy: renewal, {sorted}"))
            .replace("methods: [DELETE], policy: public, to: auth, answers: auth", &format!("methods: [DELETE], policy: public, {sorted}"))
            .replace(
                "methods: [GET], policy: signed-in, to: auth, answers: auth",
                "methods: [GET], policy: signed-in, to: { legacy-session: auth, session: auth }, answers: auth",
            )
            .replace("exact: /users/@me, policy: signed-in, to: users", "exact: /users/@me, policy: signed-in, to: { users: 100, legacy: 0 }")
            .variable("LEGACY_SESSIONS_REDIS", &redis.url())
            .variable("LEGACY_SESSIONS_PREFIX", "s:")
            .variable("LEGACY_CODES_PREFIX", "authcode:")
            .variable("AUTH_SESSIONS", "legacy")
            .variable("AUTH_SURFACE", "older")
            .variable("USERS_SURFACE", "older")
            .variable("USERS_SEED", &people.path().display().to_string())
            .start();
        let watch = edge.watch();
        eventually("the watch follows the edge file", || watch.log().contains("is in force"));
        Self { edge, watch, _redis: redis, _people: people }
    }

    /// A sign-in through the edge.
    fn sign_in(&self) -> Browser {
        Browser::sign_in(&self.edge, |method, path| self.edge.request(method, path))
    }

    /// What the legacy backend itself says of a session, without asking anyone.
    fn legacy(&self, method: &str, browser: &Browser) -> u16 {
        let request = Request::new(self.edge.address("LEGACY_ADDRESS"), method, "/auth/token");
        browser.send(request.header("x-madome-public-access", "true")).status
    }

    fn set(&self, route: &str, to: &str) {
        self.edge.set(&self.watch, route, to);
    }

    fn go_back(&self) {
        for route in ["auth-check", "auth-refresh", "auth-logout"] {
            self.set(route, "legacy-session=legacy");
        }
        for route in ["auth-code", "auth-login", "auth-refresh", "auth-logout", "users-me"] {
            self.set(route, "legacy=100");
        }
    }

    fn works(&self, browser: &Browser) {
        for path in ["/auth/token", "/users/@me", "/users/@me/likes", "/books"] {
            assert_eq!(browser.status(&self.edge, path), 200, "{path}");
        }
    }

    fn is_dead(&self, browser: &Browser) -> bool {
        ["/auth/token", "/users/@me", "/books"].iter().all(|path| browser.status(&self.edge, path) == 401)
            && self.legacy("GET", browser) == 401
            && browser.send(self.edge.request("PATCH", "/auth/token")).status == 401
    }
}

#[test]
fn everything_goes_back_and_the_new_auth_can_be_stopped() {
    let mut moved = Moved::start();
    let first = moved.sign_in();
    assert!(first.access.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."), "{}", first.access);
    moved.works(&first);
    assert_eq!(moved.legacy("GET", &first), 200, "the legacy backend accepts it by itself");
    // Refreshed at the new service: once, and the old pair is dead on both stacks.
    let second = Browser::of(&first.send(moved.edge.request("PATCH", "/auth/token")));
    assert_eq!(first.send(moved.edge.request("PATCH", "/auth/token")).status, 401);
    assert_eq!((moved.legacy("GET", &first), moved.legacy("GET", &second)), (401, 200));
    let other = moved.sign_in();

    moved.go_back();
    moved.edge.stop(Part::Auth, Signal::Terminate);
    for browser in [&second, &other] {
        moved.works(browser);
    }
    let third = Browser::of(&second.send(moved.edge.request("PATCH", "/auth/token")));
    moved.works(&third);
    assert!(moved.is_dead(&second));
    assert_eq!(other.send(moved.edge.request("DELETE", "/auth/token")).status, 204);
    eventually("the sign-out counts", || moved.is_dead(&other));
    let new = moved.sign_in();
    moved.works(&new);

    // And forward again: what the legacy backend began and refreshed works there, too.
    moved.edge.start(Part::Auth);
    moved.edge.wait_until_ready();
    moved.set("auth-check", "legacy-session=auth");
    moved.set("auth-refresh", "legacy-session=auth");
    for browser in [&third, &new] {
        moved.works(browser);
        moved.works(&Browser::of(&browser.send(moved.edge.request("PATCH", "/auth/token"))));
    }
}

#[test]
fn a_sign_out_at_either_ends_both_and_so_does_the_end_of_all() {
    let moved = Moved::start();
    let [at_new, at_old, left] = [moved.sign_in(), moved.sign_in(), moved.sign_in()];
    assert_eq!(at_new.send(moved.edge.request("DELETE", "/auth/token")).status, 204);
    assert_eq!(moved.legacy("DELETE", &at_old), 204);
    for browser in [&at_new, &at_old] {
        eventually("the session is dead", || moved.is_dead(browser));
    }
    moved.works(&left);

    let home = moved.edge.home().display().to_string();
    moved.edge.cutover(&["revoke", "subject", DEMO, "--home", &home]);
    eventually("all sessions are dead", || moved.is_dead(&left));
    // Those that begin afterwards live, on both stacks. The call ended all of the second in which it came.
    let second = now();
    eventually("that second is over", || now() > second);
    let later = moved.sign_in();
    moved.works(&later);
    assert_eq!(moved.legacy("GET", &later), 200);
}
