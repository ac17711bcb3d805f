use super::*;

fn outcome(name: &str, findings: Vec<Finding>) -> Outcome {
    Outcome {
        name: name.to_owned(),
        source: "a.hurl:1".to_owned(),
        request: format!("GET /{name}"),
        protocol: "h1".to_owned(),
        sides: (!findings.is_empty()).then(|| ("a\n<b>\n".to_owned(), "a\nc\n".to_owned())),
        findings,
        ..Outcome::default()
    }
}

fn finding(kind: &'static str, place: &str, expected: Option<&str>, actual: Option<&str>) -> Finding {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Finding {
        kind,
        place: place.to_owned(),
        expected: owned(expected),
        actual: owned(actual),
        at: String::new(),
    }
}

fn outcomes() -> Vec<Outcome> {
    let missing = || finding("header_missing", "etag", Some("<x>"), None);
    let mut failed = outcome("d", Vec::new());
    failed.failed = Some("the connection failed".to_owned());
    let status = finding("status", "", Some("200"), Some("204"));
    vec![
        outcome("a", vec![missing()]),
        outcome("b", vec![status, missing()]),
        outcome("c", Vec::new()),
        failed,
    ]
}

#[test]
fn equal_differences_stand_together_and_the_sum_is_in_the_last_line() {
    let outcomes = outcomes();
    let report = Report { title: "golden against x".to_owned(), outcomes: &outcomes, skipped: &[] };
    let expected = "header_missing (a header is missing) etag  (2 requests)\n  expected: <x>\n  actual:   (absent)\n    GET /a  [a, a.hurl:1]\n    GET /b  [b, a.hurl:1]\n\nstatus (another status)\n  expected: 200\n  actual:   204\n    GET /b  [b, a.hurl:1]\n\nnot compared: the connection failed\n    GET /d  [d, a.hurl:1]\n\ngolden against x: 1 of 4 requests equal, 3 differences, 1 not compared\n";
    assert_eq!(report.text(), expected);
    assert!(!report.is_equal());
    let json = report.json();
    assert_eq!(json["groups"][0]["count"], 2);
    assert_eq!(json["exchanges"][1]["differences"][0]["actual"], "204");
    assert_eq!(json["exchanges"][2]["equal"], true);
}

#[test]
fn a_page_shows_both_sides_and_runs_nothing_of_an_answer() {
    let outcomes = outcomes();
    let report = Report { title: "<script>".to_owned(), outcomes: &outcomes, skipped: &[] };
    let page = html::render(&report);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    assert!(
        page.contains("<mark>&lt;b&gt;&#8203;</mark>") && page.contains("<mark>c&#8203;</mark>"),
        "{page}"
    );
    assert!(page.contains("<details id=\"b..h1\""));
}

#[test]
fn the_page_shows_characters_that_a_browser_would_not() {
    let report = Report { title: "a\rb\0c\u{7f}".to_owned(), outcomes: &[], skipped: &[] };
    let page = html::render(&report);
    assert!(page.contains("a␍b␀c␡") && !page.contains('\r'), "{page}");
}

#[test]
fn junit_has_a_case_for_each_request() {
    let outcomes = outcomes();
    let report = Report { title: "t".to_owned(), outcomes: &outcomes, skipped: &[] };
    let document = junit::render(&report);
    for part in ["tests=\"4\"", "failures=\"2\"", "errors=\"1\"", "name=\"c\"", "another status", "&lt;x&gt;"]
    {
        assert!(document.contains(part), "{part}: {document}");
    }
}

#[test]
fn invisible_characters_are_shown() {
    let one = finding("body_text", "", Some("a\n"), Some(""));
    assert_eq!(sides(&one), ["expected: \"a\\n\"", "actual:   \"\""]);
}
