//! Leases in an edge file.

use std::path::Path;
use std::time::Duration;

use edge_config::edge::{LeaseMethods, LeasePolicy, Leases, OnOutage, Policy};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn dev_with(changes: &[(&str, &str)]) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let mut text = std::fs::read_to_string(&file).expect("the development edge is there");
    for (old, new) in changes {
        assert!(text.contains(old), "the development edge no longer says {old}");
        text = text.replacen(old, new, 1);
    }
    edge_config::parse(&file, &text, &|_| None)
}

const BOT: &str = "bot: { kind: session, role: 2 }";

fn lease_of_bot(edge: &Edge) -> Option<LeasePolicy> {
    match edge.policies.get("bot") {
        Some(Policy::Session(policy)) => policy.lease,
        Some(
            Policy::Public(_)
            | Policy::Internal(_)
            | Policy::Signed(_)
            | Policy::Webhook(_)
            | Policy::Certificate(_),
        )
        | None => None,
    }
}

#[test]
fn a_lease_has_a_lifetime_uses_methods_and_an_outage_rule() {
    let full =
        "bot: { kind: session, role: 2, lease: { seconds: 25, uses: 7, methods: all, on_outage: lease } }";
    let edge = dev_with(&[(BOT, full), ("\nanswers:", "\nleases: { slots: 64 }\nanswers:")]).unwrap();
    let lease = LeasePolicy {
        lifetime: Duration::from_secs(25),
        uses: 7,
        methods: LeaseMethods::All,
        on_outage: OnOutage::Lease,
    };
    assert_eq!((lease_of_bot(&edge), edge.leases), (Some(lease), Leases { slots: 64 }));

    let edge = dev_with(&[(BOT, "bot: { kind: session, role: 2, lease: {} }")]).unwrap();
    let lease = lease_of_bot(&edge).unwrap();
    assert_eq!((lease.methods, lease.on_outage), (LeaseMethods::Safe, OnOutage::Deny));
    assert_eq!(lease_of_bot(&dev_with(&[]).unwrap()), None);
}

#[test]
fn each_of_these_is_a_fault_of_a_lease() {
    for (policy, part) in [
        ("lease: { seconds: 26 }", "write a whole number from 1 to 25"),
        ("lease: { uses: 0 }", "write a whole number from 1 to 1000000"),
        ("lease: { methods: unsafe }", "`methods` of `lease` is \"unsafe\""),
        ("lease: { on_outage: allow }", "`on_outage` of `lease` is \"allow\""),
        ("lease: { second: 1 }", "`lease` of policy `bot` has no field `second`"),
        ("mode: shadow, lease: {}", "every request must be checked"),
        ("tenant: { path_segment: 2 }, lease: {}", "fits one request only"),
    ] {
        let text = format!("bot: {{ kind: session, role: 2, {policy} }}");
        let faults = dev_with(&[(BOT, &text)]).unwrap_err().to_string();
        assert!(faults.contains(part), "{policy}:\n{faults}");
    }
    let faults = dev_with(&[("\nanswers:", "\nleases: { slots: 8 }\nanswers:")]).unwrap_err().to_string();
    assert!(faults.contains("from 16 to 1048576"), "{faults}");
}

#[test]
fn only_routes_whose_limits_a_lease_can_carry_are_leased() {
    let me = "exact: /users/@me, policy: signed-in, to: users, answers: users";
    let policy = ("[session, legacy-session] }", "[session, legacy-session], lease: {} }");
    for (limit, leased) in [
        ("{ per: subject, rate: 5, seconds: 1 }", true),
        ("{ per: tenant, rate: 5, seconds: 1 }", true),
        ("{ per: address, rate: 5, seconds: 1 }", false),
        ("{ per: session, rate: 5, seconds: 1 }", false),
        ("{ per: subject, rate: 5, seconds: 1, mode: shadow }", false),
    ] {
        let limits = format!("limits:\n  calm: {limit}\n");
        let route = format!("{me}, limits: [calm]");
        let edge = dev_with(&[("limits:\n", &limits), (me, &route), policy]).unwrap();
        let route = edge.routes.iter().find(|route| route.name == "users-me").unwrap();
        assert_eq!(edge.lease_of(route).is_some(), leased, "{limit}");
    }
    let edge = dev_with(&[policy]).unwrap();
    let leased = |name: &str| edge.routes.iter().find(|r| r.name == name).and_then(|r| edge.lease_of(r));
    assert!(leased("books").is_some());
    assert!(leased("web").is_none() && leased("users-lookup").is_none());
}
