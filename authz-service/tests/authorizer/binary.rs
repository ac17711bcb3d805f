//! The program itself: its start, its messages, its end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::Value;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::kit::check::{Check, read};
use crate::kit::{Authz, Home, eventually};

pub(crate) fn program(home: &Home, checks: SocketAddr, admin: SocketAddr) -> Command {
    let edge = home.at("edge.yaml");
    if !edge.exists() {
        std::fs::write(&edge, home.edge_text(|text| text)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_authz-service"));
    command
        .env_clear()
        .env("EDGE_FILE", edge)
        .env("CUTOVER_HOME", home.path())
        .env("AUTHZ_ADDRESS", checks.to_string())
        .env("AUTHZ_ADMIN_ADDRESS", admin.to_string())
        .env("AUTHZ_IDENTITY_KEY", home.at("identity.pem"))
        .env("AUTHZ_DRAIN_SECONDS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Any free port; the program's first line says which.
pub(crate) fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running program. Ends it also when a test fails in between.
pub(crate) struct Running {
    child: Child,
    log: BufReader<ChildStdout>,
    pub(crate) checks: String,
    pub(crate) admin: String,
}

impl Running {
    /// Starts `program` and waits until it says where it listens.
    pub(crate) fn start(mut program: Command) -> Self {
        let mut child = program.spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let listening: Value = loop {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it listened");
            let line: Value = serde_json::from_str(&line).expect("every line is JSON");
            if line["message"] == "listening" {
                break line;
            }
        };
        let address = |name: &str| listening[name].as_str().unwrap().to_owned();
        Self { child, log, checks: address("checks"), admin: address("admin") }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end: exit code, the log from where it listened, standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let (mut log, mut errors) = (String::new(), String::new());
        self.log.read_to_string(&mut log).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), log, errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn serves_and_ends_in_order_on_sigterm_and_sigint() {
    for signal in ["-TERM", "-INT"] {
        let home = Home::new();
        let running = Running::start(program(&home, any(), any()));
        let (checks, admin) = (&running.checks, &running.admin);
        let ready = format!("http://{admin}/readyz");
        eventually("ready", async || {
            reqwest::get(&ready).await.is_ok_and(|response| response.status().is_success())
        })
        .await;

        let mut client = AuthorizationClient::connect(format!("http://{checks}")).await.unwrap();
        // Its clock is the machine's, so the kit's token is from the future or the past: refused, with reason.
        let revision = home.edge(|edge| edge).revision.0;
        let check = Check::new().extension("route", "me").extension("policy", "signed-in");
        let check = check.extension("revision", &revision).extension("exposure", "public");
        let secret = home.session.token(&crate::kit::mint::claims());
        let check = check.session(&secret).header("x-request-id", "01932c07-0000-7000-8000-000000000001");
        let answer = read(client.check(check.wire()).await.unwrap().into_inner());
        assert_eq!(answer.status, 401, "{}", answer.reason);

        // The connection stays open, and its client does not even answer: the end does not wait for ever.
        running.signal(signal);
        let (code, log, errors) = running.end();
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{log}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).expect("every line is JSON");
            assert!(line["level"].is_string() && line["timestamp"].is_string());
        }
        let denial = log.lines().find(|line| line.contains("\"check\"")).expect("the denial is logged");
        assert!(denial.contains("01932c07-0000-7000-8000-000000000001") && denial.contains(&answer.reason));
        assert!(log.contains("\"stopped\""), "{log}");
        for part in secret.split('.') {
            assert!(!log.contains(part), "a part of a token is in the log");
        }
        drop(client);
    }
}

#[tokio::test]
async fn one_of_several_reports_not_serving_before_it_stops() {
    let home = Home::new();
    let of_two = |edge: String| edge.replace("authorizer: {", "authorizer: { replicas: 2,");
    std::fs::write(home.at("edge.yaml"), home.edge_text(of_two)).unwrap();
    let revision = home.edge(of_two).revision.0;
    // Long enough that nothing here depends on how fast the machine is.
    let mut program = program(&home, any(), any());
    program.env("AUTHZ_NOTICE_SECONDS", "600");
    let running = Running::start(program);
    let uri = format!("http://{}", running.checks);
    let health = async || {
        let channel = Endpoint::from_shared(uri.clone()).unwrap().connect().await.unwrap();
        let question = HealthCheckRequest { service: String::new() };
        HealthClient::new(channel).check(question).await.unwrap().into_inner().status()
    };
    eventually("serving", async || health().await == ServingStatus::Serving).await;
    running.signal("-TERM");
    eventually("not serving", async || health().await == ServingStatus::NotServing).await;
    // Clients that do not know of the shutdown yet get answers, on a new connection too.
    let mut client = AuthorizationClient::connect(uri.clone()).await.unwrap();
    let check = Check::new().extension("route", "me").extension("policy", "signed-in");
    let check = check.extension("revision", &revision).extension("exposure", "public");
    assert_eq!(read(client.check(check.wire()).await.unwrap().into_inner()).status, 401);
}

#[tokio::test]
async fn each_mistake_gets_one_clear_message() {
    let home = Home::new();
    let (checks, admin) = (any(), any());

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (first, second, variable) in
        [(address, admin, "AUTHZ_ADDRESS"), (checks, address, "AUTHZ_ADMIN_ADDRESS")]
    {
        let output = program(&home, first, second).output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(&address.to_string()) && message.contains(variable), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }

    let output = program(&home, checks, admin).env("AUTHZ_IDENTITY_KEY", home.at("no.pem")).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{message}");
    assert!(message.contains("no.pem") && message.contains("cutover keys"), "{message}");

    let faulty = home.edge_text(|edge| {
        edge.replace("policy: bot", "policy: robot")
            .replace("to: legacy, answers: library", "to: lagacy, answers: library")
    });
    std::fs::write(home.at("faulty.yaml"), faulty).unwrap();
    let output = program(&home, checks, admin).env("EDGE_FILE", home.at("faulty.yaml")).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{message}");
    assert!(message.contains("robot") && message.contains("lagacy"), "all faults at once: {message}");

    let output = program(&home, checks, admin).env("EDGE_FILE", home.at("missing.yaml")).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("missing.yaml"));

    // Each of two replicas would take the same signed request once.
    let apart = home.edge_text(|edge| {
        let signed = format!("signatures: {{ keys: \"{}\" }}\npolicies:", home.at("signing.yaml").display());
        edge.replace("authorizer: {", "authorizer: { replicas: 2,").replace("policies:", &signed)
    });
    std::fs::write(home.at("apart.yaml"), apart).unwrap();
    let output = program(&home, checks, admin).env("EDGE_FILE", home.at("apart.yaml")).output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{message}");
    assert!(message.contains("REDIS_URL") && message.contains("`signatures`"), "{message}");

    for (name, value) in [("AUTHZ_ADDRESS", "here"), ("AUTHZ_TOKEN_CACHE", "many"), ("RUST_LOG", "a=b=c")] {
        let output = program(&home, checks, admin).env(name, value).output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(name), "{message}");
    }
    let output = program(&home, checks, admin).arg("--nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = program(&home, checks, admin).arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("--identity-key"));
}

#[tokio::test]
async fn open_checks_have_a_bounded_time_to_finish() {
    // In process: the client keeps its connection, and the end comes all the same.
    let authz = Authz::start().await;
    let kept = authz.client.clone();
    tokio::time::timeout(Duration::from_secs(30), authz.stop()).await.expect("ends").unwrap();
    drop(kept);
}
