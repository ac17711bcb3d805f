//! The program itself: its start, its messages, its end.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;

use crate::kit::check::{Check, read};
use crate::kit::{Authz, Home, eventually};

fn program(home: &Home, checks: SocketAddr, admin: SocketAddr) -> Command {
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
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Two addresses that were free a moment ago.
fn free() -> (SocketAddr, SocketAddr) {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    (first.local_addr().unwrap(), second.local_addr().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Ends the child also when a test fails in between.
struct Running(Option<Child>);

impl Running {
    fn signal(&self, signal: &str) {
        let pid = self.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn serves_and_ends_in_order_on_sigterm_and_sigint() {
    for signal in ["-TERM", "-INT"] {
        let home = Home::new();
        let (checks, admin) = free();
        let running = Running(Some(program(&home, checks, admin).spawn().unwrap()));
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

        // The connection stays open: the end does not wait for it for ever.
        running.signal(signal);
        let output = running.output();
        let log = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{log}{}", text(&output.stderr));
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
            assert!(line["level"].is_string() && line["timestamp"].is_string());
        }
        let denial = log.lines().find(|line| line.contains("\"check\"")).expect("the denial is logged");
        assert!(denial.contains("01932c07-0000-7000-8000-000000000001") && denial.contains(&answer.reason));
        assert!(log.contains("\"stopped\""), "{log}");
        for part in secret.split('.') {
            assert!(!log.contains(part), "a part of a token is in the log");
        }
        assert_eq!(text(&output.stderr), "");
        drop(client);
    }
}

#[tokio::test]
async fn each_mistake_gets_one_clear_message() {
    let home = Home::new();
    let (checks, admin) = free();

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
