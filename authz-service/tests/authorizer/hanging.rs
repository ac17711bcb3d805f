//! Files whose reading does not end, as on a network file system that is gone. A pipe without a writer stands in for
//! one: opening it waits for ever.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::api_keys;
use crate::binary::{Running, any, program};
use crate::kit::{Authz, Home, NOW, eventually, pause_async};
use crate::matrix::machines;
use crate::matrix::webhooks;

/// Puts a pipe in the place of `path`.
pub(crate) fn hang(path: &Path) {
    let pipe = path.with_extension("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::rename(&pipe, path).unwrap();
}

/// Puts `content` back in the place of a pipe, and releases the readers that wait at the pipe.
pub(crate) fn release(path: &Path, content: &[u8]) {
    let pipe = path.with_extension("old");
    std::fs::rename(path, &pipe).unwrap();
    let next = path.with_extension("next");
    std::fs::write(&next, content).unwrap();
    std::fs::rename(&next, path).unwrap();
    drop(File::options().read(true).write(true).open(&pipe).unwrap());
}

/// Each file that decisions rest on, in its turn: no decision waits, and the last good state serves for the time that is
/// written down for an unreadable file, no longer; then 503 until the file can be read again.
#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_is_an_unreadable_one() {
    for (file, seconds, reason) in [
        ("tenants.yaml", 60, "tenants_unavailable"),
        ("api-keys.jsonl", 60, "api_keys_unavailable"),
        ("session.jwks.json", 3_600, "keys_unavailable"),
        ("revoked.jsonl", 1, "revocations_unavailable"),
    ] {
        let home = Home::new();
        let key = api_keys::add(&home, |_| {});
        home.write("revoked.jsonl", "");
        let with_keys = api_keys::with_api_keys(&home);
        let authz = Authz::start_with(home, with_keys).await;
        let path = authz.home.at(file);
        let content = std::fs::read(&path).unwrap();
        let ask = async || {
            let check = api_keys::check(&authz, "either");
            let check = if file == "api-keys.jsonl" {
                check.header("x-api-key", &key)
            } else {
                check.session(&authz.token())
            };
            authz.ask(check).await
        };
        ask().await.expect(200, "allowed");
        hang(&path);
        eventually(file, async || authz.get("/readyz").await.1.contains("takes longer than 5 s")).await;
        ask().await.expect(200, "allowed");
        authz.clock.advance_seconds(seconds);
        ask().await.expect(200, "allowed");
        authz.clock.advance_seconds(1);
        ask().await.expect(503, reason);
        assert_eq!(authz.get("/readyz").await.0, 503, "{file}");
        release(&path, &content);
        eventually("read again", async || ask().await.is(200, "allowed")).await;
        assert_eq!(authz.get("/readyz").await.0, 200, "{file}");
    }
}

