//! Credentials in an edge file: signed requests, API keys, legacy sessions, services.

use std::path::Path;

use edge_config::edge::Policy;
use edge_config::parse;

use super::{dev_text, faults_of, nothing_set, panic_with_text};

fn signed_text() -> String {
    let text = dev_text().replacen(
        "policies:\n",
        "signatures: { keys: signing-keys.yaml, headers: [content-type] }\n\npolicies:\n  sync: { kind: signed, keys: [partner], addresses: [192.0.2.0/24, \"2001:db8::/32\"] }\n",
        1,
    );
    text + "\n  - { name: sync, host: api, exact: /sync, methods: [POST], policy: sync, to: users, answers: users }\n"
}

#[test]
fn the_fields_of_signed_requests_are_read_as_written() {
    let edge = parse(Path::new("edge.yaml"), &signed_text(), &nothing_set).unwrap();
    let signatures = edge.signatures.unwrap();
    assert_eq!((signatures.max_age.as_secs(), signatures.skew.as_secs()), (300, 5));
    assert_eq!((signatures.max_body_bytes, signatures.headers), (65_536, vec!["content-type".to_owned()]));
    let Policy::Signed(policy) = &edge.policies["sync"] else { unreachable!() };
    assert_eq!(policy.keys, ["partner"]);
    assert!(policy.profile.needs_nonce && policy.profile.needs_algorithm && policy.profile.tag.is_none());
    let lax = signed_text().replace(
        "keys: [partner]",
        "keys: [partner], signature: { nonce: optional, alg: optional, tag: gnap }",
    );
    let edge = parse(Path::new("edge.yaml"), &lax, &nothing_set).unwrap();
    let Policy::Signed(lax) = &edge.policies["sync"] else { unreachable!() };
    let profile = &lax.profile;
    assert_eq!(
        (profile.needs_nonce, profile.needs_algorithm, profile.tag.as_deref()),
        (false, false, Some("gnap"))
    );
    assert!(policy.addresses[0].contains("192.0.2.255".parse().unwrap()));
    assert!(!policy.addresses[0].contains("192.0.3.0".parse().unwrap()));
}

#[test]
fn each_of_these_is_a_fault_of_signed_requests() {
    let cases = [
        ("signatures: { keys: signing-keys.yaml, headers: [content-type] }", "", "needs signatures"),
        ("keys: signing-keys.yaml, headers", "headers", "has no `keys`"),
        ("keys: signing-keys.yaml", "keys: \"\"", "is empty"),
        ("headers: [content-type]", "max_age_seconds: 0", "from 1 to 3600"),
        ("headers: [content-type]", "skew_seconds: 301", "from 0 to 300"),
        ("headers: [content-type]", "max_body_bytes: 1048577", "from 1 to 1048576"),
        ("headers: [content-type]", "headers: [Content-Type]", "lower-case letters"),
        ("headers: [content-type]", "headers: [cookie]", "does not arrive as it was sent"),
        ("headers: [content-type]", "headers: [x-forwarded-a]", "is reserved and never arrives"),
        ("headers: [content-type]", "header: [content-type]", "did you mean `headers`?"),
        ("keys: [partner], ", "", "has no `keys`"),
        ("keys: [partner]", "keys: []", "no caller would pass"),
        ("keys: [partner]", "keys: [Partner]", "is not a valid name"),
        (", addresses: [192.0.2.0/24, \"2001:db8::/32\"]", "", "has no `addresses`"),
        ("[192.0.2.0/24, \"2001:db8::/32\"]", "[]", "no caller would pass"),
        ("192.0.2.0/24", "192.0.2.1/24", "write 192.0.2.0/24"),
        ("192.0.2.0/24", "192.0.2.0", "an address and a length"),
        ("192.0.2.0/24", "\"::ffff:192.0.2.0/120\"", "the IPv4 address itself"),
        ("keys: [partner], ", "keys: [partner], signature: { nonce: never }, ", "`nonce` of `signature` of"),
        ("keys: [partner], ", "keys: [partner], signature: { alg: false }, ", "`alg` of `signature` of"),
        ("keys: [partner], ", "keys: [partner], signature: { tag: \"\" }, ", "`tag` of `signature` of"),
        ("keys: [partner], ", "keys: [partner], signature: { tag: 'a\"b' }, ", "without quotes"),
        ("keys: [partner], ", "keys: [partner], signature: { nonse: optional }, ", "did you mean `nonce`?"),
        ("kind: signed", "kind: sigend", "did you mean `signed`?"),
        ("kind: signed", "kind: internal", "has no field `addresses`"),
    ];
    for (old, new, expected) in cases {
        let text = signed_text();
        assert!(text.contains(old), "{old:?} is not there");
        let message = faults_of(&text.replacen(old, new, 1)).to_string();
        assert!(
            message.contains(expected),
            "replacing {old:?} by {new:?} should say {expected:?}:\n{message}"
        );
        assert!(message.contains("edge.yaml:"), "no place in:\n{message}");
    }
}

