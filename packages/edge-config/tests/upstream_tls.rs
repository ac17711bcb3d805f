//! Backends over TLS: what an edge file may say, and the faults and warnings of what it may not.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::time::Duration;

use edge_config::edge::{Backend, BackendTls, ClientCertificate, Protocol};

const PIN: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// An edge file whose backend `orders` has these fields.
fn file(orders: &str) -> String {
    format!(
        "edge: small\nlisteners: {{ public: {{ address: 127.0.0.1:8080 }} }}\nhosts: {{ api: {{ names: [api.test] }} }}\n\
         backends:\n  orders: {{ {orders} }}\npolicies: {{ public: {{ kind: public }} }}\n\
         routes:\n  - {{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: orders }}\n"
    )
}

fn read(orders: &str) -> Result<(Backend, String), String> {
    let environment = |name: &str| (name == "ORDERS").then(|| "https://orders.internal".to_owned());
    let (edge, warnings) = edge_config::inspect_text(Path::new("edge.yaml"), &file(orders), &environment)
        .map_err(|f| f.to_string())?;
    Ok((edge.backends.get("orders").unwrap().clone(), warnings.to_string()))
}

#[test]
fn an_address_may_be_a_url() {
    for (address, host, port, encrypted) in [
        ("https://orders.internal:8443", "orders.internal", 8443, true),
        ("https://orders.internal", "orders.internal", 443, true),
        ("https://orders.internal/", "orders.internal", 443, true),
        ("HTTPS://orders.internal", "orders.internal", 443, true),
        ("https://10.0.0.7", "10.0.0.7", 443, true),
        ("https://[2001:db8::1]", "2001:db8::1", 443, true),
        ("https://[2001:db8::1]:8443", "2001:db8::1", 8443, true),
        ("${ORDERS}", "orders.internal", 443, true),
        ("${ORDERS}:8443", "orders.internal", 8443, true),
        ("http://orders.internal", "orders.internal", 80, false),
        ("http://orders.internal:443", "orders.internal", 443, false),
        ("orders.internal:3000", "orders.internal", 3000, false),
    ] {
        let (backend, warnings) = read(&format!("address: \"{address}\"")).unwrap();
        let endpoint = backend.endpoints.first().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{address}");
        assert_eq!(backend.tls.is_some(), encrypted, "{address}");
        assert!(!warnings.contains("in the clear"), "{address}: {warnings}");
        // A handshake takes longer than a connection.
        assert_eq!(backend.connect_timeout, Duration::from_millis(if encrypted { 1_000 } else { 250 }));
    }
    for bad in [
        "https://",
        "https://orders.internal/v1",
        "https://orders.internal?x",
        "https://user@orders.internal",
        "https://user:secret@orders.internal",
        "https://orders.internal:0",
        "https://orders.internal:65536",
        "https://orders.internal:",
        "https:orders.internal",
        "wss://orders.internal",
        "https://*.internal",
        "https://[2001:db8::1",
        "orders.internal",
    ] {
        let message = read(&format!("address: \"{bad}\"")).unwrap_err();
        assert!(message.contains("the address of backend `orders` is"), "{bad}: {message}");
        assert!(message.contains("5:"), "the line is named: {message}");
    }
}

#[test]
fn certificates_are_verified_by_the_public_authorities_unless_the_file_names_others() {
    let (unsaid, _) = read("address: \"https://orders.internal\"").unwrap();
    assert_eq!(unsaid.tls, Some(BackendTls::by_system_authorities()));
    assert_eq!(unsaid.certificate_names(), ["orders.internal"]);
    assert_eq!(unsaid.protocol, Protocol::Http1, "header names keep their case");

    let (empty, _) = read("address: \"orders.internal:8443\", tls: {}").unwrap();
    assert_eq!(empty.tls, unsaid.tls);

    let all = format!("ca: ca.pem, sni: shop.internal, client: edge.pem, pins: [\"{PIN}\"]");
    let (whole, _) =
        read(&format!("addresses: [\"https://10.0.0.7\", \"https://b.internal\"], tls: {{ {all} }}"))
            .unwrap();
    assert_eq!(whole.certificate_names(), ["shop.internal"]);
    let client = Some(ClientCertificate { certificate: "edge.pem".into(), key: "edge.pem".into() });
    let sni = Some("shop.internal".to_owned());
    assert_eq!(whole.tls, Some(BackendTls { ca: "ca.pem".into(), sni, client, pins: vec![PIN.to_owned()] }));

    let (apart, _) = read(
        "addresses: [\"https://10.0.0.7\", \"https://b.internal\", \"https://b.internal:8443\"], \
              tls: { client: { certificate: a.pem, key: a.key } }",
    )
    .unwrap();
    assert_eq!(apart.certificate_names(), ["10.0.0.7", "b.internal"]);
    let client = apart.tls.unwrap().client.unwrap();
    assert_eq!((client.certificate, client.key), ("a.pem".into(), "a.key".into()));
}

