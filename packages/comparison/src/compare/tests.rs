use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::answer::{Body, Framing, Line, Version};

fn answer(lines: &[(&str, &str)], body: &[u8]) -> Answer {
    Answer {
        version: Version::One(1),
        status: 200,
        reason: b"OK".to_vec(),
        headers: lines.iter().map(|(n, v)| Line { name: (*n).into(), value: (*v).into() }).collect(),
        framing: Framing::Length,
        body: Body::Whole(body.to_vec()),
        trailers: Vec::new(),
    }
}

/// The kinds and places, as `kind place`.
fn found(one: &Answer, other: &Answer) -> Vec<String> {
    let differences = compare(one, other).differences;
    differences.iter().map(|d| format!("{} {}", d.kind, d.place).trim_end().to_owned()).collect()
}

fn headers(one: &[(&str, &str)], other: &[(&str, &str)]) -> Vec<String> {
    found(&answer(one, b""), &answer(other, b""))
}

fn bodies(one: &str, other: &str) -> Vec<String> {
    found(&answer(&[], one.as_bytes()), &answer(&[], other.as_bytes()))
}

#[test]
fn status_and_reason_are_two_things() {
    let (one, mut other) = (answer(&[], b""), answer(&[], b""));
    other.status = 201;
    assert_eq!(found(&one, &other), ["status"]);
    other.reason = b"Created".to_vec();
    assert_eq!(found(&one, &other), ["status", "reason"]);
}

#[test]
fn header_lines_are_compared_by_number_value_case_and_order() {
    let one = [("A", "1"), ("B", "2"), ("C", "3")];
    assert_eq!(headers(&one, &one), [""; 0]);
    assert_eq!(headers(&one, &[("A", "1"), ("B", "2")]), ["header_missing c"]);
    assert_eq!(headers(&[("A", "1"), ("B", "2")], &one), ["header_extra c"]);
    assert_eq!(headers(&one, &[("A", "1"), ("B", "9"), ("C", "3")]), ["header_value b"]);
    assert_eq!(headers(&one, &[("A", "1"), ("b", "2"), ("C", "3")]), ["header_case b"]);
    assert_eq!(headers(&one, &[("A", "1"), ("C", "3"), ("B", "2")]), ["header_order"]);
    // A missing line moves no other.
    assert_eq!(headers(&one, &[("B", "2"), ("C", "3")]), ["header_missing a"]);
    // Several lines of one name.
    assert_eq!(headers(&[("V", "1"), ("V", "2")], &[("V", "2"), ("V", "1")]), ["header_order v"]);
    assert_eq!(headers(&[("V", "1"), ("V", "2")], &[("V", "1")]), ["header_missing v"]);
}

#[test]
fn a_date_must_be_there_and_its_value_is_its_own() {
    assert_eq!(headers(&[("Date", "Mon")], &[("Date", "Tue")]), [""; 0]);
    assert_eq!(headers(&[("Date", "Mon")], &[]), ["header_missing date"]);
    assert_eq!(headers(&[("Date", "Mon")], &[("date", "Tue")]), ["header_case date"]);
}

#[test]
fn framing_is_a_note_and_a_length_after_head_is_not() {
    let mut one = answer(&[("Content-Length", "2")], b"hi");
    let mut other = answer(&[("Transfer-Encoding", "chunked"), ("Connection", "close")], b"hi");
    other.framing = Framing::Chunked;
    let comparison = compare(&one, &other);
    assert_eq!((comparison.differences.len(), comparison.notes.as_slice()), (0, [Note::Framing].as_slice()));

    other = answer(&[("Content-Length", "3")], b"");
    (one.framing, other.framing) = (Framing::None, Framing::None);
    one.body = Body::Whole(Vec::new());
    assert_eq!(found(&one, &other), ["header_value content-length"]);
}

