//! Backends over TLS: verified always, by HTTP/1.1 and HTTP/2, with certificates that may be replaced.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use harness::authority::{Authority, Pair};
use harness::terminator::Terminator;
use harness::{Backend, Edge, EdgeBuilder, Part, Port, eventually, eventually_some, pause};
use tempfile::TempDir;

/// An edge with these further backends, and for each a public route below `/NAME`.
fn edge(backends: &[(&str, String)]) -> EdgeBuilder {
    let (mut sections, mut routes) = (String::from("backends:\n"), String::from("routes:\n"));
    for (name, words) in backends {
        sections.push_str(&format!("  {name}:\n{words}"));
        routes.push_str(&format!(
            "  - {{ name: to-{name}, host: api, prefix: /{name}, policy: public, to: {name}, answers: auth }}\n"
        ));
    }
    Edge::dev()
        .replace("backends:\n", &sections)
        .replace("routes:\n", &routes)
        .every_backend(unused())
        .without(Part::Authz)
}

/// The address of a released port, for backends that no test asks.
fn unused() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a port is free")
}

/// An authority in a directory of its own, with its certificate in `ca.pem`.
fn authority() -> (TempDir, Authority) {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    authority.write(&directory.path().join("ca.pem"));
    (directory, authority)
}

/// The fields of a backend at these addresses. A section in braces would be taken for a listener's certificate.
fn words(addresses: &[String], ca: &Path, more: &str) -> String {
    let list = addresses.iter().map(|one| format!("\"https://{one}\"")).collect::<Vec<_>>().join(", ");
    format!("    addresses: [{list}]\n    tls:\n      ca: {}\n{more}", ca.display())
}

fn named(server: &Terminator) -> String {
    format!("localhost:{}", server.address().port())
}

fn numbered(server: &Terminator) -> String {
    server.address().to_string()
}

#[test]
fn a_backend_is_reached_over_tls_and_asked_for_by_its_name() {
    let (directory, authority) = authority();
    let (home, ca) = (directory.path(), directory.path().join("ca.pem"));
    let backend = Backend::plain();
    let issue = |file: &str, name: &str| authority.issue(home, file, name);
    let by_name = Terminator::before(backend.address(), &issue("name", "localhost"), &["http/1.1"], None);
    let by_number = Terminator::before(backend.address(), &issue("number", "127.0.0.1"), &[], None);
    let by_sni = Terminator::before(backend.address(), &issue("sni", "orders.internal"), &[], None);
    let edge = edge(&[
        ("name", words(&[named(&by_name)], &ca, "")),
        ("number", words(&[numbered(&by_number)], &ca, "")),
        ("sni", words(&[numbered(&by_sni)], &ca, "      sni: orders.internal\n")),
        // Each address is verified for its own host.
        ("both", words(&[named(&by_name), numbered(&by_number)], &ca, "")),
    ])
    .start();
    for (path, server, name) in [
        ("/name/a?b=%2f", &by_name, Some("localhost")),
        ("/number/a?b=%2f", &by_number, None),
        ("/sni/a?b=%2f", &by_sni, Some("orders.internal")),
    ] {
        eventually("the name is resolved", || edge.get(path).send().status == 200);
        let hello = server.seen().pop().expect("a handshake");
        assert_eq!(hello.name.as_deref(), name, "{path}");
        assert_eq!(hello.certificate, None, "{path}: none is presented");
        let seen = backend.last();
        assert_eq!(seen.request_line(), format!("GET {path} HTTP/1.1"));
        assert_eq!(
            seen.header("host"),
            Some(format!("localhost:{}", edge.public().port())),
            "the client's own"
        );
    }
    assert_eq!(by_name.seen()[0].protocol.as_deref(), Some("http/1.1"));
    eventually("the name is resolved", || edge.get("/both").send().status == 200);
    let statuses: Vec<u16> = (0..20).map(|_| edge.request("POST", "/both").body("x").send().status).collect();
    assert_eq!(statuses, [200; 20]);
}

