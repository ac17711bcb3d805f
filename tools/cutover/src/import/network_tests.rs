//! TLS, redirects, CORS and Strict-Transport-Security of other programs: what they become, and that nothing becomes wider.

use edge_config::edge::{Backend, Edge, RouteCors};

use super::Form;
use super::tests::{imported, routes};

/// That each of `said` is in one note.
fn notes_say(notes: &[String], said: &[&str]) {
    for said in said {
        assert_eq!(notes.iter().filter(|note| note.contains(said)).count(), 1, "{said}: {notes:#?}");
    }
}

fn backend<'e>(edge: &'e Edge, path: &str) -> &'e Backend {
    let route = edge.routes.iter().find(|route| route.path.path() == path).unwrap();
    &edge.backends[route.backends()[0]]
}

/// The origins of a route, with `+` where its pages send cookies.
fn origins(edge: &Edge, path: &str) -> String {
    let route = edge.routes.iter().find(|route| route.path.path() == path).unwrap();
    edge.cors_of(route).map_or_else(String::new, |cors| {
        format!("{}{}", cors.origins.join(" "), if cors.credentials { " +" } else { "" })
    })
}

#[test]
fn tls_of_nginx_becomes_a_listener_a_redirect_and_verified_backends() {
    let (edge, notes) = imported(Form::Nginx, include_str!("../../tests/files/nginx-tls.conf"));
    let certificates = &edge.listeners["tls"].tls.as_ref().unwrap().certificates;
    let files: Vec<String> = certificates.iter().map(|files| files.key.display().to_string()).collect();
    assert!(files.len() == 2 && files[0].ends_with("certs/api.key") && files[1].ends_with("certs/shop.key"));
    assert!(edge.listeners["public"].redirect.is_some());
    for host in ["api-example-com", "shop-example-com"] {
        assert_eq!(edge.hosts[host].listeners, ["public", "tls"], "{host}");
    }
    let hsts = edge.hosts["api-example-com"].hsts.unwrap();
    assert_eq!(hsts.to_string(), "max-age=31536000; includeSubDomains");
    assert!(edge.hosts["shop-example-com"].hsts.is_none());
    let tls = backend(&edge, "/orders").tls.as_ref().unwrap();
    assert!(tls.ca.ends_with("certs/ca.pem") && tls.client.as_ref().unwrap().key.ends_with("certs/edge.key"));
    assert_eq!(tls.sni.as_deref(), Some("orders.internal"));
    assert!(backend(&edge, "/loose").tls.as_ref().unwrap().client.is_none());
    notes_say(
        &notes,
        &[
            "HTTP/3 (`quic`) is not translated",
            "`proxy_pass https://loose.internal` speaks TLS, and nginx verifies no certificate",
            "`proxy_ssl_protocols TLSv1.3` is not translated",
            "`add_header X-Frame-Options DENY always` is not translated",
        ],
    );
    assert!(!notes.iter().any(|note| note.contains("listens with TLS") || note.contains("orders.internal")));
}

#[test]
fn cors_of_nginx_is_taken_over_for_named_origins_alone() {
    let (edge, notes) = imported(Form::Nginx, include_str!("../../tests/files/nginx-tls.conf"));
    for (path, expected) in [
        ("/", "https://app.example.com https://admin.example.com +"),
        ("/orders", "https://app.example.com https://admin.example.com +"),
        // A block with headers of its own inherits none.
        ("/open", "*"),
        ("/any", ""),
    ] {
        let of: Vec<&edge_config::edge::Route> =
            edge.routes.iter().filter(|route| route.path.path() == path).collect();
        assert!(!of.is_empty(), "{path}");
        assert_eq!(origins(&edge, path), expected, "{path}");
    }
    let route = edge.routes.iter().find(|route| route.path.path() == "/orders").unwrap();
    let cors = edge.cors_of(route).unwrap();
    assert_eq!(cors.methods.as_deref(), Some(&["GET".to_owned(), "POST".to_owned()][..]));
    assert_eq!(cors.headers.as_deref(), Some(&["authorization".to_owned(), "content-type".to_owned()][..]));
    assert_eq!((cors.expose.as_slice(), cors.max_age.as_secs()), (&["x-total-count".to_owned()][..], 86_400));
    let said =
        "`add_header Access-Control-Allow-Origin $http_origin` is not translated: it depends on a variable";
    notes_say(&notes, &[said]);
    assert!(!notes.iter().any(|note| note.contains("`if (") || note.contains("`map ")), "{notes:#?}");
    assert!(edge.routes.iter().all(|route| !matches!(route.cors, RouteCors::None)));
}

