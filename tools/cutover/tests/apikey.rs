//! `cutover apikey` on the command line. `contracts/harness/tests/credentials/api_keys.rs` tests with a running edge that
//! it accepts a new key within a second, and refuses a revoked one.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::{Command, Output};

use api_keys::{ApiKey, Table};
use clock::{Clock as _, SystemClock, UnixTime};
use serde_json::Value;

const TENANT: &str = "00000000-0000-7000-8000-000000000001";
const DAY: u64 = 86_400;

fn apikey(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.arg("apikey").args(arguments).env_clear().env("CUTOVER_HOME", home).output().unwrap()
}

/// The output of a run that must succeed.
fn said(home: &Path, arguments: &[&str]) -> String {
    let output = apikey(home, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(home: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(home, &[arguments, &["--json"]].concat())).unwrap()
}

fn new(home: &Path, client: &str, more: &[&str]) -> (String, String) {
    let made = json(home, &[&["new", "--client", client, "--tenant", TENANT], more].concat());
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

/// The client for whom the edge would accept `key` at `now`.
fn believed(home: &Path, key: &str, now: UnixTime) -> Result<std::sync::Arc<identity::Client>, String> {
    let table = Table::parse(&std::fs::read(home.join("api-keys.jsonl")).unwrap()).unwrap();
    let held = table.holder(&ApiKey::read(key.as_bytes()).unwrap(), now);
    held.map(|found| std::sync::Arc::clone(&found.holder.client)).map_err(|fault| format!("{fault:?}"))
}

#[test]
fn a_secret_is_printed_once_and_stored_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let printed = said(home, &["new", "--client", "nightly", "--tenant", TENANT]);
    let key = printed.lines().next().unwrap();
    assert!(ApiKey::read(key.as_bytes()).is_ok(), "the first line is the key: {printed}");
    let (id, secret) = key.strip_prefix("ck_").unwrap().split_once('_').unwrap();
    assert_eq!((id.len(), secret.len()), (16, 64));
    assert_eq!(printed.matches(secret).count(), 1, "{printed}");

    // No file of the home and no list has the secret or a part of it.
    for entry in std::fs::read_dir(home).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(!text.contains(&secret[..16]), "{}", entry.path().display());
    }
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(home.join("api-keys.jsonl")).unwrap()).unwrap();
    let hash = record["sha256"].as_str().unwrap();
    assert_eq!(hash.len(), 64, "a SHA-256: {record:#}");
    for listed in [said(home, &["list"]), json(home, &["list"]).to_string()] {
        assert!(listed.contains(id) && listed.contains("nightly") && listed.contains("live"), "{listed}");
        assert!(!listed.contains(&secret[..16]) && !listed.contains(hash), "{listed}");
    }
    assert_eq!(json(home, &["revoke", id])["state"], "revoked");
    assert!(!json(home, &["list"]).to_string().contains(&secret[..16]));
}

#[test]
fn a_key_has_the_client_the_tenant_the_role_and_the_scopes_that_it_was_made_with() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let more = ["--role", "2", "--scope", "books.read", "--scope", "books.write"];
    let (id, key) = new(home, "nightly", &more);
    let (_, plain) = new(home, "other", &[]);
    let now = SystemClock.now();
    let client = believed(home, &key, now).unwrap();
    assert_eq!(client.name.as_str(), "nightly");
    assert_eq!(
        (client.tenant.as_ref().unwrap().to_string(), client.role),
        (TENANT.to_owned(), Some(identity::Role(2)))
    );
    assert_eq!(client.scopes, ["books.read", "books.write"]);
    let client = believed(home, &plain, now).unwrap();
    assert_eq!((client.name.as_str(), client.role, client.scopes.len()), ("other", None, 0));
    let listed = json(home, &["list"]);
    let listed = listed.as_array().unwrap();
    let shown = listed.iter().find(|record| record["id"] == id.as_str()).unwrap();
    assert_eq!((&shown["tenant"], &shown["role"]), (&TENANT.into(), &2.into()));
    assert_eq!(shown["scopes"], serde_json::json!(["books.read", "books.write"]));
    let text = said(home, &["list"]);
    assert!(
        text.contains("role 2  plan -  books.read books.write") && text.contains("role -  plan -  -"),
        "{text}"
    );
}

#[test]
fn keys_change_with_an_overlap_and_end_by_themselves() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let now = SystemClock.now();
    let (old_id, old) = new(home, "nightly", &[]);
    let (_, next) = new(home, "nightly", &["--expires-in-days", "30"]);
    let later = |days: u64| UnixTime::from_seconds(now.seconds() + days * DAY);
    assert!(believed(home, &old, now).is_ok() && believed(home, &next, now).is_ok(), "both are live");
    let printed = said(home, &["revoke", &old_id]);
    assert!(printed.contains(&old_id) && printed.contains("nightly"), "{printed}");
    assert_eq!(believed(home, &old, SystemClock.now()), Err("Revoked".to_owned()));
    assert!(believed(home, &next, now).is_ok(), "the other goes on");
    let first = json(home, &["list"])[0]["revoked"].clone();
    assert_eq!(json(home, &["revoke", &old_id])["revoked"], first, "a second time changes nothing");
    assert!(believed(home, &next, later(29)).is_ok());
    assert_eq!(believed(home, &next, later(31)), Err("Expired".to_owned()));
    let states: Vec<String> = json(home, &["list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["revoked", "live"]);
}

#[test]
fn an_error_changes_nothing_and_has_its_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // 2: wrong arguments. Nothing is written.
    for arguments in [
        &[][..],
        &["make"],
        &["new"],
        &["new", "--tenant", TENANT],
        &["new", "--client", "CI", "--tenant", TENANT],
        &["new", "--client", TENANT, "--tenant", TENANT],
        &["new", "--client", "ci", "--tenant", ""],
        &["new", "--client", "ci", "--roles", "a,,b"],
        &["new", "--client", "ci", "--tenant", TENANT, "--scope", "a b"],
        &["new", "--client", "ci", "--tenant", TENANT, "--role", "256"],
        &["new", "--client", "ci", "--tenant", TENANT, "--expires-in-days", "-1"],
        &["revoke"],
        &["revoke", "not-an-id"],
        &["list", "more"],
    ] {
        assert_eq!(apikey(home, arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(!home.join("api-keys.jsonl").exists());
    assert_eq!(said(home, &["list"]), "no keys\n");

    // 1: the key does not exist.
    let (_, _) = new(home, "ci", &[]);
    let output = apikey(home, &["revoke", "0000000000000000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cutover apikey list"));

    // 64: the file is invalid. It stays unchanged; the error names the line and shows no part of it.
    let file = home.join("api-keys.jsonl");
    let wrong = format!("{}{{\"id\": \"sEcReT\"}}\n", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, &wrong).unwrap();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["new", "--client", "ci", "--tenant", TENANT],
        &["revoke", "0000000000000000"],
    ] {
        let output = apikey(home, arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("api-keys.jsonl") && message.contains("line 2"), "{message}");
        assert!(output.stdout.is_empty(), "a key that was not kept is not shown");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), wrong);

    // 1: a file that cannot be used at all.
    let output = apikey(home, &["list", "--file", home.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
}
