//! What `cutover new-service` prints for the edge file works on an edge: people with a session reach the service.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use harness::{Backend, Edge, program, repository};

/// What `cutover new-service reviews` prints, run in a copy of the workspace's manifest.
fn printed() -> String {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::copy(repository().join("Cargo.toml"), place.path().join("Cargo.toml")).expect("it is writable");
    let mut command = Command::new(program("cutover"));
    let output = command.args(["new-service", "reviews"]).current_dir(place.path()).output();
    let output = output.expect("cutover can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// The lines below the key `key`, as they stand in an edge file, with their ends.
fn below<'p>(printed: &'p str, key: &str) -> &'p str {
    let (_, after) = printed.split_once(&format!("  {key}:\n")).expect("the key is printed");
    let length = after.split_inclusive('\n').take_while(|line| line.starts_with("    ")).map(str::len).sum();
    after.get(..length).expect("whole lines")
}

#[test]
fn the_printed_backend_and_route_lead_people_to_the_new_service() {
    let printed = printed();
    let backend = Backend::plain();
    let mut edge = Edge::shipped("dev").variable("REVIEWS_ADDRESS", &backend.address().to_string());
    for key in ["backends", "routes"] {
        // The lines are printed two spaces further in than they stand.
        let lines: String =
            below(&printed, key).split_inclusive('\n').filter_map(|line| line.get(2..)).collect();
        assert!(lines.contains("reviews"), "{printed}");
        edge = edge.replace(&format!("\n{key}:\n"), &format!("\n{key}:\n{lines}"));
    }
    let edge = edge.start();
    let file = edge.file().display().to_string();
    edge.cutover(&["lint", &file]);
    let refused = edge.get("/reviews/mine").send();
    assert_eq!((refused.status, backend.seen().len()), (401, 0));
    let served = edge.get("/reviews/mine").token(&edge.mint().good(0)).send();
    assert_eq!(served.status, 200, "{served:?}");
    let seen = backend.last();
    assert_eq!(seen.request_line(), "GET /reviews/mine HTTP/1.1");
    assert!(seen.header("x-madome-identity").is_some(), "the service gets the signed identity");
}
