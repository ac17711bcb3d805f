//! `cutover run` as a user sees it: the commands that it prints work when pasted, and nothing is left behind.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod legacy_sessions;
mod other_edges;
mod pages;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::wire::Request;
use harness::{Port, envoy, eventually, guard, program, repository, venv, within};

const NAMES: [&str; 11] = [
    "EDGE_ADDRESS",
    "EDGE_SERVICE_ADDRESS",
    "ENVOY_ADMIN_ADDRESS",
    "AUTHZ_ADDRESS",
    "AUTHZ_ADMIN_ADDRESS",
    "LEGACY_ADDRESS",
    "AUTH_ADDRESS",
    "USERS_ADDRESS",
    "LIBRARY_ADDRESS",
    "IMAGE_ADDRESS",
    "WEB_ADDRESS",
];

fn command(home: &Path, ports: &[Port]) -> Command {
    let mut command = Command::new(program("cutover"));
    command.arg("run").arg("--home").arg(home).arg("--venv").arg(venv()).current_dir(repository());
    command.env("CUTOVER_GUARD", guard()).env("ENVOY", envoy());
    for (name, port) in NAMES.iter().zip(ports) {
        command.env(name, port.address().to_string());
    }
    for inherited in ["EDGE_FILE", "LEGACY_WIRE", "DATABASE_URL", "REDIS_URL", "AMQP_URL"] {
        command.env_remove(inherited);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A run that is up, and its output.
struct Up {
    child: Child,
    printed: String,
    /// Its output after the greeting, so far.
    further: Arc<Mutex<String>>,
}

/// A test that fails leaves nothing behind either.
impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(home: &Path, ports: &[Port]) -> Up {
    up(&mut command(home, ports))
}

fn up(command: &mut Command) -> Up {
    let mut child = command.spawn().expect("cutover can be started");
    let mut printed = String::new();
    let stdout = child.stdout.take().expect("its output is piped");
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next() {
        printed.push_str(&line.expect("its output is text"));
        printed.push('\n');
        if printed.contains("Ctrl-C stops all of it.") {
            let further = Arc::new(Mutex::new(String::new()));
            let later = Arc::clone(&further);
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    let mut later = later.lock().expect("no thread panicked with it");
                    later.push_str(&line);
                    later.push('\n');
                }
            });
            return Up { child, printed, further };
        }
    }
    let output = child.wait_with_output().expect("it ends");
    panic!("the run did not come up:\n{printed}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Copies the edge `name` to `edge.yaml` in another directory, with its tenants and what is started beside it.
fn copied(edges: &Path, name: &str, to: &Path) {
    let edge = format!("{name}.yaml");
    for (from, name) in [(edge.as_str(), "edge.yaml"), ("dev.tenants.yaml", "edge.tenants.yaml")] {
        std::fs::copy(edges.join(from), to.join(name)).expect("it can be copied");
    }
    let beside = std::fs::read_to_string(edges.join(format!("{name}.run.yaml"))).expect("it is readable");
    let moved = beside.replace("\"../..\"", &format!("{:?}", repository().display().to_string()));
    assert_ne!(moved, beside);
    std::fs::write(to.join("edge.run.yaml"), moved).expect("it can be written");
}

fn signal(id: u32, name: &str) {
    assert!(Command::new("kill").args([name, &id.to_string()]).status().expect("kill runs").success());
}

/// Waits until no process listens on any of the ports.
fn all_gone(ports: &[Port]) {
    for port in ports {
        eventually(&format!("no process listens on {}", port.address()), || {
            std::net::TcpStream::connect(port.address()).is_err()
        });
    }
}

fn ports() -> Vec<Port> {
    NAMES.iter().map(|_| Port::lease()).collect()
}

/// Runs the printed commands; the last answer begins with `status`. The person's lists, which the users service makes of the
/// library's books, are there, too.
fn sign_in_as_printed(up: &Up, status: &str) {
    let paste: String = up
        .printed
        .lines()
        .skip_while(|line| !line.starts_with("Sign in"))
        .skip(1)
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .map(|line| format!("{line}\n"))
        .collect();
    let last = paste.trim_end().lines().last().unwrap_or_default();
    let like = last.replace("/users/@me", "/users/@me/likes");
    let json = "-H 'Content-Type: application/json' -d '{\"kind\":\"book\",\"book_id\":3}'";
    let paste = format!("{paste}\n{like} {json}\n{like}\n");
    let pasted = Command::new("bash").arg("-c").arg(&paste).output().expect("bash runs");
    let said = String::from_utf8_lossy(&pasted.stdout);
    let complaints = String::from_utf8_lossy(&pasted.stderr);
    let shown = format!("{paste}\n{said}\n{complaints}");
    assert!(said.contains(status) && said.contains("demo@example.com"), "{shown}");
    assert!(said.contains("\"book_id\":3") && said.contains("\"title\":\"Sample book 3\""), "{shown}");
}

#[test]
fn the_production_edge_runs_with_a_certificate_of_its_own() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, stats) = (ports(), Port::lease());
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", "envoy/edges/prod.yaml").env("EDGE_STATS_ADDRESS", stats.address().to_string());
    let mut prod = up(&mut command);
    sign_in_as_printed(&prod, "HTTP/2 200");
    signal(prod.child.id(), "-INT");
    assert!(prod.child.wait().expect("it ends").success());
    all_gone(&ports);

    // A key that its owner keeps elsewhere is not created: the message names it.
    let file = home.path().join("edge.yaml");
    let text = std::fs::read_to_string(repository().join("envoy/edges/prod.yaml")).expect("it is readable");
    std::fs::write(&file, text.replace("${CUTOVER_HOME:-.run}/certs/edge.pem", "/nowhere/edge.pem"))
        .expect("the home is writable");
    std::fs::copy(repository().join("envoy/edges/dev.tenants.yaml"), home.path().join("edge.tenants.yaml"))
        .expect("it can be copied");
    let output = command.env("EDGE_FILE", &file).output().expect("cutover can be started");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("/nowhere/edge.pem") && message.contains("certs/edge.pem"), "{message}");
}