/// Each of these backends would answer, and none of them receives a request.
#[test]
fn a_certificate_that_is_not_valid_is_never_trusted() {
    let (directory, authority) = authority();
    let (home, ca) = (directory.path(), directory.path().join("ca.pem"));
    let other = Authority::new();
    other.write(&home.join("other.pem"));
    let backend = Backend::plain();
    let good = authority.issue(home, "good", "localhost");
    let server = |pair: &Pair, protocols: &[&str], clients: Option<&Path>| {
        Terminator::before(backend.address(), pair, protocols, clients)
    };
    let foreign = server(&other.issue(home, "foreign", "localhost"), &[], None);
    let misnamed = server(&authority.issue(home, "misnamed", "other.internal"), &[], None);
    let numbered_only = server(&authority.issue(home, "numbered", "127.0.0.1"), &[], None);
    let expired = server(&authority.issue_expired(home, "expired", "localhost"), &[], None);
    let well = server(&good, &[], None);
    let asking = server(&good, &[], Some(&ca));
    let old = server(&good, &["http/1.1"], None);
    let plain = plain_server();
    let pin = "      pins: [\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]\n";
    let wrong = other.issue(home, "wrong-client", "edge");
    let wrong_client = format!(
        "      client:\n        certificate: {}\n        key: {}\n",
        wrong.certificate.display(),
        wrong.key.display()
    );
    // A name that the certificate has beside an address that it has not.
    let halves = [named(&numbered_only), numbered(&misnamed)];
    let cases: [(&str, String, &str); 10] = [
        ("foreign", words(&[named(&foreign)], &ca, ""), "CERTIFICATE_VERIFY_FAILED"),
        ("misnamed", words(&[named(&misnamed)], &ca, ""), "SAN"),
        ("swapped", words(&halves, &ca, ""), "SAN"),
        ("expired", words(&[named(&expired)], &ca, ""), "CERTIFICATE_VERIFY_FAILED"),
        ("pinned", words(&[named(&well)], &ca, pin), "CERTIFICATE_VERIFY_FAILED"),
        // The public authorities know nothing of this one.
        ("public", format!("    address: \"https://{}\"\n", named(&well)), "CERTIFICATE_VERIFY_FAILED"),
        // TLS 1.3 refuses a client after the handshake, and Envoy logs no more than the end of the connection.
        ("silent", words(&[named(&asking)], &ca, ""), "connection_termination"),
        ("wrong-client", words(&[named(&asking)], &ca, &wrong_client), "connection_termination"),
        ("no-h2", words(&[named(&old)], &ca, "    protocol: http2\n"), "NO_APPLICATION_PROTOCOL"),
        ("plain", words(&[plain.address().to_string()], &ca, ""), "WRONG_VERSION_NUMBER"),
    ];
    let listed: Vec<_> = cases.iter().map(|(name, words, _)| (*name, words.clone())).collect();
    let edge = edge(&listed).start();
    for (name, _, reason) in &cases {
        let path = format!("/{name}/secret");
        let why = eventually_some(&format!("{name} is refused for its certificate"), || {
            let answer = edge.get(&path).header("x-secret", "1").send();
            assert_eq!((answer.status, answer.text().as_str()), (503, "Service unavailable"), "{name}");
            let line = edge.access_log(1).into_iter().rev().find(|line| line["path"] == path.as_str())?;
            // At first the name of the backend may not be resolved yet.
            let text = |key: &str| line[key].as_str().map(str::to_owned);
            text("upstream_tls_failure").or_else(|| text("details").filter(|why| why.contains("termination")))
        });
        assert!(why.contains(reason), "{name}: {why:?} has no {reason:?}");
    }
    let requests = backend.seen();
    assert!(!requests.iter().any(|seen| seen.request_line().contains("secret")), "{requests:?}");
}

/// A server that knows no TLS, and answers whatever comes.
fn plain_server() -> Port {
    let port = Port::lease();
    let listener = std::net::TcpListener::bind(port.address()).expect("a leased port can be bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 1024];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen");
        }
    });
    port
}

#[test]
fn replaced_files_count_without_a_restart() {
    let (directory, authority) = authority();
    let (home, ca) = (directory.path(), directory.path().join("ca.pem"));
    let backend = Backend::plain();
    let good = authority.issue(home, "good", "localhost");
    let server = Terminator::before(backend.address(), &good, &[], Some(&ca));
    let own = authority.issue(home, "edge", "the-edge");
    let both = |pair: &Pair| {
        let text = |path: &Path| std::fs::read_to_string(path).expect("it is there");
        let unfinished = home.join("unfinished");
        std::fs::write(&unfinished, text(&pair.certificate) + &text(&pair.key)).expect("it is writable");
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        std::fs::rename(&unfinished, home.join("edge-both.pem")).expect("it is writable");
    };
    both(&own);
    let client = format!("      client: {}\n    idle_timeout_ms: 50\n", home.join("edge-both.pem").display());
    let edge = edge(&[("orders", words(&[named(&server)], &ca, &client))]).start();
    eventually("the name is resolved", || edge.get("/orders").send().status == 200);
    let first = server.seen().pop().and_then(|hello| hello.certificate).expect("it presented one");
    // Only a new connection shows what a file holds now.
    let asked_anew = || {
        pause(Duration::from_millis(200), "a connection ends after 50 ms without a request");
        edge.get("/orders").send().status
    };
    both(&authority.issue(home, "edge", "the-edge"));
    eventually("the edge presents the new certificate", || {
        assert_eq!(asked_anew(), 200);
        server.seen().pop().and_then(|hello| hello.certificate).is_some_and(|shown| shown != first)
    });
    // Another authority replaces the one that issued the backend's certificate.
    Authority::new().write(&ca);
    eventually("the backend is no longer trusted", || asked_anew() == 503);
    authority.write(&ca);
    eventually("it is trusted again", || asked_anew() == 200);
}

