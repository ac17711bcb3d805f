//! How the session cookie is read.

use std::path::Path;

use edge_config::edge::{CookieReading, Duplicates};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn with(cookie: &str) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(&file).expect("the development edge is there");
    let (_, sessions) = text.split_once("sessions:\n").expect("it has sessions");
    let old = format!("{}\n", sessions.lines().next().expect("they have a line"));
    let old = old.as_str();
    assert!(text.contains(old), "the development edge names another cookie");
    edge_config::parse(&file, &text.replacen(old, &format!("  cookie: {cookie}\n"), 1), &|_| None)
}

#[test]
fn a_cookie_is_a_name_or_a_name_with_rules() {
    for (text, name, split, duplicates) in [
        ("sid", "sid", None, Duplicates::Last),
        ("{ name: sid }", "sid", None, Duplicates::Last),
        ("{ name: sid, split: false, duplicates: first }", "sid", None, Duplicates::First),
        ("{ name: sid, split: true, duplicates: refuse }", "sid", Some('.'), Duplicates::Refuse),
        ("{ name: _oauth2_proxy, split: _ }", "_oauth2_proxy", Some('_'), Duplicates::Last),
    ] {
        let sessions = with(text).unwrap().sessions.unwrap();
        assert_eq!(sessions.cookie, name, "{text}");
        assert_eq!(sessions.reading, CookieReading { split, duplicates }, "{text}");
    }
}

#[test]
fn each_of_these_is_a_fault() {
    for (text, part) in [
        ("{ split: true }", "`cookie` of `sessions` has no `name`"),
        ("{ name: \"a b\" }", "the cookie's name is \"a b\""),
        ("{ name: sid, split: \"..\" }", "`split` of the cookie is not a separator"),
        ("{ name: sid, split: \"=\" }", "`split` of the cookie is not a separator"),
        ("{ name: sid, split: 4 }", "`split` of the cookie is not a separator"),
        ("{ name: sid, duplicates: both }", "`duplicates` of the cookie is \"both\""),
        ("{ name: sid, parts: 4 }", "has no field `parts`"),
        ("[sid]", "the cookie's name is a list"),
    ] {
        let faults = with(text).unwrap_err().to_string();
        assert!(faults.contains(part), "{text}\n{faults}");
    }
}
