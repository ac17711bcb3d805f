use http_wire::answer::{Body, Framing, Line, Version};

use super::*;
use crate::exchange::{Protocol, Request};
use crate::golden::{Recorded, content};
use crate::template::Template;

fn golden(headers: &[(&str, &str)], body: &str) -> Golden {
    Golden {
        request: Request {
            name: "a".to_owned(),
            source: "a:1".to_owned(),
            method: "GET".to_owned(),
            target: b"/a".to_vec(),
            host: None,
            headers: Vec::new(),
            body: Vec::new(),
        },
        protocol: Protocol::Http1,
        principal: None,
        answer: Recorded {
            version: Version::One(1),
            status: 200,
            reason: Vec::new(),
            framing: Framing::Length,
            headers: headers
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), Template::read(value.as_bytes()).unwrap()))
                .collect(),
            body: content(&Body::Whole(body.as_bytes().to_vec())),
            packed_anew: false,
            trailers: Vec::new(),
        },
    }
}

fn shown(golden: &Golden) -> Vec<String> {
    findings(golden).iter().map(|one| format!("{} {}", one.kind.as_str(), one.place)).collect()
}

fn in_body(body: &str) -> Vec<String> {
    shown(&golden(&[], body))
}

#[test]
fn credentials_and_personal_data_are_found_at_their_places() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    assert_eq!(in_body(&format!("{{\"a\":{{\"t\":\"{jwt}\"}}}}")), ["jwt answer body /a/t"]);
    assert_eq!(in_body(r#"{"users":[{"email":"maria@firm.de"}]}"#), ["email answer body /users/*/email"]);
    assert_eq!(in_body(r#"{"accessToken":"abcdef"}"#), ["secret answer body /accessToken"]);
    assert_eq!(in_body("-----BEGIN RSA PRIVATE KEY-----\nMII"), ["private-key answer body"]);
    assert_eq!(in_body("key ghp_0123456789abcdefghij01"), ["api-token answer body"]);
    assert_eq!(in_body("paid with 4111 1111 1111 1111."), ["card answer body"]);
    assert_eq!(in_body("to DE89 3704 0044 0532 0130 00"), ["iban answer body"]);
    let cookie = "sid=a1b2c3d4e5f6a7b8c9d0; Path=/; HttpOnly";
    assert_eq!(shown(&golden(&[("Set-Cookie", cookie)], "")), ["cookie answer header set-cookie sid"]);
    let location = "https://app.test/in?state=12345678#access_token=abcdefgh&code=123456";
    let expected = ["secret answer header location access_token", "secret answer header location code"];
    assert_eq!(shown(&golden(&[("Location", location)], "")), expected);
    let linked = r#"{"next":"/reset?token=a1b2c3d4"}"#;
    assert_eq!(in_body(linked), ["secret answer body /next token"]);
    let mut request = golden(&[], "");
    request.request.headers = vec![Line { name: b"Authorization".to_vec(), value: b"Basic eA==".to_vec() }];
    request.request.target = b"/a?access_token=abcdefgh&mail=x%40firm.de".to_vec();
    let expected = [
        "authorization request header authorization",
        "secret request target access_token",
        "email request target",
    ];
    assert_eq!(shown(&request), expected);
}

#[test]
fn what_a_compressed_body_or_a_trailer_hides_is_found() {
    use std::io::Write as _;
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(br#"{"mail":"maria@firm.de"}"#).unwrap();
    let mut packed = golden(&[("Content-Encoding", "gzip")], "");
    packed.answer.body = content(&Body::Whole(file.finish().unwrap()));
    assert_eq!(shown(&packed), ["email answer body, unpacked, /mail"]);
    let mut trailing = golden(&[], "");
    trailing.answer.trailers = vec![(b"X-Key".to_vec(), Template::literal(b"ghp_0123456789abcdefghij01"))];
    assert_eq!(shown(&trailing), ["api-token answer trailer x-key"]);
}

#[test]
fn a_secret_is_found_in_every_form_of_a_body() {
    for (body, expected) in [
        (r#"{"payload":"{\"password\":\"hunter22\"}"}"#, "secret answer body /payload, /password"),
        ("data: {\"token\":\"abcdef\"}\n\ndata: {}\n\n", "secret answer body, line 1, /token"),
        ("{\"a\":1}\n{\"refreshToken\":\"abcdef\"}\n", "secret answer body, line 2, /refreshToken"),
        ("user%5Bpassword%5D=hunter22\n", "secret answer body user[password]"),
        ("mail=maria%40firm%2Ede", "email answer body"),
        ("iban=DE89+3704+0044+0532+0130+00", "iban answer body"),
        (r#"{"card":4111111111111111}"#, "card answer body /card"),
        (r#"{"otp":"123456"}"#, "secret answer body /otp"),
        (r#"{"header":"Basic bWFyaWE6aHVudGVyMjI="}"#, "authorization answer body /header"),
        ("proxy = https://maria:hunter22@proxy:8080/", "secret answer body"),
        ("key sk_test_0123456789abcdef", "api-token answer body"),
    ] {
        assert_eq!(in_body(body), [expected], "{body}");
    }
    let parts = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter22\r\n--b\r\n\
                 Content-Disposition: form-data; name=\"note\"\r\n\r\n{\"token\":\"abcdef\"}\r\n--b--\r\n";
    assert_eq!(in_body(parts), ["secret answer body part note /token", "secret answer body part password"]);
    let mut request = golden(&[("Set-Cookie", "session=abcdefghijklmnopqrst; Path=/")], "");
    request.request.target = b"/in?to=%67hp_0123456789abcdefghij01".to_vec();
    assert_eq!(shown(&request), ["cookie answer header set-cookie session", "api-token request target"]);
}

#[test]
fn what_a_compressed_request_hides_is_found() {
    use std::io::Write as _;
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    file.write_all(br#"{"password":"hunter22"}"#).unwrap();
    let mut packed = golden(&[], "");
    packed.request.headers = vec![Line { name: b"Content-Encoding".to_vec(), value: b"gzip".to_vec() }];
    packed.request.body = file.finish().unwrap();
    assert_eq!(shown(&packed), ["secret request body, unpacked, /password"]);
}

#[test]
fn what_opens_nothing_is_stored() {
    for harmless in [
        r#"{"email":"demo@example.com","other":"x@a.test"}"#,
        r#"{"id":"01932c07-0000-7000-8000-00000000000a","at":"2026-11-27T03:33:39.962Z"}"#,
        r#"{"token":"«jwt»","code":"ab"}"#,
        "order 4111111111111112, phone 0123 456 789",
        "/books?code=12",
        r#"{"payload":"{\"a\":1}","scheme":"Basic realm","code":1234567890}"#,
        "see https://user:password@example.com/ and https://firm.de/@maria",
        "<a href=\"mailto:help@example.org\">",
    ] {
        assert_eq!(in_body(harmless), [""; 0], "{harmless}");
    }
    let cookies =
        [("Set-Cookie", "sid=«token 20»; Path=/"), ("set-cookie", "theme=dark"), ("set-cookie", "a=")];
    assert_eq!(shown(&golden(&cookies, "")), [""; 0]);
    assert_eq!(shown(&golden(&[("ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"")], "")), [""; 0]);
}

#[test]
fn a_finding_shows_no_more_than_two_characters() {
    let found = findings(&golden(&[], "ghp_0123456789abcdefghij01"));
    assert_eq!(found[0].hint, "gh…, 26 characters");
}