/// A policy that asks for what no credential says would refuse every caller. It is a warning, so that a file can be written
/// in steps.
#[test]
fn a_policy_that_no_caller_can_meet_is_a_warning() {
    let warned = |claims: &str, policy: &str| {
        let text = dev_text().replacen(
            "policies:\n",
            &format!("policies:\n  asks: {{ kind: session, {policy} }}\n"),
            1,
        );
        let start = text.find("sessions:\n").unwrap();
        let end = start + text[start..].find("\n\n").unwrap();
        let sessions = format!(
            "sessions: {{ cookie: t, issuer: a, audience: x, keys: {{ file: k.json }}, claims: {{ {claims} }} }}"
        );
        let text = format!("{}{sessions}{}", &text[..start], &text[end..]);
        let (_, warnings) = edge_config::inspect_text(Path::new("edge.yaml"), &text, &nothing_set).unwrap();
        warnings.to_string()
    };
    for (claims, policy, expected) in [
        ("session: sid", "tenant: { header: x-workspace }", "policy `asks` compares the tenant"),
        ("session: sid", "role: 1", "policy `asks` asks for a role as a level"),
        ("role: level", "roles: { any: [admin] }", "policy `asks` asks for roles by name"),
        ("roles: groups", "role: 1", "policy `asks` asks for a role as a level"),
    ] {
        let text = warned(claims, policy);
        assert!(text.contains(expected) && text.contains("edge.yaml:"), "{claims}, {policy}:\n{text}");
    }
    for (claims, policy) in [
        ("tenant: org", "tenant: { header: x-workspace }"),
        ("tenant: { constant: acme }", "tenant: { header: x-workspace }"),
        ("tenant: { host: \"*.a.test\" }", "tenant: { header: x-workspace }"),
        ("role: level", "role: 1"),
        ("roles: groups", "roles: { any: [admin] }"),
        ("session: sid", "scopes: [read]"),
    ] {
        let text = warned(claims, policy);
        assert!(!text.contains("policy `asks`"), "{claims}, {policy}:\n{text}");
    }
}