#[test]
fn a_port_of_tls_without_tls_is_a_warning() {
    for port in [443, 8443] {
        let (backend, warnings) = read(&format!("address: \"orders.internal:{port}\"")).unwrap();
        assert_eq!(backend.tls, None, "it is what the file says");
        let fix = format!("write https://orders.internal:{port}, or http://orders.internal:{port}");
        assert!(warnings.contains("reached in the clear") && warnings.contains(&fix), "{warnings}");
    }
}

#[test]
fn each_wrong_way_of_saying_it_is_a_fault_with_its_fix() {
    let https = "address: \"https://orders.internal\"";
    for (orders, problem, fix) in [
        (
            "addresses: [\"https://a.internal\", \"http://b.internal\"]".to_owned(),
            "b.internal:80 in the clear beside",
            "write https:// for all of them",
        ),
        (
            "address: \"http://a.internal\", tls: {}".into(),
            "`tls`, and a.internal:80 begins with http://",
            "https://",
        ),
        (
            "address: \"a.internal:80\", protocol: auto".into(),
            "`protocol: auto` and no TLS",
            "`http1` or `http2`",
        ),
        (format!("{https}, tls: {{ sni: 10.0.0.7 }}"), "`sni` of `tls` of backend `orders`", "leave it out"),
        (format!("{https}, tls: {{ sni: \"*.internal\" }}"), "`sni`", "the DNS name"),
        (format!("{https}, tls: {{ sni: \"\" }}"), "`sni`", "the DNS name"),
        (
            format!("{https}, tls: {{ ca: \"\" }}"),
            "`ca` of `tls` of backend `orders` is empty",
            "write a path",
        ),
        (format!("{https}, tls: {{ verify: false }}"), "no field `verify`", ""),
        (format!("{https}, tls: {{ insecure: true }}"), "no field `insecure`", ""),
        (format!("{https}, tls: true"), "`tls` of backend `orders` is", "mapping"),
        (format!("{https}, tls: {{ client: {{ certificate: a.pem }} }}"), "has no `key`", "private key"),
        (format!("{https}, tls: {{ pins: [] }}"), "lists 0 keys", "1 to 16"),
        (format!("{https}, tls: {{ pins: [abc] }}"), "a key in `pins`", "openssl"),
        (format!("{https}, tls: {{ pins: [\"{}\"] }}", "0".repeat(64)), "a key in `pins`", "base64"),
        (format!("{https}, tls: {{ pins: [\"{PIN}\", \"{PIN}\"] }}"), "twice", "once"),
        ("address: \"https://my_orders\"".into(), "no certificate can have", "sni"),
        ("addresses: [\"https://a.internal\", \"a.internal:443\"]".into(), "twice", "once"),
    ] {
        let message = read(&orders).map(|(backend, _)| backend).unwrap_err();
        assert!(
            message.contains(problem) && message.contains(fix),
            "{orders}: {problem:?} {fix:?}\n{message}"
        );
    }
    // A name with an underscore resolves; its certificate has another one.
    assert!(read("address: \"https://my_orders\", tls: { sni: orders.internal }").is_ok());
}

#[test]
fn a_websocket_needs_http_1() {
    let text = file("address: \"https://orders.internal\", protocol: auto")
        .replace("to: orders", "to: orders, upgrade: websocket");
    let message = edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).unwrap_err().to_string();
    assert!(message.contains("may speak HTTP/2") && message.contains("protocol: http1"), "{message}");
}