#[test]
fn the_platforms_edge_runs() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let mut coder = up(command(home.path(), &ports).env("EDGE_FILE", "envoy/edges/coder.yaml"));
    assert!(coder.printed.contains("People cannot sign in here"), "{}", coder.printed);
    for path in ["/api/ai", "/users/@me"] {
        assert_eq!(Request::new(ports[0].address(), "GET", path).send().status, 401, "{path}");
    }
    signal(coder.child.id(), "-INT");
    assert!(coder.child.wait().expect("it ends").success());
    all_gone(&ports);
}

#[test]
fn the_printed_sign_in_works_and_ctrl_c_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // As in `~/My Projects/`.
    let home = directory.path().join("a home");
    let ports = ports();
    let mut up = start(&home, &ports);
    sign_in_as_printed(&up, "HTTP/1.1 200 OK");

    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success(), "a stopped run is not a failure");
    all_gone(&ports);

    // A second run finds its keys and databases and comes up again.
    let mut again = start(&home, &ports);
    let answer = Request::new(ports[0].address(), "GET", "/users/@me").send();
    assert_eq!((answer.status, answer.text().as_str()), (401, "Unauthoirzed"));
    // Killed without a chance to clean up, it still leaves nothing.
    signal(again.child.id(), "-KILL");
    let _ = again.child.wait();
    all_gone(&ports);
}

/// As with `make run | head -1`: the reader of its output is gone before there is any.
#[test]
fn a_run_whose_output_has_no_reader_stays_up() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let mut child = command(home.path(), &ports).spawn().expect("cutover can be started");
    drop(child.stdout.take());
    let mut up = Up { child, printed: String::new(), further: Arc::default() };
    let check = Request::new(ports[0].address(), "GET", "/users/@me");
    eventually("the edge is up", || check.try_send().is_ok_and(|answer| answer.status == 401));
    // The run prints its greeting right after the same check.
    let ended = within(Duration::from_secs(2), || up.child.try_wait().expect("it can be asked"));
    assert_eq!(ended, None, "the run ended by itself");
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
}

