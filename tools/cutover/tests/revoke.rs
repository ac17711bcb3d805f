//! `cutover revoke` on the command line.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::{Command, Output};

use harness::Redis;
use validity::revocation::{Revocation, SharedRevocations};

const ID: &str = "0192d3c0-0000-7000-8000-0000000000aa";

fn revoke(home: &Path, arguments: &[&str], redis: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.arg("revoke").args(arguments).env_clear().env("CUTOVER_HOME", home);
    if let Some(redis) = redis {
        command.env("REDIS_URL", redis);
    }
    command.output().unwrap()
}

#[test]
fn it_writes_a_line_that_the_edge_reads_even_after_a_torn_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("sessions/revoked.jsonl");
    let output = revoke(home.path(), &["session", ID], None);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("revoked.jsonl") && message.contains("home"), "{message}");

    std::fs::create_dir(home.path().join("sessions")).unwrap();
    std::fs::write(&file, "{\"sid\":\"0").unwrap();
    for what in ["session", "subject", "tenant"] {
        let output = revoke(home.path(), &[what, ID, "--token-life", "100"], None);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(&format!("revoked:{what}:{ID}")), "{said}");
        let text = std::fs::read_to_string(&file).unwrap();
        let line: Revocation = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(line.key(), format!("revoked:{what}:{ID}"));
        assert!((line.at() + 459..=line.at() + 460).contains(&line.until()), "{line:?}");
    }
}

#[test]
fn it_writes_to_redis_when_there_is_one() {
    let redis = Redis::start();
    let home = tempfile::tempdir().unwrap();
    for what in ["session", "subject", "tenant"] {
        let output = revoke(home.path(), &[what, ID], Some(&redis.url()));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stored = runtime.block_on(async {
        let mut connection = validity::connect(&redis.url()).unwrap();
        SharedRevocations::default().read_all(&mut connection, 10).await.unwrap()
    });
    let mut keys: Vec<_> = stored.revocations.iter().map(Revocation::key).collect();
    keys.sort();
    let expected = ["session", "subject", "tenant"].map(|what| format!("revoked:{what}:{ID}"));
    assert_eq!((keys.as_slice(), stored.bad), (&expected[..], 0));
}

#[test]
fn an_error_does_not_show_the_password() {
    let home = tempfile::tempdir().unwrap();
    let output = revoke(home.path(), &["session", ID], Some("redis://:hunter2@127.0.0.1:1/"));
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("Redis") && !message.contains("hunter2"), "{message}");
    let output = revoke(home.path(), &["session", ID], Some("hunter2"));
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("REDIS_URL") && !message.contains("hunter2"), "{message}");
    for arguments in [&["session", ""][..], &["session", " me"], &["everybody", ID], &["session"]] {
        assert_eq!(revoke(home.path(), arguments, None).status.code(), Some(2), "{arguments:?}");
    }
}
