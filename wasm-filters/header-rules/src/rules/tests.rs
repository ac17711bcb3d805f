mod cors;
mod headers;
mod paths;
mod properties;

use super::*;
use crate::config::{Exposure, PathRule, Reserved, RouteRule};
use crate::header_map::tests::encode;

type Headers<'a> = &'a [(&'a [u8], &'a [u8])];

const UUID: &str = "0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b";

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn route(path: PathRule, methods: &[&str], policy: &str) -> RouteRule {
    RouteRule {
        path,
        methods: owned(methods),
        policy: policy.to_owned(),
        lease: None,
        cross_site: false,
        cors: None,
        sign_in: false,
        websocket_token: false,
    }
}

/// The development edge, reduced to the guard's part.
fn config() -> GuardConfig {
    let exact = |path: &str| PathRule::Exact(path.to_owned());
    let prefix = |path: &str| PathRule::Prefix(path.to_owned());
    GuardConfig {
        listener: "public".to_owned(),
        revision: "0123456789abcdef".to_owned(),
        exposure: Exposure::Public,
        request_id: "x-request-id".to_owned(),
        reserved: Reserved {
            names: owned(&["x-tenant-id", "forwarded", "x-real-ip", "x-original-url", "x-forwarded"]),
            prefixes: owned(&["x-acme-", "x-forwarded-", "x-envoy-"]),
        },
        underscores: None,
        tls: false,
        proxies: None,
        hosts: vec![
            HostRules {
                names: owned(&["api.dev-domain.test", "localhost"]),
                routes: vec![
                    route(exact("/auth/token"), &["POST", "PATCH", "DELETE"], "public"),
                    route(exact("/auth/token"), &["GET"], "signed-in"),
                    route(exact("/users/@me"), &[], "signed-in"),
                    route(exact("/users"), &["POST"], "bot"),
                    route(prefix("/users"), &[], "signed-in"),
                    route(prefix("/books"), &[], "signed-in"),
                    route(prefix("/open-graph"), &["GET", "HEAD"], "public"),
                    route(prefix("/"), &[], "signed-in"),
                ],
                absent: Vec::new(),
                cors: None,
            },
            HostRules {
                names: owned(&["web.test"]),
                routes: vec![route(prefix("/"), &["GET"], "public")],
                absent: Vec::new(),
                cors: None,
            },
        ],
        internal_paths: ["/_", "/_sync", "/internal", "/command", "/users/notifications"].map(prefix).into(),
        sites: crate::config::Sites::default(),
        cors: Vec::new(),
        websocket_token: None,
        refuses_http_1_0: true,
        leases: None,
        streams: None,
    }
}

fn rules() -> Rules {
    Rules::compile(&config()).unwrap()
}

fn judge(method: &str, target: &str) -> Result<(), Reason> {
    rules().judge_target(b"localhost:8080", method.as_bytes(), target.as_bytes())
}

fn whole(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<Reason> {
    let mut config = config();
    config.sites.hosts = owned(&["api.dev-domain.test", "web.test"]);
    config.sites.browser_origins = owned(&["https://partner.example"]);
    config.hosts[0].routes[5].cross_site = true;
    let mut pairs: Vec<(&[u8], &[u8])> = vec![
        (b":method", method.as_bytes()),
        (b":path", target.as_bytes()),
        (b":authority", b"localhost:8080"),
    ];
    pairs.extend(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    match Rules::compile(&config).unwrap().judge(&encode(&pairs)) {
        GuardVerdict::Forward(_) => None,
        GuardVerdict::Refuse(refusal) => Some(refusal.reason),
        GuardVerdict::Answer(_) => None,
    }
}

#[test]
fn a_page_of_another_site_sends_nothing_that_changes_anything() {
    let foreign = [("cookie", "a=b"), ("origin", "https://evil.example")];
    let upgrade =
        [foreign.as_slice(), &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]].concat();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(whole(method, "/users", &foreign), Some(Reason::CrossSite), "{method}");
        assert_eq!(whole(method, "/books/1", &foreign), None, "{method}: the route allows other sites");
        let odd = whole(method, "/books/../anything", &foreign);
        assert_eq!(
            odd,
            Some(Reason::CrossSite),
            "{method}: one reading of the path is closed to other sites"
        );
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(whole(method, "/users", &foreign), None, "{method}");
    }
    assert_eq!(whole("GET", "/users", &upgrade), Some(Reason::CrossSite), "a WebSocket");
    assert_eq!(whole("POST", "/internal", &foreign), Some(Reason::InternalPath), "404 stays 404");
    for own in [
        "https://web.test",
        "https://api.dev-domain.test",
        "http://localhost:5173",
        "https://partner.example",
    ] {
        assert_eq!(whole("POST", "/users", &[("cookie", "a=b"), ("origin", own)]), None, "{own}");
    }
}

