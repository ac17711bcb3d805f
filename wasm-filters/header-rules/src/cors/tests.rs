use super::*;
use crate::header_map::tests::encode;

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn config(origins: &[&str], credentials: bool) -> Config {
    let (methods, headers, expose) = (None, None, owned(&["x-total"]));
    Config { origins: owned(origins), credentials, methods, headers, expose, max_age_seconds: 600 }
}

fn cors(origins: &[&str]) -> Cors {
    Cors::compile(&config(origins, false)).unwrap()
}

/// The value of `access-control-allow-origin` for a page of `origin`.
fn read(rules: &Cors, origin: &str) -> Option<String> {
    let buffer = encode(&[(b"Origin", origin.as_bytes())]);
    let reader = rules.reader(&Seen::read(HeaderMap::new(&buffer)));
    reader.map(|reader| String::from_utf8(reader.origin).unwrap())
}

fn preflight(rules: &Cors, headers: &[(&str, &str)]) -> Option<Vec<(&'static str, String)>> {
    let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let buffer = encode(&pairs);
    let answer = rules.preflight(&Seen::read(HeaderMap::new(&buffer)))?;
    Some(answer.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect())
}

#[test]
fn an_origin_is_listed_byte_for_byte_or_below_a_name() {
    let rules = cors(&["https://app.test", "https://*.shop.test", "http://*.dev.test:5173"]);
    for good in ["https://app.test", "https://a.shop.test", "https://b.a.shop.test", "http://a.dev.test:5173"]
    {
        assert_eq!(read(&rules, good).as_deref(), Some(good));
    }
    for bad in [
        "http://app.test",
        "https://app.test:8443",
        "https://app.test.evil.example",
        "https://evilapp.test",
        "https://APP.test",
        "https://shop.test",
        "https://.shop.test",
        "https://evilshop.test",
        "https://a.shop.test:8443",
        "http://a.shop.test",
        "https://a..shop.test",
        "https://evil.example/.shop.test",
        "https://evil.example#.shop.test",
        "https://evil.example:80.shop.test",
        "https://user@a.shop.test",
        "https://A.shop.test",
        "http://a.dev.test",
        "http://a.dev.test:51730",
        "null",
        "",
        "*",
    ] {
        assert_eq!(read(&rules, bad), None, "{bad}");
    }
    let two = encode(&[(b"origin", b"https://app.test"), (b"origin", b"https://app.test")]);
    assert_eq!(rules.reader(&Seen::read(HeaderMap::new(&two))), None, "no browser sends two");
    assert_eq!(read(&cors(&["*"]), "https://any.example").as_deref(), Some("*"));
    assert_eq!(read(&cors(&["null"]), "null").as_deref(), Some("null"), "written, so allowed");
}

#[test]
fn a_preflight_is_answered_with_what_it_asks_for_or_with_what_is_listed() {
    let asked = [
        ("Origin", "https://app.test"),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "content-type, x-a"),
    ];
    let vary = ("vary", String::from_utf8(VARY.to_vec()).unwrap());
    let age = ("access-control-max-age", "600".to_owned());
    let line = |name: &'static str, value: &str| (name, value.to_owned());
    assert_eq!(
        preflight(&cors(&["https://app.test"]), &asked).unwrap(),
        [
            line("access-control-allow-origin", "https://app.test"),
            line("access-control-allow-methods", "PUT"),
            line("access-control-allow-headers", "content-type, x-a"),
            age.clone(),
            vary.clone(),
        ]
    );
    let mut config = config(&["https://app.test"], true);
    (config.methods, config.headers) = (Some(owned(&["GET", "PUT"])), Some(owned(&["x-b"])));
    assert_eq!(
        preflight(&Cors::compile(&config).unwrap(), &asked).unwrap(),
        [
            line("access-control-allow-origin", "https://app.test"),
            line("access-control-allow-credentials", "true"),
            line("access-control-allow-methods", "GET, PUT"),
            line("access-control-allow-headers", "x-b"),
            age,
            vary,
        ]
    );
    let names = |value: &str| {
        let asked = [asked[0], asked[1], ("access-control-request-headers", value)];
        let answer = preflight(&cors(&["https://app.test"]), &asked).unwrap();
        answer.into_iter().any(|(name, _)| name == "access-control-allow-headers")
    };
    assert!(names("a") && names("a,b") && names("a , b"));
    for wrong in ["", "a b", "a\u{e9}", "a:b", &"a,".repeat(2_000)] {
        assert!(!names(wrong), "{wrong:?}");
    }
    assert_eq!(preflight(&cors(&["https://other.test"]), &asked), None);
}

#[test]
fn an_options_request_that_no_browser_sends_before_another_is_no_preflight() {
    let asks = |headers: &[(&[u8], &[u8])]| {
        let buffer = encode(headers);
        Seen::read(HeaderMap::new(&buffer)).asks_for().map(<[u8]>::to_vec)
    };
    let origin: (&[u8], &[u8]) = (b"origin", b"https://app.test");
    let method: (&[u8], &[u8]) = (b"access-control-request-method", b"PUT");
    assert_eq!(asks(&[origin, method]), Some(b"PUT".to_vec()));
    for headers in [
        &[origin][..],
        &[method],
        &[origin, origin, method],
        &[origin, method, method],
        &[origin, (b"access-control-request-method", b"")],
        &[origin, (b"access-control-request-method", b"PU T")],
        &[origin, (b"access-control-request-method", &[b'A'; 33])],
    ] {
        assert_eq!(asks(headers), None, "{headers:?}");
    }
}

#[test]
fn rules_that_would_let_any_page_in_are_refused() {
    for origins in [&["*"][..], &["null"], &["https://app.test", "*"]] {
        assert!(Cors::compile(&config(origins, true)).is_err(), "{origins:?}");
        assert!(Cors::compile(&config(origins, false)).is_ok(), "{origins:?}");
    }
    for origin in
        ["app.test", "ftp://app.test", "https://*", "https://*.", "https://a.*.test", "https://app.test/", ""]
    {
        assert!(Cors::compile(&config(&[origin], false)).is_err(), "{origin}");
    }
    let mut broken = config(&["https://app.test"], false);
    broken.expose = owned(&["a b"]);
    assert!(Cors::compile(&broken).is_err());
}

proptest::proptest! {
    #[test]
    fn no_origin_outside_the_name_is_listed(origin: Vec<u8>) {
        let rules = cors(&["https://*.shop.test"]);
        let buffer = encode(&[(b"origin", &origin)]);
        if rules.reader(&Seen::read(HeaderMap::new(&buffer))).is_some() {
            assert!(origin.trim_ascii().ends_with(b".shop.test"));
        }
    }
}
