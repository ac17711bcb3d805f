//! Quotas of single keys and plans, and the limits that say what is left.

use std::path::Path;
use std::time::Duration;

use edge_config::edge::{Limit, Quota, RateHeaders};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn with(limit: &str) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(&file).expect("the development edge is there");
    assert!(text.contains("limits:\n"), "the development edge has no limits");
    edge_config::parse(
        &file,
        &text.replacen("limits:\n", &format!("limits:\n  tried: {limit}\n"), 1),
        &|_| None,
    )
}

#[expect(clippy::expect_used, reason = "a test fails by panicking")]
fn limit(limit: &str) -> Limit {
    with(limit).expect("it loads").limits.remove("tried").expect("it is there")
}

const fn quota(rate: u32, seconds: u64, burst: u32) -> Quota {
    Quota { rate, period: Duration::from_secs(seconds), burst }
}

#[test]
fn a_quota_of_its_own_inherits_what_it_leaves_out() {
    let tenants = limit(
        "{ per: tenant, rate: 600, seconds: 60, burst: 20, overrides: { big-customer: { rate: 6000 }, \"a b|c\": { seconds: 3600, burst: 1 } } }",
    );
    assert_eq!(tenants.quota, quota(600, 60, 20));
    assert_eq!(tenants.overrides["big-customer"], quota(6000, 60, 20));
    assert_eq!(tenants.overrides["a b|c"], quota(600, 3600, 1));
    assert_eq!(tenants.headers, RateHeaders::Refusals);
    let keys = limit(
        "{ per: api-key, rate: 60, seconds: 60, plans: { gold: { rate: 600, burst: 99 } }, headers: always }",
    );
    assert_eq!((keys.plans["gold"], keys.headers), (quota(600, 60, 99), RateHeaders::Always));
}

#[test]
fn each_of_these_is_a_fault() {
    for (text, part) in [
        (
            "{ per: address, rate: 1, seconds: 1, overrides: { \"192.0.2.1\": { rate: 2 } } }",
            "it counts by address",
        ),
        ("{ per: route, rate: 1, seconds: 1, overrides: { books: { rate: 2 } } }", "it counts by route"),
        (
            "{ per: subject, rate: 1, seconds: 1, plans: { gold: { rate: 2 } } }",
            "only API keys and tenants carry a plan",
        ),
        (
            "{ per: tenant, rate: 1, seconds: 1, overrides: { a: { rate: 0 } } }",
            "`rate` of `overrides` of limit `tried` for `a` is 0",
        ),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: { a: { rates: 2 } } }", "has no field `rates`"),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: { a: { per: subject } } }", "has no field `per`"),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: { a: 5 } }", "for `a` is a number"),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: { 5: { rate: 2 } } }", "write the key in quotes"),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: { \"\": { rate: 2 } } }", "is not a valid key"),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: { \"a\\nb\": { rate: 2 } } }", "is not a valid key"),
        (
            "{ per: tenant, rate: 1, seconds: 1, overrides: { a: { rate: 1 } } }",
            "is the same as for every other key",
        ),
        ("{ per: tenant, rate: 1, seconds: 1, overrides: [a] }", "write a mapping"),
        (
            "{ per: tenant, rate: 1, seconds: 1, headers: sometimes }",
            "`headers` of limit `tried` is \"sometimes\"",
        ),
        (
            "{ per: tenant, rate: 1, seconds: 86400, overrides: { a: { burst: 8 } } }",
            "keep it under 604800 s",
        ),
    ] {
        let faults = with(text).unwrap_err().to_string();
        assert!(faults.contains(part), "{text}\n{faults}");
    }
}
