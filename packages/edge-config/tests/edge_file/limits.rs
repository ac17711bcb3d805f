//! What a limit may count by.

use std::path::Path;

use edge_config::parse;

use super::{dev_text, limits, nothing_set};

#[test]
fn a_limit_counts_by_a_key_that_callers_of_the_policy_have() {
    let with = |per: &str, route: &str, more: &str| {
        let text =
            dev_text().replacen("limits:\n", &limits(&format!("{{ per: {per}, rate: 6, seconds: 60 }}")), 1);
        let line = text.lines().find(|line| line.contains(&format!("name: {route},"))).unwrap().to_owned();
        let limited =
            line.replace(", limits: [codes]", "").replace(" }", &format!(", limits: [calm{more}] }}"));
        parse(Path::new("edge.yaml"), &text.replace(&line, &limited), &nothing_set)
    };
    for (per, public, person, service) in [
        ("subject", false, true, false),
        ("tenant", false, true, false),
        ("session", false, true, false),
        ("service", false, false, true),
        ("api-key", false, false, false),
        ("address", true, true, true),
        ("route", true, true, true),
    ] {
        for (route, known) in [("auth-code", public), ("books", person), ("users-lookup", service)] {
            match (with(per, route, ""), known) {
                (Ok(edge), true) => {
                    assert_eq!(edge.routes.iter().find(|r| r.name == route).unwrap().limits, ["calm"]);
                    let calm = &edge.limits["calm"];
                    assert_eq!(
                        (calm.per.as_str(), calm.quota.burst, calm.quota.interval_micros()),
                        (per, 6, 10_000_000)
                    );
                }
                (Err(faults), false) => {
                    let message = faults.to_string();
                    assert!(
                        message.contains(&format!("which counts by {per}; callers of its policy")),
                        "{message}"
                    );
                    assert!(
                        message.contains("there are: ") && message.contains("address, route"),
                        "{message}"
                    );
                }
                (Ok(_), false) => panic_at(per, route, "should be refused"),
                (Err(faults), true) => panic_at(per, route, &faults.to_string()),
            }
        }
    }
    let twice = with("address", "books", ", calm").unwrap_err().to_string();
    assert!(twice.contains("lists `calm` twice"), "{twice}");
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn panic_at(per: &str, route: &str, what: &str) {
    panic!("{per} on {route}: {what}")
}
