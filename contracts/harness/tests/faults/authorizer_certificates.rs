//! A caller of the authorizer proves its identity, or shares its machine.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::authority::{Authority, Pair, greet};
use harness::{Backend, Edge, EdgeBuilder, Part, Signal, eventually, pause};

/// The authorizer's side and Envoy's, with certificates of one authority.
struct Certificates {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Certificates {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let certificates = Self { directory, authority };
        certificates.authority.write(&certificates.at("ca.pem"));
        certificates.authority.write(&certificates.at("envoy-ca.pem"));
        certificates.renew();
        certificates
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// New certificates for both sides.
    fn renew(&self) {
        self.issue("authz", "authz.test");
        self.issue("envoy", "envoy.test");
    }

    fn issue(&self, file: &str, name: &str) -> Pair {
        self.authority.issue(self.directory.path(), file, name)
    }

    /// Two authorizers on real certificates.
    fn edge(&self, backend: &Backend) -> EdgeBuilder {
        let shown = |name: &str| self.at(name).display().to_string();
        let tls = format!(
            "  timeout_ms: 200\n  tls:\n    ca: {}\n    certificate: {}\n    key: {}\n    names: [authz.test]\n",
            shown("envoy-ca.pem"),
            shown("envoy.pem"),
            shown("envoy.key"),
        );
        Edge::dev()
            .two_authorizers()
            .replace("  timeout_ms: 200\n", &tls)
            .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: {} }")
            .with_open_route()
            .every_backend(backend.address())
            .variable("AUTHZ_TLS_CA", &shown("ca.pem"))
            .variable("AUTHZ_TLS_CERTIFICATE", &shown("authz.pem"))
            .variable("AUTHZ_TLS_KEY", &shown("authz.key"))
            .variable("AUTHZ_TLS_CLIENTS", "envoy.test")
    }

    fn shown(&self, edge: &Edge, variable: &str) -> Vec<u8> {
        let own = Pair { certificate: self.at("envoy.pem"), key: self.at("envoy.key"), serial: 0 };
        let greeting = greet(edge.address(variable), &self.at("ca.pem"), "authz.test", Some(&own));
        greeting.map(|greeting| greeting.certificate).unwrap_or_default()
    }
}

const AUTHORIZERS: [&str; 2] = ["AUTHZ_ADDRESS", "AUTHZ_2_ADDRESS"];

#[test]
fn certificates_of_envoy_and_two_authorizers_are_renewed_while_traffic_runs_and_nothing_is_lost() {
    let backend = Backend::plain();
    let certificates = Certificates::new();
    let mut edge = certificates.edge(&backend).start();
    let token = edge.mint().good(0);
    assert_eq!(edge.get("/books").send().status, 401);
    // The feed of ended leases uses the same connections: without it no lease would serve.
    eventually("a lease serves", || {
        edge.get("/books").token(&token).send().status == 200 && edge.leased() > 0
    });

    let done = AtomicBool::new(false);
    let ask = |method: &str| edge.request(method, "/books").token(&token);
    // No lease serves a POST.
    let requests = [ask("POST"), ask("GET")];
    let lost: Vec<u16> = std::thread::scope(|scope| {
        let traffic: Vec<_> = requests
            .iter()
            .map(|request| {
                let done = &done;
                scope.spawn(move || {
                    let mut lost = Vec::new();
                    let mut count = 0_u32;
                    while !done.load(Ordering::Relaxed) {
                        let status = request.try_send().map_or(0, |answer| answer.status);
                        count += 1;
                        if status != 200 {
                            lost.push(status);
                        }
                    }
                    assert!(count > 10, "there was traffic: {count}");
                    lost
                })
            })
            .collect();
        for round in 1..=3 {
            let before = AUTHORIZERS.map(|variable| certificates.shown(&edge, variable));
            let updated = sds_updates(&edge);
            certificates.renew();
            for (variable, before) in AUTHORIZERS.iter().zip(before) {
                eventually("the authorizer shows another certificate", || {
                    let now = certificates.shown(&edge, variable);
                    !now.is_empty() && now != before
                });
            }
            eventually("Envoy read its own again", || sds_updates(&edge) > updated);
            assert!(round < 4);
        }
        done.store(true, Ordering::Relaxed);
        traffic.into_iter().flat_map(|one| one.join().expect("traffic ends")).collect()
    });
    assert_eq!(lost, Vec::<u16>::new());

    // New connections on both sides use the certificates of the last round.
    for part in [Part::Authz, Part::SecondAuthz] {
        edge.stop(part, Signal::Kill);
        edge.start(part);
    }
    edge.wait_until_ready();
    assert_eq!(edge.request("POST", "/books").token(&token).send().status, 200);
}