#[test]
fn a_cookie_is_compared_piece_by_piece() {
    let cookies = |one: &str, other: &str| headers(&[("Set-Cookie", one)], &[("Set-Cookie", other)]);
    assert_eq!(cookies("sid=1; Path=/; HttpOnly", "sid=1; Path=/; HttpOnly"), [""; 0]);
    assert_eq!(cookies("sid=1; Path=/", "sid=2; Path=/"), ["set_cookie_value sid"]);
    assert_eq!(cookies("sid=1; Path=/; HttpOnly", "sid=1; Path=/"), ["set_cookie_attributes sid; httponly"]);
    assert_eq!(cookies("sid=1; Expires=Mon", "sid=1; Expires=Tue"), ["set_cookie_attributes sid; expires"]);
    assert_eq!(cookies("sid=1; Path=/; Secure", "sid=1; Secure; Path=/"), ["set_cookie_attributes sid"]);
    assert_eq!(cookies("sid=1;Path=/", "sid=1; Path=/"), ["set_cookie_attributes sid"]);
    assert_eq!(cookies("sid=1", "other=1"), ["set_cookie_missing sid", "set_cookie_extra other"]);
    let (a, b) = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"));
    assert_eq!(headers(&[a, b], &[b, a]), ["header_order set-cookie"]);
    assert_eq!(headers(&[a, b], &[a]), ["set_cookie_missing b"]);
}

#[test]
fn one_byte_of_json_is_found_at_its_place() {
    let one = r#"{"items":[{"id":1,"title":"Momo"},{"id":2,"title":"Krabat"}],"next":null}"#;
    assert_eq!(bodies(one, &one.replace("Krabat", "krabat")), ["body_value /items/*/title"]);
    assert_eq!(bodies(one, &one.replace("\"id\":2", "\"id\":3")), ["body_value /items/*/id"]);
    assert_eq!(bodies(one, &one.replace("null", "\"\"")), ["body_type /next"]);
    assert_eq!(bodies(one, &one.replace("\"id\":2,", "")), ["body_missing /items/*/id"]);
    assert_eq!(bodies(&one.replace("\"id\":2,", ""), one), ["body_extra /items/*/id"]);
    assert_eq!(bodies(one, &one.replace(",\"next\"", ", \"next\"")), ["body_format"]);
    assert_eq!(bodies("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"), ["body_order /a"]);
    assert_eq!(bodies("{\"a\":1}", "{\"a\":1.0}"), ["body_format /a"]);
    assert_eq!(bodies("{\"a\":\"\\u0041\"}", "{\"a\":\"A\"}"), ["body_format /a"]);
    assert_eq!(bodies("{\"a\":9007199254740993}", "{\"a\":9007199254740992}"), ["body_value /a"]);
    assert_eq!(bodies("{\"a\":1,\"a\":2}", "{\"a\":2}"), ["body_missing /a", "body_value /a"]);
    assert_eq!(bodies("{\"a\":{}}", "{\"a\":{ }}"), ["body_format /a"]);
    assert_eq!(bodies("{\"a/b\":1}", "{\"a/b\":2}"), ["body_value /a~1b"]);
    assert_eq!(bodies("{\"a\":1}", "{\"a\":1}\n"), ["body_format"]);
}

#[test]
fn other_bodies_are_texts_or_bytes() {
    let page = "<form><input name=\"csrf\" value=\"abc123\"><b>Momo</b></form>";
    assert_eq!(
        bodies(page, &page.replace("abc123", "def456")),
        ["body_text <form><input name=\"csrf\" value=\""]
    );
    assert_eq!(
        bodies(page, &page.replace("Momo", "momo")),
        ["body_text  name=\"csrf\" value=\"abc123\"><b>"]
    );
    assert_eq!(bodies(page, &page.replace("<b>", "<b> ")).len(), 1);
    assert_eq!(bodies("", "x"), ["body_text"]);
    let bytes = |body: &[u8]| answer(&[], body);
    assert_eq!(found(&bytes(b"\xff\x00\x01"), &bytes(b"\xff\x00\x02")), ["body_bytes"]);
    let mut large = bytes(b"");
    large.body = Body::Digest { length: 5_000_000, sha256: [1; 32] };
    let mut other = large.clone();
    assert_eq!(found(&large, &other), [""; 0]);
    other.body = Body::Digest { length: 5_000_000, sha256: [2; 32] };
    assert_eq!(found(&large, &other), ["body_bytes"]);
    assert_eq!(found(&large, &bytes(b"x")), ["body_bytes"]);
}

