//! `cutover explain` offline, for every kind of credential: each field that it promises, as text and as JSON.

use std::time::Duration;

use harness::tokens::DEMO_TENANT;
use harness::{Backend, Edge, Part};
use serde_json::Value;

/// Every field that an explanation promises, for every kind of credential, as JSON and as text.
#[test]
fn every_kind_of_credential_is_explained_field_by_field() {
    let backend = Backend::plain();
    let edge = Edge::dev()
        .every_backend(backend.address())
        .replace(
            "policies:\n",
            "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\" }
api_keys: { file: \"${CUTOVER_HOME}/api-keys.jsonl\" }
service_tokens: { issuer: \"https://auth.test\", keys: \"${CUTOVER_HOME}/keys/service-token.jwks.json\" }

policies:
  sync: { kind: signed, keys: [partner], addresses: [192.0.2.0/24] }
  writers: { kind: session, accept: [api-key], role: 1 }
  reading: { kind: internal, permissions: [users.read] }
",
        )
        .replace("limits:\n", "limits:\n  clients: { per: api-key, rate: 9, seconds: 60 }\n")
        .replace("keys/auth.jwks.json\" }", "keys/auth.jwks.json\", permissions: [users.read], tenants: any }")
        .replace(
            "routes:\n",
            "routes:
  - { name: sync, host: api, prefix: /sync, policy: sync, to: users, answers: users }
  - { name: writers, host: api, prefix: /writers, policy: writers, to: users, answers: users, limits: [clients] }
  - { name: reading, host: service, prefix: /_/reading, policy: reading, to: users, answers: users }
",
        )
        .without(Part::Authz)
        .start();
    let home = |name: &str| edge.home().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        let path = edge.home().join(name);
        std::fs::write(&path, text).expect("the home is writable");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("it is ours");
    };
    let token = edge.mint().good(1);
    write("token", &token);
    let made = edge.cutover(&[
        "apikey",
        "--json",
        "new",
        "--client",
        "nightly",
        "--tenant",
        DEMO_TENANT,
        "--role",
        "2",
    ]);
    let made: Value = serde_json::from_str(&made).expect("it prints JSON");
    let key = made["key"].as_str().expect("a key has a text").to_owned();
    write("keys/partner.secret", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    write(
        "keys/signing-keys.yaml",
        "keys:\n  partner: { service: partner, alg: hmac-sha256, secrets: [partner.secret] }\n",
    );
    let post = "https://api.dev-domain.test/sync/1?a=b";
    let signed = edge.cutover(&[
        "sign",
        "--key",
        "partner",
        "--secret-file",
        &home("keys/partner.secret"),
        "POST",
        post,
    ]);
    let issuer = identity::service_token::Issuer::from_file(
        "https://auth.test",
        "dev",
        &edge.home().join("keys/service-token.pem"),
    )
    .expect("`cutover keys` made the key");
    let service = identity::service_token::ServiceToken {
        service: "auth".parse().expect("a name"),
        permissions: vec!["users.read".to_owned()],
        tenant: Some(DEMO_TENANT.parse().expect("an id")),
    };
    let now = clock::Clock::now(&clock::SystemClock);
    let service = issuer.issue(&service, "id", Duration::from_secs(600), now).expect("it can be signed");

    let forged = ["-H".to_owned(), "x-tenant-id: forged".to_owned()];
    let get = |path: &str| format!("GET https://api.dev-domain.test{path}");
    let mut signature: Vec<String> =
        vec![format!("POST {post}"), "--client".to_owned(), "192.0.2.7".to_owned()];
    signature.extend(signed.lines().flat_map(|line| ["-H".to_owned(), line.to_owned()]));
    let session = vec![get("/%75sers/@me"), "--token-file".to_owned(), home("token")];
    let api_key = vec![get("/writers/1"), "-H".to_owned(), format!("x-api-key: {key}")];
    let bearer = vec!["-H".to_owned(), format!("authorization: Bearer {service}")];
    let listener = ["--listener".to_owned(), "service".to_owned()];
    let service_token =
        [vec!["GET http://127.0.0.1/_/reading/x".to_owned()], bearer, listener.to_vec()].concat();
    let secrets =
        [&token[token.len() - 40..], &key[20..], &service[service.len() - 40..], "forged", "AAECAwQF"];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Vec<String>, Fields<'_>); 4] = [
        (
            "session",
            session,
            &[
                ("canonical", "/users/@me"),
                ("route", "api-rest"),
                ("policy", "signed-in (session)"),
                ("credential", "passed"),
                ("principal", "person"),
                ("tenant", DEMO_TENANT),
                ("role", "1"),
                ("reason", "allowed"),
                ("decision", "allow"),
            ],
        ),
        (
            "API key",
            api_key,
            &[
                ("canonical", "/writers/1"),
                ("route", "writers"),
                ("policy", "writers (session)"),
                ("credential", "passed"),
                ("principal", "client"),
                ("subject", "nightly"),
                ("tenant", DEMO_TENANT),
                ("role", "2"),
                ("reason", "allowed"),
            ],
        ),
        (
            "signed request",
            signature,
            &[
                ("canonical", "/sync/1"),
                ("route", "sync"),
                ("policy", "sync (signed)"),
                // Everything holds; only the authorizer knows whether the nonce was used before.
                ("credential", "nonces_unavailable"),
                ("reason", "nonces_unavailable"),
                ("decision", "error"),
            ],
        ),
        (
            "service token",
            service_token,
            &[
                ("canonical", "/_/reading/x"),
                ("route", "reading"),
                ("policy", "reading (internal)"),
                ("credential", "passed"),
                ("principal", "service"),
                ("subject", "auth"),
                ("tenant", DEMO_TENANT),
                ("reason", "allowed"),
            ],
        ),
    ];
    for (kind, arguments, fields) in cases {
        let arguments: Vec<&str> = arguments.iter().chain(&forged).map(String::as_str).collect();
        let result = edge.explain(&arguments);
        let file = edge.file().display().to_string();
        let text = edge.cutover(&[&["explain", file.as_str()], &arguments[..]].concat());
        for (name, value) in fields {
            assert_eq!(result[*name], *value, "{kind}: {name}: {result:#}");
            assert!(text.contains(&format!("{name:<12} {value}\n")), "{kind}: {name}: {text}");
        }
        assert_eq!(result["stripped"][0], "x-tenant-id", "{kind}: {result:#}");
        assert!(text.contains(&format!("{:<12} x-tenant-id\n", "stripped")), "{kind}: {text}");
        let limits = if kind == "API key" { "clients" } else { "none" };
        assert!(text.contains(&format!("{:<12} {limits}\n", "limits")), "{kind}: {text}");
        assert!(result["answer"].is_object() && text.contains("answer       "), "{kind}: {text}");
        for secret in secrets {
            assert!(
                !text.contains(secret) && !result.to_string().contains(secret),
                "{kind}: a secret: {text}"
            );
        }
    }

    // A failing credential shows its code, and the checks after it show that they were not reached.
    write("token", "nonsense");
    let result = edge.explain(&[&get("/users/@me"), "--token-file", &home("token")]);
    assert_eq!(
        (&result["credential"], &result["reason"]),
        (&"token_malformed".into(), &"token_malformed".into())
    );
    assert_eq!(result["answer"]["status"], 401, "{result:#}");
    assert!(result.get("tenant").is_none() && result.get("role").is_none(), "{result:#}");
}

/// `cutover explain` for an edge file with `text`: exit code, JSON, what it says on standard error.
#[expect(clippy::expect_used, reason = "a test that cannot go on should stop")]
fn explained(edge: &Edge, text: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let file = edge.home().join("other.yaml");
    std::fs::write(&file, text).expect("the home is writable");
    let output = std::process::Command::new(harness::program("cutover"))
        .arg("explain")
        .arg(&file)
        .args(arguments)
        .args(["--json", "--home"])
        .arg(edge.home())
        .env_remove("REDIS_URL")
        .output()
        .expect("cutover can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

/// What a caller had and what the policy requires: in the explanation and in the log, never in the answer.
#[test]
fn a_refusal_by_a_policy_names_what_the_caller_had_and_needed() {
    let backend = Backend::plain();
    let edge = Edge::dev()
        .every_backend(backend.address())
        .replace("policies:\n", "policies:\n  readers: { kind: session, scopes: [books.read, books.list] }\n")
        .replace(
            "routes:\n",
            "routes:\n  - { name: shelf, host: api, prefix: /shelf, policy: readers, to: users, answers: users }\n",
        )
        .start();
    let token = edge.mint().with(|claims| claims["scope"] = "books.read".into());
    let path = edge.home().join("token");
    std::fs::write(&path, &token).expect("the home is writable");
    let file = path.display().to_string();
    for (method, target, id, had, needed) in [
        ("POST", "/users", "01932c07-0000-7000-8000-00000000001a", "role 0", "role 2"),
        ("GET", "/shelf", "01932c07-0000-7000-8000-00000000001b", "scope books.read", "scope books.list"),
    ] {
        let request = format!("{method} https://api.dev-domain.test{target}");
        let result = edge.explain(&[&request, "--token-file", &file]);
        let answer = edge.request(method, target).token(&token).header("x-request-id", id).send();
        assert_eq!(answer.status, 403);
        let words = format!("{:?} {}", answer.headers, answer.text());
        assert!(!words.contains("scope") && !words.contains("role "), "the caller learns it: {words}");
        let remembered: Value =
            serde_json::from_str(&edge.cutover(&["explain", "--id", id, "--json"])).expect("JSON");
        for result in [result, remembered] {
            assert_eq!(result["had"][0], had, "{result:#}");
            assert!(result["needed"].to_string().contains(needed), "{result:#}");
        }
        let text = edge.cutover(&["explain", "--id", id]);
        assert!(text.contains(&format!("had          {had}\n")) && text.contains(needed), "{text}");
        let audit = || std::fs::read_to_string(edge.home().join("logs/audit.jsonl")).unwrap_or_default();
        harness::eventually("the audit has it", || {
            audit().lines().any(|line| line.contains(id) && line.contains(had) && line.contains(needed))
        });
    }
}

#[test]
fn an_edge_of_several_authorizers_with_signed_requests_is_explained_without_redis() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).without(Part::Authz).start();
    let text = edge.text();
    let text = text.replace("  timeout_ms: 200\n", "  timeout_ms: 200\n  replicas: 2\n").replace(
        "policies:\n",
        "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\" }\npolicies:\n",
    );
    std::fs::write(edge.home().join("token"), edge.mint().good(0)).expect("the home is writable");
    let token = edge.home().join("token").display().to_string();
    let request = "GET https://api.dev-domain.test/users/@me";
    let (code, result, said) = explained(&edge, &text, &[request, "--token-file", &token]);
    assert_eq!((code, &result["reason"]), (Some(0), &"allowed".into()), "{said} {result:#}");
}

#[test]
fn keys_behind_a_url_are_fetched_on_request_and_not_known_otherwise() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).without(Part::Authz).start();
    let keys =
        std::fs::read_to_string(edge.home().join("keys/session.jwks.json")).expect("the keys are there");
    let issuer =
        Backend::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}", keys.len()));
    let text = edge.text();
    let listed = "keys: { file: \"${CUTOVER_HOME:-.run}/keys/session.jwks.json\" }";
    assert!(text.contains(listed));
    let behind =
        |address: String| text.replace(listed, &format!("keys: {{ url: \"http://{address}/keys\" }}"));
    let good = behind(issuer.address().to_string());
    std::fs::write(edge.home().join("token"), edge.mint().good(0)).expect("the home is writable");
    let token = edge.home().join("token").display().to_string();
    let request = "GET https://api.dev-domain.test/users/@me";

    let (code, result, said) = explained(&edge, &good, &[request, "--token-file", &token]);
    assert_eq!((code, &result["decision"]), (Some(1), &"not known".into()), "{said} {result:#}");
    assert!(result.get("reason").is_none() && result["route"] == "users-me", "{result:#}");
    assert!(
        said.contains("--fetch") && result["not_known"].to_string().contains("--fetch"),
        "{said} {result:#}"
    );
    assert!(issuer.seen().is_empty(), "the keys were fetched without the option for it");
    // Without a credential the keys decide nothing.
    let (code, result, _) = explained(&edge, &good, &[request]);
    assert_eq!((code, &result["reason"]), (Some(0), &"no_credential".into()), "{result:#}");

    let (code, result, said) = explained(&edge, &good, &[request, "--token-file", &token, "--fetch"]);
    assert_eq!((code, &result["reason"]), (Some(0), &"allowed".into()), "{said} {result:#}");
    assert!(result.get("not_known").is_none(), "{result:#}");

    let nowhere = behind(harness::Port::lease().address().to_string());
    let (code, _, said) = explained(&edge, &nowhere, &[request, "--token-file", &token, "--fetch"]);
    assert!(code == Some(1) && said.contains("/keys"), "the reason is said: {said}");
    std::fs::remove_file(edge.home().join("keys/session.jwks.json")).expect("it was there");
    let (code, result, said) = explained(&edge, &text, &[request, "--token-file", &token]);
    assert_eq!((code, &result["reason"]), (Some(1), &"keys_unavailable".into()), "{result:#}");
    assert!(said.contains("session.jwks.json"), "the reason is said: {said}");
}
