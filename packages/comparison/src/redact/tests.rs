use proptest::prelude::*;

use super::*;
use crate::answer::Line;

const TOKEN: &str = "s3cr3t-value";

fn redactor() -> Redactor {
    Redactor::new([7; 32])
}

fn line(name: &str, value: &str) -> Line {
    Line { name: name.into(), value: value.into() }
}

fn secrets() -> Secrets {
    let lines = [line("Cookie", &format!("a={TOKEN}; b=%2Fslashed"))];
    Secrets::of(b"/x?key=querysecret", &lines, &[], &[])
}

fn shown(kind: DifferenceKind, place: &str, value: &str) -> Shown {
    let value = Some(value.as_bytes().to_vec());
    let difference = Difference { kind, place: place.to_owned(), reference: value.clone(), shadow: value };
    redactor().difference(&difference, &secrets())
}

#[test]
fn a_credential_is_hidden_wherever_it_occurs() {
    for kind in DifferenceKind::ALL {
        for secret in [TOKEN, "querysecret", "%2Fslashed", "/slashed"] {
            let shown = shown(*kind, &format!("before {secret} after"), &format!("it is {secret}!"));
            let all = format!("{shown:?}");
            assert!(!all.contains(secret), "{kind}: {all}");
        }
    }
}

#[test]
fn a_value_with_the_name_of_a_credential_is_never_shown() {
    for name in [
        "accessToken",
        "refresh_token",
        "password",
        "resetCode",
        "otp",
        "clientSecret",
        "x-csrf",
        "sessionId",
    ] {
        let shown = shown(DifferenceKind::BodyValue, &format!("/user/{name}"), "\"short\"");
        assert!(!format!("{shown:?}").contains("short"), "{name}");
    }
    for name in ["title", "zipcode", "shipping", "createdAt", "pinned"] {
        assert!(!is_sensitive(name), "{name}");
    }
}

#[test]
fn text_that_looks_like_a_token_is_hidden_and_prose_is_not() {
    let jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let text = shown(DifferenceKind::BodyText, "", &format!("a {jwt} z")).reference.unwrap();
    assert!(text.starts_with("a «secret:") && text.ends_with("» z") && !text.contains("eyJ"));
    let prose = "Incomprehensibilities are words, 2026-11-23 is a day.";
    assert_eq!(shown(DifferenceKind::BodyText, "", prose).reference.unwrap(), prose);
}

#[test]
fn equal_credentials_look_equal_and_others_do_not() {
    let redactor = redactor();
    assert_eq!(redactor.mark(b"one"), redactor.mark(b"one"));
    assert_ne!(redactor.mark(b"one"), redactor.mark(b"two"));
    assert_ne!(redactor.mark(b"one"), Redactor::new([8; 32]).mark(b"one"));
}

#[test]
fn query_values_are_not_shown_and_names_are() {
    let target = redactor().target(b"/books/1?page=2&q=&next=/a?b=c", &Secrets::default());
    assert_eq!(target, "/books/1?page=…&q=…&next=…");
    assert_eq!(without_query_values("what? that & this = fine"), "what? that & this = fine");
}

#[test]
fn basic_credentials_hide_the_password_too() {
    let lines = [line("Authorization", "Basic bWU6aHVudGVyMg==")];
    let secrets = Secrets::of(b"/", &lines, &[], &[]);
    let text = redactor().text("hunter2 and bWU6aHVudGVyMg==", &secrets);
    assert!(!text.contains("hunter2") && !text.contains("bWU6"), "{text}");
}

proptest! {
    // At least nine characters: a digest of eight may contain a shorter one by chance.
    #[test]
    fn no_cookie_value_survives_anywhere(secret in "[A-Za-z0-9%/+=.-]{9,40}", around in "[ -~]{0,40}", kind in 0..DifferenceKind::ALL.len()) {
        let secrets = Secrets::of(b"/", &[line("cookie", &format!("sid={secret}"))], &[], &[]);
        let value = Some(format!("{around}{secret}{around}").into_bytes());
        let kind = DifferenceKind::ALL[kind];
        let difference = Difference { kind, place: format!("/{secret}"), reference: value.clone(), shadow: value };
        let shown = redactor().difference(&difference, &secrets);
        let all = format!("{} {:?}", shown.place, shown.reference);
        prop_assert!(!all.contains(&secret), "{} is in {}", secret, all);
    }

    #[test]
    fn nothing_makes_it_panic(text in ".{0,200}") {
        let _ = redactor().text(&text, &secrets());
        let _ = Secrets::of(text.as_bytes(), &[line("cookie", &text), line("authorization", &text)], &[], &[]);
    }
}
