//! Mistakes of a new user: every error names its fix, and exit codes mean the same in all commands: 0 done, 1 the check
//! found something or the work failed, 2 wrong usage, 64 invalid edge file.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A home with an edge file, one with a fault in it, and nothing else: no keys, no Envoy.
struct Empty {
    home: tempfile::TempDir,
    edge: String,
    wrong: String,
}

impl Empty {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
        let text = std::fs::read_to_string(dev).unwrap();
        let write = |name: &str, text: &str| {
            let path: PathBuf = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let edge = write("edge.yaml", &text);
        let wrong =
            write("wrong.yaml", &text.replace("to: legacy, answers: auth", "to: legcy, answers: auth"));
        Self { home, edge, wrong }
    }

    /// Exit code, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(arguments)
            .current_dir(self.home.path())
            .env("CUTOVER_HOME", self.home.path())
            // Nothing listens there.
            .env("ENVOY_ADMIN_ADDRESS", "127.0.0.1:1")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn every_mistake_has_its_exit_code_and_its_fix() {
    let empty = Empty::new();
    let (edge, wrong) = (empty.edge.as_str(), empty.wrong.as_str());
    let ramp = ["ramp", edge, "books", "--to", "users", "--every", "1s"];
    let ramped = |more: &[&'static str]| [&ramp[..], more].concat();
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec![], 2, "Usage: cutover"),
        (vec!["plan", edge], 2, "<NEW>"),
        (vec!["plan", edge, wrong], 64, "did you mean `legacy`?"),
        (vec!["plan", edge, "gone.yaml"], 64, "name an edge file"),
        (vec!["explain", edge], 2, "<REQUEST>"),
        (vec!["explain", edge, "GET /books"], 2, "write for example 'GET https://"),
        (vec!["explain", edge, "GET http://localhost/", "-H", "x"], 2, "write -H 'name: value'"),
        (
            vec!["explain", edge, "GET http://localhost/", "--listener", "pubic"],
            2,
            "there are: public, service",
        ),
        (vec!["explain", wrong, "GET http://localhost/"], 64, "did you mean `legacy`?"),
        (vec!["explain", "--id", "x", "--admin", "127.0.0.1:1"], 1, "127.0.0.1:1"),
        (vec!["set", edge, "books"], 2, "--to"),
        (vec!["set", edge, "bookz", "--to", "users"], 2, "did you mean `books`?"),
        (vec!["set", edge, "books", "--to", "users=ten"], 2, "write BACKEND=PERCENT"),
        (vec!["set", edge, "books", "--to", "users=10,legacy=95"], 64, "add up to 105"),
        (vec!["set", edge, "books", "--to", "userz"], 64, "did you mean `users`?"),
        (vec!["set", wrong, "books", "--to", "users"], 64, "did you mean `legacy`?"),
        (vec!["set", "gone.yaml", "books", "--to", "users"], 64, "gone.yaml"),
        (vec!["status", edge], 1, "is the edge running?"),
        (vec!["status", edge, "--json"], 1, "is the edge running?"),
        (vec!["status", wrong], 64, "did you mean `legacy`?"),
        (ramped(&[]), 2, "--gate"),
        (ramped(&["--gate", "p99<3"]), 2, "invalid gate `p99<3`"),
        (ramped(&["--gate", "diff=0", "--steps", "10,1"]), 2, "the steps must rise"),
        (vec!["ramp", edge, "bookz", "--to", "users", "--gate", "diff=0"], 2, "did you mean `books`?"),
        (vec!["ramp", edge, "books", "--to", "userz", "--gate", "diff=0"], 64, "did you mean `users`?"),
        (vec!["ramp", edge, "books", "--to", "users", "--gate", "diff=0", "--every", "1"], 2, "write 60s"),
        (vec!["ramp", wrong, "books", "--to", "users", "--gate", "diff=0"], 64, "did you mean `legacy`?"),
        (vec!["render", wrong], 64, "did you mean `legacy`?"),
        (vec!["render", edge, "--guard", "/nowhere"], 1, "`make wasm` compiles it"),
        (vec!["certs", "--renew", "--name", "größe"], 1, "größe"),
    ];
    let before = std::fs::read(&empty.edge).unwrap();
    for (arguments, code, says) in cases {
        let (found, _, printed) = empty.run(&arguments);
        assert_eq!(found, code, "{arguments:?}: {printed}");
        assert!(printed.contains(says), "{arguments:?} should say {says:?}: {printed}");
        assert_eq!(std::fs::read(&empty.edge).unwrap(), before, "{arguments:?} changed the file");
    }
}

