//! Which spellings of a path go on, and which are refused.

use super::super::*;
use super::{config, judge, route, rules};
use crate::config::PathRule;

#[test]
fn usual_and_odd_paths_under_one_policy_go_on() {
    for target in [
        "/",
        "/users/@me",
        "/users/%40me",
        "//users/@me",
        "/users/@me/",
        "/Books",
        "/BOOKS/1",
        "/books/%31",
        "/books//1",
        "/books/../books/1",
        "/usersx",
        "/_x",
        "/_syncs",
        "/internals",
        "/internalx/1",
        "/a/internal",
        "/a/_/b",
        "/users/notification",
        "/users/notificationsx",
        "/books/1;v=2",
        "/%zz",
        "/%",
        "/%252e%252e/internal",
        "/%2569nternal",
        "/books?next=%2f..%2finternal",
        "/books?",
        "/books??a",
        "/books?a=//internal",
        "/books?#",
        "/.well-known/x",
        "/\"<>",
        "/{}|^",
        "/books/a%20b",
        "/books/%ff",
    ] {
        assert_eq!(judge("GET", target), Ok(()), "{target}");
    }
    assert_eq!(rules().judge_target(b"localhost", b"GET", b"/\xff"), Ok(()));
}

/// ATTACKS D 56–62: no spelling reaches an internal path.
#[test]
fn internal_paths_are_closed_in_every_spelling() {
    for target in [
        "/internal",
        "/internal/",
        "/internal/x",
        "/internal?x",
        "/a/../internal",
        "/a/%2e%2e/internal",
        "/a/.%2e/internal",
        "/a/%2E%2E/internal",
        "//internal",
        "///internal",
        "/./internal",
        "/a%2f..%2finternal",
        "/a%2F..%2Finternal",
        "/a%5c..%5cinternal",
        "/%5cinternal",
        "/a\\..\\internal",
        "/\\internal",
        "/..;/internal",
        "/.;/internal",
        "/internal;x=1",
        "/internal;",
        "/a/..;x/internal",
        "/;/internal",
        "/%69nternal",
        "/%49NTERNAL",
        "/INTERNAL",
        "/Internal/x",
        "/iNTERNAL;X",
        "/internal%2f",
        "/internal%3b",
        "/internal%3fx",
        "/internal%23",
        "/_",
        "/_/users",
        "/%5f/users",
        "/_sync",
        "/%5Fsync",
        "//_",
        "/_;/x",
        "/books/../_/users",
        "/internal/../books",
        "/internal;/../books",
        "/internal/..%2fbooks",
        "/users/notifications",
        "/users//notifications",
        "/users/Notifications/1",
        "/users/@me/../notifications",
        "/open-graph/..;/internal",
        "/../../internal",
        "/a/b/../../internal",
        "/a//../internal",
    ] {
        assert_eq!(judge("GET", target), Err(Reason::InternalPath), "{target}");
    }
    // Whatever host it is, known or not, and whether it has a route there or not.
    for host in ["web.test", "nobody.test", "API.dev-domain.test:8080"] {
        for method in ["GET", "POST"] {
            let judged = rules().judge_target(host.as_bytes(), method.as_bytes(), b"//internal");
            assert_eq!(judged, Err(Reason::InternalPath), "{method} {host}");
        }
    }
}

#[test]
fn a_path_that_slips_under_another_policy_is_refused() {
    for (method, target) in [
        ("GET", "/open-graph/../users/@me"),
        ("GET", "/open-graph/%2e%2e/users/@me"),
        ("GET", "/open-graph/..;/users/@me"),
        ("GET", "/open-graph/..%2fbooks"),
        ("GET", "/open-graph\\..\\books"),
        ("GET", "//open-graph"),
        ("GET", "/Open-Graph"),
        ("GET", "/open%2dgraph"),
        ("GET", "/books/../open-graph/x"),
        ("POST", "/users/"),
        ("POST", "/USERS"),
        ("POST", "/users;x"),
        ("POST", "/auth//token"),
        ("PATCH", "/auth/token/"),
    ] {
        assert_eq!(judge(method, target), Err(Reason::AmbiguousPath), "{method} {target}");
    }
    // The same spellings, where the method makes no difference.
    for (method, target) in
        [("GET", "/users/"), ("GET", "/auth//token"), ("POST", "/open-graph/../users/@me")]
    {
        assert_eq!(judge(method, target), Ok(()), "{method} {target}");
    }
}

/// Envoy answers a path without a route; but a disguised path without a route counts as another policy.
#[test]
fn paths_without_a_route() {
    let judge = |host: &str, method: &str, target: &str| {
        rules().judge_target(host.as_bytes(), method.as_bytes(), target.as_bytes())
    };
    assert_eq!(judge("nobody.test", "GET", "/a//b"), Ok(()));
    assert_eq!(judge("web.test", "POST", "/a/../b"), Ok(()));
    let mut config = config();
    config.hosts[1].routes = vec![route(PathRule::Prefix("/a".to_owned()), &[], "public")];
    let rules = Rules::compile(&config).unwrap();
    assert_eq!(rules.judge_target(b"web.test", b"GET", b"/a/../b"), Err(Reason::AmbiguousPath));
    assert_eq!(
        rules.judge_target(b"web.test", b"GET", b"/b/../a"),
        Ok(()),
        "Envoy answers 404 to /b/../a itself"
    );
}

/// Envoy answers an absent path itself, so no backend reads it under another policy.
#[test]
fn an_absent_path_is_not_ambiguous_and_opens_nothing() {
    let mut config = config();
    config.hosts[0].absent = vec![PathRule::Prefix("/auth".to_owned())];
    let rules = Rules::compile(&config).unwrap();
    let judge =
        |method: &str, target: &str| rules.judge_target(b"localhost", method.as_bytes(), target.as_bytes());
    for (method, target) in [
        ("GET", "/auth"),
        ("GET", "/auth/none"),
        ("GET", "/auth/token/"),
        ("PATCH", "/auth/token/"),
        ("POST", "/auth//token"),
        ("POST", "/auth/%74oken"),
        ("DELETE", "/auth/TOKEN"),
        ("OPTIONS", "/auth/token"),
        ("GET", "/auth/../users/@me"),
    ] {
        assert_eq!(judge(method, target), Ok(()), "{method} {target}");
    }
    for (method, target, reason) in [
        // Envoy sends these to a backend, which could read them as an absent path, or as another policy's.
        ("GET", "/books/../auth/none", Reason::AmbiguousPath),
        ("GET", "/Auth/none", Reason::AmbiguousPath),
        // Closed in every spelling, whatever is above it.
        ("GET", "/auth/../_sync/x", Reason::InternalPath),
    ] {
        assert_eq!(judge(method, target), Err(reason), "{method} {target}");
    }
}