#[test]
fn a_page_is_noted_where_the_policy_has_a_sign_in_page() {
    let mut config = config();
    config.hosts[0].routes[5].sign_in = true;
    let rules = Rules::compile(&config).unwrap();
    let navigates = |method: &str, target: &str, more: &[(&[u8], &[u8])]| {
        let mut pairs: Vec<(&[u8], &[u8])> = vec![
            (b":method", method.as_bytes()),
            (b":path", target.as_bytes()),
            (b":authority", b"localhost"),
            (b"accept", b"text/html"),
        ];
        pairs.extend(more);
        matches!(rules.judge(&encode(&pairs)), GuardVerdict::Forward(Edits { navigates: true, .. }))
    };
    assert!(navigates("GET", "/books/1?a=b", &[]));
    assert!(!navigates("GET", "/users/1", &[]), "another policy");
    assert!(!navigates("POST", "/books/1", &[]), "a form");
    assert!(!navigates("HEAD", "/books/1", &[]));
    assert!(!navigates("GET", "/books/1", &[(b"connection", b"upgrade"), (b"upgrade", b"websocket")]));
    assert!(!navigates("GET", "/books/1", &[(b"sec-fetch-mode", b"cors")]));
}

#[test]
fn a_nominated_header_of_the_edge_s_is_refused() {
    for nominated in [
        "x-acme-auth-sub",
        "X-Acme-Auth-Sub",
        "upgrade, x-tenant-id",
        "x_acme_gw",
        "x-forwarded-for",
        "x-forwarded-proto",
        "close,x-real-ip",
    ] {
        assert_eq!(
            whole("GET", "/users", &[("Connection", nominated)]),
            Some(Reason::NominatedHeader),
            "{nominated}"
        );
        let two = [("connection", "keep-alive"), ("connection", nominated)];
        assert_eq!(
            whole("GET", "/users", &two),
            Some(Reason::NominatedHeader),
            "{nominated} on a second line"
        );
    }
    for nominated in ["close", "keep-alive", "Upgrade", "x-request-id", "x-other", "te", ""] {
        assert_eq!(whole("GET", "/users", &[("connection", nominated)]), None, "{nominated:?}");
    }
    assert_eq!(whole("GET", "/internal", &[("connection", "x-real-ip")]), Some(Reason::InternalPath));
}

#[test]
fn malformed_requests_are_refused() {
    for target in
        ["", "*", "users", "http://localhost/", "/a b", "/a#b", "/a\tb", "/%00", "/%c0%ae%c0%ae/", "/\u{7f}"]
    {
        assert_eq!(judge("GET", target), Err(Reason::MalformedPath), "{target}");
    }
    for host in ["", "h.", "h,evil", "localhost,localhost", "user@localhost", "local host", "localhost:x"] {
        assert_eq!(rules().judge_target(host.as_bytes(), b"GET", b"/"), Err(Reason::MalformedHost), "{host}");
    }
    let long = "/a/..;x//b\\%2e%2e%3b".repeat(3_000);
    assert_eq!(judge("GET", &long), Err(Reason::ConvolutedPath));
}

fn request<'a>(extra: &[(&'a [u8], &'a [u8])]) -> Vec<u8> {
    let mut pairs: Vec<(&[u8], &[u8])> = vec![
        (b":authority", b"localhost"),
        (b":path", b"/books/1?a=b"),
        (b":method", b"GET"),
        (b":scheme", b"http"),
    ];
    pairs.extend_from_slice(extra);
    encode(&pairs)
}

