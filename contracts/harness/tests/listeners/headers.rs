//! P2, identity cannot be forged: clients' headers with reserved names never arrive, in any spelling, method or framing.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

pub(crate) mod reserved;
pub(crate) mod suite;

use harness::{Backend, Front};

fn in_the_clear(case: impl Fn(&Front, &Backend)) {
    let backend = Backend::plain();
    case(&Front::clear(backend.address()), &backend);
}

#[test]
fn reserved_names_never_arrive_in_any_spelling() {
    in_the_clear(suite::reserved_names_never_arrive_in_any_spelling);
}

#[test]
fn underscores_are_refused() {
    in_the_clear(suite::underscores_are_refused);
}

#[test]
fn malformed_lines_never_become_headers() {
    in_the_clear(suite::malformed_lines_never_become_headers);
}

#[test]
fn bytes_beyond_ascii_are_carried_and_the_next_request_works() {
    in_the_clear(suite::bytes_beyond_ascii_are_carried_and_the_next_request_works);
}

#[test]
fn nominated_headers_cannot_take_the_edge_s_own_away() {
    in_the_clear(suite::nominated_headers_cannot_take_the_edge_s_own_away);
}

#[test]
fn trailers_carry_nothing_reserved() {
    in_the_clear(suite::trailers_carry_nothing_reserved);
}

#[test]
fn malformed_http2_reaches_no_backend() {
    in_the_clear(suite::malformed_http2_reaches_no_backend);
}

#[test]
fn a_request_that_forges_everything_at_once_is_still_one_request() {
    in_the_clear(suite::a_request_that_forges_everything_at_once_is_still_one_request);
}

/// The same on an edge with TLS and HTTP/2 behind a haproxy that speaks the PROXY protocol, before TLS backends of both versions.
#[test]
fn the_whole_suite_holds_behind_a_balancer() {
    let cases: [fn(&Front, &Backend); 8] = [
        suite::reserved_names_never_arrive_in_any_spelling,
        suite::underscores_are_refused,
        suite::malformed_lines_never_become_headers,
        suite::bytes_beyond_ascii_are_carried_and_the_next_request_works,
        suite::nominated_headers_cannot_take_the_edge_s_own_away,
        suite::trailers_carry_nothing_reserved,
        suite::malformed_http2_reaches_no_backend,
        suite::a_request_that_forges_everything_at_once_is_still_one_request,
    ];
    let backend = Backend::plain();
    let [old, new] = Front::balanced(backend.address());
    for front in [old, new, Front::balanced_http2(backend.address())] {
        for case in cases {
            case(&front, &backend);
        }
        front.assert_used();
    }
}

/// The rule for answers: they are the backend's own. A reserved name in an answer is meant for the client
/// (`x-madome-access-token-expires` is), so it passes; the edge adds nothing of its own.
#[test]
fn answers_keep_reserved_names() {
    let lines = [
        ("x-madome-access-token-expires", "1800000000"),
        ("x-madome-auth-sub", "of-the-backend"),
        ("X-Tenant-Id", "of-the-backend"),
        ("x-request-id", "of-the-backend"),
        ("x-forwarded-for", "of-the-backend"),
        ("x-envoy-upstream-service-time", "7"),
    ];
    let head: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let backend = Backend::answering(format!("HTTP/1.1 200 OK\r\n{head}content-length: 0\r\n\r\n"));
    let edge = Front::clear(backend.address());
    let answer = edge.get("/open").send();
    for (name, value) in lines {
        assert_eq!(answer.all(name), [value], "{name}");
    }
    assert!(answer.header("x-madome-gw").is_none());
}
