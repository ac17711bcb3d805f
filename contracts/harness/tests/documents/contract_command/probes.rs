//! `spoof`, `paths` and `coverage`.

use harness::{Backend, Edge, Front, Port, SESSION_COOKIE, is_thorough};
use serde_json::Value;

use super::backend::Seeded;
use super::{recorded, run, url};

/// An edge whose backends are nothing yet: the command starts its echo there.
fn edge_before_nothing(port: &Port) -> Edge {
    Edge::dev().with_open_route().every_backend(port.address()).start()
}

fn json(out: &str, err: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|e| panic!("{e}: {out}{err}"))
}

#[test]
fn no_reserved_header_and_no_internal_path_passes_the_edge_and_a_leak_is_found() {
    let port = Port::lease();
    let edge = edge_before_nothing(&port);
    let place = tempfile::tempdir().expect("a temporary directory");
    let (file, against) = (edge.file().display().to_string(), url(edge.public()));
    let echo = port.address().to_string();
    let home = edge.home().display().to_string();
    let probe = |command: &str, against: &str, more: &[&str]| {
        let mut program = edge.cutover_program();
        program
            .args(["contract", command, &file, "--against", against, "--echo", &echo, "--json"])
            .args(more);
        let output = program.current_dir(place.path()).output().expect("cutover can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), json(&text(&output.stdout), &text(&output.stderr)))
    };
    let spoof = ["--n", "2000", "--host", "localhost", "--path", "/open/x"];
    let (code, report) = probe("spoof", &against, &spoof);
    assert_eq!(
        (code, &report["violated"], &report["sent"]),
        (Some(0), &Value::from(0), &Value::from(2000)),
        "{report:#}"
    );
    assert!(report["arrived"].as_u64() > Some(500), "{report:#}");

    let token = std::path::Path::new(&home).join("member.headers");
    secret(&token, &format!("cookie: {SESSION_COOKIE}={}\n", edge.mint().good(2)));
    let session = token.display().to_string();
    let (code, report) = probe("paths", &against, &["--as", &session]);
    assert_eq!((code, &report["violated"]), (Some(0), &Value::from(0)), "{report:#}");
    assert!(report["arrived"].as_u64() > Some(20), "{report:#}");

    // Without an edge in between everything arrives, and both commands say so.
    let (code, report) =
        probe("spoof", &url(port.address()), &["--n", "200", "--host", "localhost", "--path", "/open/x"]);
    assert!(code == Some(1) && report["violated"].as_u64() > Some(50), "{report:#}");
    let (code, report) = probe("paths", &url(port.address()), &[]);
    assert!(code == Some(1) && report["violated"].as_u64() > Some(50), "{report:#}");
    // Nothing arrives: that proves nothing.
    let spare = Port::lease();
    let silent = Backend::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let mut program = edge.cutover_program();
    program.args(["contract", "spoof", &file, "--n", "20", "--path", "/x"]);
    program.args(["--against", &url(silent.address()), "--echo", &spare.address().to_string()]);
    let output = program.output().expect("cutover can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("proves nothing"), "{said}");
}

/// On an edge with TLS and HTTP/2 behind a haproxy that speaks the PROXY protocol, before a TLS backend.
#[test]
fn no_reserved_header_passes_behind_a_balancer() {
    let port = Port::lease();
    let [front, _] = Front::balanced(port.address());
    let (address, certificate) = front.balancer.clone().expect("there is a balancer");
    let number = if is_thorough() { 10_000 } else { 1_000 };
    let mut program = front.edge.cutover_program();
    program.args(["contract", "spoof", &front.edge.file().display().to_string(), "--json"]);
    program.args(["--against", &format!("https://localhost:{}", address.port())]);
    program.args(["--ca", &certificate.display().to_string(), "--echo", &port.address().to_string()]);
    program.args(["--host", "localhost", "--path", "/open/x", "--n", &number.to_string()]);
    let output = program.output().expect("cutover can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let report = json(&text(&output.stdout), &text(&output.stderr));
    let sent = (&report["violated"], &report["sent"]);
    assert_eq!(
        (output.status.code(), sent),
        (Some(0), (&Value::from(0), &Value::from(number))),
        "{report:#}"
    );
    assert!(report["arrived"].as_u64() > Some(number / 4), "{report:#}");
    front.assert_used();
}

fn secret(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("it is writable");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it has a mode");
}

const EDGE: &str = "edge: small
root_domain: example.test
listeners: { public: { address: \"127.0.0.1:8080\", exposure: public } }
hosts: { api: { listener: public, names: [localhost] } }
backends: { product: { address: \"127.0.0.1:3000\" } }
policies: { open: { kind: public } }
routes:
  - { name: json, host: api, exact: /open/json, methods: [GET], policy: open, to: product }
  - { name: rest, host: api, prefix: /rest, methods: [GET], policy: open, to: product }
";

#[test]
fn a_route_without_an_exchange_is_named_and_the_exceptions_may_only_become_fewer() {
    let seeded = Seeded::start();
    let place = recorded(seeded.backend());
    let write =
        |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("it is writable");
    write("edge.yaml", EDGE);
    write(
        "api.yaml",
        "openapi: 3.1.0\npaths: { /open/json: { get: {} }, '/open/{x}': { get: {}, put: {} } }\n",
    );
    let coverage = |more: &[&str]| {
        run(place.path(), &[&["coverage", "edge.yaml", "--goldens", "contract"], more].concat())
    };
    let (code, out, err) = coverage(&["--openapi", "api.yaml"]);
    assert_eq!(code, 1, "{out}{err}");
    let named = ["route rest has no exchange", "operation PUT /open/{x} has no exchange"];
    assert!(named.iter().all(|one| out.contains(one)) && !out.contains("GET /open"), "{out}");
    write("exceptions", "route rest  # it moves next month\noperation PUT /open/{x} # nobody calls it\n");
    let all = ["--openapi", "api.yaml", "--exceptions", "exceptions"];
    assert_eq!(coverage(&[&all[..], &["--most", "2"]].concat()).0, 0);
    let (code, out, _) = coverage(&[&all[..], &["--most", "1"]].concat());
    assert!(code == 1 && out.contains("has 2 exceptions, and --most allows 1"), "{out}");
    for (exceptions, expected) in [
        (
            "route rest # why\nroute json # why\n",
            "exceptions:2: route json has an exchange now; remove the line",
        ),
        ("route rest # why\nroute gone # why\n", "exceptions:2: route gone does not exist"),
    ] {
        write("exceptions", exceptions);
        let (code, out, _) = coverage(&["--exceptions", "exceptions"]);
        assert!(code == 1 && out.contains(expected), "{out}");
    }
    for (exceptions, expected) in [
        ("route rest\n", "states its reason"),
        ("frob x # why\n", "none of route, operation, reason"),
        ("route rest # a\nroute rest # b\n", "stands there twice"),
    ] {
        write("exceptions", exceptions);
        let (code, _, err) = coverage(&["--exceptions", "exceptions"]);
        assert!(code == 2 && err.contains(expected), "{err}");
    }
    // A log of a run shows routes, and denial reasons, which no answer has.
    write("access.json", "{\"route\":\"rest\",\"method\":\"GET\",\"path\":\"/rest\",\"decision\":null}\n");
    let (code, out, _) = coverage(&["--access-log", "access.json"]);
    assert!(code == 0 && out.contains("2 of 2 routes have an exchange"), "{out}");
}

#[test]
fn every_command_ends_with_two_for_a_file_that_cannot_be_used() {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("edge.yaml"), "listeners: 1\n").expect("it is writable");
    std::fs::write(place.path().join("requests.hurl"), "GET /a\n").expect("it is writable");
    let against = "http://127.0.0.1:9";
    let probe = |command: &'static str, file: &'static str| {
        vec!["contract", command, file, "--against", against, "--echo", "127.0.0.1:0"]
    };
    let ca = ["--ca", "missing.pem"];
    for (arguments, named) in [
        (probe("spoof", "edge.yaml"), "edge.yaml"),
        (probe("spoof", "missing.yaml"), "missing.yaml"),
        (probe("paths", "edge.yaml"), "edge.yaml"),
        (vec!["contract", "coverage", "edge.yaml", "--goldens", "."], "edge.yaml"),
        (
            [
                &[
                    "contract",
                    "verify",
                    "--against",
                    against,
                    "--direct",
                    against,
                    "--requests",
                    "requests.hurl",
                ],
                &ca[..],
            ]
            .concat(),
            "missing.pem",
        ),
        (
            [&["contract", "capture", "--from", against, "--requests", "requests.hurl"], &ca[..]].concat(),
            "missing.pem",
        ),
    ] {
        let (code, out, err) = run(place.path(), &arguments[1..]);
        assert!(code == 2 && err.contains(named), "{arguments:?} ended with {code}: {out}{err}");
        assert!(err.contains(&format!("cutover contract {}", arguments[1])), "{err}");
    }
}