#[test]
fn a_run_follows_its_edge_file_and_keeps_the_old_one_when_the_new_one_is_broken() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let edges = repository().join("envoy/edges");
    let file = home.path().join("edge.yaml");
    copied(&edges, "dev", home.path());
    let closed = std::fs::read_to_string(&file).expect("the edge file is readable");
    let route = "  - { name: extra, host: api, prefix: /extra, policy: public, to: legacy, answers: auth }\n";
    let open = closed.replace("routes:\n", &format!("routes:\n{route}"));
    let broken = closed.replace("policy: signed-in, to: legacy", "policy: nonsense, to: legacy");
    assert!(closed != open && closed != broken);

    let mut up = up(command(home.path(), &ports).env("EDGE_FILE", &file));
    let refused = || Request::new(ports[0].address(), "GET", "/extra").send().status == 401;
    let said = || up.further.lock().expect("no thread panicked with it").clone();
    assert!(refused(), "everything else needs a session");
    std::fs::write(&file, &open).expect("the edge file is writable");
    eventually("a new route is in force", || !refused());
    eventually("it is reported", || said().contains("is in force"));

    let current = || std::fs::read_link(home.path().join("envoy/current")).expect("something is rendered");
    let before = current();
    std::fs::write(&file, &broken).expect("the edge file is writable");
    eventually("the fault is reported", || said().contains("nonsense"));
    assert!(!refused() && current() == before, "what was in force stays");

    std::fs::write(&file, &closed).expect("the edge file is writable");
    eventually("what is mended is in force", refused);
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
}

/// The edge file of the development edge begins without a shadow, and so does the run without a comparator.
#[test]
fn the_first_shadow_of_a_running_edge_starts_the_comparator() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let edges = repository().join("envoy/edges");
    let file = home.path().join("edge.yaml");
    copied(&edges, "dev", home.path());
    let alone = std::fs::read_to_string(&file).expect("the edge file is readable");
    let (copies, report) = (Port::lease(), Port::lease());
    let shadowed = alone.replace(
        "policy: public, to: web, answers: library",
        "policy: public, to: web, shadow: users, answers: library",
    );
    assert_ne!(shadowed, alone);
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", &file).env("COMPARATOR_ADDRESS", copies.address().to_string());
    command.env("COMPARATOR_ADMIN_ADDRESS", report.address().to_string());
    let mut up = up(&mut command);
    let compares = || {
        Request::new(report.address(), "GET", "/healthz").try_send().is_ok_and(|answer| answer.status == 200)
    };
    assert!(!compares());
    std::fs::write(&file, &shadowed).expect("the edge file is writable");
    let said = || up.further.lock().expect("no thread panicked with it").clone();
    eventually("the shadow is in force", || said().contains("is in force"));
    assert!(compares(), "the comparator runs before Envoy copies");
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
    assert!(!compares(), "it ended with the run");
}

#[test]
fn a_port_in_use_is_reported_with_the_variable_that_moves_it() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let _taken = std::net::TcpListener::bind(ports[3].address()).expect("a leased port is free");
    let output = command(home.path(), &ports).output().expect("cutover can be started");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains(&ports[3].address().to_string()) && message.contains("AUTHZ_ADDRESS"),
        "{message}"
    );
    assert!(!home.path().join("keys").exists(), "something was written before the ports were checked");
}

#[test]
fn a_second_run_leaves_the_home_of_the_first_alone() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let first = ports();
    let mut up = start(home.path(), &first);
    let rendered = std::fs::read_link(home.path().join("envoy/current")).expect("something is rendered");

    let output = command(home.path(), &ports()).output().expect("cutover can be started");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("CUTOVER_HOME"), "{message}");
    assert_eq!(std::fs::read_link(home.path().join("envoy/current")).ok(), Some(rendered));
    assert_eq!(Request::new(first[0].address(), "GET", "/users/@me").send().status, 401);

    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&first);
}

#[test]
fn a_missing_part_is_named_with_its_fix() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let cases = [
        ("CUTOVER_GUARD", "/nowhere.wasm", "make wasm"),
        ("ENVOY", "/nowhere/envoy", "make setup"),
        ("EDGE_FILE", "/nowhere.yaml", "/nowhere.yaml"),
        ("EDGE_ADDRESS", "nonsense", "nonsense"),
    ];
    for (variable, value, expected) in cases {
        let output =
            command(home.path(), &ports).env(variable, value).output().expect("cutover can be started");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains(expected), "{variable}={value}: {message}");
    }
}
