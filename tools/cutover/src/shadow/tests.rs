use super::*;

#[test]
fn a_report_is_told_in_words() {
    let report = serde_json::json!({ "routes": { "books": {
        "reference": "legacy", "shadow": "users", "compared": 10, "different": 1,
        "by_kind": { "header_missing": 1 }, "dropped": 2, "dropped_by": { "moved": 2 },
        "noise": [{ "kind": "body_value", "place": "/at", "seen": 3 }],
        "samples": [{ "at_ms": 1, "request_id": "id", "method": "GET", "target": "/books?q=…", "more": 0,
            "differences": [{ "kind": "header_missing", "place": "etag", "reference": "\"1\"", "shadow": null }] }],
    } } });
    let expected = "books: users beside legacy\n  10 compared, 1 different: 1 header_missing\n  2 not compared: 2 moved\n  \
         noise: body_value /at\n  GET /books?q=…  (id)\n    header_missing etag: \"\\\"1\\\"\" → nothing\n";
    assert_eq!(text(&serde_json::from_value(report).unwrap()), expected);
    assert!(text(&Report { routes: BTreeMap::new() }).starts_with("Nothing was copied yet"));
}

#[test]
fn only_a_name_can_be_asked_for() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    assert!(report(nowhere, Some("a b")).unwrap_err().contains("no name of a route"));
    assert!(report(nowhere, None).unwrap_err().contains("does not answer"));
}
