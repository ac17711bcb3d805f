//! Connections beyond this machine need authentication: addresses of the authorizer and of internal listeners.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{AuthorizerAddress, Edge, Socket};

const AUTHORIZER: &str = "address: \"${AUTHZ_ADDRESS:-127.0.0.1:9191}\"";
const SERVICE: &str = "{ address: \"${EDGE_SERVICE_ADDRESS:-127.0.0.1:8081}\", exposure: internal }";
const PUBLIC: &str = "{ address: \"${EDGE_ADDRESS:-127.0.0.1:8080}\", exposure: public }";

fn dev_with(old: &str, new: &str) -> Result<Edge, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{old:?} is not in dev.yaml");
    edge_config::parse(Path::new("edge.yaml"), &text.replace(old, new), &|_| None)
        .map_err(|faults| faults.to_string())
}

#[test]
fn the_authorizer_is_called_in_the_clear_on_this_machine_alone() {
    for good in [
        "address: 127.0.0.1:9191",
        "address: \"[::1]:9191\"",
        "address: localhost:9191",
        "address: unix:/run/cutover/authz.sock",
        "addresses: [127.0.0.1:9191, \"unix:/run/authz.sock\"]",
    ] {
        assert!(dev_with(AUTHORIZER, good).is_ok(), "{good}: {:?}", dev_with(AUTHORIZER, good).err());
    }
    for bad in [
        "10.0.0.1:9191",
        "192.0.2.1:9191",
        "0.0.0.0:9191",
        "authz.internal:9191",
        "authz:9191",
        // Names that look like this machine and may resolve elsewhere.
        "localhost.example.com:9191",
        "authz.localhost:9191",
        "\"[2001:db8::1]:9191\"",
        "\"[::ffff:10.0.0.1]:9191\"",
    ] {
        for address in [format!("address: {bad}"), format!("addresses: [127.0.0.1:9191, {bad}]")] {
            let message = dev_with(AUTHORIZER, &address).unwrap_err();
            assert!(
                message.contains("queried without encryption") && message.contains("tls: {"),
                "{address}: {message}"
            );
        }
    }
}

#[test]
fn with_certificates_it_may_be_anywhere_and_is_known_by_its_names() {
    let tls = |rest: &str| format!("  tls: {{ ca: ca.pem, certificate: envoy.pem, key: envoy.key{rest} }}");
    let edge = dev_with(AUTHORIZER, &format!("addresses: [10.0.0.1:9191, authz.internal:9191]\n{}", tls("")));
    let authorizer = edge.unwrap().authorizer;
    assert_eq!(authorizer.tls.unwrap().names, ["10.0.0.1", "authz.internal"]);
    assert!(!authorizer.addresses.iter().any(AuthorizerAddress::is_local));
    let named = format!("address: 10.0.0.1:9191\n{}", tls(", names: [authz.test, 10.0.0.1]"));
    let authorizer = dev_with(AUTHORIZER, &named).unwrap().authorizer;
    assert_eq!(authorizer.tls.as_ref().unwrap().names, ["authz.test", "10.0.0.1"]);
    assert_eq!(authorizer.listens(), Some(Socket::Network(([10, 0, 0, 1], 9191).into())));
    for (text, says) in [
        (format!("address: 10.0.0.1:9191\n{}", tls(", names: []")), "lists 0 names"),
        (format!("address: 10.0.0.1:9191\n{}", tls(", names: [Authz]")), "is \"Authz\""),
        (format!("address: 10.0.0.1:9191\n{}", tls(", name: authz")), "did you mean `names`?"),
        (format!("address: unix:/run/authz.sock\n{}", tls("")), "a Unix socket, which needs none"),
        ("address: 10.0.0.1:9191\n  tls: { ca: ca.pem }".to_owned(), "has no `certificate`"),
        ("address: 10.0.0.1:9191\n  tls: { certificate: a, key: b }".to_owned(), "has no `ca`"),
        ("address: unix:authz.sock".to_owned(), "unix:/run/cutover/authz.sock"),
        (format!("address: unix:/{}", "a".repeat(120)), "unix:/run/cutover/authz.sock"),
        ("addresses: [\"unix:/run/authz.sock\", \"localhost:9191\"]".to_owned(), "cannot resolve a path"),
    ] {
        let message = dev_with(AUTHORIZER, &text).unwrap_err();
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn an_internal_listener_beyond_this_machine_requires_certificates_or_states_its_network() {
    let service =
        |address: &str, rest: &str| format!("{{ address: \"{address}\", exposure: internal{rest} }}");
    let asking = ", tls: { certificate: a.pem, key: a.key, client_ca: ca.pem, client_names: [auth.test] }";
    for good in [
        service("127.0.0.1:8081", ""),
        service("[::1]:8081", ""),
        service("0.0.0.0:8081", asking),
        service("0.0.0.0:8081", ", network: private"),
        service("10.0.0.1:8081", ", network: private, tls: { certificate: a.pem, key: a.key }"),
    ] {
        assert!(dev_with(SERVICE, &good).is_ok(), "{good}: {:?}", dev_with(SERVICE, &good).err());
    }
    for (bad, says) in [
        (service("0.0.0.0:8081", ""), "which other machines reach"),
        (service("10.0.0.1:8081", ""), "which other machines reach"),
        (service("[::]:8081", ""), "which other machines reach"),
        (service("10.0.0.1:8081", ", tls: { certificate: a.pem, key: a.key }"), "client_ca"),
        (service("10.0.0.1:8081", ", network: trusted"), "there are: private"),
        (
            service("10.0.0.1:8081", ", tls: { certificate: a, key: b, client_names: [a] }"),
            "requires no client certificate",
        ),
    ] {
        let message = dev_with(SERVICE, &bad).unwrap_err();
        assert!(message.contains(says), "{bad}: {message}");
    }
    let public = "{ address: \"127.0.0.1:8080\", exposure: public, network: private }";
    assert!(dev_with(PUBLIC, public).unwrap_err().contains("is public and has `network: private`"));
}
