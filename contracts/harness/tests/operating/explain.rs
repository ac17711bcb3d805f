//! `cutover explain` and `cutover agreement` report what the running edge does.

use std::process::Command;

use harness::{Backend, Edge, eventually, program};
use serde_json::Value;

#[test]
fn the_explanation_matches_the_edge() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let mint = edge.mint();
    let tokens = [
        ("none", None),
        ("good", Some(mint.good(0))),
        ("bot", Some(mint.good(2))),
        ("garbage", Some("garbage".to_owned())),
        ("expired", Some(mint.with(|claims| claims["exp"] = 1_000.into()))),
        (
            "stranger",
            Some(mint.with(|claims| {
                claims["tenantId"] = "00000000-0000-7000-8000-0000000000ff".into();
            })),
        ),
        (
            "suspended",
            Some(mint.with(|claims| claims["tenantId"] = harness::tokens::SUSPENDED_TENANT.into())),
        ),
    ];
    let requests = [
        ("GET", "/users/@me"),
        ("GET", "/users/@me/likes?q=1"),
        ("POST", "/users"),
        ("GET", "/books"),
        ("GET", "/open-graph/1"),
        ("GET", "/_/users/1"),
        ("GET", "/%5f/users/1"),
        ("GET", "/books/%2e%2e/auth/code"),
        ("GET", "/users/%40me"),
        ("GET", "/usersx"),
        ("TRACE", "/books"),
    ];
    let mut compared = Vec::new();
    for (kind, token) in &tokens {
        let file = edge.home().join(format!("{kind}.token"));
        for (method, target) in requests {
            let request = format!("{method} https://api.dev-domain.test{target}");
            let mut arguments = vec![request.as_str()];
            let path = file.display().to_string();
            let mut sent = edge.request(method, target).host("api.dev-domain.test");
            if let Some(token) = token {
                std::fs::write(&file, token).expect("the home is writable");
                arguments.extend(["--token-file", &path]);
                sent = sent.token(token);
            }
            let explained = edge.explain(&arguments);
            let answer = sent.send();
            let expected = explained["answer"]["status"].as_u64().unwrap_or(200);
            assert_eq!(u64::from(answer.status), expected, "{kind} {request}: {explained:#}");
            if let Some(body) = explained["answer"]["body"].as_str() {
                assert_eq!(answer.text(), body, "{kind} {request}: {explained:#}");
            }
            compared.push((*kind, explained, answer.status));
        }
    }
    // Route and reason are those of the access log, request by request.
    let lines = || {
        let log = edge.access_log(compared.len());
        log.into_iter().filter(|line| line["host"] == "api.dev-domain.test").collect::<Vec<_>>()
    };
    eventually("every request is in the log", || lines().len() == compared.len());
    for (line, (kind, explained, status)) in lines().into_iter().zip(&compared) {
        assert_eq!(line["status"], *status);
        if explained["answer"]["from"] != "the guard" && explained.get("route").is_some() {
            assert_eq!(line["route"], explained["route"], "{kind}: {explained:#} {line:#}");
        }
        if let Some(reason) = explained.get("reason") {
            assert_eq!(line["reason"], *reason, "{kind}: {explained:#} {line:#}");
        }
    }
}

#[test]
fn it_shows_stripped_and_remembered_values_and_no_secret() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let file = edge.home().join("token");
    std::fs::write(&file, &token).expect("the home is writable");
    let path = file.display().to_string();
    let request = "GET https://api.dev-domain.test/books/../open-graph/1";
    let arguments =
        [request, "--token-file", &path, "-H", "x-tenant-id: forged", "-H", "X-Madome-Auth-Sub: 1"];
    let explained = edge.explain(&arguments);
    assert_eq!(explained["answer"]["status"], 400, "another policy under another reading: {explained:#}");

    let arguments =
        ["GET https://api.dev-domain.test/users/@me", "--token-file", &path, "-H", "x-tenant-id: forged"];
    let explained = edge.explain(&arguments);
    assert_eq!(explained["stripped"][0], "x-tenant-id", "{explained:#}");
    assert_eq!(
        (&explained["route"], &explained["reason"]),
        (&"users-me".into(), &"allowed".into()),
        "{explained:#}"
    );
    assert_eq!(explained["policy"], "signed-in (session)");
    assert_eq!(explained["role"], "0");
    let file = edge.file().display().to_string();
    let text = edge.cutover(&[&["explain", file.as_str()], &arguments[..]].concat());
    assert!(text.contains("route        users-me") && text.contains("credential: passed"), "{text}");
    for part in token.split('.').chain(["forged"]) {
        assert!(!text.contains(part) && !explained.to_string().contains(part), "a secret is shown: {text}");
    }

    let id = "01932c07-0000-7000-8000-00000000000c";
    assert_eq!(edge.get("/books").header("x-request-id", id).send().status, 401);
    let remembered: Value =
        serde_json::from_str(&edge.cutover(&["explain", "--id", id, "--json"])).expect("it prints JSON");
    assert_eq!((&remembered["route"], &remembered["reason"]), (&"books".into(), &"no_credential".into()));
    let unknown = Command::new(program("cutover"))
        .args(["explain", "--id", "01932c07-0000-7000-8000-0000000000ff", "--home"])
        .arg(edge.home())
        .env("AUTHZ_ADMIN_ADDRESS", edge.address("AUTHZ_ADMIN_ADDRESS").to_string())
        .output()
        .expect("cutover can be started");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no decision is remembered"));
}

