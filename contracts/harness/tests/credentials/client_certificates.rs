//! Client certificates as a credential: Envoy verifies them, the edge file says whom they prove.

use std::path::Path;
use std::sync::Arc;

use harness::authority::{Authority, Pair};
use harness::tls::Tunnel;
use harness::wire::{Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Port, eventually};

/// An edge whose listener `tls` asks for certificates as `asks` says, with a route for `billing` alone.
fn edge(backend: &Backend, port: &Port, authority: &Arc<Authority>, asks: &str) -> EdgeBuilder {
    let key = "key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" } }";
    let clients =
        format!("client_ca: \"${{CUTOVER_HOME:-.run}}/certs/clients.pem\", client_certificate: {asks} }} }}");
    let issuer = Arc::clone(authority);
    Edge::dev()
        .also_encrypted(port.address())
        .replace(key, &key.replace(" } }", &format!(", {clients}")))
        .replace(
            "policies:\n",
            "client_certificates:\n  billing: { names: [billing.partner.test] }\n  orders: { names: [orders.partner.test] }\n\npolicies:\n  partners: { kind: client-certificate, callers: [billing] }\n",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: partners, host: api, prefix: /partners, policy: partners, to: legacy, answers: auth }\n",
        )
        .with_open_route()
        .every_backend(backend.address())
        .prepare(move |home| issuer.write(&home.join("certs/clients.pem")))
}

fn through(port: &Port, home: &Path, own: Option<&Pair>) -> Tunnel {
    Tunnel::presenting(port.address(), &home.join("certs/edge.pem"), own)
}

fn ask(tunnel: &Tunnel, target: &str) -> Request {
    Request::new(tunnel.address(), "GET", target)
}

#[test]
fn a_certificate_proves_its_caller_and_nothing_else_does() {
    let (backend, port, authority) = (Backend::plain(), Port::lease(), Arc::new(Authority::new()));
    let edge = edge(&backend, &port, &authority, "optional").start();
    let directory = edge.home().join("certs");
    let issued = |name: &str| authority.issue(&directory, name, &format!("{name}.partner.test"));
    let [billing, orders, other] = ["billing", "orders", "other"].map(issued);
    let home = edge.home();
    let forged = "URI=spiffe://x;DNS=billing.partner.test;Subject=\"CN=billing.partner.test\"";

    let tunnel = through(&port, home, Some(&billing));
    let answer = ask(&tunnel, "/partners/x").header("X-Forwarded-Client-Cert", forged).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = backend.last();
    assert_eq!(seen.all("x-madome-auth-sub"), ["billing"]);
    assert_eq!(seen.all("x-forwarded-client-cert"), Vec::<String>::new());

    for (own, status, reason) in [
        (None, 401, "no_credential"),
        (Some(&other), 401, "certificate_unknown"),
        (Some(&orders), 403, "service_not_allowed"),
    ] {
        let tunnel = through(&port, home, own);
        let path = format!("/partners/{reason}");
        let request = ask(&tunnel, &path).header("X-Forwarded-Client-Cert", forged);
        assert_eq!(request.send().status, status, "{reason}");
        assert_eq!(edge.logged(&path, u64::from(status))["reason"], reason);
        // Other routes do not need one.
        assert_eq!(ask(&tunnel, "/open/x").send().status, 200, "{reason}");
    }
    // In the clear there is no certificate, whatever a header says.
    let clear = edge.get("/partners/clear").header("X-Forwarded-Client-Cert", forged).send();
    assert_eq!(clear.status, 401, "{clear:?}");
    let mut h2 = h2::Connection::open(edge.public()).expect("the edge listens");
    let mut lines = h2::headers("GET", "localhost", "/partners/h2");
    lines.push((b"x-forwarded-client-cert".to_vec(), forged.as_bytes().to_vec()));
    assert_eq!(h2.ask(&lines).status(), Some(401), "over HTTP/2");
    // Another authority's certificate ends the handshake.
    let stranger = Authority::new().issue(&directory, "stranger", "billing.partner.test");
    let before = backend.seen().len();
    for target in ["/partners/x", "/open/x"] {
        assert!(ask(&through(&port, home, Some(&stranger)), target).try_send().is_err(), "{target}");
    }
    assert_eq!(backend.seen().len(), before);

    let report = edge.explain(&["GET https://localhost/partners/x", "--certificate", "billing.partner.test"]);
    assert_eq!(
        (report["decision"].as_str(), report["subject"].as_str()),
        (Some("allow"), Some("billing")),
        "{report}"
    );
    let report = edge.explain(&["GET https://localhost/partners/x"]);
    assert_eq!(report["answer"]["status"], 401, "{report}");
}

#[test]
fn a_listener_that_requires_one_lets_no_client_connect_without_it() {
    let (backend, port, authority) = (Backend::plain(), Port::lease(), Arc::new(Authority::new()));
    let edge = edge(&backend, &port, &authority, "required").start();
    let billing = authority.issue(&edge.home().join("certs"), "billing", "billing.partner.test");
    assert!(ask(&through(&port, edge.home(), None), "/open/x").try_send().is_err());
    assert!(backend.seen().iter().all(|seen| !seen.request_line().contains("/open/x")));
    let tunnel = through(&port, edge.home(), Some(&billing));
    assert_eq!(ask(&tunnel, "/open/x").send().status, 200);
    assert_eq!(ask(&tunnel, "/partners/x").send().status, 200);
}

#[test]
fn a_revoked_certificate_ends_in_the_handshake_and_so_does_every_one_without_a_valid_list() {
    const BY: &str = "client_certificate: required";
    let (backend, port, authority) = (Backend::plain(), Port::lease(), Arc::new(Authority::new()));
    let issuer = Arc::clone(&authority);
    let edge = edge(&backend, &port, &authority, "required")
        .replace(BY, &format!("{BY}, client_crl: \"${{CUTOVER_HOME:-.run}}/certs/clients.crl.pem\""))
        .prepare(move |home| {
            issuer.write(&home.join("certs/clients.pem"));
            issuer.revoke(&home.join("certs/clients.crl.pem"), &[], 2_999);
        })
        .start();
    let certs = edge.home().join("certs");
    let list = certs.join("clients.crl.pem");
    let issued = |name: &str| authority.issue(&certs, name, &format!("{name}.partner.test"));
    let (billing, orders) = (issued("billing"), issued("orders"));
    // Each question is a connection of its own.
    let status = |own: &Pair| {
        ask(&through(&port, edge.home(), Some(own)), "/partners/x")
            .try_send()
            .ok()
            .map(|answer| answer.status)
    };
    assert_eq!((status(&billing), status(&orders)), (Some(200), Some(403)));
    authority.revoke(&list, &[&billing], 2_999);
    eventually("the revoked certificate is refused", || status(&billing).is_none());
    assert_eq!(status(&orders), Some(403), "the other one is not");
    authority.revoke(&list, &[], 2_999);
    eventually("it counts again", || status(&billing) == Some(200));
    authority.revoke(&list, &[], 2_021);
    eventually("no certificate counts by a list that is out of date", || status(&billing).is_none());
    assert_eq!(status(&orders), None);
    authority.revoke(&list, &[], 2_999);
    eventually("a new list counts", || status(&billing) == Some(200));
    let other = certs.join("unfinished");
    std::fs::write(&other, "not a list\n")
        .and_then(|()| std::fs::rename(&other, &list))
        .expect("it is writable");
    eventually("no certificate counts by what is not a list", || status(&billing).is_none());
    authority.revoke(&list, &[&orders], 2_999);
    eventually("a new list counts", || (status(&billing), status(&orders)) == (Some(200), None));
}
