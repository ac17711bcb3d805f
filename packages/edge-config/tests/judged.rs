//! The fields of a backend about failures and refusals: `grpc_errors` and `sign_in`.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{Backend, Edge, GrpcErrors, SignIn};
use edge_config::{Faults, parse};

const LEGACY: &str = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";

fn edge(more: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(LEGACY));
    parse(Path::new("edge.yaml"), &text.replacen(LEGACY, &format!("{LEGACY}{more}"), 1), &|_| None)
}

fn legacy(more: &str) -> Backend {
    edge(more).unwrap().backends.remove("legacy").unwrap()
}

#[test]
fn statuses_are_given_by_number_or_name_and_have_a_default() {
    assert_eq!(legacy("").grpc_errors, GrpcErrors([2, 4, 8, 13, 14, 15].into()));
    let said = legacy("    grpc_errors: [13, UNAVAILABLE, deadline_exceeded]\n").grpc_errors;
    assert_eq!(said, GrpcErrors([4, 13, 14].into()));
    assert!(said.contains(13) && !said.contains(0) && !said.contains(2) && !said.contains(256 + 13));
    assert_eq!(legacy("    grpc_errors: []\n").grpc_errors, GrpcErrors([].into()));
}

#[test]
fn a_sign_in_page_is_a_path_or_a_whole_url() {
    assert_eq!(legacy("").sign_in, []);
    let said =
        legacy("    sign_in: [/login, /Account/Login.aspx, \"https://id.example.com:8443/realms/\"]\n");
    let pages = ["/login", "/Account/Login.aspx", "https://id.example.com:8443/realms/"];
    assert_eq!(said.sign_in, pages.map(|page| SignIn(page.to_owned())));
}

#[test]
fn every_invalid_value_is_a_fault_with_its_fix() {
    for (more, expected) in [
        ("grpc_errors: 13", "write a list"),
        ("grpc_errors: [0]", "has 0, which cannot be an error"),
        ("grpc_errors: [ok]", "has ok, which cannot be an error"),
        ("grpc_errors: [17]", "write a status from 1 to 16"),
        ("grpc_errors: [-1]", "write a status from 1 to 16"),
        ("grpc_errors: [unavailble]", "did you mean `unavailable`?"),
        ("grpc_errors: [13, internal]", "lists 13 twice"),
        ("grpc_errors: [true]", "write a status from 1 to 16"),
        ("grpc_eror: [13]", "did you mean `grpc_errors`?"),
        ("sign_in: /login", "write a list"),
        ("sign_in: []", "has no page"),
        ("sign_in: [/]", "name the page"),
        ("sign_in: [login]", "begin it with `/`"),
        ("sign_in: [//evil/login]", "begin it with `/`"),
        ("sign_in: [\"https://\"]", "begin it with `/`"),
        ("sign_in: [\"ftp://a/login\"]", "begin it with `/`"),
        ("sign_in: [\"/login?next=\"]", "without a query"),
        ("sign_in: [\"/log'in\"]", "without quotes"),
        ("sign_in: [\"/log\\\\in\"]", "without quotes"),
        ("sign_in: [/login, /login]", "twice"),
        ("sign_in: [7]", "write text"),
    ] {
        let message = edge(&format!("    {more}\n")).expect_err("it should be refused").to_string();
        assert!(message.contains(expected), "{more:?} should say {expected:?}:\n{message}");
    }
}
