use std::path::PathBuf;
use std::time::Duration;

use edge_config::edge::{
    AcceptedCredential, ClaimRules, CookieReading, Exposure, Issuer, KeySource, LegacySessions, LegacyStore,
    LegacyVerifier, RedisUrl, Sessions, TenantRule, TokenTypes,
};
use proptest::prelude::*;

use super::*;

const ISSUER: &str = "https://issuer";
const SESSION: &str = "0192d3c0-0000-7000-8000-0000000000bb";
const PERSON: &str = "0192d3c0-0000-7000-8000-0000000000d0";
const TENANT: &str = "00000000-0000-7000-8000-000000000001";

fn sessions() -> Sessions {
    Sessions {
        reading: CookieReading::default(),
        cookie: "access".to_owned(),
        refresh_cookie: Some("refresh".to_owned()),
        bearer: true,
        websocket_protocol: None,
        opaque: Vec::new(),
        issuers: vec![Issuer {
            issuer: ISSUER.to_owned(),
            audiences: vec!["api".to_owned()],
            token_types: TokenTypes::access_token(),
            keys: KeySource::File(PathBuf::new()),
            algorithms: Vec::new(),
            leeway: Duration::ZERO,
            max_token_bytes: 8_192,
            claims: std::sync::Arc::new(rules()),
        }],
        revocations: None,
    }
}

fn rules() -> ClaimRules {
    ClaimRules {
        audience: "aud".parse().unwrap(),
        subject: "sub".parse().unwrap(),
        tenant: TenantRule::Claim("tenantId".parse().unwrap()),
        session: Some("sid".parse().unwrap()),
        role: None,
        roles: None,
        scopes: None,
        required: std::collections::BTreeSet::new(),
    }
}

fn legacy_sessions() -> LegacySessions {
    LegacySessions {
        cookie: "access".to_owned(),
        refresh_cookie: Some("refresh".to_owned()),
        end: None,
        tenant: TENANT.parse().unwrap(),
        role: identity::Role::NORMAL,
        verify: LegacyVerifier::Store(LegacyStore {
            url: RedisUrl(String::new()),
            key_prefix: String::new(),
            timeout: Duration::ZERO,
            leeway: Duration::ZERO,
        }),
    }
}