#[test]
fn api_keys_and_legacy_sessions() {
    use edge_config::edge::{AcceptedCredential, LegacyVerifier};
    let accept = "[session, api-key, legacy-session]";
    let edit = |edits: &[(&str, &str)]| {
        let mut text = dev_text().replacen("tenants: {", "api_keys: { file: keys.jsonl }\n\ntenants: {", 1);
        text = text.replacen("[session, legacy-session]", accept, 1);
        for (old, new) in edits {
            assert!(text.contains(old), "{old:?} is not in the file");
            text = text.replacen(old, new, 1);
        }
        parse(Path::new("edge.yaml"), &text, &nothing_set)
    };
    let edge = edit(&[]).unwrap();
    let Policy::Session(policy) = &edge.policies["signed-in"] else { panic_with_text("no session policy") };
    assert_eq!(policy.accepted()[2], AcceptedCredential::LegacySession);
    assert_eq!(edge.api_keys.unwrap().headers, ["x-api-key"]);
    let LegacyVerifier::Check(check) = edge.legacy_sessions.unwrap().verify else {
        panic_with_text("no check")
    };
    assert_eq!(check.url(), "http://127.0.0.1:3000/auth/token");
    assert!(check.backend.request_headers.values().any(|value| value == "true"));
    assert_eq!((check.cache.as_millis(), check.timeout.as_millis()), (1_000, 150));

    let password = "redis: { url: \"redis://:hidden@127.0.0.1/\", key_prefix: \"s:\" }";
    let with_store = edit(&[("check: { backend: legacy, path: /auth/token }", password)]).unwrap();
    assert!(!format!("{with_store:?}").contains("hidden"), "a password shows");
    for url in [
        "redis+sentinel://:word@127.0.0.1:26379,localhost/main",
        "rediss+sentinel://a.test,b.test/main",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "rediss+cluster://a.test?ca=/ca.pem",
    ] {
        let store = format!("redis: {{ url: \"{url}\" }}");
        assert!(edit(&[("check: { backend: legacy, path: /auth/token }", &store)]).is_ok(), "{url}");
    }
    let only_keys = edit(&[("[session, api-key, legacy-session]", "[api-key]")]).unwrap();
    let Policy::Session(policy) = &only_keys.policies["signed-in"] else {
        panic_with_text("no session policy")
    };
    assert!(!policy.accepts(AcceptedCredential::Session));

    for (old, new, expected) in [
        ("api_keys: { file: keys.jsonl }\n", "", "accepts `api-key`, and the file has no `api_keys`"),
        ("[session, api-key, legacy-session]", "[session, apikey]", "did you mean `api-key`?"),
        ("[session, api-key, legacy-session]", "[session, session]", "lists `session` twice"),
        ("[session, api-key, legacy-session]", "[]", "accepts nothing"),
        ("file: keys.jsonl", "file: keys.jsonl, header: X-Api-Key", "lower-case"),
        ("file: keys.jsonl", "file: keys.jsonl, header: cookie", "a header of its own"),
        ("file: keys.jsonl", "file: keys.jsonl, header: a, headers: [b]", "`header` and `headers`"),
        ("file: keys.jsonl", "file: keys.jsonl, headers: [a, a]", "names \"a\" twice"),
        ("file: keys.jsonl", "file: keys.jsonl, headers: []", "names 0 headers"),
        ("file: keys.jsonl", "file: keys.jsonl, header: x-envoy-key", "is reserved"),
        ("file: keys.jsonl", "file: keys.jsonl, header: x-host", "is reserved"),
        ("  tenant: 00000000-0000-7000-8000-000000000001\n", "", "has no `tenant`"),
        ("00000000-0000-7000-8000-000000000001\n  role", "\"\"\n  role", "write the tenant's id"),
        ("backend: legacy,", "backend: legcy,", "did you mean `legacy`?"),
        ("path: /auth/token } }", "path: auth/token } }", "begins with `/`"),
        ("path: /auth/token } }", "path: /auth/token, cache_ms: 5001 } }", "from 0 to 5000"),
        ("path: /auth/token } }", "path: /auth/token, timeout_ms: 200 } }", "Envoy waits 200 ms"),
        ("check: { backend: legacy, path: /auth/token }", "", "needs either `redis` or `check`"),
        ("check: { backend", "redis: { url: \"redis://x\" }, check: { backend", "exactly one"),
        (
            "check: { backend: legacy, path: /auth/token }",
            "redis: { url: \"http://x\" }",
            "redis://host:port",
        ),
        (
            "check: { backend: legacy, path: /auth/token }",
            "redis: { url: \"redis+other://x\" }",
            "redis+cluster://host:port",
        ),
        ("check: { backend: legacy, path: /auth/token }", "redis: true", "write a mapping"),
    ] {
        let message = edit(&[(old, new)]).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
}

#[test]
fn permissions_and_service_tokens_are_checked() {
    let with_permission = "services: [auth], permissions: [users.read] }";
    let text = dev_text()
        .replacen("keys/auth.jwks.json\" }", "keys/auth.jwks.json\", permissions: [users.read], tenants: [00000000-0000-7000-8000-000000000001] }", 1)
        .replacen("services: [auth] }", with_permission, 1)
        .replacen("policies:\n", "service_tokens: { issuer: auth, keys: t.json }\npolicies:\n", 1);
    let edge = parse(Path::new("edge.yaml"), &text, &nothing_set).unwrap();
    let Policy::Internal(policy) = &edge.policies["account-lookup"] else { unreachable!() };
    assert_eq!(policy.permissions, ["users.read"]);
    assert_eq!(edge.service_tokens.unwrap().issuer, "auth");
    let [listed, other] = ["00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"]
        .map(|t| t.parse().unwrap());
    let tenants = |text: &str| {
        let edge = parse(Path::new("edge.yaml"), text, &nothing_set).unwrap();
        edge.services[&"auth".parse().unwrap()].tenants.clone()
    };
    assert!(tenants(&text).include(&listed) && !tenants(&text).include(&other));
    let any = text.replacen("[00000000-0000-7000-8000-000000000001]", "any", 1);
    assert!(tenants(&any).include(&other));
    assert!(!tenants(&dev_text()).include(&listed), "a tenant that is not listed is not allowed");
    for (old, new, expected) in [
        (with_permission, "permissions: [users.raed] }", "did you mean `users.read`?"),
        (with_permission, "permissions: [users.read, users.read] }", "twice"),
        (with_permission, "permissions: [\"a b\"] }", "visible characters"),
        ("tenants: [00000000-0000-7000-8000-000000000001]", "tenants: every", "write a list"),
        ("tenants: [00000000-0000-7000-8000-000000000001]", "tenants: [\"a\\tb\"]", "id, or `tenants: any`"),
        ("issuer: auth, ", "", "has no `issuer`"),
        ("keys: t.json", "kees: t.json", "has no `keys`"),
    ] {
        assert!(text.contains(old), "{old:?} is not there");
        let message = faults_of(&text.replacen(old, new, 1)).to_string();
        assert!(
            message.contains(expected),
            "replacing {old:?} by {new:?} should say {expected:?}:\n{message}"
        );
    }
}
