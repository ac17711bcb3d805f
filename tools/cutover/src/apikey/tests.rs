use super::*;
use crate::cli::{Cli, Command};
use api_keys::{ApiKey, KeyFault, Table};
use clap::Parser as _;
use clock::{ManualClock, UnixTime};

const TENANT: &str = "00000000-0000-7000-8000-000000000001";

fn cutover(file: &Path, words: &[&str], clock: &ManualClock) -> Result<String, ApiKeyError> {
    let file = file.to_str().unwrap();
    let all = ["cutover", "apikey"].iter().chain(words).copied().chain(["--file", file]);
    let Command::Apikey(arguments) = Cli::try_parse_from(all).unwrap().command else { panic!("not apikey") };
    run(&arguments, clock)
}

#[test]
fn a_key_is_shown_once_and_works_until_it_is_revoked_or_expires() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.jsonl");
    let clock = ManualClock::at(UnixTime::from_seconds(1_800_000_000));
    let new =
        ["new", "--json", "--client", "ci", "--tenant", TENANT, "--scope", "a", "--expires-in-days", "1"];
    let made: Value = serde_json::from_str(&cutover(&path, &new, &clock).unwrap()).unwrap();
    let second: Value = serde_json::from_str(&cutover(&path, &new, &clock).unwrap()).unwrap();
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    let ask = |key: &str, clock: &ManualClock| {
        let table = Table::parse(&std::fs::read(&path).unwrap()).unwrap();
        table
            .holder(&ApiKey::read(key.as_bytes()).unwrap(), clock.now())
            .map(|found| found.holder.client.name.to_string())
    };
    assert_eq!(ask(key, &clock), Ok("ci".to_owned()));
    assert_eq!(ask(second["key"].as_str().unwrap(), &clock), Ok("ci".to_owned()), "both live: rotation");

    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(!stored.contains(&key[20..]), "the secret is stored nowhere");
    for words in [&["list"][..], &["list", "--json"]] {
        let listed = cutover(&path, words, &clock).unwrap();
        assert!(listed.contains(id) && listed.contains("live") && !listed.contains(&key[20..]), "{listed}");
    }
    assert!(cutover(&path, &["revoke", id], &clock).unwrap().contains("revoked"));
    assert_eq!(ask(key, &clock), Err(KeyFault::Revoked));
    assert!(
        cutover(&path, &["revoke", "0000000000000000"], &clock).unwrap_err().to_string().contains("lists no")
    );
    clock.advance_seconds(86_400);
    assert_eq!(ask(second["key"].as_str().unwrap(), &clock), Err(KeyFault::Expired));
}

#[test]
fn keys_that_clients_hold_are_imported_once_and_work_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    let (path, input) = (home.path().join("keys.jsonl"), home.path().join("input.jsonl"));
    let clock = ManualClock::at(UnixTime::from_seconds(1_800_000_000));
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let lines = format!(
        "{{\"key\":\"sk_live_51H8abcdefgh+/=\",\"client\":\"ci\",\"tenant\":\"{TENANT}\"}}\n\n\
         {{\"sha256\":\"{hash}\",\"client\":\"test\",\"tenant\":\"{TENANT}\",\"role\":2,\"scopes\":[\"a\"],\"expires\":1800000005}}\n"
    );
    std::fs::write(&input, lines).unwrap();
    let import = |more: &[&str]| {
        let words: Vec<&str> = ["import", input.to_str().unwrap()].iter().chain(more).copied().collect();
        cutover(&path, &words, &clock)
    };
    assert!(import(&["--dry-run"]).unwrap().contains("2 keys would be imported"));
    assert!(!path.exists(), "a dry run writes nothing");
    assert!(import(&[]).unwrap().starts_with("2 keys imported"));
    let again: Value = serde_json::from_str(&import(&["--json"]).unwrap()).unwrap();
    assert_eq!(again, json!({ "added": 0, "known": 2, "dry_run": false }));
    let ask = |key: &str| {
        let table = Table::parse(&std::fs::read(&path).unwrap()).unwrap();
        table
            .holder(&ApiKey::read(key.as_bytes()).unwrap(), clock.now())
            .map(|found| found.holder.client.name.to_string())
    };
    assert_eq!(ask("sk_live_51H8abcdefgh+/="), Ok("ci".to_owned()));
    // "test" is the text with this SHA-256.
    assert_eq!(ask("test"), Ok("test".to_owned()));
    assert_eq!(ask("tesT"), Err(KeyFault::Unknown));
    assert!(!std::fs::read_to_string(&path).unwrap().contains("sk_live"), "no key is stored");
    clock.advance_seconds(5);
    assert_eq!(ask("test"), Err(KeyFault::Expired));
}

#[test]
fn a_wrong_line_imports_nothing_and_no_message_shows_a_key() {
    let home = tempfile::tempdir().unwrap();
    let (path, input) = (home.path().join("keys.jsonl"), home.path().join("input.jsonl"));
    let clock = ManualClock::at(UnixTime::from_seconds(1_800_000_000));
    let of = |rest: &str| format!("{{\"client\":\"ci\",\"tenant\":\"{TENANT}\",{rest}}}");
    let lines = [
        (of("\"key\":\"secretsecretsecret\""), ""),
        ("secretsecretsecret".to_owned(), "line 2: column 1: not a JSON object"),
        (of("\"key\":\"secret\""), "line 3: `key` has 6 characters, which can be guessed"),
        (
            of("\"key\":\"secret secret secret\""),
            "line 4: `key` is not an API key: it has 1 to 512 visible ASCII",
        ),
        (of("\"sha256\":\"secretsecretsecret\""), "line 5: column"),
        (of("\"scopes\":[]"), "line 6: it has no `key` and no `sha256`"),
        (of("\"key\":\"secretsecretsecret\",\"salt\":\"secret\""), "line 7: column"),
        (of("\"key\":\"secretsecretsecret\",\"scopes\":[\"a b\"]"), "line 8: \"a b\" is not a scope"),
    ];
    std::fs::write(&input, lines.iter().map(|(line, _)| format!("{line}\n")).collect::<String>()).unwrap();
    let message = cutover(&path, &["import", input.to_str().unwrap()], &clock).unwrap_err().to_string();
    for (_, expected) in &lines {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(message.contains("7 wrong lines") && !message.contains("secretsecret"), "{message}");
    assert!(!path.exists());
}

#[test]
fn a_product_has_its_own_prefix() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.jsonl");
    let clock = ManualClock::at(UnixTime::from_seconds(1_800_000_000));
    let new = ["new", "--json", "--client", "ci", "--tenant", TENANT, "--prefix", "acme"];
    let made: Value = serde_json::from_str(&cutover(&path, &new, &clock).unwrap()).unwrap();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("acme_"), "{key}");
    let table = Table::parse(&std::fs::read(&path).unwrap()).unwrap();
    assert!(table.holder(&ApiKey::read(key.as_bytes()).unwrap(), clock.now()).is_ok());
}

#[test]
fn names_and_scopes_are_checked_before_anything_is_written() {
    for words in [
        ["--client", "CI", "--tenant", TENANT, "--scope", "a"],
        ["--client", TENANT, "--tenant", TENANT, "--scope", "a"],
        ["--client", "ci", "--tenant", "", "--scope", "a"],
        ["--client", "ci", "--tenant", TENANT, "--roles", "a,,b"],
        ["--client", "ci", "--tenant", TENANT, "--scope", "a b"],
    ] {
        let all = ["cutover", "apikey", "new"].iter().chain(&words).copied();
        assert!(Cli::try_parse_from(all).is_err(), "{words:?}");
    }
}