/// A certificate, a redirect or a client certificate that cannot be said does not open anything.
#[test]
fn what_cannot_be_said_of_tls_in_nginx_is_named_and_stays_closed() {
    let one = |inside: &str| format!("http {{ {inside} }}");
    let tls = "server { listen 443 ssl; server_name a.test; ssl_certificate a.pem; ssl_certificate_key a.key; location / { proxy_pass http://10.0.0.1; } }";
    for (text, listeners, said) in [
        (
            one(
                "server { listen 443 ssl; server_name a.test; ssl_certificate data:$c; location / { proxy_pass http://10.0.0.1; } }",
            ),
            "tls",
            "`ssl_certificate data:$c` is not a file",
        ),
        (
            one(&format!(
                "{tls} server {{ listen 80; server_name b.test; location / {{ proxy_pass http://10.0.0.2; }} }} server {{ listen 80; server_name a.test; return 301 https://a.test$request_uri; }}"
            )),
            "public, tls",
            "a server redirects to https, and the host `b-test` is served in the clear",
        ),
        (
            one(&format!(
                "{tls} server {{ listen 80; server_name a.test; return 301 https://other.test$request_uri; }}"
            )),
            "tls",
            "a server that only redirects is not translated",
        ),
        (
            one(&tls
                .replace("ssl_certificate a.pem", "ssl_verify_client optional_no_ca; ssl_certificate a.pem")),
            "tls",
            "`ssl_verify_client optional_no_ca` is not translated",
        ),
        (
            one(&tls.replace("listen 443 ssl", "listen 443 ssl proxy_protocol")),
            "tls",
            "the PROXY protocol is not translated",
        ),
        (
            one(&format!(
                "{tls} server {{ listen 80; server_name a.test; if ($host = a.test) {{ return 301 https://$host$request_uri; }} return 404; }}"
            )),
            "public, tls",
            "",
        ),
    ] {
        let (edge, notes) = imported(Form::Nginx, &text);
        let names: Vec<&str> = edge.listeners.keys().map(String::as_str).collect();
        assert_eq!(names.join(", "), listeners, "{text}");
        assert!(said.is_empty() || notes.iter().any(|note| note.contains(said)), "{said}: {notes:#?}");
        // What had TLS alone is in the clear only where it is redirected.
        let host = &edge.hosts["a-test"];
        let in_the_clear = host.is_on("public") && edge.listeners["public"].redirect.is_none();
        assert!(!in_the_clear, "{text}");
    }
    // What a map says for every other origin counts, too.
    let every = "map $http_origin $o { default $http_origin; \"~^https://.*$\" $http_origin; } server { listen 80; server_name a.test; add_header Access-Control-Allow-Origin $o; location / { proxy_pass http://10.0.0.1; } }";
    let (edge, notes) = imported(Form::Nginx, &one(every));
    assert!(edge.hosts["a-test"].cors.is_none());
    notes_say(
        &notes,
        &["`Access-Control-Allow-Origin` is not translated: the origin $http_origin is a pattern"],
    );
    let clients = one(&tls.replace(
        "ssl_certificate a.pem",
        "ssl_client_certificate ca.pem; ssl_verify_client on; ssl_certificate a.pem",
    ));
    let (edge, _) = imported(Form::Nginx, &clients);
    assert!(
        edge.listeners["tls"].tls.as_ref().unwrap().clients.as_ref().is_some_and(|clients| clients.required)
    );
}

#[test]
fn certificates_protocols_and_cors_of_kong_are_taken_over() {
    let (edge, notes) = imported(Form::Kong, include_str!("../../tests/files/kong-tls.yml"));
    assert_eq!(routes(&edge).len(), 4);
    assert_eq!(edge.hosts["api-example-com"].listeners, ["public", "tls"]);
    assert!(edge.listeners["public"].redirect.is_some());
    let certificates = &edge.listeners["tls"].tls.as_ref().unwrap().certificates;
    assert!(certificates.len() == 1 && certificates[0].key.ends_with("certs/api-example-com.key"));
    let tls = backend(&edge, "/orders").tls.as_ref().unwrap();
    assert!(tls.ca.ends_with("certs/orders-ca.pem") && tls.client.is_some());
    for (path, expected) in [
        ("/orders", "https://app.example.com +"),
        // The plugin at the top of the file that is for this route alone.
        ("/open", "*"),
        // A pattern, and every origin with cookies.
        ("/patterns", ""),
        ("/every", ""),
    ] {
        assert_eq!(origins(&edge, path), expected, "{path}");
    }
    let orders = edge.routes.iter().find(|route| route.path.path() == "/orders").unwrap();
    let cors = edge.cors_of(orders).unwrap();
    assert_eq!(cors.methods.as_deref(), Some(&["GET".to_owned(), "POST".to_owned()][..]));
    assert_eq!(cors.max_age.as_secs(), 3_600);
    notes_say(
        &notes,
        &[
            "the certificate for api.example.com stands in the file itself",
            "the authorities of the service orders",
            "the origin https://.*\\.example\\.com of the plugin cors is a pattern",
            "the plugin cors is not translated: the origin * lets the pages of every site send cookies",
        ],
    );
    assert!(!notes.iter().any(|note| note.contains("Kong verifies no certificate")), "{notes:#?}");
}

/// A host some of whose routes are for https alone is not served in the clear at all.
#[test]
fn a_host_of_kong_is_served_as_its_strictest_route() {
    let text = "_format_version: '3.0'\nservices:\n  - name: a\n    url: http://10.0.0.1\n    routes:\n      - { name: one, hosts: [a.test], paths: [/one], strip_path: false, protocols: [https] }\n      - { name: two, hosts: [a.test], paths: [/two], strip_path: false }\n      - { name: three, hosts: [b.test], paths: [/three], strip_path: false, protocols: [http] }\n";
    let (edge, notes) = imported(Form::Kong, text);
    assert_eq!(edge.hosts["a-test"].listeners, ["tls"]);
    assert!(edge.listeners["public"].redirect.is_none());
    notes_say(
        &notes,
        &[
            "some routes of the host `a-test` are for https alone, and all of them are now",
            "routes are for https alone, and no certificate has a name",
        ],
    );
}

#[test]
fn a_server_of_openapi_with_https_is_a_backend_that_is_verified() {
    let (edge, notes) = imported(Form::Openapi, include_str!("../../tests/files/openapi-tls.yaml"));
    assert_eq!(routes(&edge), ["GET /v1/orders signed-in product"]);
    let product = &edge.backends["product"];
    assert!(product.tls.is_some());
    assert_eq!(product.endpoints[0].to_string(), "api.example.com:443");
    notes_say(
        &notes,
        &["clients reach https://api.example.com/v1 with TLS, and the edge listens in the clear"],
    );
}
