use super::*;

#[test]
fn a_report_is_shown_in_words() {
    let report = serde_json::json!({ "now_ms": 600_000, "routes": { "books": {
        "reference": "legacy", "shadow": "users", "compared": 10, "different": 4,
        "since": "version", "since_ms": 60_000, "samples_forgotten": 0,
        "by_kind": { "header_missing": 1 }, "dropped": 2, "dropped_by": { "moved": 2 },
        "noise": [{ "kind": "body_value", "place": "/at", "seen": 3 }],
        "samples": [{ "count": 4, "first_ms": 120_000, "at_ms": 590_000, "request_id": "b", "request_ids": ["b", "a"],
            "method": "GET", "target": "/books?q=…", "more": 1,
            "differences": [{ "kind": "header_missing", "place": "etag", "reference": "\"1\"", "shadow": null }] }],
    } } });
    let expected = "books: users beside legacy\n  10 compared, 4 different: 1 header_missing\n  since 9 min ago, restarted because the version changed\n  \
         2 not compared: 2 moved\n  noise: body_value /at\n  4 times, 8 min ago to 10 s ago, such as GET /books?q=…  (b, a)\n    \
         header_missing etag: \"\\\"1\\\"\" → nothing\n    and 1 more\n";
    assert_eq!(text(&serde_json::from_value(report).unwrap()), expected);
    assert!(text(&Report { now_ms: 0, routes: BTreeMap::new() }).starts_with("No request was copied yet"));
}

#[test]
fn only_a_valid_route_name_is_sent_to_the_comparator() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    assert!(report(nowhere, Some("a b")).unwrap_err().contains("invalid route name"));
    assert!(report(nowhere, None).unwrap_err().contains("does not answer"));
}
