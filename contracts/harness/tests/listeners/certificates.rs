//! Several certificates on one listener: a client is shown the one with the name that it asks for.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use harness::authority::{Authority, Pair};
use harness::tls::{handshake_as, presented};
use harness::{Backend, Edge, Part, Port, eventually};

/// An edge whose listener `tls` has three certificates: `first` for `api.acme.test`, one for `*.shop.acme.test` (with its key in
/// the same file) and one for `sale.shop.acme.test`.
fn start(port: &Port) -> (Edge, Arc<Authority>) {
    let backend = Backend::plain();
    let home = "${CUTOVER_HOME:-.run}";
    let old = format!("tls: {{ certificate: \"{home}/certs/edge.pem\", key: \"{home}/certs/edge.key\" }}");
    let shared = format!("{home}/certs");
    let new = format!(
        "tls: {{ certificates: [{{ certificate: \"{shared}/first.pem\", key: \"{shared}/first.key\" }}, \"{shared}/shops.pem\", {{ certificate: \"{shared}/sale.pem\", key: \"{shared}/sale.key\" }}] }}"
    );
    let authority = Arc::new(Authority::new());
    let issuer = Arc::clone(&authority);
    let certificates = move |home: &Path| {
        let directory = home.join("certs");
        std::fs::create_dir_all(&directory).expect("the home is writable");
        issuer.write(&directory.join("ca.pem"));
        issuer.issue(&directory, "first", "api.acme.test");
        together(&issuer.issue(&directory, "shops", "*.shop.acme.test"));
        issuer.issue(&directory, "sale", "sale.shop.acme.test");
    };
    let edge = Edge::dev()
        .also_encrypted(port.address())
        .replace(&old, &new)
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
        .prepare(certificates)
        .start();
    (edge, authority)
}

/// Puts the key into the file of the certificate.
fn together(pair: &Pair) {
    let text = [&pair.certificate, &pair.key].map(|path| std::fs::read_to_string(path).expect("it is there"));
    std::fs::write(&pair.certificate, text.concat()).expect("it is writable");
    std::fs::remove_file(&pair.key).expect("it is there");
}

/// The certificate in a file, DER, as the edge presents it.
fn in_file(home: &Path, name: &str) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    let path = home.join("certs").join(name);
    CertificateDer::from_pem_file(path).expect("it is PEM").as_ref().to_vec()
}

fn shown(at: SocketAddr, name: Option<&str>) -> Vec<u8> {
    presented(at, name).expect("a handshake")
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let port = Port::lease();
    let (edge, _) = start(&port);
    let ca = edge.home().join("certs/ca.pem");
    for (asked, file) in [
        ("api.acme.test", "first.pem"),
        ("one.shop.acme.test", "shops.pem"),
        ("two.shop.acme.test", "shops.pem"),
        // A name comes before a wildcard.
        ("sale.shop.acme.test", "sale.pem"),
    ] {
        let verified = handshake_as(port.address(), asked, &ca, &["h2"]).expect(asked);
        assert_eq!(verified.certificate, in_file(edge.home(), file), "{asked}");
        assert_eq!(verified.protocol.as_deref(), Some("h2"));
    }
    // Nothing has these names, so the first is shown, and a client that verifies refuses it.
    for asked in ["elsewhere.test", "shop.acme.test", "a.b.shop.acme.test"] {
        assert_eq!(shown(port.address(), Some(asked)), in_file(edge.home(), "first.pem"), "{asked}");
        assert!(handshake_as(port.address(), asked, &ca, &[]).is_err(), "{asked}");
    }
    assert_eq!(shown(port.address(), None), in_file(edge.home(), "first.pem"), "without a name");
}

#[test]
fn each_file_is_read_again_when_it_is_replaced_and_no_connection_ends() {
    let port = Port::lease();
    let (edge, authority) = start(&port);
    let directory = edge.home().join("certs");
    let before = in_file(edge.home(), "shops.pem");
    let pair = authority.issue(&directory, "new", "*.shop.acme.test");
    together(&pair);
    std::fs::rename(&pair.certificate, directory.join("shops.pem")).expect("it can be replaced");
    eventually("the edge shows the new certificate", || {
        let now = shown(port.address(), Some("one.shop.acme.test"));
        now != before && now == in_file(edge.home(), "shops.pem")
    });
    // A certificate that does not fit its key changes nothing, for this name or another.
    let other = authority.issue(&directory, "other", "sale.shop.acme.test");
    let sale = in_file(edge.home(), "sale.pem");
    std::fs::rename(&other.certificate, directory.join("sale.pem")).expect("it can be replaced");
    std::fs::rename(&other.key, directory.join("sale.key")).expect("it can be replaced");
    eventually("the pair that fits is shown", || {
        let now = shown(port.address(), Some("sale.shop.acme.test"));
        assert!(now == sale || now == in_file(edge.home(), "sale.pem"));
        now != sale
    });
    assert_eq!(shown(port.address(), Some("api.acme.test")), in_file(edge.home(), "first.pem"));
    assert_eq!(edge.envoy_stat("listener_manager.total_filter_chains_draining"), Some(0));
}