/// A server of HTTP/2 in the clear: 200 with the names of the headers that it received and the body's length. gRPC gets its
/// status.
fn http2_server() -> Port {
    let port = Port::lease();
    let address = port.address();
    let listener = std::net::TcpListener::bind(address).expect("a leased port can be bound");
    listener.set_nonblocking(true).expect("it can be set");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it is a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await?;
                    while let Some(request) = connection.accept().await {
                        let (request, mut answer) = request?;
                        let is_grpc = request.uri().path().starts_with("/grpc");
                        let names: Vec<_> =
                            request.headers().keys().map(|name| name.as_str().to_owned()).collect();
                        let scheme = request.uri().scheme_str().unwrap_or_default().to_owned();
                        let mut head = http::Response::builder()
                            .header("x-names", names.join(","))
                            .header("x-scheme", scheme)
                            .header("set-cookie", "a=1")
                            .header("set-cookie", "b=2");
                        if is_grpc {
                            head = head.header("content-type", "application/grpc").header("grpc-status", "0");
                        }
                        tokio::spawn(async move {
                            let mut body = request.into_body();
                            let mut length = 0;
                            while let Some(Ok(piece)) = body.data().await {
                                length += piece.len();
                                let _ = body.flow_control().release_capacity(piece.len());
                            }
                            let head = head.body(()).expect("it is an answer");
                            if let Ok(mut sending) = answer.send_response(head, is_grpc)
                                && !is_grpc
                            {
                                let _ = sending.send_data(length.to_string().into(), true);
                            }
                        });
                    }
                    Ok::<(), h2::Error>(())
                });
            }
        });
    });
    port
}

#[test]
fn http2_is_spoken_where_the_handshake_agrees_to_it() {
    let (directory, authority) = authority();
    let (home, ca) = (directory.path(), directory.path().join("ca.pem"));
    let old = Backend::answering("HTTP/1.1 200 Fine By Me\r\nX-oDD: 1\r\ncontent-length: 3\r\n\r\nold");
    let new = http2_server();
    let pair = authority.issue(home, "good", "localhost");
    let speaks_h2 = Terminator::before(new.address(), &pair, &["h2"], None);
    let speaks_old = Terminator::before(old.address(), &pair, &["http/1.1"], None);
    let health =
        "    health: { path: /healthz, interval_ms: 200, timeout_ms: 200, unhealthy: 1, healthy: 1 }\n";
    let with = |server: &Terminator, protocol: &str| {
        words(&[named(server)], &ca, &format!("    protocol: {protocol}\n{health}"))
    };
    let grpc = words(&[named(&speaks_h2)], &ca, "    protocol: grpc\n");
    let edge = edge(&[
        ("h2", with(&speaks_h2, "http2")),
        // Its health checks speak HTTP/1.1, which this server does not: it has none.
        ("auto", words(&[named(&speaks_h2)], &ca, "    protocol: auto\n")),
        ("auto-old", with(&speaks_old, "auto")),
        ("old", with(&speaks_old, "http1")),
        ("grpc", grpc),
    ])
    .start();
    for name in ["h2", "auto-old", "old"] {
        let stat = format!("cluster.backend-{name}.health_check.success");
        eventually("its health is checked over TLS", || edge.envoy_stat(&stat) > Some(0));
    }
    for name in ["h2", "auto"] {
        let path = format!("/{name}/a");
        eventually("the name is resolved", || edge.get(&path).send().status == 200);
        let body = vec![b'x'; 3 * 1024 * 1024];
        let answer = edge.request("POST", &path).header("X-oDD-Case", "1").body(&body).send();
        assert_eq!((answer.status, answer.text()), (200, body.len().to_string()));
        assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(answer.header("x-scheme"), Some(b"https".as_slice()), "RFC 9113 §8.3.1");
        let names = answer.all("x-names").concat();
        assert!(names.contains("x-odd-case"), "{names}");
    }
    for name in ["auto-old", "old"] {
        let answer = edge.get(format!("/{name}")).send();
        assert_eq!(answer.status_line, b"HTTP/1.1 200 Fine By Me", "{name}: the reason is kept");
        assert!(
            answer.headers.iter().any(|(name, _)| name == b"X-oDD"),
            "{name}: so is the case: {answer:?}"
        );
    }
    let grpc = edge.request("POST", "/grpc/Call").header("content-type", "application/grpc").body("x").send();
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some(b"0".as_slice())), "{grpc:?}");
    assert!(speaks_h2.seen().iter().all(|hello| hello.protocol.as_deref() == Some("h2")));
}