/// The keys that requests are signed with: the same, for an hour.
#[tokio::test]
async fn signing_keys_that_cannot_be_read_to_their_end_serve_for_an_hour() {
    for file in ["signing-keys.yaml", "partner.secret"] {
        let authz = machines::start().await;
        let ask = async |created: u64| machines::ask(&authz, created).await;
        authz.clock.advance_seconds(10);
        ask(NOW + 10).await.expect(200, "allowed");
        let path = authz.home.at(file);
        let content = std::fs::read(&path).unwrap();
        hang(&path);
        eventually(file, async || authz.get("/readyz").await.1.contains("takes longer than 5 s")).await;
        authz.clock.advance_seconds(3_600);
        ask(NOW + 3_610).await.expect(200, "allowed");
        authz.clock.advance_seconds(1);
        ask(NOW + 3_611).await.expect(503, "signing_keys_unavailable");
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
        release(&path, &content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        eventually("read again", async || ask(NOW + 3_611).await.is(200, "allowed")).await;
        assert!(!authz.get("/readyz").await.1.contains("takes longer"), "{file}");
    }
}

/// The secret of a webhook: the same, and no other route notices. Nothing shows the secret.
#[tokio::test]
async fn a_secret_of_a_webhook_that_cannot_be_read_to_its_end_serves_for_an_hour() {
    let home = Home::new();
    home.write("hook.secret", webhooks::SECRET);
    let only_owner = || std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(home.at("hook.secret"), only_owner()).unwrap();
    let edit = webhooks::edge(&home);
    let authz = Authz::start_with(home, edit).await;
    let ask = async || {
        let check = authz.check("me").extension("route", "plain").extension("policy", "plain");
        let check = check.client("192.0.2.7").body("{}");
        authz.ask(check.header("x-sign", format!("sha256={}", webhooks::tag("{}")))).await
    };
    ask().await.expect(200, "allowed");
    let path = authz.home.at("hook.secret");
    hang(&path);
    eventually("hangs", async || authz.get("/readyz").await.1.contains("takes longer than 5 s")).await;
    assert_eq!(authz.get("/readyz").await.0, 200, "other routes do not depend on it");
    authz.clock.advance_seconds(3_600);
    ask().await.expect(200, "allowed");
    authz.clock.advance_seconds(1);
    ask().await.expect(503, "webhook_secrets_unavailable");
    for place in ["/decisions", "/metrics", "/stats", "/readyz"] {
        assert!(!authz.get(place).await.1.contains(webhooks::SECRET), "{place}");
    }
    release(&path, webhooks::SECRET.as_bytes());
    std::fs::set_permissions(&path, only_owner()).unwrap();
    eventually("read again", async || ask().await.is(200, "allowed")).await;
}

/// An edge file that cannot be read to its end changes nothing, without end; `/readyz` says so. A key file of a service
/// that hangs keeps no new edge file out.
#[tokio::test]
async fn neither_an_edge_file_nor_a_services_key_file_that_hangs_keeps_a_later_edge_file_out() {
    let home = Home::new();
    let running = Running::start(program(&home, any(), any()));
    let ready = async || {
        let answer = reqwest::get(format!("http://{}/readyz", running.admin)).await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()
    };
    let says = async |part: &str, what: &str| {
        ready().await["parts"][part]["detail"].as_str().unwrap_or_default().contains(what)
    };
    let revision = async || ready().await["revision"].clone();
    let (text, before) = (std::fs::read_to_string(home.at("edge.yaml")).unwrap(), revision().await);
    let edge_file = home.at("edge.yaml");
    hang(&edge_file);
    eventually("reported", async || says("edge", "a change would not be seen since").await).await;
    assert_eq!(revision().await, before);
    hang(&home.at("sync.jwks.json"));
    eventually("reported", async || says("services", "sync: ").await).await;
    // A new service, whose keys are there, beside the one whose keys cannot be read.
    let line = format!("  sync: {{ keys: \"{}\" }}\n", home.at("sync.jwks.json").display());
    let late = format!("  late: {{ keys: \"{}\" }}\n", home.at("auth.jwks.json").display());
    assert!(text.contains(&line), "{text}");
    release(&edge_file, text.replace(&line, &format!("{line}{late}")).as_bytes());
    eventually("the new file is in force", async || revision().await != before).await;
    eventually("the new service's keys are read", async || !says("services", "late").await).await;
    assert!(!says("edge", "a change would not be seen").await && says("services", "sync: ").await);
}

/// Nor does the end of the program wait for such a read.
#[tokio::test]
async fn a_read_that_does_not_end_keeps_no_program_from_ending() {
    let home = Home::new();
    let path = home.at("tenants.yaml");
    let running = Running::start(program(&home, any(), any()));
    hang(&path);
    pause_async(
        std::time::Duration::from_millis(500),
        "the directory is read again by now, five times a second",
    )
    .await;
    let asked = std::time::Instant::now();
    running.signal("-TERM");
    let (code, log, _) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(asked.elapsed() < std::time::Duration::from_secs(8), "{:?}", asked.elapsed());
}
