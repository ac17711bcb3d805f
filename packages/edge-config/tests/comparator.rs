//! The section `comparator` of an edge file.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{DifferenceKind, Edge, Ignore, Ignored};
use edge_config::{Faults, parse};

const SAID: &str = "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n";

fn edge(more: &str, books: &str) -> Result<Edge, Faults> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(SAID) && text.contains("name: books, "));
    let text = text.replacen(SAID, &format!("{SAID}{more}"), 1);
    parse(Path::new("edge.yaml"), &text.replacen("name: books, ", books, 1), &|_| None)
}

#[test]
fn a_comparator_has_addresses_a_sample_and_ignored_differences() {
    let more = "  sample_percent: 25\n  ignore:\n    - { header: x-powered-by }\n    - { json: /items/*/etag, route: books }\n    - { kind: header_order }\n    - { cookie: sid }\n";
    let comparator = edge(more, "name: books, shadow: users, ").unwrap().comparator.unwrap();
    assert_eq!((comparator.address.port(), comparator.admin.port()), (9291, 9292));
    assert_eq!(comparator.sample_percent, 25);
    let everywhere = |what| Ignore { route: None, what };
    let books = Ignore { route: Some("books".to_owned()), what: Ignored::Json("/items/*/etag".to_owned()) };
    let expected = [
        everywhere(Ignored::Header("x-powered-by".to_owned())),
        books,
        everywhere(Ignored::Kind(DifferenceKind::HeaderOrder)),
        everywhere(Ignored::Cookie("sid".to_owned())),
    ];
    assert_eq!(comparator.ignore, expected);
    assert_eq!(comparator.version_header, None);
    let versions = edge("  version_header: x-version\n", "name: books, ").unwrap().comparator.unwrap();
    assert_eq!(versions.version_header.as_deref(), Some("x-version"));
}

#[test]
fn the_reference_is_the_backend_that_is_not_the_shadow() {
    let shares = "name: books, shadow: users, ";
    let edge = edge("", shares).unwrap();
    let books = edge.routes.iter().find(|route| route.name == "books").unwrap();
    assert_eq!((books.reference(), books.answering()), (Some("library"), vec!["library", "users"]));
    let other = edge.routes.iter().find(|route| route.name == "users-me").unwrap();
    assert_eq!((other.reference(), other.answering()), (None, vec!["users"]));
}

#[test]
fn an_invalid_comparator_is_a_fault() {
    let cases = [
        ("  sample_percent: 0\n", "write a whole number from 1 to 100"),
        ("  ignore: [{}]\n", "needs one of"),
        ("  ignore: [{ header: a, kind: status }]\n", "needs one of"),
        ("  ignore: [{ header: X-Powered-By }]\n", "in lower case"),
        ("  ignore: [{ kind: header_ordr }]\n", "did you mean `header_order`?"),
        ("  ignore: [{ json: items }]\n", "begin it with `/`"),
        ("  ignore: [{ json: /items/0/etag }]\n", "write `*` for an index"),
        ("  ignore: [{ header: via, route: bookz }]\n", "did you mean `books`?"),
        ("  sampel: 1\n", "has no field `sampel`"),
        ("  version_header: X-Version\n", "in lower case"),
        ("  version_header: \"\"\n", "`version_header` is \"\""),
        ("  version_header: 7\n", "write text"),
    ];
    for (more, expected) in cases {
        let message = edge(more, "name: books, ").expect_err("it should be refused").to_string();
        assert!(message.contains(expected), "{more:?} should say {expected:?}:\n{message}");
    }
}

/// HTTP/2 can be compared. gRPC cannot: each of its requests is a POST, and none is ever copied.
#[test]
fn a_shadow_speaks_any_protocol_but_grpc() {
    let with = |protocol: &str| {
        let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
        let text = std::fs::read_to_string(dev).unwrap();
        let text = text.replacen("name: books, ", "name: books, shadow: users, ", 1);
        let backend = format!("  users: {{ protocol: {protocol}, address");
        parse(Path::new("edge.yaml"), &text.replacen("  users: { address", &backend, 1), &|_| None)
    };
    for protocol in ["http1", "http2"] {
        assert!(with(protocol).is_ok(), "{protocol}");
    }
    let message = with("grpc").expect_err("it should be refused").to_string();
    assert!(message.contains("speaks gRPC, whose requests are all POST"), "{message}");
}
