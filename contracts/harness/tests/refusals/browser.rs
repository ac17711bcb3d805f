//! What a real browser makes of the edge: Debian's Chromium, driven by Playwright, over TLS.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod backend;

use std::path::Path;
use std::process::Command;

use backend::Pages;
use harness::{Edge, Port, SESSION_COOKIE, repository, venv};
use serde_json::{Value, json};

const API: &str = "api: { listener: public, names: [api.dev-domain.test, localhost, 127.0.0.1] }";
const UPLOAD_BYTES: usize = 4 * 1024 * 1024;

/// An edge over TLS whose API lets the pages at `listed` in.
fn edge(backend: &Pages, listed: &str) -> Edge {
    let tls = "exposure: public, tls: { certificate: \"${CUTOVER_HOME:-.run}/certs/edge.pem\", key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" } }";
    let cors = format!("cors: {{ origins: [\"{listed}\"], credentials: true, expose: [x-total-count] }}");
    let sign_in = format!("sign_in: {{ redirect: \"{listed}/login\", return: next }}");
    let routes = "routes:
  - { name: live, host: api, prefix: /live, policy: signed-in, upgrade: websocket, to: legacy, answers: library }
  - { name: events, host: api, prefix: /events, policy: signed-in, stream: true, to: legacy, answers: library }
  - { name: upload, host: api, prefix: /upload, policy: signed-in, to: legacy, answers: library }
  - { name: own, host: api, prefix: /own, policy: public, to: legacy, answers: library }
  - { name: few, host: api, exact: /few, methods: [GET], policy: public, to: legacy, answers: library, limits: [few] }
  - { name: pages, host: api, prefix: /pages, policy: people, to: legacy, answers: library }
";
    Edge::dev()
        .replace("request_id: { on_answers: never }", "request_id: { on_answers: refusals }")
        .replace("  bearer: true\n", "  bearer: true\n  websocket_protocol: bearer.\n")
        .replace("exposure: public }", tls)
        .replace(API, &API.replace(" }", &format!(", {cors} }}")))
        .replace(
            "  signed-in: { kind: session }\n",
            &format!("  signed-in: {{ kind: session }}\n  people: {{ kind: session, {sign_in} }}\n"),
        )
        .replace("routes:\n", routes)
        .replace("limits:\n", "limits:\n  few: { per: address, rate: 1, seconds: 3600, burst: 1 }\n")
        .replace("  library:\n", "  library:\n    challenge: 'Bearer realm=\"books\"'\n")
        .every_backend(backend.address())
        .start()
}

/// What the scripts of the pages saw.
fn open(plan: &Value) -> Value {
    let python = venv().join("bin/python");
    for (path, fix) in [
        (python.as_path(), "`make setup` makes the Python environment"),
        (Path::new("/usr/bin/chromium"), "`make setup` installs it (Debian: apt-get install chromium)"),
    ] {
        assert!(path.exists(), "{} is missing: {fix}", path.display());
    }
    let script = repository().join("contracts/harness/tests/refusals/browser/pages.py");
    let output =
        Command::new(python).arg(script).arg(plan.to_string()).output().expect("python can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the pages failed (`make setup` installs Playwright): {said}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[test]
fn pages_of_a_listed_origin_use_the_edge_and_others_do_not() {
    let (backend, pages) = (Pages::start(), Port::lease());
    let port = pages.address().port();
    // Of the same site as the API, so that the browser sends its cookie from either.
    let (listed, unlisted) =
        (format!("https://app.dev-domain.test:{port}"), format!("https://evil.dev-domain.test:{port}"));
    let edge = edge(&backend, &listed);
    let host = format!("api.dev-domain.test:{}", edge.address("EDGE_ADDRESS").port());
    let certs = edge.home().join("certs");
    let seen = open(&json!({
        "api": format!("https://{host}"),
        "socket": format!("wss://{host}"),
        "listed": listed,
        "unlisted": unlisted,
        "pages_port": port,
        "certificate": certs.join("edge.pem"),
        "key": certs.join("edge.key"),
        "cookie": { "name": SESSION_COOKIE, "value": edge.mint().good(0) },
        "token": edge.mint().good(0),
        "upload_bytes": UPLOAD_BYTES,
    }));
    let is = |pointer: &str, expected: Value| {
        assert_eq!(seen.pointer(pointer), Some(&expected), "{pointer}: {seen:#}")
    };

    // Refusals are readable, with the headers that say what to do.
    is("/anonymous/status", json!(401));
    is("/anonymous/body", json!("Unauthorized"));
    is("/anonymous/headers/www-authenticate", json!("Bearer realm=\"books\""));
    assert!(seen.pointer("/anonymous/headers/x-request-id").is_some(), "{seen:#}");
    is("/once/status", json!(200));
    is("/too_often/status", json!(429));
    assert!(seen.pointer("/too_often/headers/retry-after").is_some(), "{seen:#}");

    // With its cookie, the page reads and changes; a preflight came before the change.
    is("/read/status", json!(200));
    is("/read/body", json!("GET 0 cookie"));
    is("/read/headers/x-total-count", json!("3"));
    is("/changed/status", json!(200));
    is("/changed/body", json!("PUT 2 cookie"));
    assert_eq!(edge.logged("/books/1", 204)["details"], "edge_guard_preflight");
    is("/backend_rules", json!({ "error": "TypeError" }));

    is("/anonymous_socket", json!({ "error": "refused" }));
    is("/socket/echo", json!("hello"));
    // A token that the page offers as a protocol, without a cookie: the browser learns the protocol that the backend chose.
    is("/token_socket", json!({ "echo": "hello", "protocol": "chat.v2" }));
    is("/forged_token", json!({ "error": "refused" }));
    is("/token_alone", json!({ "error": "refused" }));
    assert_eq!(edge.logged("/live", 400)["details"], "edge_guard_websocket_token_alone");
    is("/events/seen", json!(["0", "1", "2"]));
    is("/upload/status", json!(200));
    is("/upload/body", json!(format!("PUT {UPLOAD_BYTES} cookie")));
    is("/upload/last", json!(UPLOAD_BYTES));
    assert!(
        seen.pointer("/upload/progress").and_then(Value::as_u64).is_some_and(|count| count > 0),
        "{seen:#}"
    );

    // A page of another origin reads nothing and changes nothing, although the browser sends the cookie.
    for hidden in ["/other_page_reads", "/other_page_changes", "/other_page_posts", "/other_page_socket"] {
        let error = seen.pointer(&format!("{hidden}/error")).and_then(Value::as_str);
        assert!(error.is_some(), "{hidden}: {seen:#}");
    }
    assert_eq!(edge.logged("/books/2", 403)["details"], "edge_guard_cors_origin");
    assert_eq!(edge.logged("/books/3", 403)["details"], "edge_guard_cross_site");
    assert_eq!(edge.logged("/live", 403)["details"], "edge_guard_cross_site");

    // A person without a session lands on the sign-in page, with the way back; with one, on the page.
    is("/opened/url", json!(format!("{listed}/login?next=/pages/1%3Fa%3D1%26b%3D2")));
    is("/opened_signed_in/url", json!(format!("https://{host}/pages/1?a=1&b=2")));
    is("/opened_signed_in/status", json!(200));
}
