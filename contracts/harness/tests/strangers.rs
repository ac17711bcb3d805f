//! An application that was not written for the edge, recorded and compared in two commands. It is a package index from PyPI,
//! pypiserver under gunicorn: pages, redirects, downloads with ranges, forms, refusals.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use harness::{Edge, Port, Process, Signal, eventually, venv};

/// What a visitor and a program ask of a package index.
const REQUESTS: &str = "GET {{app}}/
GET {{app}}/simple/
GET {{app}}/simple/first/
GET {{app}}/simple/First_
GET {{app}}/simple/absent/
HEAD {{app}}/simple/
GET {{app}}/packages/
GET {{app}}/packages/first-1.0-py3-none-any.whl
Range: bytes=0-99
GET {{app}}/packages/first-1.0-py3-none-any.whl
GET {{app}}/packages/%66irst-1.0-py3-none-any.whl
GET {{app}}/packages/..%2f..%2fetc/passwd
GET {{app}}/json/first
GET {{app}}/nothing/here?a=%20&b=+
GET {{app}}/favicon.ico
POST {{app}}/
[Form]
:action: verify
name: first
POST {{app}}/
[Form]
:action: frob
DELETE {{app}}/simple/
";

/// The running application.
struct App {
    process: Process,
    port: Port,
}

impl App {
    fn start(place: &Path) -> Self {
        let (python, port) = (venv().join("bin/python"), Port::lease());
        assert!(python.exists(), "{} is not there: `make setup` installs it", python.display());
        let packages = place.join("packages");
        std::fs::create_dir(&packages).expect("it is writable");
        let bytes: Vec<u8> =
            (0..200_000_u32).map(|number| u8::try_from(number % 251).unwrap_or_default()).collect();
        std::fs::write(packages.join("first-1.0-py3-none-any.whl"), bytes).expect("it is writable");
        let mut command = Command::new(python);
        command.args(["-m", "pypiserver", "run", "--interface", "127.0.0.1", "--server", "gunicorn"]);
        command.args(["--disable-fallback", "--passwords", ".", "--authenticate", ".", "--port"]);
        command.arg(port.address().port().to_string()).arg(&packages).current_dir(place).env("HOME", place);
        let process = Process::start("pypiserver", &mut command, &place.join("app.log"));
        eventually("the application listens", || TcpStream::connect(port.address()).is_ok());
        Self { process, port }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // gunicorn ends its workers when it is asked to end, and not when it is killed.
        self.process.signal(Signal::Terminate);
        let _ = self.process.wait(std::time::Duration::from_secs(20));
    }
}

fn contract(place: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(harness::program("cutover"));
    let output =
        command.arg("contract").args(arguments).current_dir(place).output().expect("it can be started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{arguments:?} ends with {}: {said}", output.status);
    said
}

#[test]
fn a_strangers_application_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::start(place.path());
    let edge = Edge::dev()
        .replace("hosts:\n", "hosts:\n  app: { listener: public, names: [app.test] }\n")
        .replace(
            "routes:\n",
            "routes:\n  - { name: app, host: app, prefix: /, policy: public, to: legacy, answers: auth }\n",
        )
        .stand_in("LEGACY_ADDRESS", app.port.address())
        .start();
    std::fs::write(place.path().join("requests.hurl"), REQUESTS).expect("it is writable");
    let (direct, against) = (format!("http://{}", app.port.address()), format!("http://{}", edge.public()));
    let said = contract(
        place.path(),
        &["capture", "--from", &direct, "--requests", "requests.hurl", "--host", "app.test"],
    );
    assert!(said.contains("17 of 17 exchanges are in contract"), "{said}");
    let said = contract(place.path(), &["verify", "--direct", &direct, "--against", &against]);
    assert!(said.contains("17 of 17 requests equal, 0 differences"), "{said}");
    // Recorded answers say the same as the running application, over both protocols.
    let said = contract(place.path(), &["verify", "--against", &against, "--protocol", "both"]);
    assert!(said.contains("34 of 34 requests equal, 0 differences"), "{said}");
}
