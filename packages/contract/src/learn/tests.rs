use http_wire::answer::{Framing, Line, Version};

use super::*;

fn answer(lines: &[(&str, &str)], body: &str) -> Answer {
    Answer {
        version: Version::One(1),
        status: 200,
        reason: b"OK".to_vec(),
        headers: lines.iter().map(|(n, v)| Line { name: (*n).into(), value: (*v).into() }).collect(),
        framing: Framing::Length,
        body: Body::Whole(body.as_bytes().to_vec()),
        trailers: Vec::new(),
    }
}

fn body(learned: &Learned) -> String {
    match &learned.recorded.body {
        Content::Text(template) => String::from_utf8(template.escaped()).unwrap(),
        other @ (Content::Bytes(_) | Content::Digest { .. }) => format!("{other:?}"),
    }
}

fn header(learned: &Learned, at: usize) -> String {
    String::from_utf8(learned.recorded.headers[at].1.escaped()).unwrap()
}

/// A gzip file of `text` that was made at `time`.
fn packed(text: &str, time: u32) -> Answer {
    use std::io::Write as _;
    let mut file = flate2::GzBuilder::new().mtime(time).write(Vec::new(), flate2::Compression::default());
    file.write_all(text.as_bytes()).unwrap();
    let mut answer = answer(&[("Content-Encoding", "gzip"), ("Content-Length", "24")], "");
    answer.body = Body::Whole(file.finish().unwrap());
    answer
}

#[test]
fn a_body_that_is_compressed_anew_each_time_is_compared_by_its_content() {
    let (one, other) = (packed("text", 1), packed("text", 2));
    let learned = learn("a", &one, Some(&other), &Rules::default());
    assert_eq!((learned.recorded.packed_anew, learned.unstable.len()), (true, 0));
    assert_eq!(header(&learned, 1), "«integer»", "some servers pad what they compress");
    let same = learn("a", &one, Some(&one), &Rules::default());
    assert!(!same.recorded.packed_anew, "another compression would be a difference");
}

