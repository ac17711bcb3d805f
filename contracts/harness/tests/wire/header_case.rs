//! `header_case: title`: the edge's own refusals have names such as `Content-Type`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::Answer;
use harness::{Backend, Edge, EdgeBuilder, Part, Signal, repository};

/// The development edge whose answers all have `header_case: title`.
fn titled() -> EdgeBuilder {
    let text = std::fs::read_to_string(repository().join("envoy/edges/dev.yaml")).expect("it is readable");
    let first = text.lines().skip_while(|line| *line != "answers:").filter(|line| {
        line.starts_with("  ")
            && !line.starts_with("   ")
            && line.ends_with(':')
            && !line.trim().starts_with('#')
    });
    let edge = Edge::dev();
    first.fold(edge, |edge, line| {
        edge.replace(&format!("\n{line}\n"), &format!("\n{line}\n    header_case: title\n"))
    })
}

fn names(answer: &Answer) -> Vec<String> {
    answer.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
}

fn is_title(name: &str) -> bool {
    name.split('-').all(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[test]
fn refusals_of_every_part_have_names_in_title_case_and_backends_answers_keep_theirs() {
    let backend = Backend::answering(
        "HTTP/1.1 200 Odd Reason\r\nx-LoweR: 1\r\nX-Upper: 2\r\ncontent-length: 2\r\ndate: x\r\n\r\nok",
    );
    let mut edge = titled().with_open_route().every_backend(backend.address()).start();
    let refusals = [
        ("the authorizer", edge.get("/books").send(), 401),
        ("the guard", edge.get("/open/..%2fbooks").send(), 400),
        ("an internal path", edge.get("/internal").send(), 404),
        ("a method", edge.request("TRACE", "/").send(), 405),
        ("no such host", edge.get("/").host("elsewhere.test").send(), 404),
    ];
    for (what, answer, status) in refusals {
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let names = names(&answer);
        assert!(names.iter().all(|name| is_title(name)), "{what}: {answer:?}");
        assert!(names.contains(&"Content-Length".to_owned()), "{what}: {answer:?}");
    }
    let passed = edge.get("/open").header("X-MiXed", "1").send();
    assert_eq!(passed.status_line, b"HTTP/1.1 200 Odd Reason");
    assert_eq!(names(&passed), ["x-LoweR", "X-Upper", "content-length", "date"], "{passed:?}");
    // The price: names of request headers reach the backend in lower case.
    let seen = backend.last().names();
    assert!(seen.contains(&"x-mixed".to_owned()) && !seen.contains(&"X-MiXed".to_owned()), "{seen:?}");
    // Reserved names in any case end at the edge all the same.
    let _ = edge.get("/open").header("X-Madome-Auth-Sub", "forged").header("X-MADOME-GW", "0").send();
    let last = backend.last();
    assert_eq!((last.all("x-madome-auth-sub"), last.all("x-madome-gw")), (vec![], vec!["1".to_owned()]));
    edge.stop(Part::Authz, Signal::Kill);
    let gone = edge.get("/books").send();
    assert!(gone.status == 503 && names(&gone).iter().all(|name| is_title(name)), "{gone:?}");
}

#[test]
fn without_it_names_are_in_lower_case_and_requests_keep_theirs() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    let refused = edge.get("/books").send();
    assert!(names(&refused).iter().all(|name| name.to_ascii_lowercase() == *name), "{refused:?}");
    let _ = edge.get("/open").header("X-MiXed", "1").send();
    assert!(backend.last().names().contains(&"X-MiXed".to_owned()));
}
