//! JUnit XML: a suite for each file that was checked, a failed case for each error, a passed one for a file without any.
//! Warnings and notices are the output of the suite's case, because the format knows no warning.

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::{Annotation, Level, Report};

pub(super) fn render(report: &Report) -> String {
    let name = format!("cutover {}", report.command);
    let mut document = Document::new(&name);
    for file in &report.files {
        let mut suite = TestSuite::new(file.display().to_string());
        let of_file: Vec<&Annotation> = report.annotations.iter().filter(|one| one.file == *file).collect();
        for one in of_file.iter().filter(|one| one.level == Level::Error) {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(one.rule).set_message(&one.message).set_description(placed(one));
            let place = one.place.map(|(line, _)| format!(" line {line}")).unwrap_or_default();
            suite.add_test_case(case(&name, format!("{}{place}: {}", one.rule, one.message), status));
        }
        if suite.test_cases.is_empty() {
            let mut passed = case(&name, "no errors".to_owned(), TestCaseStatus::success());
            let others: Vec<String> = of_file.iter().map(|one| placed(one)).collect();
            if !others.is_empty() {
                passed.set_system_out(others.join("\n\n"));
            }
            suite.add_test_case(passed);
        } else if of_file.iter().any(|one| one.level != Level::Error) {
            let others: Vec<String> =
                of_file.iter().filter(|one| one.level != Level::Error).map(|one| placed(one)).collect();
            suite.set_system_out(others.join("\n\n"));
        }
        document.add_test_suite(suite);
    }
    // The document is built here, from text that the library escapes. Without it the exit code still shows the result.
    document.to_string().unwrap_or_default()
}

fn case(class: &str, name: String, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

fn placed(one: &Annotation) -> String {
    let place = one.place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    format!("{}{place}: {}", one.file.display(), one.whole())
}
