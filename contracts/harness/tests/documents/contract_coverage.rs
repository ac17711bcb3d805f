//! Every route of the development edge, every operation of the public OpenAPI document, and every denial reason that the edge
//! can bring about, has an exchange; what has none is on a list with its reason, and the list may only become shorter.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use harness::tokens::{Mint, SUSPENDED_TENANT, base64url, claims, now};
use harness::wire::{Request, h2};
use harness::{Edge, SESSION_COOKIE, eventually, operations, repository};
use serde_json::{Value, json};

/// The number of exceptions today. Lower it with each line that is removed from `contracts/exceptions.txt`.
const MOST: &str = "2";

/// The file host. In the document its operations have a server of their own.
const FILES: &str = "file.dev-domain.test";

/// One request for each route, by its host.
const ROUTES: [(&str, &str, &str); 18] = [
    ("localhost", "POST", "/auth/code"),
    ("localhost", "POST", "/auth/token"),
    ("localhost", "PATCH", "/auth/token"),
    ("localhost", "DELETE", "/auth/token"),
    ("localhost", "GET", "/auth/token"),
    ("localhost", "GET", "/auth/passkeys"),
    ("localhost", "POST", "/auth/passkey/registration"),
    ("localhost", "POST", "/auth/passkey/authentication?email=nobody@example.com"),
    ("localhost", "GET", "/users/@me"),
    ("localhost", "POST", "/users"),
    ("localhost", "GET", "/users/@me/likes"),
    ("localhost", "GET", "/users/x"),
    ("localhost", "GET", "/books"),
    ("localhost", "GET", "/open-graph/books/7"),
    ("localhost", "GET", "/openapi/openapi.json"),
    ("localhost", "GET", "/elsewhere"),
    (FILES, "GET", "/a"),
    ("dev-domain.test", "GET", "/"),
];

