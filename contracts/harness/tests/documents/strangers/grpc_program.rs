//! A server and a program with Google's gRPC library (grpcio), neither of which shares code with the edge: messages of every kind
//! of call, metadata, codes, details, deadlines and ends are the same through the edge.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::app::App;
use super::grpc::edge_before;

/// What the program saw at `address`, by step.
fn steps(address: SocketAddr, place: &Path) -> Vec<(String, Value)> {
    let output = App::asked_by("grpc/client.py", address, place);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{failed}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let step = |line: &str| {
        let seen: Value = serde_json::from_str(line).expect("a JSON object");
        (seen.get("step").and_then(Value::as_str).expect("each has its name").to_owned(), seen)
    };
    lines.lines().map(step).collect()
}

#[test]
fn a_program_with_the_grpc_library_of_its_authors_sees_the_same_through_the_edge() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::python("grpc", place.path());
    let edge = edge_before(app.address());
    let reference = steps(app.address(), place.path());
    let through = steps(edge.public(), place.path());
    for (direct, passed) in reference.iter().zip(&through) {
        assert_eq!(passed, direct, "{}", direct.0);
    }
    assert_eq!(through.len(), reference.len());
    // The reference itself says what was meant.
    let code = |step: &str| {
        let found = reference.iter().find(|(name, _)| name == step);
        found.and_then(|(_, seen)| seen.get("code")).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for (step, expected) in [
        ("a message and metadata", "OK"),
        ("a large message", "OK"),
        ("a refusal with details", "FAILED_PRECONDITION"),
        ("a fault of the program", "UNKNOWN"),
        ("an unknown method", "UNIMPLEMENTED"),
        ("a deadline that passes", "DEADLINE_EXCEEDED"),
        ("the server has seen its end", "OK"),
        ("a thousand messages and an error", "DATA_LOSS"),
        ("a conversation", "OK"),
        ("health of 'unknown'", "NOT_FOUND"),
    ] {
        assert_eq!(code(step), format!("StatusCode.{expected}"), "{step}");
    }
    assert_eq!(reference.len(), 20, "{reference:#?}");
}
