//! Webhooks in an edge file.

use std::path::Path;
use std::time::Duration;

use edge_config::edge::{DigestEncoding, Policy, SignedPart, WebhookHash, WebhookTime};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn with(webhook: &str, policy: &str) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(&file).expect("the development edge is there");
    let section = format!("webhooks:\n  partner: {webhook}\n\npolicies:\n  hook: {policy}\n");
    let text = text.replacen("policies:\n", &section, 1);
    let route =
        "routes:\n  - { name: hook, host: api, prefix: /hook, policy: hook, to: legacy, answers: users }\n";
    edge_config::parse(&file, &text.replacen("routes:\n", route, 1), &|_| None)
}

const POLICY: &str = "{ kind: webhook, of: partner, addresses: [203.0.113.0/24] }";

#[test]
fn what_is_left_out_is_what_most_senders_do() {
    let edge = with("{ secret_file: secrets/partner, header: x-hub-signature-256, format: \"sha256={hex}\", body_limit: 256KiB }", POLICY).unwrap();
    let hook = &edge.webhooks["partner"];
    assert_eq!((hook.hash, hook.max_body_bytes, &hook.time), (WebhookHash::Sha256, 262_144, &None));
    assert_eq!((hook.format.before.as_str(), hook.format.digest), ("sha256=", DigestEncoding::Hex));
    assert_eq!(hook.signed, [SignedPart::Body]);
    let Some(Policy::Webhook(policy)) = edge.policies.get("hook") else { panic!("not a webhook") };
    assert_eq!((policy.of.as_str(), policy.addresses.len()), ("partner", 1));

    let edge = with(
        "{ secret_files: [a, b], header: stripe-signature, format: \"t={timestamp},v1={hex}\" }",
        "{ kind: webhook, of: partner }",
    )
    .unwrap();
    let hook = &edge.webhooks["partner"];
    let time = WebhookTime { header: None, tolerance: Duration::from_secs(300), once: true };
    assert_eq!((hook.secrets.len(), &hook.time), (2, &Some(time)));
    assert_eq!(hook.signed, SignedPart::read("{timestamp}.{body}").unwrap());
}

#[test]
fn each_of_these_is_a_fault() {
    let good = "secret_file: a, header: x-signature, format: \"{hex}\"";
    for (webhook, part) in [
        ("{ header: x-signature, format: \"{hex}\" }".to_owned(), "needs a secret"),
        (format!("{{ {good}, secret_files: [b] }}"), "needs a secret"),
        ("{ secret_files: [], header: x-signature, format: \"{hex}\" }".to_owned(), "has 0 files"),
        (
            "{ secret_files: [a, b, c, d, e], header: x-signature, format: \"{hex}\" }".to_owned(),
            "has 5 files",
        ),
        (format!("{{ {good}, algorithm: sha1 }}"), "no longer proves a sender"),
        (format!("{{ {good}, algorithm: sha3 }}"), "`algorithm` of webhook `partner` is \"sha3\""),
        (
            format!("{{ {good}, secret_encoding: binary }}"),
            "`secret_encoding` of webhook `partner` is \"binary\"",
        ),
        ("{ secret_file: a, header: X-Signature, format: \"{hex}\" }".to_owned(), "lower-case letters"),
        ("{ secret_file: a, header: cookie, format: \"{hex}\" }".to_owned(), "lower-case letters"),
        (
            "{ secret_file: a, header: x-forwarded-signature, format: \"{hex}\" }".to_owned(),
            "is reserved and never arrives",
        ),
        ("{ secret_file: a, header: x-signature, format: sha256 }".to_owned(), "no place for a digest"),
        ("{ secret_file: a, header: x-signature, format: \"{sha}\" }".to_owned(), "`{sha}` is not known"),
        ("{ secret_file: a, header: x-signature, format: \"{hex}{hex}\" }".to_owned(), "2 places"),
        (format!("{{ {good}, separator: ab }}"), "`separator` of webhook `partner` is \"ab\""),
        (format!("{{ {good}, timestamp: {{ tolerance_seconds: 5 }} }}"), "needs exactly one place"),
        (
            format!("{{ {good}, timestamp: {{ header: x-time, tolerance_seconds: 0 }} }}"),
            "write a whole number from 1 to 3600",
        ),
        (format!("{{ {good}, timestamp: {{ header: x-time }}, signed: \"{{body}}\" }}"), "is not signed"),
        (format!("{{ {good}, signed: \"{{timestamp}}.{{body}}\" }}"), "nothing says where it is"),
        (format!("{{ {good}, signed: \"body\" }}"), "has to contain `{body}` once"),
        (format!("{{ {good}, signed: \"{{body}}{{body}}\" }}"), "has to contain `{body}` once"),
        (format!("{{ {good}, signed: \"{{url}}{{body}}\" }}"), "`{url}` is not known"),
        (format!("{{ {good}, signed: \"{{header:x-id}}{{body}}\" }}"), "nothing separates"),
        (format!("{{ {good}, signed: \"{{header:Cookie}}.{{body}}\" }}"), "not a header that can be signed"),
        (format!("{{ {good}, body_limit: 2MiB }}"), "write a size of 1 to 1048576 bytes"),
        (format!("{{ {good}, body_limit: 64KB }}"), "write a size"),
        (format!("{{ {good}, body_limit: 0 }}"), "write a whole number"),
        (format!("{{ {good}, secret: hunter2hunter2 }}"), "has no field `secret`"),
    ] {
        let faults = with(&webhook, POLICY).unwrap_err().to_string();
        assert!(faults.contains(part), "{webhook}\n{faults}");
    }
    let good = format!("{{ {good} }}");
    for (policy, part) in [
        ("{ kind: webhook }", "has no `of`"),
        ("{ kind: webhook, of: partners }", "`partners`, which does not exist"),
        ("{ kind: webhook, of: partner, addresses: [] }", "is empty"),
        ("{ kind: webhook, of: partner, addresses: [10.0.0.1/8] }", "is \"10.0.0.1/8\""),
        ("{ kind: webhook, of: partner, role: 2 }", "has no field `role`"),
    ] {
        let faults = with(&good, policy).unwrap_err().to_string();
        assert!(faults.contains(part), "{policy}\n{faults}");
    }
    let text = with(&good, POLICY);
    assert!(text.is_ok(), "{text:?}");
}
