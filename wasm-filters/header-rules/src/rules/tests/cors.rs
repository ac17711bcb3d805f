//! Pages of other origins: who may read, which preflights are answered, and by the rules of which path.

use super::*;
use crate::Reader;
use crate::config::CorsRules;

/// `/books` has rules of its own, `/users` has none, and everything else on the host has those of the host.
fn edge() -> Rules {
    let mut config = config();
    let rules = |origin: &str, credentials| CorsRules {
        origins: owned(&[origin]),
        credentials,
        max_age_seconds: 600,
        ..CorsRules::default()
    };
    config.cors = vec![rules("https://spa.example", true), rules("*", false)];
    let host = &mut config.hosts[0];
    host.cors = Some(0);
    for route in &mut host.routes {
        route.cors = Some(0);
    }
    host.routes[5].cors = Some(1);
    host.routes[4].cors = None;
    host.absent = vec![PathRule::Prefix("/gone".to_owned())];
    Rules::compile(&config).unwrap()
}

enum Answer {
    Passes(Option<Reader>),
    Refused(Reason, Option<Reader>),
    Preflight(String),
}

fn ask(method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut pairs: Vec<(&[u8], &[u8])> =
        vec![(b":method", method.as_bytes()), (b":path", target.as_bytes()), (b":authority", b"localhost")];
    pairs.extend(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    match edge().judge(&encode(&pairs)) {
        GuardVerdict::Forward(edits) => Answer::Passes(edits.reader),
        GuardVerdict::Refuse(refusal) => Answer::Refused(refusal.reason, refusal.reader),
        GuardVerdict::Answer(preflight) => {
            Answer::Preflight(String::from_utf8(preflight.headers[0].1.clone()).unwrap())
        }
    }
}

const SPA: (&str, &str) = ("origin", "https://spa.example");
const EVIL: (&str, &str) = ("origin", "https://evil.example");

fn preflight(target: &str, origin: (&str, &str), asked: &str) -> Answer {
    ask("OPTIONS", target, &[origin, ("access-control-request-method", asked)])
}

#[test]
fn a_preflight_is_answered_by_the_rules_of_the_path_that_it_asks_about() {
    for (target, asked) in [
        ("/anything", "DELETE"),
        ("/auth/token", "PATCH"),
        // The host answers where no route takes the request, so that the page can read the 404 or 405.
        ("/auth/token/more", "BREW"),
        ("/gone/1", "GET"),
        // An internal path looks like one that does not exist.
        ("/internal", "GET"),
        ("/users/notifications", "GET"),
    ] {
        let answer = preflight(target, SPA, asked);
        assert!(matches!(&answer, Answer::Preflight(origin) if origin == SPA.1), "{target}");
        assert!(
            matches!(preflight(target, EVIL, asked), Answer::Refused(Reason::CorsOrigin, None)),
            "{target}"
        );
    }
    assert!(matches!(preflight("/books/1", EVIL, "PUT"), Answer::Preflight(origin) if origin == "*"));
    for origin in [SPA, EVIL] {
        // `/users` has no rules: its backend may have some.
        assert!(matches!(preflight("/users/1", origin, "PUT"), Answer::Passes(None)), "{origin:?}");
    }
    // POST of `/users` is another route, which has rules.
    assert!(matches!(preflight("/users", SPA, "POST"), Answer::Preflight(_)));
    assert!(matches!(preflight("/users/%2e%2e/internal", SPA, "GET"), Answer::Preflight(_)));
    assert!(matches!(preflight("/a%00", SPA, "GET"), Answer::Preflight(_)), "the page can read the 400");
    assert!(matches!(ask("GET", "/a%00", &[SPA]), Answer::Refused(Reason::MalformedPath, Some(_))));
    assert!(matches!(ask("OPTIONS", "/anything", &[SPA]), Answer::Passes(Some(_))), "no preflight");
    let asked = [("access-control-request-method", "PUT")];
    assert!(matches!(ask("OPTIONS", "/anything", &asked), Answer::Passes(None)), "no page");
    assert!(matches!(ask("GET", "/anything", &[SPA, asked[0]]), Answer::Passes(Some(_))), "no preflight");
}

#[test]
fn a_listed_page_reads_answers_and_refusals_and_others_do_not() {
    let Answer::Passes(Some(reader)) = ask("GET", "/anything", &[SPA]) else { panic!("the page may read") };
    assert_eq!((reader.origin.as_slice(), reader.credentials), (SPA.1.as_bytes(), true));
    assert!(matches!(ask("GET", "/anything", &[EVIL]), Answer::Passes(None)));
    assert!(matches!(ask("GET", "/anything", &[]), Answer::Passes(None)));
    let cookie = ("cookie", "a=b");
    assert!(matches!(ask("POST", "/anything", &[SPA, cookie]), Answer::Passes(Some(_))), "it may send, too");
    assert!(matches!(ask("POST", "/anything", &[EVIL, cookie]), Answer::Refused(Reason::CrossSite, None)));
    assert!(matches!(ask("POST", "/users", &[SPA, cookie]), Answer::Passes(Some(_))));
    assert!(
        matches!(ask("PUT", "/users", &[SPA, cookie]), Answer::Refused(Reason::CrossSite, None)),
        "no rules"
    );
    let Answer::Passes(Some(reader)) = ask("GET", "/books/1", &[EVIL]) else { panic!("any page may read") };
    assert_eq!((reader.origin.as_slice(), reader.credentials), (b"*".as_slice(), false));
    assert!(matches!(ask("POST", "/books/1", &[EVIL, cookie]), Answer::Refused(Reason::CrossSite, Some(_))));
    // The page can read why it was refused.
    assert!(matches!(ask("GET", "/internal", &[SPA]), Answer::Refused(Reason::InternalPath, Some(_))));
    assert!(matches!(ask("GET", "/nothing", &[SPA]), Answer::Passes(Some(_))));
    // `/books` and `/anything` have other rules: what a lenient backend reads decides for neither.
    assert!(matches!(ask("GET", "/books/../anything", &[SPA]), Answer::Passes(None)));
}

#[test]
fn rules_that_are_not_listed_are_refused() {
    let mut config = config();
    config.hosts[0].routes[0].cors = Some(0);
    assert!(matches!(Rules::compile(&config), Err(ConfigError::UnknownCors { .. })));
    config.cors = vec![CorsRules { origins: owned(&["*"]), credentials: true, ..CorsRules::default() }];
    assert!(matches!(Rules::compile(&config), Err(ConfigError::BadCors { index: 0, .. })));
}
