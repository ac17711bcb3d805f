use std::io::Write as _;

use super::*;

fn line(route: &str, status: u16, upstream: Option<&str>, decision: Option<&str>) -> String {
    serde_json::json!({
        "route": route, "status": status, "upstream": upstream, "decision": decision, "subject": "s", "path": "/", "reason": null,
    })
    .to_string()
}

/// A request that a policy in shadow would have refused.
fn shadow(status: u16, reason: &str) -> String {
    serde_json::json!({
        "route": "shadow", "status": status, "upstream": UP, "decision": "allow", "subject": "s", "shadow_reason": reason,
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
        line("books", 302, UP, Some("allow")),
        line("books", 204, UP, Some("lease")),
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
    assert_eq!((books.requests, books.both_allow, books.no_verdict), (11, 2, 4));
    let by = |counts: &[(&str, u64)]| {
        counts.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(books.backend_refuses, by(&[("401", 1), ("403", 2)]));
    assert_eq!(books.edge_refuses, by(&[("401", 1), ("503", 1)]));
    assert_eq!(books.no_verdict_by, by(&[("302", 1), ("404", 1), ("502", 1), ("503", 1)]));
    assert_eq!(row("public").no_verdict_by, by(&[("public", 1)]));
    assert_eq!(books.agreement_percent, Some(40.0));
    assert_eq!(books.verdict, "the backend must keep checking");
    let shadow = row("shadow");
    assert_eq!((shadow.both_refuse, shadow.backend_allows, shadow.agreement_percent), (1, 1, Some(50.0)));
    assert_eq!(
        (row("public").agreement_percent, row("public").verdict.as_str()),
        (None, "nothing to compare")
    );
    let table = table(&report);
    assert!(
        table.contains("1×401 2×403")
            && table.contains("40.00 %")
            && table.contains("1×302 1×404 1×502 1×503")
            && table.contains("keep checking (4 of 11 had no verdict)"),
        "{table}"
    );
}

#[test]
fn a_backend_may_stop_checking_after_enough_requests_without_a_difference() {
    let mut lines = vec![line("books", 200, UP, Some("allow")); 999];
    assert_eq!(report(&lines, 1_000).routes[0].verdict, "1 more requests");
    lines.push(line("books", 404, UP, Some("allow")));
    lines.push(line("books", 302, UP, Some("allow")));
    assert_eq!(report(&lines, 1_000).routes[0].verdict, "1 more requests", "neither is consent");
    lines.push(line("books", 206, UP, Some("allow")));
    let enough = report(&lines, 1_000);
    assert_eq!(enough.routes[0].verdict, "the backend may stop checking");
    assert_eq!(enough.routes[0].agreement_percent, Some(100.0));
    lines.extend(vec![line("books", 200, UP, Some("allow")); 20_000]);
    lines.push(line("books", 403, UP, Some("allow")));
    let once = report(&lines, 1_000);
    assert_eq!(once.routes[0].verdict, "the backend must keep checking");
    assert_eq!(once.routes[0].agreement_percent, Some(99.99), "never rounded up");
}

fn grpc(status: u64) -> String {
    serde_json::json!({
        "route": "calls", "status": 200, "grpc_status": status, "upstream": UP, "decision": "allow", "subject": "s",
    })
    .to_string()
}

#[test]
fn calls_that_a_grpc_backend_refuses_are_refusals_under_their_200() {
    let good = vec![grpc(0); 1_000];
    assert_eq!(report(&good, 1_000).routes[0].verdict, "the backend may stop checking");
    for status in [7, 16] {
        let lines = [good.clone(), vec![grpc(status)]].concat();
        let row = report(&lines, 1_000).routes.remove(0);
        assert_eq!(row.verdict, "the backend must keep checking", "{status}");
        assert_eq!(row.backend_refuses, BTreeMap::from([(format!("grpc {status}"), 1)]));
    }
    for status in [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15] {
        let row = report(&vec![grpc(status); 2_000], 1_000).routes.remove(0);
        assert_eq!((row.verdict.as_str(), row.no_verdict), ("nothing to compare", 2_000), "{status}");
    }
}

#[test]
fn a_redirect_to_a_sign_in_page_is_a_refusal() {
    let to_sign_in = |is: &str| {
        let line = serde_json::json!({ "route": "pages", "status": 302, "sign_in": is, "upstream": UP, "decision": "allow", "subject": "s" });
        line.to_string()
    };
    let row = report(&[to_sign_in("true"), to_sign_in("false")], 1).routes.remove(0);
    assert_eq!(row.backend_refuses, BTreeMap::from([("302 sign-in".to_owned(), 1)]));
    assert_eq!((row.verdict.as_str(), row.no_verdict), ("the backend must keep checking", 1));
}
