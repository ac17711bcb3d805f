//! What each form becomes, and that nothing becomes more open than it was.

use std::path::Path;

use edge_config::Edge;
use edge_config::edge::{PathMatch, Policy};

use super::*;

fn arguments(form: Form) -> Arguments {
    Arguments {
        form,
        file: PathBuf::from("shop.conf"),
        out: None,
        name: None,
        listen: "127.0.0.1:8080".to_owned(),
        listen_tls: "127.0.0.1:8443".to_owned(),
        issuer: None,
        audience: None,
        cookie: None,
        json: false,
    }
}

/// The edge and what was said, each as `line: what`.
pub(super) fn imported(form: Form, text: &str) -> (Edge, Vec<String>) {
    let mut found = read(form, text).map_err(|Unreadable { what, .. }| what).unwrap();
    complete(&mut found, &arguments(form));
    let edge = found.draft.linted(Path::new("edge.yaml"), &|_| None).unwrap();
    let (edge, warnings) = edge_config::inspect_text(Path::new("edge.yaml"), &edge, &|_| None).unwrap();
    assert!(warnings.faults.is_empty(), "{warnings}");
    for Note { what, mend, .. } in &found.notes {
        assert!(!what.is_empty() && !mend.is_empty());
    }
    (edge, found.notes.iter().map(|note| format!("{}: {}", note.line, note.what)).collect())
}

/// `METHODS PATH policy backend` of each route.
pub(super) fn routes(edge: &Edge) -> Vec<String> {
    let one = |route: &edge_config::edge::Route| {
        let path = match &route.path {
            PathMatch::Prefix(path) => format!("{path}*"),
            other => other.path().to_owned(),
        };
        let to = route.backends().join("+");
        format!("{} {path} {} {to}", route.methods.join(","), route.policy).trim_start().to_owned()
    };
    edge.routes.iter().map(one).collect()
}

#[test]
fn locations_of_nginx_become_routes_that_need_a_session() {
    let text = include_str!("../../tests/files/nginx.conf");
    let (edge, notes) = imported(Form::Nginx, text);
    assert_eq!(
        routes(&edge),
        [
            "/* signed-in web",
            "/api* signed-in app",
            "/health signed-in app",
            "/ws* signed-in app",
            "/secure* signed-in secure-internal",
            "/* signed-in backend-10-0-0-9",
            "/moved* signed-in app",
        ]
    );
    assert_eq!(edge.backends["app"].endpoints.len(), 2);
    assert!(edge.backends["secure-internal"].tls.is_some() && edge.backends["app"].tls.is_none());
    assert!(edge.routes.iter().find(|route| route.name.contains("ws")).unwrap().websocket);
    assert_eq!(edge.hosts["shop-example-com"].names, ["shop.example.com", "www.shop.example.com"]);
    for said in [
        "3: `include conf.d/*.conf` is not read",
        "location ~ \\.php$ matches by a pattern",
        "`if ($http_user_agent ~ bot)` in location /api/ is not translated",
        "`rewrite ^/old(.*)$ /new$1 permanent` is not translated",
        "`proxy_pass http://$upstream` has a variable",
        "`proxy_pass http://app/v2/` changes the path",
        "`proxy_pass https://secure.internal` speaks TLS",
        "`auth_basic staff` in location ^~ /ws is not translated",
        "`frobnicate on` is not translated",
        "the server listens with TLS, and its certificate or key is not named",
        "the header X-Tenant is not set",
    ] {
        assert_eq!(notes.iter().filter(|note| note.contains(said)).count(), 1, "{said}: {notes:#?}");
    }
}

/// Limits and wildcards mean the same on both sides, or are named.
#[test]
fn limits_and_wildcards_are_taken_over_and_never_looser() {
    let (edge, notes) = imported(Form::Nginx, include_str!("../../tests/files/nginx-limits.conf"));
    let limits: Vec<String> = edge
        .limits
        .iter()
        .map(|(name, limit)| {
            let quota = limit.quota;
            format!(
                "{name} {} {}/{}s {}",
                limit.per.as_str(),
                quota.rate,
                quota.period.as_secs(),
                quota.burst
            )
        })
        .collect();
    assert_eq!(limits, ["logins address 30/60s 1", "pages address 10/1s 11"]);
    let of = |path: &str| {
        let route = edge.routes.iter().find(|route| route.path.path() == path).unwrap();
        route.limits.join(",")
    };
    for (path, expected) in [("/", "pages"), ("/login", "logins"), ("/api", "pages"), ("/api/deep", "pages")]
    {
        assert_eq!(of(path), expected, "{path}");
    }
    let names: Vec<&String> = edge.hosts.values().flat_map(|host| &host.names).collect();
    for name in ["example.com", "*.example.com", "*.shop.test"] {
        assert!(names.iter().any(|known| *known == name), "{name}: {names:?}");
    }
    for said in [
        "`limit_req_zone $http_x_key zone=keys:1m rate=1r/s` is not translated: it counts by $http_x_key",
        "`limit_req zone=keys` is not translated: its zone is not translated",
        "the name www.example.* is not translated",
        "the zone pages has several bursts, and its limit allows 11 at once",
    ] {
        assert!(notes.iter().any(|note| note.contains(said)), "{said}: {notes:#?}");
    }

    let (edge, notes) = imported(Form::Kong, include_str!("../../tests/files/kong-limits.yml"));
    let limits: Vec<String> = edge
        .limits
        .iter()
        .map(|(name, limit)| {
            format!("{name} {} {}/{}s", limit.per.as_str(), limit.quota.rate, limit.quota.period.as_secs())
        })
        .collect();
    assert_eq!(
        limits,
        [
            "all-per-minute address 600/60s",
            "orders-per-day subject 9000/86400s",
            "orders-per-second subject 5/1s"
        ]
    );
    let of = |name: &str| edge.routes.iter().find(|route| route.name == name).unwrap().limits.join(",");
    assert_eq!(of("orders"), "orders-per-second,orders-per-day", "the service's plugin");
    assert_eq!(of("catalog"), "all-per-minute", "the one of the whole configuration");
    assert_eq!(of("monthly"), "", "a window that cannot be said");
    assert!(edge.hosts.values().any(|host| host.names == ["*.shop.test"]));
    for said in [
        "the plugin rate-limiting of route monthly is not translated: it counts in a month",
        "the host shop.* of the route",
    ] {
        assert!(notes.iter().any(|note| note.contains(said)), "{said}: {notes:#?}");
    }
}

