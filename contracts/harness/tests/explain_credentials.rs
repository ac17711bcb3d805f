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
limits: { clients: { per: api-key, rate: 9, seconds: 60 } }

policies:
  sync: { kind: signed, keys: [partner], addresses: [192.0.2.0/24] }
  writers: { kind: session, accept: [api-key], role: 1 }
  reading: { kind: internal, permissions: [users.read] }
",
        )
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
                // Everything holds; whether the nonce was used before is what nobody knows here.
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
        let told = edge.explain(&arguments);
        let file = edge.file().display().to_string();
        let text = edge.cutover(&[&["explain", file.as_str()], &arguments[..]].concat());
        for (name, value) in fields {
            assert_eq!(told[*name], *value, "{kind}: {name}: {told:#}");
            assert!(text.contains(&format!("{name:<12} {value}\n")), "{kind}: {name}: {text}");
        }
        assert_eq!(told["stripped"][0], "x-tenant-id", "{kind}: {told:#}");
        assert!(text.contains(&format!("{:<12} x-tenant-id\n", "stripped")), "{kind}: {text}");
        let limits = if kind == "API key" { "clients" } else { "none" };
        assert!(text.contains(&format!("{:<12} {limits}\n", "limits")), "{kind}: {text}");
        assert!(told["answer"].is_object() && text.contains("answer       "), "{kind}: {text}");
        for secret in secrets {
            assert!(!text.contains(secret) && !told.to_string().contains(secret), "{kind}: a secret: {text}");
        }
    }

    // A credential that fails is told by its code, and so is what stands behind it: not reached.
    write("token", "nonsense");
    let told = edge.explain(&[&get("/users/@me"), "--token-file", &home("token")]);
    assert_eq!(
        (&told["credential"], &told["reason"]),
        (&"token_malformed".into(), &"token_malformed".into())
    );
    assert_eq!(told["answer"]["status"], 401, "{told:#}");
    assert!(told.get("tenant").is_none() && told.get("role").is_none(), "{told:#}");
}
