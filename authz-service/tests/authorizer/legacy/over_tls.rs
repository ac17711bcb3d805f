//! A legacy backend that speaks TLS: asked by the same rules as those by which Envoy reaches it.

use std::net::SocketAddr;
use std::path::Path;

use harness::authority::Authority;
use harness::terminator::Terminator;

use super::{Legacy, check, with_legacy};
use crate::kit::{Authz, Home};

/// The test edge with a legacy backend at `address`, whose certificate is verified by `tls`.
fn checked(address: SocketAddr, tls: &str) -> impl Fn(String) -> String + use<> {
    let verify = "{ check: { backend: legacy, path: /auth/token, cache_ms: 0, timeout_ms: 9000 } }";
    let edit = with_legacy("old_token", verify);
    let backend = format!("legacy: {{ address: \"https://{address}\", protocol: auto, tls: {{ {tls} }} }}");
    move |edge| edit(edge.replace("legacy: { address: \"127.0.0.1:3000\" }", &backend))
}

#[tokio::test]
async fn a_legacy_backend_over_tls_is_asked_where_its_certificate_is_valid() {
    let (legacy, behind) = Legacy::start().await;
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let authority = Authority::new();
    let (ca, other) = (home.join("ca.pem"), home.join("other.pem"));
    authority.write(&ca);
    Authority::new().write(&other);
    let pair = authority.issue(home, "legacy", "legacy.internal");
    let own = authority.issue(home, "edge", "edge");
    let server = Terminator::before(behind, &pair, &["http/1.1"], Some(&ca));
    let ask = async |authz: &Authz, value: &str| {
        authz.ask(check(authz, "old").cookie_line(format!("old_token={value}"))).await
    };
    let client =
        format!("client: {{ certificate: {}, key: {} }}", own.certificate.display(), own.key.display());
    let named = |ca: &Path, sni: &str| format!("ca: {}, sni: {sni}, {client}", ca.display());

    let authz =
        Authz::start_with(Home::new(), checked(server.address(), &named(&ca, "legacy.internal"))).await;
    ask(&authz, "good").await.expect(200, "allowed");
    ask(&authz, "bad").await.expect(401, "legacy_refused");
    assert_eq!(legacy.asked(), 2);
    let hello = server.seen().pop().expect("a handshake");
    assert_eq!(hello.name.as_deref(), Some("legacy.internal"));
    assert!(hello.certificate.is_some(), "the edge shows its own certificate");

    let pin = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for (what, tls) in [
        ("another authority", named(&other, "legacy.internal")),
        ("another name", named(&ca, "other.internal")),
        ("another key", format!("{}, pins: [\"{pin}\"]", named(&ca, "legacy.internal"))),
        ("no certificate of the edge", format!("ca: {}, sni: legacy.internal", ca.display())),
        ("an absent file", named(&home.join("absent.pem"), "legacy.internal")),
    ] {
        let authz = Authz::start_with(Home::new(), checked(server.address(), &tls)).await;
        let answer = ask(&authz, "good").await;
        assert_eq!((answer.status, answer.reason.as_str()), (503, "legacy_unavailable"), "{what}");
    }
    assert_eq!(legacy.asked(), 2, "nobody else was asked");
}
