//! Schemathesis sends requests that the public OpenAPI document allows, and ones that it does not, through the edge: every
//! answer is one of the document, and none is a failure. `make openapi` installs it and runs this test.

use std::path::PathBuf;
use std::process::Command;

use harness::{Edge, repository};
use serde_json::json;

/// Requests for each operation and phase. More find the same in a longer time.
const MAX_EXAMPLES: &str = "10";

/// What is checked of every answer.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn schemathesis() -> PathBuf {
    let given = std::env::var_os("SCHEMATHESIS").map(PathBuf::from);
    let path = given.unwrap_or_else(|| repository().join(".tools/schemathesis/bin/schemathesis"));
    assert!(path.exists(), "{} does not exist: `make openapi` installs it", path.display());
    path
}

#[test]
#[ignore = "it takes some minutes and a program of its own; `make openapi` and `make contracts` run it"]
fn every_answer_is_one_of_the_document() {
    // The limits of the edge would answer most requests otherwise.
    let edge = Edge::shipped("dev")
        .variable("LIBRARY_SURFACE", "later")
        .variable("USERS_ACTIVITY_SURFACE", "later")
        // A busy machine can miss the deadline of a decision, and that is a 503.
        .replace("timeout_ms: 200", "timeout_ms: 5000")
        .replace("rate: 30, seconds: 60, burst: 60", "rate: 10000, seconds: 1, burst: 10000")
        .replace("rate: 60, seconds: 60, burst: 120", "rate: 10000, seconds: 1, burst: 10000")
        .replace("rate: 300, seconds: 60, burst: 600", "rate: 10000, seconds: 1, burst: 10000")
        .start();
    let post = |path: &str, body: serde_json::Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    assert_eq!(post("/auth/code", json!({ "email": "bot@example.com" })).status, 201);
    let code = edge.login_code("bot@example.com");
    let answer = post("/auth/token", json!({ "email": "bot@example.com", "code": code }));
    let token = |name: &str| answer.cookie(name).expect("a session");
    let cookie = format!("Cookie: madome_access_token={}", token("madome_access_token"));

    // The document's own server, and the file host, which the edge knows by its name.
    for (paths, host) in
        [("--exclude-path-regex", "localhost"), ("--include-path-regex", "file.dev-domain.test")]
    {
        let mut command = Command::new(schemathesis());
        command.current_dir(edge.home()).arg("run").arg(repository().join("contracts/openapi/public.yaml"));
        command.args([paths, "^/image/", "--header", &format!("Host: {host}")]);
        command.args([
            "--url",
            &format!("http://{}", edge.public()),
            "--header",
            &cookie,
            "--checks",
            CHECKS,
        ]);
        command.args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            MAX_EXAMPLES,
            "--seed",
            "1",
        ]);
        command.args(["--workers", "2", "--continue-on-failure", "--no-color", "--request-timeout", "30"]);
        // These two end the session of every other request.
        command.args(["--exclude-operation-id", "signOut", "--exclude-operation-id", "refreshSession"]);
        let output = command.output().expect("schemathesis can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{host}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
}
