use std::path::Path;

use super::*;
use crate::wire;

fn head(request: &str) -> Head {
    let lines: Vec<Vec<u8>> = request.lines().map(|line| line.trim().as_bytes().to_vec()).collect();
    wire::head::parse(&lines).unwrap()
}

fn copy(request: &str) -> Result<Copy, Refusal> {
    Copy::new(&head(request), Instant::now())
}

fn dev() -> Edge {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    edge_config::load(&file, &|_| None).unwrap()
}

#[test]
fn both_backends_receive_the_same_request_except_for_their_own_constant_headers() {
    let edge = dev();
    // The header that the legacy backend expects from its edge.
    let (constant, value) = edge.backends["legacy"].request_headers.first_key_value().unwrap();
    let copy = copy(&format!(
        "GET /books/%31?a=b HTTP/1.1\n\
         host: localhost:8080\n\
         X-oDD: Kept  inside\n\
         x-forwarded-for: 192.0.2.1,10.0.0.7\n\
         x-envoy-internal: true\n\
         {constant}: forged\n\
         x-cutover-shadow-route: books\n\
         content-length: 0\n\
         connection: keep-alive\n\
         x-request-id: 01a1fa96-1e66-70f5-b995-22ef8018af7d"
    ))
    .unwrap();
    assert_eq!((copy.route.as_str(), copy.method()), ("books", "GET"));
    assert_eq!(copy.request_id("x-request-id"), "01a1fa96-1e66-70f5-b995-22ef8018af7d");
    let common = "GET /books/%31?a=b HTTP/1.1\r\nhost: localhost:8080\r\nX-oDD: Kept  inside\r\n\
                  x-forwarded-for: 192.0.2.1\r\nx-request-id: 01a1fa96-1e66-70f5-b995-22ef8018af7d\r\n";
    let text = |backend| String::from_utf8(copy.bytes_for(&edge, backend)).unwrap();
    assert_eq!(text("users"), format!("{common}\r\n"));
    assert_eq!(text("legacy"), format!("{common}{constant}: {value}\r\n\r\n"));
}

/// The edge file with `host` for the backend of the route and for the backend of its copies.
fn with_hosts(of_route: Option<&str>, of_copy: Option<&str>) -> (Edge, String) {
    let mut edge = dev();
    let route = edge.routes.iter().find(|route| route.name == "books").unwrap();
    let answers = route.backends().first().copied().unwrap().to_owned();
    let copies = edge.backends.keys().find(|name| **name != answers).unwrap().clone();
    edge.backends.get_mut(&answers).unwrap().host = of_route.map(str::to_owned);
    edge.backends.get_mut(&copies).unwrap().host = of_copy.map(str::to_owned);
    (edge, copies)
}

#[test]
fn each_backend_is_asked_for_its_own_host_and_told_the_clients() {
    const SHOP: Option<&str> = Some("shop.internal");
    for (own, copies, received, expected) in [
        (None, None, "host: api.test\n", "host: api.test\n"),
        (None, SHOP, "host: api.test\n", "host: shop.internal\nx-forwarded-host: api.test\n"),
        // The edge has named the host of its route's backend.
        (Some("old.internal"), None, "host: old.internal\nx-forwarded-host: api.test\n", "host: api.test\n"),
        (
            Some("old.internal"),
            SHOP,
            "host: old.internal\nx-forwarded-host: api.test\n",
            "host: shop.internal\nx-forwarded-host: api.test\n",
        ),
        // A trusted proxy has named another host.
        (
            None,
            None,
            "host: api.test\nx-forwarded-host: www.test\n",
            "host: api.test\nx-forwarded-host: www.test\n",
        ),
    ] {
        let (edge, backend) = with_hosts(own, copies);
        let copy = copy(&format!("GET / HTTP/1.1\n{received}x-cutover-shadow-route: books")).unwrap();
        let lines = copy.lines_for(&edge, &backend);
        let hosts = lines.iter().filter(|line| line.is("host") || line.is("x-forwarded-host"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let hosts: String =
            hosts.map(|line| format!("{}: {}\n", text(&line.name), text(&line.value))).collect();
        assert_eq!(hosts, expected, "{own:?} {copies:?} {received:?}");
    }
}

#[test]
fn an_unsafe_method_is_refused_whatever_else_the_copy_has() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "TRACE"] {
        let refused = copy(&format!("{method} / HTTP/1.1\nx-cutover-shadow-route: books"));
        assert_eq!(refused.unwrap_err(), Refusal::UnsafeMethod, "{method}");
    }
    assert_eq!(copy("GET / HTTP/1.1\nhost: a").unwrap_err(), Refusal::UnknownRoute);
    assert_eq!(copy("HTTP/1.1 200 OK").unwrap_err(), Refusal::Malformed);
    assert!(copy("HEAD / HTTP/1.1\nx-cutover-shadow-route: books").unwrap().is_head);
}