#[test]
fn compressed_bodies_are_unpacked_when_they_differ() {
    let packed = |text: &str, level: u32| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text.as_bytes()).unwrap();
        answer(&[("Content-Encoding", "gzip")], &encoder.finish().unwrap())
    };
    let text = format!("{{\"a\":\"{}\"}}", "momo".repeat(200));
    assert_eq!(found(&packed(&text, 1), &packed(&text, 9)), ["body_encoding"]);
    assert_eq!(found(&packed(&text, 6), &packed(&text.replacen("momo", "mOmo", 1), 6)), ["body_value /a"]);
    let plain = answer(&[], text.as_bytes());
    assert_eq!(found(&packed(&text, 6), &plain), ["header_missing content-encoding", "body_encoding"]);
    let broken = answer(&[("Content-Encoding", "gzip")], b"no gzip");
    assert_eq!(found(&packed(&text, 6), &broken), ["body_bytes"]);
    let unknown = |body: &[u8]| answer(&[("Content-Encoding", "frob")], body);
    assert_eq!(found(&unknown(b"1"), &unknown(b"2")), ["body_bytes"]);
}

#[test]
fn every_coding_of_the_web_is_unpacked_also_two_of_them() {
    let of = |codings: &str, text: &str| {
        let mut packed = answer(&[("Content-Encoding", codings)], b"");
        packed.body = Body::Whole(coding::packed(&packed, text.as_bytes()).unwrap());
        packed
    };
    let text = format!("{{\"a\":\"{}\"}}", "momo".repeat(200_000));
    for codings in ["gzip", "x-gzip", "Deflate", "br", "zstd", "gzip, br"] {
        let one = of(codings, &text);
        assert_eq!(coding::content(&one).as_deref(), Some(text.as_bytes()), "{codings}");
        assert_eq!(
            found(&one, &of(codings, &text.replacen("momo", "mOmo", 1))),
            ["body_value /a"],
            "{codings}"
        );
        let mut broken = one.clone();
        let Body::Whole(bytes) = &mut broken.body else { unreachable!() };
        bytes.truncate(bytes.len() / 2);
        assert_eq!(
            (coding::content(&broken), found(&one, &broken)),
            (None, vec!["body_bytes".to_owned()]),
            "{codings}"
        );
        assert_eq!(coding::content(&of(codings, &"a".repeat(9 * 1024 * 1024))), None, "{codings}: a bomb");
    }
    assert_eq!(coding::packed(&answer(&[("Content-Encoding", "identity")], b""), b"a"), None);
    let three = answer(&[("Content-Encoding", "gzip, br"), ("content-encoding", "zstd")], b"");
    assert_eq!(coding::packed(&three, b"a"), None);
}

/// Bytes of other programs: brotli and zstd of their authors, and a server whose `deflate` is without the frame of zlib.
#[test]
fn what_other_encoders_wrote_is_unpacked() {
    for (coding, bytes) in [
        ("br", &b"\x1b\x17\x00\xf8\x8d\x54\xb5\xbf\x0a\x13\x4b\x05\x90\xb1\x1a\x43\x91\x00\x40\x5e"[..]),
        ("deflate", &b"\x4b\x4c\x4a\x56\x48\xc4\xc4\x5c\x00"[..]),
        ("zstd", &b"\x28\xb5\x2f\xfd\x04\x68\x5d\x00\x00\x28\x61\x62\x63\x20\x0a\x01\x00\x92\x4b\x04\x9b\x7a\x18\x37"[..]),
        ("zstd", &b"\x28\xb5\x2f\xfd\x04\x58\x61\x00\x00\x61\x62\x63\x20\x61\x62\x63\x20\x61\x62\x63\x20\x99\x70\x6a\x5b\x28\xb5\x2f\xfd\x00\x58\x61\x00\x00\x61\x62\x63\x20\x61\x62\x63\x20\x61\x62\x63\x0a"[..]),
    ] {
        let packed = answer(&[("Content-Encoding", coding)], bytes);
        assert_eq!(coding::content(&packed).as_deref(), Some(&b"abc abc abc abc abc abc\n"[..]), "{coding}");
    }
    // A window of 1 GiB.
    assert_eq!(coding::content(&answer(&[("Content-Encoding", "br")], b"\x11\x1e\x00\x00\x03")), None);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..9 {
        encoder.write_all(&vec![b'a'; 1024 * 1024]).unwrap();
    }
    let bomb = answer(&[("Content-Encoding", "gzip")], &encoder.finish().unwrap());
    assert_eq!(found(&bomb, &answer(&[("Content-Encoding", "gzip")], b"")), ["body_bytes"]);
}

