//! Files whose reading does not end, as on a network file system that is gone. A pipe that nobody writes to stands in
//! for one: opening it waits for ever.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::api_keys;
use crate::binary::{Running, any, program};
use crate::kit::{Authz, Home, eventually};

/// Puts a pipe in the place of `path`.
fn hang(path: &Path) {
    let pipe = path.with_extension("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::rename(&pipe, path).unwrap();
}

/// Puts `content` back in the place of a pipe, and lets whoever waits at the pipe go.
fn release(path: &Path, content: &[u8]) {
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

/// Nor does the end of the program wait for such a read.
#[tokio::test]
async fn a_read_that_does_not_end_keeps_no_program_from_ending() {
    let home = Home::new();
    let path = home.at("tenants.yaml");
    let running = Running::start(program(&home, any(), any()));
    hang(&path);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let asked = std::time::Instant::now();
    running.signal("-TERM");
    let (code, log, _) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(asked.elapsed() < std::time::Duration::from_secs(8), "{:?}", asked.elapsed());
}
