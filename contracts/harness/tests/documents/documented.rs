//! Every `cutover` command in the documents works: each one is taken out of the page that shows it and run against a
//! running edge. A command that a page shows and this test cannot run fails it.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod shown;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use harness::{Edge, Port, Process, guard, repository};
use shown::{Fillings, Shown, shown_in};

fn all_shown() -> Vec<Shown> {
    let root = repository();
    let docs = std::fs::read_dir(root.join("docs")).expect("there are documents");
    let mut pages: Vec<_> = docs.flatten().map(|entry| entry.path()).collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|page| root.join(page)));
    pages.sort();
    // `moving_auth_page.rs`, `anywhere.rs` and `contract_page.rs` run these pages' commands in their order.
    let elsewhere = ["moving-auth.md", "your-own-product.md", "contract.md"];
    let is_page = |page: &&std::path::PathBuf| {
        page.extension().is_some_and(|ending| ending == "md")
            && !elsewhere.iter().any(|own| page.ends_with(own))
    };
    pages.iter().filter(is_page).flat_map(|page| shown_in(page)).collect()
}

/// A directory in which the documents' file names exist: both edge files are the one of the running edge.
fn workplace(edge: &Edge) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let edges = place.path().join("envoy/edges");
    std::fs::create_dir_all(&edges).expect("it is writable");
    for name in ["dev.yaml", "prod.yaml"] {
        std::os::unix::fs::symlink(edge.file(), edges.join(name)).expect("a link can be made");
    }
    for old in ["OLD.yaml", "main.yaml"] {
        std::fs::copy(edge.file(), place.path().join(old)).expect("a copy can be made");
    }
    std::fs::copy(repository().join("Cargo.toml"), place.path().join("Cargo.toml")).expect("so");
    std::fs::write(place.path().join("token"), edge.mint().good(2)).expect("it is writable");
    std::fs::write(place.path().join("sync.json"), "{}").expect("it is writable");
    std::fs::write(place.path().join("partner.secret"), format!("{}\n", "c2VjcmV0".repeat(6))).expect("so");
    place
}

/// Commands that run until they are stopped: their first output is enough.
fn lasts(arguments: &[String]) -> bool {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    has("--watch") || arguments.first().is_some_and(|command| command == "ramp" || command == "run")
}

/// The command's first line of output; it is stopped then.
fn first_line(command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cutover can be started");
    let mut line = String::new();
    let read = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line);
    let _ = child.kill();
    let output = child.wait_with_output().expect("it ends");
    assert!(read.is_ok_and(|length| length > 0), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    line
}

fn is_in_force(watch: &Process) {
    harness::eventually("the watch has the edge file in force", || watch.log().contains("is in force"));
}

#[test]
fn every_command_in_the_documents_works() {
    let edge = Edge::dev().start();
    let watch = edge.watch();
    is_in_force(&watch);
    let place = workplace(&edge);
    let program = |arguments: &[String]| {
        let mut command = edge.cutover_program();
        command.args(arguments).current_dir(place.path());
        command
    };

    let answer = edge.signed_in("/users/@me").send();
    assert_ne!(answer.status, 503, "{}", answer.text());
    let id = edge.access_log(1).iter().rev().find_map(|line| line["request_id"].as_str().map(str::to_owned));
    let id = id.expect("a request is logged with its id");
    let key =
        ["apikey", "new", "--client", "first", "--tenant", "00000000-0000-7000-8000-000000000001", "--json"];
    let made = program(&key.map(str::to_owned)).output().expect("cutover can be started");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("it prints JSON");
    let spare = Port::lease();
    let fillings = Fillings(vec![
        ("[--json]", "--json".to_owned()),
        ("REQUEST_ID", id.clone()),
        ("01932c07-0000-7000-8000-00000000000a", id),
        ("--tenant acme-corp", "--tenant 00000000-0000-7000-8000-000000000001".to_owned()),
        ("revoke ID", format!("revoke {}", made["id"].as_str().expect("a key has an id"))),
        ("/usr/lib/cutover/libedge_guard.so", guard().display().to_string()),
        ("\"$URL\"", format!("http://{}/sync", edge.public())),
        // No comparator runs beside this edge, so no gate can read its differences.
        ("--gate diff=0", String::new()),
        ("127.0.0.1:3000", edge.address("LEGACY_ADDRESS").to_string()),
        ("127.0.0.1:9192", edge.address("AUTHZ_ADMIN_ADDRESS").to_string()),
        ("SPARE_ADDRESS", spare.address().to_string()),
    ]);

    let commands = all_shown();
    assert!(commands.len() > 15, "the documents show {} commands", commands.len());
    for Shown { page, line, text } in commands {
        let arguments = fillings.fill(&text);
        if lasts(&arguments) {
            let said = first_line(&mut program(&arguments));
            assert!(!said.trim().is_empty(), "{page}:{line}: `cutover {text}` says nothing");
            continue;
        }
        let output = program(&arguments).stdin(Stdio::null()).output().expect("cutover can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{page}:{line}: `cutover {text}` ends with {}: {said}",
            output.status
        );
    }
}

#[test]
fn a_page_cannot_show_a_command_that_does_not_exist() {
    let page = tempfile::Builder::new().suffix(".md").tempfile().expect("a temporary file");
    std::fs::write(page.path(), "Text with `cutover lint`.\n\n    cutover ramp a.yaml \\\n        --to b # why\n\n```sh\ncutover frob\n```\n")
        .expect("it is writable");
    let shown: Vec<String> = shown_in(page.path()).into_iter().map(|command| command.text).collect();
    assert_eq!(shown, ["ramp a.yaml --to b # why", "frob"]);
    assert_eq!(Fillings(Vec::new()).fill(&shown[0]), ["ramp", "a.yaml", "--to", "b"]);
    let output = Command::new(harness::program("cutover")).arg("frob").output().expect("it can be started");
    assert_eq!(output.status.code(), Some(2));
}
