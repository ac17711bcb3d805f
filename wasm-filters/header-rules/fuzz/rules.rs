//! One fixed configuration for every target.

use std::sync::LazyLock;

use header_rules::Rules;
use header_rules::config::{
    CorsRules, Exposure, GuardConfig, HostRules, PathRule, Reserved, RouteRule, TokenEncoding, WebsocketToken,
};

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let route = |path, policy: &str| RouteRule { path, methods: vec![], policy: policy.to_owned(), lease: None, cross_site: false, cors: Some(0), sign_in: true, websocket_token: true };
    let config = GuardConfig {
        listener: "public".to_owned(),
        revision: String::new(),
        exposure: Exposure::Public,
        request_id: "x-request-id".to_owned(),
        reserved: Reserved { names: vec!["x-tenant-id".to_owned()], prefixes: vec!["x-acme-".to_owned()] },
        underscores: Some(vec!["x_app_version".to_owned()]),
        tls: false,
        proxies: None,
        hosts: vec![HostRules {
            names: vec!["api.test".to_owned()],
            routes: vec![
                route(PathRule::Prefix("/".to_owned()), "signed-in"),
                route(PathRule::Prefix("/open".to_owned()), "public"),
                route(PathRule::Exact("/Books/".to_owned()), "public"),
            ],
            absent: vec![PathRule::Prefix("/absent".to_owned())],
            cors: Some(0),
        }],
        internal_paths: vec![PathRule::Prefix("/internal".to_owned())],
        refuses_http_1_0: true,
        sites: header_rules::config::Sites::default(),
        cors: vec![CorsRules {
            origins: vec!["https://*.test".to_owned()],
            credentials: true,
            max_age_seconds: 600,
            ..CorsRules::default()
        }],
        websocket_token: Some(WebsocketToken { prefix: "bearer.".to_owned(), encoding: TokenEncoding::Base64url }),
        leases: None,
        streams: None,
    };
    Rules::compile(&config).expect("a valid configuration")
});

pub(crate) fn rules() -> &'static Rules {
    &RULES
}
