//! Sessions in a cookie that is split into parts, and in one of several cookies of one name.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::wire::Answer;
use harness::{Backend, Edge, eventually};

fn edge(backend: &Backend, cookie: &str) -> Edge {
    Edge::dev()
        .every_backend(backend.address())
        .replace(
            "  cookie: madome_access_token\n",
            &format!("  cookie: {{ name: madome_access_token, {cookie} }}\n"),
        )
        .replace("signed-in: { kind: session", "signed-in: { lease: {}, kind: session")
        .start()
}

fn ask(edge: &Edge, path: &str, lines: &[&str]) -> Answer {
    let request = edge.get(path);
    lines.iter().fold(request, |request, line| request.header("cookie", line)).send()
}

#[track_caller]
fn refused(edge: &Edge, path: &str, lines: &[&str], reason: &str) {
    let answer = ask(edge, path, lines);
    assert_eq!(answer.status, 401, "{lines:?}: {answer:?}");
    eventually(reason, || edge.logged(path, 401)["reason"] == reason);
}

#[test]
fn a_session_in_parts_passes_whole_and_is_refused_in_every_other_arrangement() {
    let backend = Backend::plain();
    let edge = edge(&backend, "split: true");
    let token = edge.mint().good(0);
    let (one, rest) = token.split_at(100);
    let (two, three) = rest.split_at(200);
    let part = |number: &str, text: &str| format!("madome_access_token.{number}={text}");
    let (one, two, three) = (part("0", one), part("1", two), part("2", three));
    let line = format!("{two}; theme=dark; {three}; {one}");
    assert_eq!(ask(&edge, "/users/@me", &[&line]).status, 200);
    assert_eq!(backend.last().all("cookie"), [line.as_str()], "the backend joins them itself");
    assert_eq!(ask(&edge, "/users/@me", &[&one, &two, &three]).status, 200, "as HTTP/2 may split a line");
    assert_eq!(ask(&edge, "/users/@me", &[&format!("madome_access_token={token}")]).status, 200);

    let whole = format!("madome_access_token={token}");
    let invalid = "cookie_parts_invalid";
    refused(&edge, "/users/@me/gap", &[&format!("{one}; {three}")], invalid);
    refused(&edge, "/users/@me/start", &[&format!("{two}; {three}")], invalid);
    refused(
        &edge,
        "/users/@me/spelling",
        &[&format!("{one}; {two}; {}", three.replace(".2=", ".02="))],
        invalid,
    );
    refused(&edge, "/users/@me/extra", &[&format!("{one}; {two}; {three}; {}", part("16", "x"))], invalid);
    refused(&edge, "/users/@me/both", &[&format!("{whole}; {one}")], "ambiguous_credential");
    refused(&edge, "/users/@me/lines", &[&one, &part("0", "x")], "ambiguous_credential");
    refused(
        &edge,
        "/users/@me/order",
        &[&format!("{}; {}; {three}", one.replace(".0=", ".1="), two.replace(".1=", ".0="))],
        "token_malformed",
    );
    refused(
        &edge,
        "/users/@me/more",
        &[&format!("{one}; {two}; {three}; {}", part("3", "x"))],
        "token_malformed",
    );
}

#[test]
fn a_lease_for_a_whole_cookie_serves_no_request_with_parts() {
    let backend = Backend::plain();
    let edge = edge(&backend, "split: true");
    let whole = format!("madome_access_token={}", edge.mint().good(0));
    eventually("the whole cookie is leased", || {
        assert_eq!(ask(&edge, "/users/@me", &[&whole]).status, 200);
        edge.leased() > 0
    });
    for part in ["madome_access_token.0=x", "madome_access_token.1=x", "madome_access_token.15=x"] {
        assert_eq!(ask(&edge, "/users/@me", &[&format!("{whole}; {part}")]).status, 401, "{part}");
        assert_eq!(ask(&edge, "/users/@me", &[&format!("{part}; {whole}")]).status, 401, "{part}");
    }
}

#[test]
fn the_edge_file_says_which_of_two_cookies_counts() {
    let backend = Backend::plain();
    for (rule, good_first, good_last) in [("last", 401, 200), ("first", 200, 401), ("refuse", 401, 401)] {
        let edge = edge(&backend, &format!("duplicates: {rule}"));
        let good = format!("madome_access_token={}", edge.mint().good(0));
        let bad = "madome_access_token=x";
        for (line, status) in [
            (format!("{good}; {bad}"), good_first),
            (format!("{bad}; {good}"), good_last),
            (format!("{good}; {good}"), 200),
        ] {
            assert_eq!(ask(&edge, "/users/@me", &[&line]).status, status, "{rule}: {line}");
            if status == 200 {
                assert_eq!(backend.last().header("cookie").expect("it goes on"), line);
            }
        }
        assert_eq!(ask(&edge, "/users/@me", &[&good, bad]).status, 401, "{rule}: lines that disagree");
        assert_eq!(ask(&edge, "/users/@me", &["madome_access_token.0=x"]).status, 401, "{rule}");
    }
}