/// A token for each reason for which one is refused.
fn bad_tokens(mint: &Mint) -> Vec<String> {
    let with = |claim: &str, value: Value| {
        mint.with(|claims| {
            claims.insert(claim.to_owned(), value);
        })
    };
    let under = |member: &str, value: Value| {
        let mut header = mint.header();
        header[member] = value;
        mint.sign(&header, &claims(0))
    };
    let without = |claim: &str| {
        mint.with(|claims| {
            claims.remove(claim);
        })
    };
    let good = mint.good(0);
    let message = good.rsplit_once('.').map(|(message, _)| message.to_owned()).unwrap_or_default();
    vec![
        "not-a-token".to_owned(),
        with("pad", json!("x".repeat(30_000))),
        under("typ", json!("JWT")),
        under("kid", json!("other")),
        under("alg", json!("RS256")),
        // As a session of the legacy backend, which does not know it, and one that it is not asked about.
        under("alg", json!("HS256")),
        format!("{}.e30.\"", base64url(br#"{"alg":"HS256"}"#)),
        format!("{message}.{}", base64url(&[1; 64])),
        mint.sign_text(&mint.header().to_string(), "[]"),
        without("sub"),
        with("role", json!("admin")),
        with("iss", json!("https://elsewhere.test")),
        with("aud", json!("https://elsewhere.test")),
        mint.with(|claims| {
            claims.insert("iat".to_owned(), json!(now() - 14_400));
            claims.insert("exp".to_owned(), json!(now() - 7_200));
        }),
        with("nbf", json!(now() + 7200)),
        with("tenantId", json!(SUSPENDED_TENANT)),
        with("tenantId", json!("00000000-0000-7000-8000-0000000000ff")),
    ]
}

/// What the auth service presents.
fn assertion(edge: &Edge) -> String {
    sign_for(edge, "auth", "auth.pem", "dev", now())
}

fn sign_for(edge: &Edge, name: &str, key: &str, audience: &str, at: u64) -> String {
    let caller = identity::Caller::Service(name.parse().expect("a name"));
    let pem = edge.home().join("keys").join(key);
    let signer = identity::assertion::Signer::from_file("auth", &pem).expect("a key");
    signer.sign(&caller, audience, clock::UnixTime::from_seconds(at)).expect("it signs")
}

/// What a service presents, for each reason for which it is refused.
fn bad_assertions(edge: &Edge) -> Vec<String> {
    let sign = |key: &str, audience: &str, at: u64| sign_for(edge, "auth", key, audience, at);
    let good = assertion(edge);
    let message = good.rsplit_once('.').map(|(message, _)| message.to_owned()).unwrap_or_default();
    vec![
        "abc".to_owned(),
        sign("identity.pem", "dev", now()),
        format!("{message}.{}", base64url(&[1; 64])),
        sign("auth.pem", "other", now()),
        sign("auth.pem", "dev", now() - 7_200),
        // One service in the name of another.
        sign_for(edge, "users", "auth.pem", "dev", now()),
    ]
}

/// What could bring about a reason that is said to be out of reach: two lines of `authorization`, over both protocols, and
/// internal paths on a public listener with a good assertion. The list of exceptions is refused if one of them is in the log.
fn attempts_at_exceptions(edge: &Edge, tokens: [&str; 2], assertion: &str) {
    let me = "/users/@me";
    let bearers = tokens.map(|token| format!("Bearer {token}"));
    let twice = bearers.iter().fold(edge.get(me), |request, bearer| request.header("authorization", bearer));
    assert_eq!(twice.send().status, 401);
    let mut lines = h2::headers("GET", "localhost", me);
    lines.extend(bearers.iter().map(|bearer| (b"authorization".to_vec(), bearer.clone().into_bytes())));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    assert_eq!(connection.ask(&lines).status(), Some(401));
    for protocol in ["HTTP/1.1", "HTTP/2"] {
        eventually("Envoy joins the two lines, so that they are one wrong line", || {
            let is_joined =
                |line: &Value| line["protocol"] == protocol && line["reason"] == "malformed_bearer";
            edge.access_log(1).iter().any(is_joined)
        });
    }
    for path in ["/_/users/demo@example.com", "/_"] {
        let internal = edge.get(path).header("authorization", format!("Bearer {assertion}"));
        assert_eq!(internal.send().status, 404, "{path}");
    }
}

/// What the services ask each other, for each route between them: who asks, method, target, body, status.
const BETWEEN_SERVICES: [(&str, &str, &str, &str, u16); 15] = [
    ("auth", "GET", "/_/users/demo@example.com", "", 200),
    ("auth", "GET", "/_/users?email=demo@example.com", "", 200),
    ("library", "GET", "/_/users/00000000-0000-7000-8000-0000000000a0/dislikes", "", 200),
    ("library", "GET", "/_/users/00000000-0000-7000-8000-0000000000a0/likes?kind=book&ids[]=7", "", 200),
    ("library", "GET", "/_/users/00000000-0000-7000-8000-0000000000a0/histories?ids[]=7", "", 200),
    // Who looks accounts up at a sign-in has no need to know what people like.
    ("auth", "GET", "/_/users/00000000-0000-7000-8000-0000000000a0/likes", "", 403),
    ("notifications", "GET", "/_/users/fcm-token?user-ids[]=00000000-0000-7000-8000-0000000000a0", "", 200),
    (
        "library",
        "POST",
        "/_/users/notifications",
        r#"{"kind":"book","book_id":1,"book_tags":[["misc","x"]]}"#,
        201,
    ),
    ("library", "PATCH", "/_/users/books/1/2", "", 204),
    ("users", "GET", "/_/books?ids[]=1", "", 200),
    ("users", "POST", "/_/command", r#"{"kind":"has_book","book_id":1}"#, 200),
    ("users", "PATCH", "/_/books/5/6", "", 204),
    ("library", "PATCH", "/_/books/5/6", "", 403),
    ("users", "GET", "/_/users/demo@example.com", "", 403),
    ("auth", "POST", "/_/command", r#"{"kind":"has_book","book_id":1}"#, 403),
];

/// The same in gRPC, each with an empty message, and the status of its refusal; that of a success
/// follows the body. `service_calls.rs` has the others.
const IN_GRPC: [(&str, &str, &[u8]); 9] = [
    ("auth", "users.v1.Accounts/GetAccount", b"3"),
    ("library", "users.v1.Activity/ListDislikes", b"5"),
    ("library", "users.v1.Activity/ListTastes", b"5"),
    ("library", "users.v1.Activity/ListHistories", b"5"),
    ("notifications", "users.v1.Activity/ListDeviceTokens", b""),
    ("library", "users.v1.Activity/AnnounceBook", b"3"),
    ("library", "users.v1.Activity/RenewBook", b"3"),
    ("users", "catalogue.v1.Catalogue/HasTag", b"3"),
    ("users", "catalogue.v1.Catalogue/RenewBook", b"3"),
];

/// Sends these, with the assertion that each service signs.
fn services_call_each_other(edge: &Edge) {
    let sent_by = |name: &str, method: &str, target: &str| {
        let caller = identity::Caller::Service(name.parse().expect("a name"));
        let pem = edge.home().join("keys").join(format!("{name}.pem"));
        let signer = identity::assertion::Signer::from_file(name, &pem).expect("a key");
        let assertion = signer.sign(&caller, "dev", clock::UnixTime::from_seconds(now())).expect("it signs");
        let request = Request::new(edge.address("EDGE_SERVICE_ADDRESS"), method, target);
        request.header("authorization", format!("Bearer {assertion}"))
    };
    for (name, call, status) in IN_GRPC {
        let request = sent_by(name, "POST", &format!("/cutover.{call}")).header("te", "trailers");
        let answer = request.header("content-type", "application/grpc").body([0; 5]).send();
        let refusal = answer.header("grpc-status").unwrap_or_default();
        assert_eq!((answer.status, refusal), (200, status), "{call}: {answer:?}");
    }
    for (name, method, target, body, status) in BETWEEN_SERVICES {
        let request = sent_by(name, method, target);
        let request = if body.is_empty() {
            request
        } else {
            request.header("content-type", "application/json").body(body)
        };
        let answer = request.send();
        assert_eq!(answer.status, status, "{name}: {method} {target}: {answer:?}");
    }
}

fn every_operation_gets_a_documented_answer(edge: &Edge, mint: &Mint, document: &Path) {
    let text = std::fs::read_to_string(document).expect("the document is readable");
    let document: Value = serde_saphyr::from_str(&text).expect("the document is YAML");
    let operations = operations::of(&document);
    assert!(operations.len() >= 42, "{} operations", operations.len());
    for operation in operations {
        let (method, target, statuses) = (&operation.method, operation.target(), &operation.statuses);
        let host = if operation.server.is_some() { FILES } else { "localhost" };
        let request = edge.request(method, &target).host(host).token(&mint.good(2));
        let request = match operation.body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send();
        let said = answer.text();
        assert!(statuses.contains(&answer.status), "{method} {target}: {} {said}", answer.status);
        // No service has routes for nothing: such a refusal would be by its fallback, and not by the operation.
        assert!(
            answer.status < 500 && !["Not found", "Not Found"].contains(&said.as_str()),
            "{method} {target}: {said}"
        );
    }
}

#[test]
fn every_route_and_every_denial_reason_has_an_exchange_or_a_reason_to_have_none() {
    // The document describes the later surface.
    let edge = Edge::shipped("dev")
        .variable("LIBRARY_SURFACE", "later")
        .variable("USERS_ACTIVITY_SURFACE", "later")
        .start();
    let mint = edge.mint();
    let openapi = repository().join("contracts/openapi/public.yaml");
    every_operation_gets_a_documented_answer(&edge, &mint, &openapi);
    let me = || edge.get("/users/@me");
    for (host, method, path) in ROUTES {
        let _ = edge.request(method, path).host(host).token(&mint.good(2)).body("{}").send();
    }
    services_call_each_other(&edge);
    for bearer in bad_assertions(&edge) {
        let lookup = Request::new(edge.address("EDGE_SERVICE_ADDRESS"), "GET", "/_/users/demo@example.com");
        let _ = lookup.header("authorization", format!("Bearer {bearer}")).send();
    }
    let _ = me().send();
    for token in bad_tokens(&mint) {
        let _ = me().token(&token).send();
    }
    let (one, other) = (mint.good(0), mint.good(0));
    let bearer = |token: &str| format!("Bearer {token}");
    let _ = me().token(&one).header("authorization", bearer(&other)).send();
    attempts_at_exceptions(&edge, [&one, &other], &assertion(&edge));
    let _ = me().header("authorization", "Bearer").send();
    let cookies = format!("{}{SESSION_COOKIE}={one}", "c=1; ".repeat(2_000));
    let _ = me().header("cookie", cookies).send();
    let _ = edge.request("POST", "/users").token(&mint.good(0)).body("{}").send();
    let sid = "01932c07-0000-7000-8000-0000000000dd";
    edge.cutover(&["revoke", "session", sid]);
    let revoked = mint.with(|claims| {
        claims.insert("sid".to_owned(), json!(sid));
    });
    eventually("the revoked session is refused", || me().token(&revoked).send().status == 401);
    eventually("the address is over its limit", || {
        edge.request("POST", "/auth/code").body("{\"email\":\"a@example.com\"}").send().status == 429
    });

    let log = edge.home().join("logs/access.json");
    eventually("the limited request is in the log", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("rate_limited"))
    });
    let mut command = Command::new(harness::program("cutover"));
    command.args(["contract", "coverage"]).arg(edge.file()).arg("--access-log").arg(&log);
    command.arg("--openapi").arg(&openapi);
    command.arg("--exceptions").arg(repository().join("contracts/exceptions.txt")).args(["--most", MOST]);
    let output = command.output().expect("cutover can be started");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
