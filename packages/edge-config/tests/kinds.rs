//! Kinds of sessions in `to` of a route.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{AcceptedCredential, Edge, LegacyEnd, Policy, PublicPolicy, Route};
use edge_config::{Faults, inspect, parse};

const CHECK: &str = "methods: [GET], policy: signed-in, to: auth, answers: auth";
const REFRESH: &str = "methods: [PATCH], policy: public, to: auth, answers: auth";
const BOTH: &str = "signed-in: { kind: session, accept: [session, legacy-session] }";

/// The dev edge, which has both kinds of sessions, with short names of its cookies, nothing about how legacy sessions end, and
/// these edits.
fn text(edits: &[(&str, &str)]) -> String {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let mut text = std::fs::read_to_string(dev).unwrap();
    for part in ["sessions", "legacy_sessions"] {
        let (_, section) = text.split_once(&format!("\n{part}:\n  ")).unwrap();
        let mut names = section.lines().map(|line| line.trim().to_owned());
        let (cookie, refresh) = (names.next().unwrap(), names.next().unwrap());
        text = text.replace(&format!("  {refresh}\n"), "  refresh_cookie: refresh_token\n");
        text = text.replace(&format!("  {cookie}\n"), "  cookie: access_token\n");
    }
    for (old, new) in [("  end: exchange\n", "")].iter().chain(edits) {
        assert!(text.contains(old), "{old:?} is not in the file");
        text = text.replacen(old, new, 1);
    }
    text
}

fn read(edits: &[(&str, &str)]) -> Result<Edge, Faults> {
    parse(Path::new("edge.yaml"), &text(edits), &|_| None)
}

fn edge(edits: &[(&str, &str)]) -> Edge {
    read(edits).unwrap_or_else(|faults| panic!("{faults}"))
}

fn route<'e>(edge: &'e Edge, name: &str) -> &'e Route {
    edge.routes.iter().find(|route| route.name == name).unwrap()
}

fn check(to: &str) -> String {
    CHECK.replacen("to: auth", &format!("to: {to}"), 1)
}

fn refresh(to: &str) -> String {
    REFRESH.replacen("to: auth", &format!("to: {to}"), 1)
}

#[test]
fn kinds_stand_beside_shares() {
    let checked = check("{ legacy-session: legacy, session: auth }");
    let refreshed = refresh(
        "{ legacy-session: legacy, session: auth, legacy: 90, auth: 10, sticky: { cookie: device } }",
    );
    let edge = edge(&[(CHECK, &checked), (REFRESH, &refreshed)]);
    let route_check = route(&edge, "auth-check");
    let to = &route_check.destination;
    assert_eq!(to.of_kind(AcceptedCredential::LegacySession), Some("legacy"));
    assert_eq!(to.of_kind(AcceptedCredential::Session), Some("auth"));
    assert_eq!(to.of_kind(AcceptedCredential::ApiKey), None);
    assert_eq!((to.only(), to.shares.len()), (None, 0));
    assert_eq!(to.to_string(), "legacy-session to legacy, session to auth");
    assert_eq!(route_check.backends(), ["legacy", "auth"]);
    // Where it goes is known only after the decision.
    assert!(route_check.is_decided_late());

    let route_refresh = route(&edge, "auth-refresh");
    let to = &route_refresh.destination;
    assert_eq!(to.to_string(), "legacy-session to legacy, session to auth, others legacy 90 %, auth 10 %");
    assert_eq!(to.of_others().to_string(), "legacy 90 %, auth 10 %");
    assert_eq!(route_refresh.answering(), ["legacy", "auth"]);
}

#[test]
fn a_public_route_with_kinds_needs_the_authorizer() {
    let limits = format!("{REFRESH}, limits: [renewals]");
    let plain = edge(&[(&limits, REFRESH)]);
    assert!(!plain.is_decided(route(&plain, "auth-refresh")), "nothing to decide");
    let kinds = refresh("{ session: auth, legacy: 100 }");
    let with_kinds = edge(&[(&limits, &kinds)]);
    assert!(with_kinds.is_decided(route(&with_kinds, "auth-refresh")));
    let ended =
        edge(&[(&limits, REFRESH), ("public: { kind: public }", "public: { kind: public, ended: refuse }")]);
    assert!(ended.is_decided(route(&ended, "auth-refresh")));
    assert_eq!(ended.policies["public"], Policy::Public(PublicPolicy { refuse_ended: true }));
}

#[test]
fn a_shadow_is_compared_with_the_backend_of_the_request_itself() {
    let words = "{ legacy-session: legacy, session: auth }, shadow: auth";
    let edge = edge(&[(CHECK, &check(words))]);
    let check = route(&edge, "auth-check");
    assert_eq!(check.reference(), Some("legacy"));
    let of = |backend: &str| check.copies(&edge_config::edge::Destination::whole(backend));
    assert_eq!((of("legacy"), of("auth"), of("users")), (true, false, false));
}

