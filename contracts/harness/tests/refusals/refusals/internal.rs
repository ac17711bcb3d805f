//! Nothing in an answer distinguishes an internal path from an absent one.

use harness::wire::Answer;
use harness::{Backend, Edge};

/// What a client can compare of an answer: everything but the moment, and the order of the headers.
fn comparable(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"date"));
    answer.headers.sort();
    answer
}

#[test]
fn an_internal_path_looks_like_an_absent_one() {
    let json = r#"{"name":"Not found resource","message":"Not found"}"#;
    let backend = Backend::with(move |seen| {
        // As the legacy backend's library and its user service answer about a path that they do not have.
        let (headers, body) = if seen.request_line().contains(" /books") {
            ("content-type: application/json; charset=utf-8\r\n", json)
        } else {
            ("", "Not found")
        };
        let length = body.len();
        format!("HTTP/1.1 404 Not Found\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
    });
    let own = "answers:\n  closed:\n    content_type: application/json; charset=utf-8\n    unauthenticated: { status: 401, body: '{}' }\n    forbidden: { status: 403, body: '{}' }\n    not_found: { status: 404, body: '{\"name\":\"Not found resource\",\"message\":\"Not found\"}' }\n    unavailable: { status: 503, body: '{}' }\n";
    let edge = Edge::dev()
        .json_library()
        .replace("\nanswers:\n", &format!("\n{own}"))
        .replace(
            "internal_paths:\n",
            "internal_paths:\n  - { prefix: /books/closed }\n  - { prefix: /open/closed }\n",
        )
        .replace(
            "prefix: /books, policy: signed-in, to: legacy, answers: library",
            "prefix: /books, policy: public, to: legacy, answers: closed",
        )
        .with_open_route()
        .every_backend(backend.address())
        .start();
    // The host's own words are bare ones, those below /books are JSON.
    for prefix in ["/books", "/open"] {
        let absent = comparable(&edge.get(format!("{prefix}/absent")).send());
        for closed in ["closed", "closed/below", "%63losed", "x/../closed", "closed/", "/closed"] {
            let answer = edge.get(format!("{prefix}/{closed}")).send();
            assert_eq!(comparable(&answer), absent, "{prefix}/{closed}: {answer:?}");
        }
        let explained = edge.explain(&[&format!("GET http://localhost{prefix}/closed")]);
        assert_eq!(explained["answer"]["status"], 404, "{explained:#}");
        assert_eq!(
            explained["answer"]["body"].as_str().map(str::as_bytes),
            Some(absent.body.as_slice()),
            "{explained:#}"
        );
    }
    assert!(backend.seen().iter().all(|seen| !seen.request_line().contains("closed")));
    // Words that the host has, where all of its routes are beside the path.
    let signed_in = comparable(&edge.signed_in("/users/@me/absent").send());
    for closed in ["/users/notifications", "/users/%6eotifications", "/users/fcm-token/x"] {
        assert_eq!(comparable(&edge.signed_in(closed).send()), signed_in, "{closed}");
    }
}