#[test]
fn a_volatile_value_in_a_compressed_body_is_checked_and_the_rest_is_compared_by_place() {
    let json = |id: &str, price: &str| format!(r#"{{"id":"{id}","price":{price}}}"#);
    let (one, other) = (packed(&json("00aa00aa", "1.0"), 1), packed(&json("ff00ff00", "1.0"), 2));
    let rules = Rules::parse("volatile: [{ json: /id, shape: hex 8 }]").unwrap();
    // Learned from two answers, and declared for one.
    for learned in [learn("a", &one, Some(&other), &Rules::default()), learn("a", &one, None, &rules)] {
        assert_eq!(body(&learned), r#"{"id":"«hex 8»","price":1.0}"#);
        assert_eq!(
            (header(&learned, 1).as_str(), &learned.unstable, &learned.unfit),
            ("«integer»", &vec![], &vec![])
        );
        let recorded = learned.recorded;
        let places = |other: &Answer| -> Vec<String> {
            let found = compare(&recorded.answer(), &recorded.normal(other)).differences;
            found.iter().map(|one| format!("{} {}", one.kind, one.place)).collect()
        };
        assert_eq!((places(&one), places(&other)), (vec![], vec![]));
        assert_eq!(places(&packed(&json("ff00ff00", "1"), 3)), ["body_format /price"]);
        assert_eq!(places(&packed(&json("none", "1.0"), 3)), ["body_value /id"]);
        let mut plain = other.clone();
        plain.headers.remove(0);
        plain.body = Body::Whole(json("ff00ff00", "1.0").into_bytes());
        assert!(
            places(&plain).contains(&"header_missing content-encoding".to_owned()),
            "{:?}",
            places(&plain)
        );
    }
    let unfit = learn("a", &packed(&json("none", "1"), 1), None, &rules);
    assert_eq!((unfit.unfit.len(), unfit.recorded.packed_anew), (1, false));
}

#[test]
fn every_known_coding_shows_what_is_volatile_inside() {
    for codings in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        let of = |text: &str| {
            let mut packed = answer(&[("Content-Encoding", codings)], "");
            packed.body = Body::Whole(coding::packed(&packed, text.as_bytes()).unwrap());
            packed
        };
        let html = |word: &str, price: &str| format!("<i id=\"{word}\">{price}</i>\n");
        let (one, other) = (of(&html("00aa00aa", "1.0")), of(&html("ff00ff00", "1.0")));
        let learned = learn("a", &one, Some(&other), &Rules::default());
        assert_eq!(
            (body(&learned).as_str(), learned.unstable.len()),
            ("<i id=\"«hex 8»\">1.0</i>\n", 0),
            "{codings}"
        );
        let recorded = learned.recorded;
        let differences =
            |other: &Answer| compare(&recorded.answer(), &recorded.normal(other)).differences.len();
        assert_eq!((differences(&one), differences(&other)), (0, 0), "{codings}");
        for seeded in
            [html("ff00ff00", "1"), html("none", "1.0"), html("ff00ff00", "1.0").trim_end().to_owned()]
        {
            assert_ne!(differences(&of(&seeded)), 0, "{codings}: {seeded}");
        }
    }
}

#[test]
fn one_attribute_of_a_cookie_may_be_volatile_and_the_others_stay_compared() {
    let rules = Rules::parse(
        "volatile:\n  - { cookie: sid, attribute: Expires, shape: http-date }\n  - { cookie: sid, shape: token }\n",
    );
    let rules = rules.unwrap();
    let cookie = |value: &str| answer(&[("Set-Cookie", value)], "");
    let one = cookie("sid=a1; expires=Fri, 27 Nov 2026 03:33:39 GMT; Path=/; HttpOnly");
    let learned = learn("a", &one, None, &rules);
    assert_eq!(header(&learned, 0), "sid=«token»; expires=«http-date»; Path=/; HttpOnly");
    let recorded = learned.recorded;
    let differs =
        |value: &str| compare(&recorded.answer(), &recorded.normal(&cookie(value))).differences.len();
    assert_eq!(differs("sid=b2; expires=Sat, 28 Nov 2026 04:00:00 GMT; Path=/; HttpOnly"), 0);
    for changed in [
        "sid=b2; expires=tomorrow; Path=/; HttpOnly",
        "sid=b2; expires=Sat, 28 Nov 2026 04:00:00 GMT; Path=/a; HttpOnly",
        "sid=b2; Path=/; HttpOnly",
        "sid=b2; Path=/; expires=Sat, 28 Nov 2026 04:00:00 GMT; HttpOnly",
    ] {
        assert_ne!(differs(changed), 0, "{changed}");
    }
    // Another order is that alone, and hides no other date.
    let places = |value: &str| -> Vec<String> {
        let found = compare(&recorded.answer(), &recorded.normal(&cookie(value))).differences;
        found.iter().map(|one| format!("{} {}", one.kind, one.place)).collect()
    };
    let moved = "sid=b2; Path=/; HttpOnly;expires=Sat, 28 Nov 2026 04:00:00 GMT";
    assert_eq!(places(moved), ["set_cookie_attributes sid"]);
    let both = places(&moved.replace("GMT", "UTC"));
    assert!(both.contains(&"set_cookie_attributes sid; expires".to_owned()), "{both:?}");
    let unfit = learn("a", &cookie("sid=a; Expires=0"), None, &rules);
    let expected = "set-cookie sid; expires: the value does not have the shape `http-date` of its rule";
    assert_eq!(unfit.unfit, [expected]);
    // The cookie of another name keeps its date.
    let other = cookie("theme=dark; Expires=Fri, 27 Nov 2026 03:33:39 GMT");
    assert_eq!(
        header(&learn("a", &other, None, &rules), 0),
        "theme=dark; Expires=Fri, 27 Nov 2026 03:33:39 GMT"
    );
}

#[test]
fn what_differs_between_two_answers_is_volatile_and_keeps_its_shape() {
    let one = answer(
        &[
            ("Date", "Fri, 27 Nov 2026 03:33:39 GMT"),
            ("ETag", "\"00ff00ff\""),
            ("Set-Cookie", "sid=abc1; Path=/"),
        ],
        r#"{"id":"01932c07-0000-7000-8000-00000000000a","n":[1,2],"x":"same"}"#,
    );
    let other = answer(
        &[
            ("Date", "Fri, 27 Nov 2026 03:33:39 GMT"),
            ("ETag", "\"ff01ff01\""),
            ("Set-Cookie", "sid=abc2; Path=/"),
        ],
        r#"{"id":"01932c07-0000-7000-8000-00000000000b","n":[1,7],"x":"same"}"#,
    );
    let learned = learn("a", &one, Some(&other), &Rules::default());
    assert_eq!(header(&learned, 0), "«http-date»");
    assert_eq!(header(&learned, 1), "\"«hex 8»\"");
    assert_eq!(header(&learned, 2), "sid=«token 4»; Path=/");
    assert_eq!(body(&learned), r#"{"id":"«uuid»","n":[1,"«json integer»"],"x":"same"}"#);
    assert_eq!((learned.unstable.len(), learned.unfit.len()), (0, 0));
    // A third answer of the same shapes is equal, and one of another shape is not.
    let recorded = learned.recorded;
    let differs = |other: &Answer| compare(&recorded.answer(), &recorded.normal(other)).differences;
    assert_eq!(differs(&one), []);
    let mut third = other;
    third.headers[2].value = b"sid=zzz9; Path=/; Secure".to_vec();
    third.body = Body::Whole(br#"{"id":"none","n":[1,7.0],"x":"same"}"#.to_vec());
    let places: Vec<String> = differs(&third).iter().map(|d| format!("{} {}", d.kind, d.place)).collect();
    let expected = ["set_cookie_attributes sid; secure", "body_value /id", "body_type /n/*"];
    assert_eq!(places, expected);
}

#[test]
fn rules_declare_what_one_answer_cannot_show() {
    let rules = Rules::parse(
        "volatile:\n  - { cookie: sid, shape: token 6 }\n  - { json: /items/*/at, shape: timestamp 3 }\n  - { after: 'nonce=\"', shape: hex 4 }\n  - { header: x-time, shape: integer }\n",
    )
    .unwrap();
    let headers = [("Set-Cookie", "sid=a1b2c3; Path=/"), ("X-Time", "late")];
    let learned = learn(
        "a",
        &answer(&headers, r#"{"items":[{"at":"2026-11-27T03:33:39.962Z"},{"at":"now"}]}"#),
        None,
        &rules,
    );
    assert_eq!(header(&learned, 0), "sid=«token 6»; Path=/");
    assert_eq!(body(&learned), r#"{"items":[{"at":"«timestamp 3»"},{"at":"now"}]}"#);
    assert_eq!(learned.unfit.len(), 2, "{:?}", learned.unfit);
    let page = learn("a", &answer(&[], "<i nonce=\"00ff\"><b nonce=\"ff00\">"), None, &rules);
    assert_eq!(body(&page), "<i nonce=\"«hex 4»\"><b nonce=\"«hex 4»\">");
}

#[test]
fn an_answer_that_no_shape_covers_is_unstable() {
    let (one, other) =
        (answer(&[("A", "1"), ("B", "2")], "[1,2]"), answer(&[("B", "2"), ("A", "1")], "[1,2,3]"));
    let learned = learn("a", &one, Some(&other), &Rules::default());
    assert_eq!(learned.unstable, ["header_order", "body_extra /*"]);
    let rules = Rules::parse("volatile: [{ body: any }]\nignore: [{ kind: header_order }]").unwrap();
    assert_eq!(super::learn("a", &one, Some(&other), &rules).unstable, [""; 0]);
}