#[test]
fn the_file_states_how_legacy_sessions_end() {
    let role = "  role: 0\n  verify";
    let end = |word: &str| role.replace("  verify", &format!("  end: {word}\n  verify"));
    let apart = refresh("{ legacy-session: legacy, session: auth, legacy: 100 }");
    let taken = refresh("{ legacy-session: auth, session: auth, legacy: 100 }");
    let (side, exchange) = (end("side-by-side"), end("exchange"));
    let one = edge(&[(role, &side), (REFRESH, &apart)]);
    assert_eq!(one.legacy_sessions.unwrap().end, Some(LegacyEnd::SideBySide));
    let other = edge(&[(role, &exchange), (REFRESH, &taken)]);
    assert_eq!(other.legacy_sessions.unwrap().end, Some(LegacyEnd::Exchange));
    let wrong = read(&[(role, &side), (REFRESH, &taken)]).unwrap_err().to_string();
    assert!(wrong.contains("write `end: exchange`"), "{wrong}");
    let wrong = read(&[(role, &exchange), (REFRESH, &apart)]).unwrap_err().to_string();
    assert!(wrong.contains("write `legacy-session: auth` there"), "{wrong}");
}

#[test]
fn each_of_these_is_a_fault_on_its_line() {
    let legacy_refresh = "  refresh_cookie: refresh_token\n  tenant";
    let sessions_refresh = "  refresh_cookie: refresh_token\n  bearer";
    let public = refresh("{ legacy-session: legacy, session: auth, legacy: 100 }");
    let cases: Vec<(Vec<(&str, String)>, &str)> = vec![
        (vec![(CHECK, check("{ legacy-session: legacy }"))], "has no backend for `session`"),
        (
            vec![(CHECK, check("{ legacy-session: legacy, session: auth, api-key: auth }"))],
            "does not accept it",
        ),
        (vec![(CHECK, check("{ legacy-sesion: legacy, session: auth }"))], "did you mean `legacy-session`?"),
        (vec![(CHECK, check("{ legacy-session: 10, session: auth }"))], "name one backend for every"),
        (vec![(CHECK, check("{ legacy-session: legcy, session: auth }"))], "did you mean `legacy`?"),
        (
            vec![(CHECK, check("{ legacy-session: legacy, session: auth, sticky: session }"))],
            "no shares to choose from",
        ),
        (vec![(CHECK, check("{ legacy-session: legacy, session: auth, legacy: 90 }"))], "add up to 90"),
        (
            vec![(REFRESH, refresh("{ legacy-session: legacy, session: auth }"))],
            "no backend for callers without a session",
        ),
        (
            vec![(REFRESH, refresh("{ api-key: legacy, auth: 100 }"))],
            "recognises `session` and `legacy-session`",
        ),
        (
            vec![(REFRESH, public.clone()), (legacy_refresh, "  tenant".to_owned())],
            "no `refresh_cookie` in `legacy_sessions`",
        ),
        (
            vec![(REFRESH, public), (sessions_refresh, "  bearer".to_owned())],
            "no `refresh_cookie` in `sessions`",
        ),
        (
            vec![(legacy_refresh, legacy_refresh.replace("refresh_token", "access_token"))],
            "the cookie with the access token",
        ),
        (vec![("public: { kind: public }", "public: { kind: public, ended: maybe }".to_owned())], "`ended`"),
        (
            vec![
                ("public: { kind: public }", "public: { kind: public, ended: refuse }".to_owned()),
                (sessions_refresh, "  bearer".to_owned()),
            ],
            "policy `public` refuses ended sessions, and the file has no `refresh_cookie` in `sessions`",
        ),
        (
            vec![
                ("public: { kind: public }", "public: { kind: public, ended: refuse }".to_owned()),
                (legacy_refresh, "  tenant".to_owned()),
            ],
            "the file has no `refresh_cookie` in `legacy_sessions`",
        ),
        (
            vec![(
                "policy: account-lookup, to: users",
                "policy: account-lookup, to: { session: users, users: 100 }".to_owned(),
            )],
            "its callers have no session",
        ),
        (
            vec![(
                "  users: { address",
                "  session: { address: 127.0.0.1:9 }\n  users: { address".to_owned(),
            )],
            "which is a kind of credential",
        ),
    ];
    for (edits, expected) in cases {
        let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (*old, new.as_str())).collect();
        let message = read(&edits).expect_err("the file should be refused").to_string();
        assert!(message.contains(expected), "{edits:?} should say {expected:?}:\n{message}");
    }
}

#[test]
fn shares_that_get_no_request_are_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edge.yaml");
    let words = check("{ legacy-session: legacy, session: auth, legacy: 100 }");
    std::fs::write(&file, text(&[(CHECK, &words)])).unwrap();
    let (_, warnings) = inspect(&file, &|_| None).unwrap();
    assert!(warnings.to_string().contains("the shares of route `auth-check` get no request"), "{warnings}");
}

#[test]
fn a_lease_that_no_request_gets_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("edge.yaml");
    let lease = BOTH.replace("] }", "], lease: {} }");
    for (to, by) in [
        ("{ legacy-session: legacy, session: auth }", Some("the kind of session")),
        ("{ legacy: 50, auth: 50, sticky: session }", Some("`sticky`")),
        ("auth, canary: [{ tenant: 00000000-0000-7000-8000-000000000001, to: legacy }]", Some("`canary`")),
        ("{ legacy: 50, auth: 50 }", None),
        ("auth", None),
    ] {
        std::fs::write(&file, text(&[(BOTH, &lease), (CHECK, &check(to))])).unwrap();
        let (_, warnings) = inspect(&file, &|_| None).unwrap();
        let warnings = warnings.to_string();
        match by {
            Some(by) => {
                let expected = format!("route `auth-check` gets no lease: its backend is chosen by {by}");
                assert!(warnings.contains(&expected), "{to}: {warnings}");
            }
            None => assert!(!warnings.contains("gets no lease"), "{to}: {warnings}"),
        }
    }
}