fn token(header: &str, payload: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

fn new() -> String {
    let payload = format!(
        r#"{{"iss":"{ISSUER}","sub":"{PERSON}","sid":"{SESSION}","tenantId":"{TENANT}","iat":7,"exp":9}}"#
    );
    token(r#"{"typ":"at+jwt","alg":"ES256","kid":"1"}"#, &payload)
}

fn old() -> String {
    let payload = format!(r#"{{"id":"{SESSION}","user_id":"{PERSON}","iat":8,"exp":9}}"#);
    token(r#"{"typ":"JWT","alg":"HS256"}"#, &payload)
}

fn input<'a>(headers: &[(&'a str, &'a str)]) -> CheckInput<'a> {
    CheckInput {
        route: "",
        policy: "",
        revision: "",
        exposure: Exposure::Public,
        request_id: "-",
        client: None,
        certificate: None,
        method: "PATCH",
        target: "/",
        scheme: "https",
        host: "",
        headers: headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
        body: &[],
    }
}

fn ask(headers: &[(&str, &str)]) -> Option<Recognised> {
    let input = input(headers);
    recognise(&input, Some(&sessions()), Some(&legacy_sessions()))
}

fn kind(line: &str) -> Option<&'static str> {
    ask(&[("cookie", line)]).map(|found| found.kind.as_str())
}

#[test]
fn the_rule() {
    let (new, old) = (new(), old());
    for (line, expected) in [
        (String::new(), None),
        (format!("access={new}"), Some("session")),
        (format!("access={old}"), Some("legacy-session")),
        // The access cookie decides, whatever the refresh cookies are.
        (format!("access={old}; refresh={new}"), Some("legacy-session")),
        (format!("access={new}; refresh={old}"), Some("session")),
        // The last access cookie of a line is the one that every reader takes.
        (format!("access={new}; access={old}"), Some("legacy-session")),
        // Without one the refresh cookies decide, and the newer kind wins in either order.
        (format!("refresh={old}"), Some("legacy-session")),
        (format!("refresh={old}; refresh={new}"), Some("session")),
        (format!("refresh={new}; refresh={old}"), Some("session")),
        (format!("access=; refresh={old}"), Some("legacy-session")),
        (format!("access=x.y.z; refresh={old}"), Some("legacy-session")),
        (format!("other={new}"), None),
        ("access=a; refresh=b".to_owned(), None),
    ] {
        assert_eq!(kind(&line), expected, "{line}");
    }
    // Two lines that disagree have no access cookie.
    let (a, b) = (format!("access={new}"), format!("access={old}"));
    assert_eq!(ask(&[("cookie", &a), ("cookie", &b)]), None);
    // A bearer token is the last resort, and never a legacy session.
    let bearer = format!("Bearer {new}");
    assert_eq!(ask(&[("authorization", &bearer)]).unwrap().kind, AcceptedCredential::Session);
    let both = ask(&[("authorization", &bearer), ("cookie", &b)]).unwrap();
    assert_eq!(both.kind, AcceptedCredential::LegacySession);
    assert_eq!(ask(&[("authorization", &format!("Bearer {old}"))]), None);
}

#[test]
fn lines_that_disagree_about_a_session_are_unclear() {
    let (new, old) = (new(), old());
    for (lines, expected) in [
        (vec![format!("access={new}; refresh={old}")], None),
        (vec![format!("access={new}"), format!("access={new}")], None),
        (vec![format!("access={new}"), format!("refresh={old}; other=1")], None),
        // Two paths of one name do not disagree: a browser sends them in one line.
        (vec![format!("refresh={new}; refresh={old}")], None),
        (vec![format!("access={new}"), format!("access={old}")], Some(CredentialFault::Ambiguous)),
        (vec![format!("refresh={new}"), "refresh=x".to_owned()], Some(CredentialFault::Ambiguous)),
        (vec!["a=1;".repeat(1_001)], Some(CredentialFault::TooManyCookies)),
    ] {
        let headers: Vec<(&str, &str)> = lines.iter().map(|line| ("cookie", line.as_str())).collect();
        assert_eq!(
            unclear(&input(&headers), Some(&sessions()), Some(&legacy_sessions())),
            expected,
            "{lines:?}"
        );
    }
}

#[test]
fn unverified_claims_of_both_kinds_are_read() {
    let claimed = |token: &str| ask(&[("cookie", &format!("access={token}"))]).unwrap().claimed;
    let person = claimed(&new()).unwrap();
    assert_eq!((person.person.session.unwrap().to_string().as_str(), person.issued), (SESSION, 7));
    let person = claimed(&old()).unwrap();
    assert_eq!((person.person.subject.to_string().as_str(), person.issued), (PERSON, 8));
    let timeless = format!(r#"{{"id":"{SESSION}","user_id":"{PERSON}","iat":"8"}}"#);
    assert_eq!(claimed(&token(r#"{"alg":"HS256"}"#, &timeless)).unwrap().issued, 0, "not a number");
    assert_eq!(person.person.tenant.unwrap().to_string(), TENANT);
    // Of a kind, and without claims that could be compared.
    assert_eq!(claimed(&token(r#"{"alg":"ES256"}"#, &format!(r#"{{"iss":"{ISSUER}"}}"#))), None);
    assert_eq!(claimed(&token(r#"{"alg":"HS256"}"#, r#"{"id":"../x","user_id":"*"}"#)), None);
    assert_eq!(claimed(&token(r#"{"alg":"HS256"}"#, "not json")), None);
}

#[test]
fn a_value_of_neither_kind_is_ignored() {
    let header = r#"{"alg":"ES256"}"#;
    for value in [
        token(header, r#"{"iss":"https://elsewhere"}"#),
        token(header, "{}"),
        token(header, &format!(r#"{{"iss":"{ISSUER}","iss":"{ISSUER}"}}"#)),
        token(r#"{"alg":"none"}"#, &format!(r#"{{"iss":"{ISSUER}"}}"#)),
        token(r#"{"alg":"HS512"}"#, &format!(r#"{{"iss":"{ISSUER}"}}"#)),
        format!("{}.", new()),
        format!("{}x.y.z", "a".repeat(9_000)),
    ] {
        assert_eq!(kind(&format!("access={value}")), None, "{value}");
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![Just(new()), Just(old()), "[ -:<-~]{0,40}", Just(String::new())]
}

proptest! {
    /// Whatever a client sends, the kind depends on values of the four cookies alone, and other cookies change nothing.
    #[test]
    fn other_cookies_change_nothing(
        pairs in prop::collection::vec((prop_oneof!["access", "refresh", "[a-z]{1,8}"], value()), 0..8),
        noise in "[b-z]{9,12}",
    ) {
        let line = |extra: bool| {
            let mut all: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if extra {
                all.insert(0, format!("{noise}={}", new()));
                all.push(format!("{noise}={}", old()));
            }
            all.join("; ")
        };
        let found = kind(&line(false));
        prop_assert_eq!(found, kind(&line(true)));
        // A kind that is found was sent.
        let sent = |token: String| pairs.iter().any(|(name, value)| (name == "access" || name == "refresh") && *value == token);
        prop_assert!(found != Some("session") || sent(new()));
        prop_assert!(found != Some("legacy-session") || sent(old()));
    }

    #[test]
    fn no_bytes_panic(line in prop::collection::vec(0_u8..=255, 0..400)) {
        let line = [b"access=".as_slice(), &line].concat();
        let input = CheckInput {
            scheme: "https",
            headers: vec![("cookie", line.as_slice())],
            route: "", policy: "", revision: "", exposure: Exposure::Public, request_id: "-", client: None, certificate: None,
            method: "GET", target: "/", host: "", body: &[],
        };
        drop(recognise(&input, Some(&sessions()), Some(&legacy_sessions())));
    }
}