fn sds_updates(edge: &Edge) -> u64 {
    edge.envoy_stat("cluster.authorizer.client_ssl_socket_factory.ssl_context_update_by_sds")
        .expect("Envoy counts what it reads again")
}

#[test]
fn a_client_without_a_valid_certificate_gets_no_answer_from_the_authorizer() {
    let backend = Backend::plain();
    let certificates = Certificates::new();
    let edge = certificates.edge(&backend).start();
    let ca = certificates.at("ca.pem");
    let good =
        Pair { certificate: certificates.at("envoy.pem"), key: certificates.at("envoy.key"), serial: 0 };
    let stranger = Authority::new().issue(certificates.directory.path(), "stranger", "envoy.test");
    let colleague = certificates.issue("colleague", "another-service.test");
    for variable in AUTHORIZERS {
        let address = edge.address(variable);
        assert!(greet(address, &ca, "authz.test", Some(&good)).is_ok());
        for (who, pair) in [
            ("without one", None),
            ("of another authority", Some(&stranger)),
            ("with another name", Some(&colleague)),
        ] {
            let outcome = greet(address, &ca, "authz.test", pair);
            assert!(outcome.is_err(), "{who}: {outcome:?}");
        }
        // Plain HTTP gets nothing: neither checks nor the feed of ended leases.
        for bytes in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..],
            &b"GET /lease HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        ] {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
            stream.write_all(bytes).expect("it reads");
            let mut received = Vec::new();
            let _ = stream.read_to_end(&mut received);
            // At most a TLS alert (RFC 8446 §6).
            assert!(received.is_empty() || received.first() == Some(&0x15), "{received:?}");
        }
    }
}

#[test]
fn an_authorizer_of_another_authority_decides_nothing() {
    let backend = Backend::plain();
    let certificates = Certificates::new();
    let mut edge = certificates.edge(&backend).start();
    let token = edge.mint().good(0);
    assert_eq!(edge.request("POST", "/books").token(&token).send().status, 200);
    // From now on Envoy trusts another authority; open connections are closed.
    Authority::new().write(&certificates.at("envoy-ca.pem"));
    for part in [Part::Authz, Part::SecondAuthz] {
        edge.stop(part, Signal::Kill);
        edge.start(part);
    }
    let asked = || edge.request("POST", "/books").token(&token).send().status;
    for variable in AUTHORIZERS {
        eventually("the authorizer is back", || !certificates.shown(&edge, variable).is_empty());
    }
    let answers: Vec<u16> = (0..40)
        .map(|_| {
            pause(Duration::from_millis(50), "Envoy tries new connections between forty requests");
            asked()
        })
        .collect();
    assert_eq!(answers, [503; 40]);
    assert_eq!(edge.get("/open").send().status, 200, "a public route goes on");
    // And back.
    certificates.authority.write(&certificates.at("envoy-ca.pem"));
    eventually("decisions are accepted again", || asked() == 200);
}

#[test]
fn over_a_unix_socket_of_its_user_the_authorizer_decides_and_serves_the_feed() {
    let backend = Backend::plain();
    let home = tempfile::tempdir().expect("a directory");
    let socket = home.path().join("authz.sock");
    let at = format!("unix:{}", socket.display());
    let edge = Edge::dev()
        .replace("address: \"${AUTHZ_ADDRESS:-127.0.0.1:9191}\"", &format!("address: \"{at}\""))
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: {} }")
        .every_backend(backend.address())
        .variable("AUTHZ_ADDRESS", &at)
        .start();
    assert_eq!(mode(&socket), 0o600);
    let token = edge.mint().good(0);
    assert_eq!(edge.get("/books").send().status, 401);
    eventually("a lease serves", || {
        edge.get("/books").token(&token).send().status == 200 && edge.leased() > 0
    });
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}
