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
