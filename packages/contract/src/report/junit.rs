//! The report as JUnit XML: a case for each request.

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::{Report, heading, sides};

/// The document.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let mut document = Document::new("cutover contract");
    let mut suite = TestSuite::new(report.title.clone());
    for outcome in report.outcomes {
        let status = match (&outcome.failed, outcome.findings.as_slice()) {
            (Some(why), _) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_type("not compared").set_message(why);
                status
            }
            (None, []) => TestCaseStatus::success(),
            (None, [first, ..]) => {
                let all: Vec<String> = outcome
                    .findings
                    .iter()
                    .map(|one| format!("{}\n  {}", heading(one), sides(one).join("\n  ")))
                    .collect();
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type(first.kind).set_message(heading(first)).set_description(all.join("\n\n"));
                status
            }
        };
        let mut name = outcome.name.clone();
        for part in [&outcome.principal, &outcome.protocol] {
            if !part.is_empty() && part != "h1" {
                name.push_str(&format!(" {part}"));
            }
        }
        let mut case = TestCase::new(name, status);
        case.set_classname(outcome.source.clone());
        suite.add_test_case(case);
    }
    document.add_test_suite(suite);
    // The document is built here, from text that the library escapes. Without it the exit code still shows the result.
    document.to_string().unwrap_or_default()
}