fn edits<'a>(rules: &Rules, buffer: &'a [u8]) -> Edits<'a> {
    match rules.judge(buffer) {
        GuardVerdict::Forward(edits) => edits,
        GuardVerdict::Refuse(refusal) => panic!("{refusal:?}"),
        GuardVerdict::Answer(preflight) => panic!("{preflight:?}"),
    }
}

#[test]
fn reasons_have_their_place() {
    for (index, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason.index(), index);
    }
}

#[test]
fn hosts_that_cannot_work_are_named() {
    let compile = |names: &[&[&str]]| {
        let hosts = names
            .iter()
            .map(|names| HostRules { names: owned(names), routes: vec![], absent: vec![], cors: None })
            .collect();
        Rules::compile(&GuardConfig { hosts, ..config() }).err()
    };
    assert_eq!(compile(&[]), Some(ConfigError::NoHosts));
    assert_eq!(compile(&[&["a"], &[]]), Some(ConfigError::HostWithoutNames { index: 1 }));
    assert_eq!(compile(&[&["a"], &["a"]]), Some(ConfigError::DuplicateHost { name: "a".to_owned() }));
    assert_eq!(compile(&[&["*"], &["*"]]), Some(ConfigError::DuplicateHost { name: "*".to_owned() }));
    assert_eq!(compile(&[&["*.a"], &["*.a"]]), Some(ConfigError::DuplicateHost { name: "*.a".to_owned() }));
    assert_eq!(compile(&[&["*.a"], &["a"], &["*.b.a"], &["*"]]), None);
    for bad in ["", "A", "a:80", "a.", "a,b", "*.", "*a", "a.*", "*.*", "*..a", "*.A", "x.*.a"] {
        assert_eq!(compile(&[&[bad]]), Some(ConfigError::BadHost { index: 0, name: bad.to_owned() }));
    }
    assert_eq!(compile(&[&["*"], &["a", "b"]]), None);
}

#[test]
fn a_host_is_found_by_its_name_then_by_its_longest_ending() {
    let hosts =
        [("*", "any"), ("*.shop.test", "shop"), ("*.sale.shop.test", "sale"), ("one.shop.test", "one")];
    let hosts = hosts.map(|(name, policy)| HostRules {
        names: owned(&[name]),
        routes: vec![route(PathRule::Prefix("/".to_owned()), &[], policy)],
        absent: vec![],
        cors: None,
    });
    let rules = Rules::compile(&GuardConfig { hosts: hosts.into(), ..config() }).unwrap();
    for (host, policy) in [
        ("one.shop.test", "one"),
        ("ONE.shop.test:80", "one"),
        ("two.shop.test", "shop"),
        ("a.two.shop.test", "shop"),
        ("a.one.shop.test", "shop"),
        ("sale.shop.test", "shop"),
        ("a.sale.shop.test", "sale"),
        ("shop.test", "any"),
        ("xshop.test", "any"),
        ("shop.test.example", "any"),
    ] {
        assert_eq!(rules.policy_of(host.as_bytes(), b"GET", b"/"), Some(policy), "{host}");
    }
    for host in [".shop.test", "a..shop.test", "a.shop.test."] {
        assert_eq!(rules.policy_of(host.as_bytes(), b"GET", b"/"), None, "{host}");
    }
}

/// The wire form is what `cutover render` writes.
#[test]
fn a_configuration_survives_json() {
    let config = config();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<GuardConfig>(&json).unwrap(), config);
    assert!(serde_json::from_str::<GuardConfig>(&json.replacen("revision", "revison", 1)).is_err());
}

#[test]
fn a_header_with_an_underscore_is_removed_unless_it_is_named() {
    let config = GuardConfig { underscores: Some(owned(&["x_app_version"])), ..config() };
    let rules = Rules::compile(&config).unwrap();
    assert!(rules.reserved_rules().contains(&"with_underscore".to_owned()));
    let bad = GuardConfig { underscores: Some(owned(&["x_acme_auth_sub"])), ..config };
    assert!(matches!(Rules::compile(&bad), Err(ConfigError::BadUnderscore { .. })));
}
