use std::io::Write as _;

use super::*;

fn line(route: &str, status: u16, upstream: Option<&str>, decision: Option<&str>) -> String {
    serde_json::json!({
        "route": route, "status": status, "upstream": upstream, "decision": decision, "path": "/", "reason": null,
    })
    .to_string()
}

/// A request that a policy in shadow would have refused.
fn shadow(status: u16, reason: &str) -> String {
    serde_json::json!({
        "route": "shadow", "status": status, "upstream": UP, "decision": "allow", "shadow_reason": reason,
    })
    .to_string()
}

fn report(lines: &[String], least: u64) -> Report {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    read(file.path(), least).unwrap()
}

const UP: Option<&str> = Some("127.0.0.1:3000");

#[test]
fn each_pair_of_verdicts_is_counted_by_itself() {
    let lines = [
        line("books", 200, UP, Some("allow")),
        line("books", 404, UP, Some("allow")),
        line("books", 401, UP, Some("allow")),
        line("books", 403, UP, Some("allow")),
        line("books", 403, UP, Some("allow")),
        line("books", 401, None, Some("deny")),
        line("books", 503, None, Some("error")),
        line("books", 502, UP, Some("allow")),
        line("books", 503, None, Some("allow")),
        shadow(200, "role_too_low"),
        shadow(403, "rate_limited:calm,role_too_low"),
        line("calm", 200, UP, Some("allow")),
        shadow(200, "rate_limited:calm").replace("\"shadow\"", "\"calm\""),
        line("public", 200, UP, None),
        "not json".to_owned(),
        "{}".to_owned(),
    ];
    let report = report(&lines, 1);
    assert_eq!(report.unreadable_lines, 1, "{report:?}");
    let row = |name: &str| report.routes.iter().find(|row| row.route == name).unwrap();
    let books = row("books");
    assert_eq!((books.requests, books.both_allow, books.no_verdict), (9, 2, 2));
    assert_eq!(books.backend_refuses, BTreeMap::from([(401, 1), (403, 2)]));
    assert_eq!(books.edge_refuses, BTreeMap::from([(401, 1), (503, 1)]));
    assert_eq!(books.agreement_percent, Some(40.0));
    assert_eq!(books.verdict, "the backend must go on checking");
    let shadow = row("shadow");
    assert_eq!((shadow.both_refuse, shadow.backend_allows, shadow.agreement_percent), (1, 1, Some(50.0)));
    assert_eq!(
        (row("public").agreement_percent, row("public").verdict.as_str()),
        (None, "nothing to compare")
    );
    let table = table(&report);
    assert!(table.contains("1×401 2×403") && table.contains("40.00 %"), "{table}");
}

#[test]
fn a_backend_may_stop_checking_after_enough_requests_without_a_difference() {
    let mut lines = vec![line("books", 200, UP, Some("allow")); 999];
    assert_eq!(report(&lines, 1_000).routes[0].verdict, "1 more requests");
    lines.push(line("books", 404, UP, Some("allow")));
    let enough = report(&lines, 1_000);
    assert_eq!(enough.routes[0].verdict, "the backend may stop checking");
    assert_eq!(enough.routes[0].agreement_percent, Some(100.0));
    lines.extend(vec![line("books", 200, UP, Some("allow")); 20_000]);
    lines.push(line("books", 403, UP, Some("allow")));
    let once = report(&lines, 1_000);
    assert_eq!(once.routes[0].verdict, "the backend must go on checking");
    assert_eq!(once.routes[0].agreement_percent, Some(99.99), "never rounded up");
}
