//! What a change of a quota or of a webhook lets through.

use std::path::Path;

use edge_config::Edge;

use super::{Plan, plan};

const DEV: &str = include_str!("../../tests/files/edge.yaml");

fn edge(text: &str) -> Edge {
    edge_config::parse(Path::new("edge.yaml"), text, &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}

fn because(plan: &Plan) -> String {
    plan.requests.iter().flat_map(|(_, finding)| finding.because.clone()).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn compared(old: &Edge, new: &Edge, weaker: bool, expected: &str) {
    let plan = plan(old, new);
    assert_eq!(plan.weaker(), weaker, "{}", because(&plan));
    assert!(because(&plan).contains(expected), "{expected}\n{}", because(&plan));
}

#[test]
fn each_quota_is_compared_with_what_its_key_had() {
    let with = |rest: &str| {
        let limits = format!(
            "\nlimits: {{ people: {{ per: subject, rate: 600, seconds: 60, burst: 10{rest} }} }}\n\npolicies:\n"
        );
        let text = DEV.replace("\npolicies:\n", &limits);
        edge(&text.replace(
            "policy: signed-in, to: users, answers: users",
            "policy: signed-in, to: users, answers: users, limits: [people]",
        ))
    };
    let (base, big) = (with(""), with(", overrides: { big: { rate: 6000 } }"));
    compared(&base, &big, true, "limit `people` for subject `big` raised from 600 in 60 s to 6000 in 60 s");
    compared(&big, &base, false, "limit `people` for subject `big` lowered from 6000 in 60 s to 600 in 60 s");
    let small = with(", overrides: { big: { rate: 60, burst: 20 } }");
    compared(&base, &small, true, "burst of limit `people` for subject `big` raised from 10 to 20");
    compared(&base, &with(", headers: always"), false, "limit `people` is shown also on permitted answers");
    assert!(plan(&big, &big).is_empty());
}

#[test]
fn a_webhook_that_proves_less_is_weaker() {
    let with = |webhook: &str, policy: &str| {
        let section = format!("\nwebhooks:\n  partner: {webhook}\n\npolicies:\n  hook: {policy}\n");
        let text = DEV.replace("\npolicies:\n", &section);
        edge(&text.replace("routes:\n", "routes:\n  - { name: hook, host: api, prefix: /hook, policy: hook, to: users, answers: users }\n"))
    };
    let hook = "{ secret_file: a, header: x-sign, format: \"t={timestamp},v1={hex}\" }";
    let (open, closed) =
        ("{ kind: webhook, of: partner }", "{ kind: webhook, of: partner, addresses: [192.0.2.0/24] }");
    let base = with(hook, closed);
    compared(&base, &with(hook, open), true, "every address passes");
    compared(&with(hook, open), &base, false, "only listed addresses pass");
    compared(
        &base,
        &with("{ secret_file: a, header: x-sign, format: \"v1={hex}\" }", closed),
        true,
        "a signature is valid for ever",
    );
    for (time, weaker, expected) in [
        ("tolerance_seconds: 600", true, "the age of a signature raised from 300 s to 600 s"),
        ("tolerance_seconds: 60", false, "the age of a signature lowered from 300 s to 60 s"),
        ("once: false", true, "a signature is accepted several times"),
    ] {
        let hook = format!(
            "{{ secret_file: a, header: x-sign, format: \"t={{timestamp}},v1={{hex}}\", timestamp: {{ {time} }} }}"
        );
        compared(&base, &with(&hook, closed), weaker, expected);
    }
    compared(&base, &with(hook, "{ kind: public }"), true, "becomes public");
}
