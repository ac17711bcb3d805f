use edge_config::edge::{Comparator, DifferenceKind, Ignore, Ignored};

use super::*;
use crate::answer::{Answer, Body, Framing, Line, Version};

const ROUTE: &str = "books";

fn json(body: &str) -> Answer {
    with(&[], body)
}

fn with(lines: &[(&str, &str)], body: &str) -> Answer {
    Answer {
        version: Version::One(1),
        status: 200,
        reason: b"OK".to_vec(),
        headers: lines.iter().map(|(n, v)| Line { name: (*n).into(), value: (*v).into() }).collect(),
        framing: Framing::Length,
        body: Body::Whole(body.into()),
        trailers: Vec::new(),
    }
}

fn now() -> UnixTime {
    UnixTime::from_seconds(1_000_000)
}

fn open(reference: &Answer, shadow: &Answer, noise: &Noise) -> Open {
    Open::new(compare(reference, shadow).differences, Overlooked::on(None, ROUTE), noise, now())
}

fn places(open: &Open) -> Vec<&str> {
    open.differences.iter().map(|difference| difference.place.as_str()).collect()
}

#[test]
fn a_place_where_the_reference_differs_from_itself_is_noise_and_the_seeded_byte_is_not() {
    let reference = json(r#"{"at":"10:00:00","title":"Momo"}"#);
    let shadow = json(r#"{"at":"10:00:01","title":"momo"}"#);
    let again = json(r#"{"at":"10:00:02","title":"Momo"}"#);
    let mut noise = Noise::default();
    let mut open = open(&reference, &shadow, &noise);
    assert!(open.needs_a_look(&noise, now()));
    let lesson = open.look(&reference, Some(&shadow), &again);
    assert_eq!(places(&open), ["/title"]);
    assert_eq!(lesson.noise, [(DifferenceKind::BodyValue, "/at".to_owned())]);
    assert_eq!(lesson.agreed, [(DifferenceKind::BodyValue, "/title".to_owned())]);

    // Known noise is silent from then on, without another query.
    noise.learn((DifferenceKind::BodyValue, "/at".to_owned()), "/at".to_owned(), now());
    let silent = self::open(&json(r#"{"at":1,"title":"x"}"#), &json(r#"{"at":2,"title":"x"}"#), &noise);
    assert!(silent.differences.is_empty() && silent.noise && !silent.needs_a_look(&noise, now()));
    // A missing value, or one that is not a time, is still a difference.
    for shadow in [r#"{"title":"x"}"#, r#"{"at":null,"title":"x"}"#] {
        assert!(!self::open(&json(r#"{"at":1,"title":"x"}"#), &json(shadow), &noise).differences.is_empty());
    }
}

#[test]
fn data_that_changed_in_between_is_neither_noise_nor_a_difference() {
    let (before, after) = (json(r#"{"name":"a"}"#), json(r#"{"name":"b"}"#));
    let mut open = open(&before, &after, &Noise::default());
    let lesson = open.look(&before, Some(&after), &after);
    assert!(open.differences.is_empty() && open.moved && lesson.noise.is_empty());
}

#[test]
fn a_random_cookie_does_not_hide_a_missing_attribute() {
    let cookie = |line: &str| with(&[("Set-Cookie", line)], "");
    let (reference, again) = (cookie("sid=1; HttpOnly"), cookie("sid=2; HttpOnly"));
    let shadow = cookie("sid=3");
    let mut open = open(&reference, &shadow, &Noise::default());
    let lesson = open.look(&reference, Some(&shadow), &again);
    assert_eq!(places(&open), ["sid; httponly"]);
    assert_eq!(lesson.noise, [(DifferenceKind::SetCookieValue, "sid".to_owned())]);
}

#[test]
fn a_silent_shadow_differs_whatever_the_reference_answers() {
    let reference = json("{}");
    let differences = crate::compare::unanswered("the connection was refused").differences;
    let noise = Noise::default();
    let mut open = Open::new(differences, Overlooked::on(None, ROUTE), &noise, now());
    open.look(&reference, None, &json("{\"a\":1}"));
    assert_eq!(open.differences.len(), 1);
}

#[test]
fn declared_differences_are_ignored() {
    let everywhere = |what| Ignore { route: None, what };
    let elsewhere = Ignore { route: Some("other".to_owned()), what: Ignored::Kind(DifferenceKind::Status) };
    let comparator = Comparator {
        address: ([127, 0, 0, 1], 1).into(),
        admin: ([127, 0, 0, 1], 2).into(),
        sample_percent: 100,
        version_header: None,
        ignore: vec![
            everywhere(Ignored::Header("x-powered-by".to_owned())),
            everywhere(Ignored::Cookie("sid".to_owned())),
            everywhere(Ignored::Json("/items/*/etag".to_owned())),
            elsewhere,
        ],
    };
    let overlooked = Overlooked::on(Some(&comparator), ROUTE);
    let mut reference = with(
        &[("X-Powered-By", "PHP"), ("A", "1"), ("Set-Cookie", "sid=1"), ("Set-Cookie", "side=1")],
        r#"{"items":[{"etag":"1"}]}"#,
    );
    let mut shadow = with(&[("A", "1"), ("Set-Cookie", "side=1")], r#"{"items":[{"etag":"2"}]}"#);
    shadow.status = 500;
    overlooked.strip(&mut reference);
    overlooked.strip(&mut shadow);
    let differences = compare(&reference, &shadow).differences;
    let open = Open::new(differences, overlooked, &Noise::default(), now());
    let kinds: Vec<_> = open.differences.iter().map(|difference| difference.kind).collect();
    assert_eq!((kinds.as_slice(), open.ignored), ([DifferenceKind::Status].as_slice(), true));
}
