use proptest::prelude::*;

use super::*;

fn normal(template: &str, other: &str) -> String {
    let template = Template::read(template.as_bytes()).unwrap();
    String::from_utf8(template.normal(other.as_bytes())).unwrap()
}

#[test]
fn a_value_of_the_shape_becomes_the_placeholder_and_another_stays() {
    let golden = "id=«hex 4»; at «http-date»!";
    assert_eq!(normal(golden, "id=00ff; at Fri, 27 Nov 2026 03:33:39 GMT!"), "id=«hex 4»; at «http-date»!");
    assert_eq!(normal(golden, "id=00fg; at Fri, 27 Nov 2026 03:33:39 GMT!"), "id=00fg; at «http-date»!");
    assert_eq!(normal(golden, "id=00ff; at noon!"), "id=«hex 4»; at noon!");
}

#[test]
fn a_difference_in_between_does_not_hide_the_values_after_it() {
    let golden = "<a b=\"«hex 4»\"><p>some words here</p><i c=\"«hex 4»\">";
    assert_eq!(
        normal(golden, "<a b=\"00ff\"><p>some other words here</p><i c=\"ff00\">"),
        "<a b=\"«hex 4»\"><p>some other words here</p><i c=\"«hex 4»\">"
    );
}

#[test]
fn in_json_a_value_belongs_to_its_place() {
    let golden = r#"{"a":"«uuid»","n":"«json integer»","s":"x","url":"http://h/«integer»/b"}"#;
    let other = r#"{"s":"y","n":12,"url":"http://h/77/b","a":"01932c07-0000-7000-8000-00000000000a"}"#;
    let expected = r#"{"s":"y","n":"«json integer»","url":"http://h/«integer»/b","a":"«uuid»"}"#;
    assert_eq!(normal(golden, other), expected);
    // A text where a number was, and another number format, stay as they are.
    for value in ["\"12\"", "12.0", "null"] {
        let text = format!("{{\"n\":{value}}}");
        assert_eq!(normal(golden, &text), text);
    }
}

#[test]
fn two_answers_make_a_template_that_takes_both() {
    for (one, other, expected) in [
        ("W/\"00ff12ab\"", "W/\"00ff34ab\"", "W/\"«hex 8»\""),
        ("max-age=60, at=1", "max-age=60, at=22", "max-age=60, at=«integer»"),
        ("a b c", "a x y c", "a «text» c"),
        ("same", "same", "same"),
    ] {
        let template = of_both(one.as_bytes(), other.as_bytes());
        assert_eq!(String::from_utf8(template.escaped()).unwrap(), expected);
        assert_eq!(template.normal(one.as_bytes()), template.text());
        assert_eq!(template.normal(other.as_bytes()), template.text());
    }
}

#[test]
fn a_literal_quotation_mark_is_written_twice() {
    let template = Template::literal("said «uuid» and «".as_bytes());
    assert_eq!(String::from_utf8(template.escaped()).unwrap(), "said ««uuid» and ««");
    assert!(!template.is_volatile());
    for (wrong, why) in [("«uuid", "has no end"), ("«frob»", "is not a shape")] {
        let error = Template::read(wrong.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

proptest! {
    #[test]
    fn every_text_is_read_back(text in "[a-z«»{}\":, ]{0,40}") {
        let template = Template::literal(text.as_bytes());
        prop_assert_eq!(template.normal(text.as_bytes()), text.as_bytes());
        prop_assert_eq!(Template::read(&template.escaped()).unwrap(), template);
    }

    #[test]
    fn without_a_placeholder_nothing_is_changed(golden in "[a-c ]{0,20}", other in "[a-c ]{0,20}") {
        prop_assert_eq!(Template::literal(golden.as_bytes()).normal(other.as_bytes()), other.as_bytes());
    }

    #[test]
    fn two_texts_make_a_template_of_the_first(one in "[a-c0-9 =;]{0,20}", other in "[a-c0-9 =;]{0,20}") {
        let template = of_both(one.as_bytes(), other.as_bytes());
        prop_assert_eq!(template.is_volatile(), one != other);
    }
}
