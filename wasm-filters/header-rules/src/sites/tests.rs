use super::*;
use crate::header_map::tests::encode;

fn sites() -> Sites {
    let config = Config {
        hosts: vec!["api.test".to_owned(), "app.test".to_owned()],
        browser_origins: vec!["https://partner.example".to_owned(), "http://localhost:5173".to_owned()],
    };
    Sites::compile(&config).unwrap()
}

fn refused(headers: &[(&str, &str)], upgrade: bool) -> bool {
    let pairs: Vec<(&[u8], &[u8])> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    sites().refuse(HeaderMap::new(&encode(&pairs)), b"api.test", upgrade, None)
}

/// The same where pages of `https://spa.example` may read answers.
fn refused_with_reader(headers: &[(&str, &str)], credentials: bool) -> bool {
    let pairs: Vec<(&[u8], &[u8])> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let reader = Reader { origin: b"https://spa.example".to_vec(), credentials, expose: None };
    sites().refuse(HeaderMap::new(&encode(&pairs)), b"api.test", false, Some(&reader))
}

#[test]
fn a_page_that_may_read_answers_sends_with_cookies_only_where_it_may_have_credentials() {
    let (origin, site) = (("origin", "https://spa.example"), ("sec-fetch-site", "cross-site"));
    assert!(!refused_with_reader(&[COOKIE, origin, site], true));
    assert!(refused_with_reader(&[COOKIE, origin, site, JSON], false), "without credentials, no cookie");
    assert!(!refused_with_reader(&[origin, site], false));
    assert!(refused_with_reader(&[COOKIE, ("origin", "https://evil.example")], true), "of this origin alone");
    assert!(refused_with_reader(&[COOKIE, site], true), "the origin is not known");
}

const COOKIE: (&str, &str) = ("Cookie", "a=b");
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_request_without_an_origin_goes_on() {
    for headers in [&[][..], &[COOKIE], &[COOKIE, ("content-type", "text/plain")], &[JSON]] {
        assert!(!refused(headers, false) && !refused(headers, true), "{headers:?}");
    }
    for site in ["same-origin", "same-site", "none", ""] {
        assert!(!refused(&[COOKIE, ("sec-fetch-site", site)], false), "{site}");
    }
}

#[test]
fn a_foreign_page_with_a_cookie_is_refused() {
    for origin in [
        "https://evil.example",
        "https://api.test.evil.example",
        "https://notapi.test",
        "https://evil.api.test",
        "null",
        "",
        "api.test",
        "file://api.test",
        "https://api.test/path",
        "https://api.test, https://evil.example",
        "https://user@api.test",
        "https://partner.example:8443",
        "http://partner.example",
        "HTTPS://PARTNER.EXAMPLE",
        "\u{7f}",
    ] {
        for upgrade in [false, true] {
            assert!(refused(&[COOKIE, ("Origin", origin), JSON], upgrade), "{origin:?} {upgrade}");
        }
    }
    assert!(refused(&[COOKIE, ("sec-fetch-site", "cross-site"), JSON], false));
    assert!(refused(&[COOKIE, ("Sec-Fetch-Site", "Cross-Site"), JSON], true));
    let both = [COOKIE, ("origin", "https://api.test"), ("origin", "https://evil.example"), JSON];
    assert!(refused(&both, false), "one of two lines");
    let twice = [COOKIE, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site"), JSON];
    assert!(refused(&twice, false), "one of two lines");
    let own = [COOKIE, ("origin", "https://app.test"), ("sec-fetch-site", "cross-site"), JSON];
    assert!(refused(&own, false), "the browser knows better");
}

#[test]
fn pages_of_the_edge_and_listed_ones_go_on() {
    for origin in ["https://api.test", "http://api.test", "https://app.test:8443", "https://API.test"] {
        assert!(!refused(&[COOKIE, ("origin", origin), JSON], false), "{origin}");
        assert!(!refused(&[COOKIE, ("origin", origin)], true), "{origin}");
    }
    for origin in ["https://partner.example", "http://localhost:5173"] {
        let headers = [COOKIE, ("origin", origin), ("sec-fetch-site", "cross-site")];
        assert!(!refused(&headers, false) && !refused(&headers, true), "{origin}");
    }
    let hidden = [COOKIE, ("origin", "null"), ("sec-fetch-site", "same-origin")];
    assert!(!refused(&hidden, false), "a page of the edge that hides its origin");
    let sandbox = [COOKIE, ("origin", "null"), ("sec-fetch-site", "cross-site")];
    assert!(refused(&sandbox, false), "a sandbox");
}

#[test]
fn without_a_cookie_only_an_unannounced_refresh_is_refused() {
    let foreign = ("origin", "https://evil.example");
    for simple in [
        "text/plain",
        "Text/Plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "nonsense",
        "text/plain, application/json",
    ] {
        assert!(refused(&[foreign, ("content-type", simple)], false), "{simple:?}");
    }
    assert!(refused(&[foreign], false), "no content type");
    assert!(refused(&[("sec-fetch-site", "cross-site")], false), "no content type");
    assert!(refused(&[foreign, ("authorization", "Basic dTpw")], false), "a browser sends Basic by itself");
    assert!(!refused(&[foreign, JSON], false));
    assert!(!refused(&[foreign, ("content-type", "application/vnd.x+json")], false));
    assert!(!refused(&[foreign, ("authorization", "Bearer t")], false));
    assert!(!refused(&[foreign], true), "a WebSocket without a cookie has no rights to abuse");
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_pass_as_a_known_origin(origin: Vec<u8>) {
        let pairs: [(&[u8], &[u8]); 2] = [(b"cookie", b"a=b"), (b"origin", &origin)];
        let refused = sites().refuse(HeaderMap::new(&encode(&pairs)), b"api.test", false, None);
        let text = String::from_utf8_lossy(&origin).to_ascii_lowercase();
        proptest::prop_assert!(refused || text.contains("api.test") || text.contains("app.test") || text.contains("partner") || text.contains("localhost"));
    }
}