#[test]
fn broken_nginx_is_one_message_with_its_line() {
    for (text, line, said) in [
        ("server {\n  listen 80;\n", 3, "the file ends inside"),
        ("server { listen 80; }\n}\n", 2, "closes nothing"),
        ("server {\n  server_name \"a;\n}\n", 2, "a quote is not closed"),
        ("user www;\n", 1, "no route could be translated"),
    ] {
        let Unreadable { line: at, what, mend } = read(Form::Nginx, text).unwrap_err();
        assert!(at == line && what.contains(said) && !mend.is_empty(), "{text}: {at}: {what}");
    }
}

#[test]
fn operations_of_openapi_are_public_only_where_the_document_says_so() {
    let (edge, notes) = imported(Form::Openapi, include_str!("../../tests/files/openapi.yaml"));
    let routes = routes(&edge);
    for expected in [
        "GET /v1/status public product",
        "POST /v1/login public product",
        "GET,POST /v1/orders signed-in product",
        "DELETE /v1/orders may-orders-write product",
        "GET /v1/pets/{id} public product",
        "PUT /v1/pets/{id} signed-in product",
        // Public in the document, but its route takes more paths.
        "GET /v1/files* signed-in product",
        "GET /v1/unsaid signed-in product",
        "GET /v1/maybe signed-in product",
        "GET /v1/either may-a-b product",
    ] {
        assert!(routes.iter().any(|route| route == expected), "{expected}: {routes:#?}");
    }
    let login = edge.routes.iter().find(|route| route.path.path() == "/v1/login").unwrap();
    assert_eq!(login.limits, ["attempts"]);
    let sessions = edge.sessions.as_ref().unwrap();
    assert_eq!(sessions.issuers[0].issuer, "https://login.example.com/realms/shop");
    assert_eq!(edge.backends["product"].endpoints[0].to_string(), "10.0.0.7:8000");
    for said in [
        "GET /v1/files is public in the document, and its route takes more paths",
        "GET /v1/maybe may be called with or without a session",
        "GET /v1/either may be called with one of several sets of scopes",
        "/elsewhere is described elsewhere",
        "the scheme `basic` is `http` basic",
    ] {
        assert_eq!(notes.iter().filter(|note| note.contains(said)).count(), 1, "{said}: {notes:#?}");
    }
    let open = |route: &&edge_config::edge::Route| matches!(edge.policies[&route.policy], Policy::Public(_));
    assert_eq!(edge.routes.iter().filter(open).count(), 3);
}

#[test]
fn json_is_read_as_well_and_other_versions_are_one_message() {
    let json = r#"{"openapi":"3.0.3","servers":[{"url":"http://127.0.0.1:9000"}],"security":[{"b":[]}],
        "paths":{"/a":{"get":{"responses":{"200":{"description":"ok"}}}}}}"#;
    let (edge, _) = imported(Form::Openapi, json);
    assert_eq!(routes(&edge), ["GET /a signed-in product"]);
    for (text, said) in [
        ("swagger: '2.0'\npaths: {}\n", "the document has no `openapi`"),
        ("openapi: 4.0.0\npaths: {}\n", "the document is OpenAPI 4.0.0"),
        ("openapi: 3.1.0\npaths: {}\n", "no route could be translated"),
        ("openapi: [\n", ""),
    ] {
        let Unreadable { what, mend, .. } = read(Form::Openapi, text).unwrap_err();
        assert!(what.contains(said) && !mend.is_empty(), "{text}: {what}");
    }
}

#[test]
fn routes_of_kong_need_a_session_whatever_its_plugins_are() {
    let (edge, notes) = imported(Form::Kong, include_str!("../../tests/files/kong.yml"));
    assert_eq!(
        routes(&edge),
        [
            "GET,POST /orders* signed-in orders",
            "/reports* signed-in orders",
            "/* signed-in catalog",
            "/secure* signed-in secure"
        ]
    );
    assert_eq!(edge.backends["catalog"].endpoints.len(), 2);
    assert_eq!(edge.backends["secure"].endpoints[0].to_string(), "10.0.0.6:443");
    assert!(edge.backends["secure"].tls.is_some());
    for said in [
        "the plugin my-plugin of route orders is not known here",
        "the plugin key-auth of service orders is not translated",
        "the path ~/v\\d+/x$ of the route reports is a pattern",
        "the route reports removes /reports from the path",
        "the route canary depends on `headers`",
        "the service secure speaks https",
        "`consumers` is not translated",
    ] {
        assert_eq!(notes.iter().filter(|note| note.contains(said)).count(), 1, "{said}: {notes:#?}");
    }
    let Unreadable { what, .. } = read(Form::Kong, "a: 1\n").unwrap_err();
    assert!(what.contains("not Kong's declarative configuration"), "{what}");
}
