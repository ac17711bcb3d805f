//! The commands of docs/moving-auth.md, in the order of the page: sign-in, check, refresh and sign-out go forward, back, and
//! forward again by ramp. After each of them a session of each kind works on both stacks, and can be refreshed.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../services/moving_auth/browser.rs"]
mod browser;

use std::sync::atomic::{AtomicBool, Ordering};

use super::documented::shown::{Fillings, Shown, shown_in};
use browser::{Browser, people};
use harness::tokens::DEMO_TENANT;
use harness::{Edge, EdgeBuilder, Redis, eventually, repository};

/// The edge of the page: everything is at the legacy backend.
fn edge(redis: &Redis) -> EdgeBuilder {
    let verify = format!("{{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: 3000 }} }}", redis.url());
    let section = format!(
        "legacy_sessions: {{ cookie: madome_access_token, refresh_cookie: madome_refresh_token, tenant: {DEMO_TENANT}, role: 0, verify: {verify} }}\n\npolicies:\n  renewal: {{ kind: public, ended: refuse }}\n"
    );
    let shares = "to: { legacy: 100, auth: 0 }, answers: auth";
    let sorted = "to: { legacy-session: legacy, session: auth, legacy: 100, auth: 0 }, answers: auth";
    Edge::dev()
        .replace("policies:\n", &section)
        .replace(
            "  cookie: madome_access_token\n",
            "  cookie: madome_access_token\n  refresh_cookie: madome_refresh_token\n",
        )
        .replace(
            "signed-in: { kind: session }",
            "signed-in: { kind: session, accept: [session, legacy-session] }",
        )
        .replace("timeout_ms: 200", "timeout_ms: 5000")
        .replace("to: auth, answers: auth, limits: [codes]", &format!("{shares}, limits: [codes]"))
        .replace("to: auth, answers: auth, limits: [sign-ins]", &format!("{shares}, limits: [sign-ins]"))
        .replace("rate: 60, seconds: 60, burst: 120", "rate: 100000, seconds: 60, burst: 100000")
        .replace("rate: 300, seconds: 60, burst: 600", "rate: 100000, seconds: 60, burst: 100000")
        .replace(
            "methods: [PATCH], policy: public, to: auth, answers: auth",
            &format!("methods: [PATCH], policy: renewal, {sorted}"),
        )
        .replace(
            "methods: [DELETE], policy: public, to: auth, answers: auth",
            &format!("methods: [DELETE], policy: public, {sorted}"),
        )
        .replace(
            "methods: [GET], policy: signed-in, to: auth, answers: auth",
            "methods: [GET], policy: signed-in, to: { legacy-session: legacy, session: auth }, answers: auth",
        )
        .variable("LEGACY_SESSIONS_REDIS", &redis.url())
        .variable("LEGACY_SESSIONS_PREFIX", "s:")
        .variable("LEGACY_CODES_PREFIX", "authcode:")
        .variable("AUTH_SURFACE", "older")
        .variable("USERS_SURFACE", "older")
}

/// Callers without a session, whom a ramp's shares deal out, until `work` is done.
fn among_strangers<T>(edge: &Edge, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let body = r#"{"email":"demo@example.com","code":"000000000000"}"#;
            while !done.load(Ordering::Relaxed) {
                let sign_in = edge.request("POST", "/auth/token").body(body).send();
                let refresh = edge.request("PATCH", "/auth/token").send();
                let sign_out = edge.request("DELETE", "/auth/token").send();
                assert_eq!([sign_in.status, refresh.status, sign_out.status], [404, 401, 400]);
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads on both stacks, and refreshes.
fn works(edge: &Edge, browser: &mut Browser, after: &str) {
    for path in ["/auth/token", "/users/@me", "/books"] {
        assert_eq!(browser.status(edge, path), 200, "{path} after `{after}`");
    }
    let refreshed = browser.send(edge.request("PATCH", "/auth/token"));
    assert_eq!(refreshed.status, 201, "after `{after}`: {refreshed:?}");
    *browser = Browser::of(&refreshed);
}

#[test]
fn every_command_of_the_page_keeps_each_session_signed_in() {
    let (redis, people) = (Redis::start(), people());
    let edge = edge(&redis).variable("USERS_SEED", &people.path().display().to_string()).start();
    let watch = edge.watch();
    eventually("the watch follows the edge file", || watch.log().contains("is in force"));
    let old = edge.home().join("OLD.yaml");
    std::fs::copy(edge.file(), &old).expect("a copy can be made");
    let fillings = Fillings(vec![
        ("OLD.yaml", old.display().to_string()),
        ("envoy/edges/prod.yaml", edge.file().display().to_string()),
        // One address sends all requests of this test, and few of them.
        ("--every 10m", "--every 1s --least 1".to_owned()),
        ("5xx<0.1%", "5xx<50%".to_owned()),
    ]);
    let sign_in = || Browser::sign_in(&edge, |method, path| edge.request(method, path));
    let mut browsers = vec![sign_in()];
    let commands = shown_in(&repository().join("docs/moving-auth.md"));
    for Shown { page, line, text } in &commands {
        let arguments = fillings.fill(text);
        let run = || edge.cutover(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let said = if text.starts_with("ramp") { among_strangers(&edge, run) } else { run() };
        let expected = match text.split(' ').next() {
            Some("status") => "legacy-session to legacy, session to auth, legacy 100 %, auth 0 %",
            Some("ramp") => "done: every step held",
            _ => "",
        };
        assert!(
            !said.trim().is_empty() && said.contains(expected),
            "{page}:{line}: `cutover {text}` says {said}"
        );
        let revision = edge_config::revision(&edge.text()).0;
        eventually("the change is in force", || {
            watch.log().contains(&format!("revision {revision} is in force"))
        });
        for browser in &mut browsers {
            works(&edge, browser, text);
        }
        // Sign-in has moved, there or back: a session of the other kind begins.
        if text.starts_with("set") && text.contains("auth-login --to") {
            browsers.push(sign_in());
        }
    }
    assert!(commands.len() > 20 && browsers.len() == 3, "the page shows {} commands", commands.len());
    for browser in &browsers {
        assert_eq!(browser.send(edge.request("DELETE", "/auth/token")).status, 204);
        eventually("the session is dead", || browser.status(&edge, "/books") == 401);
    }
}