#[test]
fn a_request_without_a_check_is_explained_by_the_log() {
    let backend = Backend::plain();
    let policy = "signed-in: { kind: session, lease: {} }";
    let edge =
        Edge::dev().replace("signed-in: { kind: session }", policy).every_backend(backend.address()).start();
    let explained = |id: &str| -> Value {
        let home = edge.home().display().to_string();
        serde_json::from_str(&edge.cutover(&["explain", "--id", id, "--home", &home, "--json"]))
            .expect("it prints JSON")
    };
    let logged = |id: &str| edge.access_log(1).into_iter().find(|line| line["request_id"] == id);
    let refused = "01932c07-0000-7000-8000-00000000000d";
    assert_eq!(edge.get("/internal").header("x-request-id", refused).send().status, 404);
    eventually("the refusal is in the log", || logged(refused).is_some());
    assert_eq!(explained(refused)["details"], "edge_guard_internal_path");
    assert_eq!(explained(refused)["status"], 404);

    let token = edge.mint().good(0);
    let mut count = 0;
    let mut leased = String::new();
    eventually("a lease serves", || {
        count += 1;
        let id = format!("01932c07-0000-7000-8000-0000001{count:05}");
        assert_eq!(edge.get("/books").token(&token).header("x-request-id", &id).send().status, 200);
        eventually("the request is in the log", || logged(&id).is_some());
        let served = logged(&id).is_some_and(|line| line["decision"] == "lease");
        leased = id;
        served
    });
    let explained = explained(&leased);
    assert_eq!(
        (&explained["request_id"], &explained["decision"]),
        (&leased.as_str().into(), &"lease".into()),
        "{explained:#}"
    );
    assert_eq!(explained["granted_with"]["request_id"], explained["lease_of"], "{explained:#}");
    assert_eq!(explained["granted_with"]["decision"], "allow", "{explained:#}");
}

#[test]
fn the_agreement_is_read_from_a_real_access_log() {
    let backend = Backend::with(|seen| {
        let status = if seen.request_line().contains("/books/private") { "403 Forbidden" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    for _ in 0..5 {
        assert_eq!(edge.get("/books").token(&token).send().status, 200);
        assert_eq!(edge.get("/users/@me").token(&token).send().status, 200);
    }
    assert_eq!(edge.get("/books/private").token(&token).send().status, 403);
    assert_eq!(edge.get("/books").send().status, 401);
    assert_eq!(edge.get("/open-graph/1").send().status, 200);
    let log = edge.home().join("logs/access.json").display().to_string();
    let read = || -> Value {
        let text = edge.cutover(&["agreement", "--log", &log, "--least", "5", "--json"]);
        serde_json::from_str(&text).expect("it prints JSON")
    };
    let row = |name: &str| {
        let report = read();
        let rows = report["routes"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["route"] == name).unwrap_or_default()
    };
    eventually("the log is written", || row("open-graph")["requests"] == 1);
    let books = row("books");
    assert_eq!((&books["both_allow"], &books["backend_refuses"]["403"]), (&5.into(), &1.into()), "{books:#}");
    assert_eq!(books["edge_refuses"]["401"], 1, "{books:#}");
    assert_eq!(books["verdict"], "the backend must keep checking");
    assert_eq!(row("users-me")["verdict"], "the backend may stop checking");
    assert_eq!(row("open-graph")["verdict"], "nothing to compare");
}

#[test]
fn it_lists_the_steps_that_only_a_running_edge_can_decide() {
    let backend = Backend::plain();
    let edge = Edge::dev()
        .every_backend(backend.address())
        .replace(
            "policies:\n",
            "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\" }

policies:
  sync: { kind: signed, keys: [pair], addresses: [192.0.2.0/24] }
",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: sync, host: api, prefix: /sync, policy: sync, to: users, answers: users }\n",
        )
        .replace("limits:\n", "limits:\n  readers: { per: subject, rate: 2, seconds: 3600 }\n")
        .replace("{ name: books,", "{ limits: [readers], name: books,")
        .start();
    let known = |explained: &Value| -> String { explained["not_known"].to_string() };
    let post = "POST https://api.dev-domain.test/sync/1";
    let explained = edge.explain(&[post]);
    assert_eq!(explained["reason"], "address_not_allowed", "{explained:#}");
    for word in ["--client", "--body", "nonces_unavailable"] {
        assert!(known(&explained).contains(word), "{word}: {explained:#}");
    }
    let body = edge.home().join("body");
    std::fs::write(&body, "{}").expect("the home is writable");
    let path = body.display().to_string();
    let explained = edge.explain(&[post, "--client", "192.0.2.7", "--body", &path]);
    assert_eq!(explained["reason"], "no_credential", "the address is on the list: {explained:#}");
    assert!(
        !known(&explained).contains("--client") && !known(&explained).contains("--body"),
        "{explained:#}"
    );
    assert_eq!(edge.explain(&[post, "--client", "192.0.3.7"])["reason"], "address_not_allowed");

    let explained = edge.explain(&["GET https://api.dev-domain.test/books"]);
    assert!(known(&explained).contains("limits readers"), "{explained:#}");
    let explained = edge.explain(&["GET https://api.dev-domain.test/users/@me"]);
    assert!(explained.get("not_known").is_none(), "everything is known here: {explained:#}");
}
