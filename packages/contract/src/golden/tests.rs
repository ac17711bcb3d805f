use proptest::prelude::*;

use super::*;

fn golden(body: &[u8]) -> Golden {
    let line = |name: &str, value: &str| Line { name: name.into(), value: value.into() };
    Golden {
        request: Request {
            name: "post-a".to_owned(),
            source: "set.hurl:3".to_owned(),
            method: "POST".to_owned(),
            target: b"/a%20b?c=\xff".to_vec(),
            host: Some("api.test".to_owned()),
            headers: vec![line("X-A", "back\\slash"), line("x-b", "")],
            body: body.to_vec(),
        },
        protocol: Protocol::Http1,
        principal: Some("member".to_owned()),
        answer: Recorded {
            version: Version::One(1),
            status: 200,
            reason: b"Okay \xe9".to_vec(),
            framing: Framing::Chunked,
            headers: vec![
                (b"ETag".to_vec(), Template::literal(b"\"").and_volatile(Shape::Hex(Some(32))).and(b"\"")),
                (b"Set-Cookie".to_vec(), Template::literal(b"a=1; Path=/")),
            ],
            body: content(&Body::Whole(body.to_vec())),
            packed_anew: false,
            trailers: vec![(b"Digest".to_vec(), Template::literal(b"x"))],
        },
    }
}

#[test]
fn a_golden_is_a_readable_file_and_is_read_back() {
    let golden = golden(b"one\r\n\ntwo \xc2\xab");
    let written = String::from_utf8(golden.written()).unwrap();
    let expected = "# cutover contract 1\nname: post-a\nsource: set.hurl:3\nprotocol: h1\nas: member\n\n\
        > POST /a%20b?c=\\xff HTTP/1.1\n> Host: api.test\n> X-A: back\\\\slash\n> x-b: \n\n\
        >^ one\n>| \n>| two «\n\\ no newline at the end\n\n\
        < HTTP/1.1 200 Okay \\xe9\n< ETag: \"«hex 32»\"\n< Set-Cookie: a=1; Path=/\nframing: chunked\n\n\
        ^ one\n| \n| two ««\n\\ no newline at the end\n\n+ Digest: x\n";
    assert_eq!(written, expected);
    assert_eq!(read("x", written.as_bytes()).unwrap(), golden);
    assert_eq!(golden.file_name(), "post-a.as-member.http");
}

#[test]
fn bytes_that_are_compressed_anew_each_time_are_noted() {
    let mut golden = golden(b"x");
    golden.answer.packed_anew = true;
    let written = String::from_utf8(golden.written()).unwrap();
    assert!(written.contains("framing: chunked\ncompressed: anew\n"), "{written}");
    assert_eq!(read("x", written.as_bytes()).unwrap(), golden);
}

#[test]
fn a_wrong_line_is_named() {
    let whole = String::from_utf8(golden(b"x").written()).unwrap();
    for (from, to, expected) in [
        ("contract 1", "contract 9", "f:1: the first line"),
        ("protocol: h1", "protocol: h3", "f:4: `h3` is not h1 or h2"),
        ("\"«hex 32»\"", "«frob»", "«frob» is not a shape"),
        ("framing: chunked\n", "framing: magic\n", "`magic` is not a framing"),
        ("X-A: back\\\\slash", "X-A: back\\slash", "f:9: a backslash"),
        ("< HTTP/1.1 200", "< HTP/1.1 200", "the answer: its first line is not HTTP/1"),
        ("as: member", "frob: member", "f:5: `frob` is not a field"),
    ] {
        assert!(whole.contains(from), "{from}");
        let error = read("f", whole.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_large_body_is_its_digest_and_bytes_are_base64() {
    let mut golden = golden(b"");
    golden.answer.body = Content::Digest { length: 5_000_000, sha256: [7; 32] };
    golden.request.body = vec![0, 159, 146, 150];
    assert_eq!(read("x", &golden.written()).unwrap(), golden);
}

proptest! {
    #[test]
    fn every_body_is_read_back(body in proptest::collection::vec(any::<u8>(), 0..40)) {
        let golden = golden(&body);
        prop_assert_eq!(read("x", &golden.written()).unwrap(), golden);
    }

    #[test]
    fn every_text_is_read_back(body in "[a\\n\\r|^«\\\\ ]{0,20}") {
        let golden = golden(body.as_bytes());
        prop_assert_eq!(read("x", &golden.written()).unwrap(), golden);
    }
}