#[test]
fn very_many_places_end_with_one_for_the_rest() {
    let object = |value: usize| {
        let members: Vec<String> = (0..2 * MAX_DIFFERENCES).map(|n| format!("\"m{n}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let differences = bodies(&object(1), &object(2));
    assert_eq!(differences.len(), MAX_DIFFERENCES + 1);
    assert_eq!(differences.last().unwrap(), "body_value …");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z/~]{1,3}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_byte_of_a_body_changes_unseen(body in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index, to: u8) {
        let mut other = body.clone();
        let at = at.index(body.len());
        other[at] = to;
        let differences = found(&answer(&[], &body), &answer(&[], &other));
        prop_assert_eq!(differences.is_empty(), body == other);
    }

    #[test]
    fn no_byte_of_json_changes_unseen(value in json(), pretty: bool, at: prop::sample::Index, to: u8) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let mut other = text.clone().into_bytes();
        let at = at.index(other.len());
        other[at] = to;
        let differences = found(&answer(&[], text.as_bytes()), &answer(&[], &other));
        prop_assert_eq!(differences.is_empty(), text.as_bytes() == other.as_slice());
    }

    #[test]
    fn two_documents_are_equal_only_when_their_bytes_are(one in json(), other in json()) {
        let (one, other) = (one.to_string(), other.to_string());
        prop_assert_eq!(bodies(&one, &other).is_empty(), one == other);
    }

    #[test]
    fn no_header_line_changes_unseen(
        one in prop::collection::vec(("[A-Ca-c]{1,2}", "[xy]{0,2}"), 0..6),
        other in prop::collection::vec(("[A-Ca-c]{1,2}", "[xy]{0,2}"), 0..6),
    ) {
        fn lines(of: &[(String, String)]) -> Vec<(&str, &str)> {
            of.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
        }
        prop_assert_eq!(headers(&lines(&one), &lines(&other)).is_empty(), one == other);
    }
}

#[test]
fn trailers_are_a_note_and_are_listed_by_name() {
    let (one, mut other) = (answer(&[], b"x"), answer(&[], b"x"));
    other.trailers = vec![Line { name: b"Digest".to_vec(), value: b"1".to_vec() }];
    let comparison = compare(&one, &other);
    assert_eq!((comparison.differences.len(), comparison.notes.as_slice()), (0, [Note::Trailers].as_slice()));
    let listed = trailers(&one, &other);
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].kind, listed[0].place.as_str()), (DifferenceKind::HeaderExtra, "trailer digest"));
    let mut lower = other.clone();
    lower.trailers[0].name = b"digest".to_vec();
    assert_eq!(trailers(&other, &lower)[0].kind, DifferenceKind::HeaderCase);
    assert_eq!(trailers(&other, &other), []);
}

#[test]
fn the_values_of_a_json_text_have_their_places_in_it() {
    let text = br#" {"a": [1, {"b/c": "x"}], "d": {} } "#;
    let values = json_values(text).unwrap();
    let found: Vec<(&str, &str, &[u8])> = values
        .iter()
        .map(|value| (value.pointer.as_str(), value.place.as_str(), &text[value.span.clone()]))
        .collect();
    let expected: [(&str, &str, &[u8]); 3] =
        [("/a/0", "/a/*", b"1"), ("/a/1/b~1c", "/a/*/b~1c", b"\"x\""), ("/d", "/d", b"{}")];
    assert_eq!(found, expected);
    assert_eq!(json_values(b"plain"), None);
}