/// A pull request is reviewed where there are no keys: the path of a request is shown nevertheless.
#[test]
fn without_keys_everything_but_the_decision_is_explained() {
    let empty = Empty::new();
    let request = "GET https://localhost:8080/books/1?x=1";
    let (code, printed, why) =
        empty.run(&["explain", &empty.edge, request, "-H", "X-Cutover-Decided: 1", "--json"]);
    assert_eq!(code, 1, "{why}");
    assert!(why.contains("no decision") && why.contains("`cutover keys` makes the missing ones"), "{why}");
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["route"], "books");
    assert_eq!(printed["backend"], "library");
    assert_eq!(printed["stripped"], serde_json::json!(["x-cutover-decided"]));
    assert!(
        printed["policy"].as_str().unwrap().contains("signed-in") && printed.get("answer").is_none(),
        "{printed}"
    );

    assert_eq!(empty.run(&["keys"]).0, 0);
    let (code, printed, why) = empty.run(&["explain", &empty.edge, request]);
    assert!(code == 0 && printed.contains("status 401"), "{printed}{why}");
}

#[test]
fn an_existing_pair_is_kept_until_a_new_one_is_requested() {
    let empty = Empty::new();
    let pair = || std::fs::read(empty.home.path().join("certs/edge.pem")).unwrap();
    assert_eq!(empty.run(&["certs"]).0, 0);
    let first = pair();
    let (code, printed, _) = empty.run(&["certs", "--name", "api.test"]);
    assert!(code == 0 && printed.contains("--renew makes another") && pair() == first, "{printed}");
    assert_eq!(empty.run(&["certs", "--name", "api.test", "--renew"]).0, 0);
    assert!(pair() != first);
}

/// `cutover … | head -c1`, and the reader is gone before the first byte: each command ends as it would have, and
/// prints nothing about the pipe.
#[test]
fn a_reader_that_stops_reading_changes_no_exit_code() {
    let empty = Empty::new();
    assert_eq!(empty.run(&["keys"]).0, 0);
    let (edge, wrong) = (empty.edge.as_str(), empty.wrong.as_str());
    let get = "GET http://localhost/books";
    let changed = std::fs::read_to_string(edge).unwrap().replace("role: 2", "role: 1");
    let weaker = empty.home.path().join("weaker.yaml").display().to_string();
    std::fs::write(&weaker, changed).unwrap();
    let secret = empty.home.path().join("secret").display().to_string();
    std::fs::write(&secret, "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA==").unwrap();
    let person = "00000000-0000-7000-8000-000000000001";
    let commands: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["ramp", "--help"],
        vec![],
        vec!["lint", edge],
        vec!["lint", edge, wrong, "--json"],
        vec!["lint", wrong],
        vec!["plan", edge, &weaker],
        vec!["plan", edge, &weaker, "--json"],
        vec!["plan", edge, edge],
        vec!["explain", edge, get],
        vec!["explain", edge, get, "--json"],
        vec!["explain", "--id", "x", "--admin", "127.0.0.1:1"],
        vec!["agreement", "--log", "gone.json"],
        vec!["shadow", "--admin", "127.0.0.1:1"],
        vec!["keys"],
        vec!["certs"],
        vec!["certs", "--renew"],
        vec!["apikey", "new", "--client", "ci", "--tenant", person],
        vec!["apikey", "list"],
        vec!["apikey", "list", "--json"],
        vec!["revoke", "subject", person],
        vec!["set", edge, "books", "--to", "users=10,legacy=90"],
        vec!["status", edge],
        vec!["sign", "--key", "k", "--secret-file", &secret, "GET", "https://localhost/x"],
        vec!["sign", "--key", "k", "--secret-file", &secret, "GET", "https://localhost/x", "--json"],
        vec!["render", edge, "--guard", "/nowhere"],
        vec!["ramp", edge, "books", "--to", "users", "--gate", "diff=0", "--steps", "10,1"],
    ];
    for arguments in commands {
        let gone = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        let (code, ..) = empty.run(&arguments);
        let run = |both: bool| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
            command.args(&arguments).current_dir(empty.home.path()).env("CUTOVER_HOME", empty.home.path());
            command.env("ENVOY_ADMIN_ADDRESS", "127.0.0.1:1").stdout(gone());
            if both {
                command.stderr(gone());
            }
            command.output().unwrap()
        };
        let output = run(false);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!printed.contains("panicked") && !printed.contains("roken pipe"), "{arguments:?}: {printed}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
        assert_eq!(run(true).status.code(), Some(code), "{arguments:?}, both pipes closed");
    }
}
