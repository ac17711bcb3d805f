//! `cutover lint` and `cutover plan` in the formats of CI systems.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::process::Command;

use serde_json::Value;

const EDGE: &str = include_str!("files/edge.yaml");

/// A directory with edge files, and the program in it.
struct EdgeFolder(tempfile::TempDir);

impl EdgeFolder {
    fn with(files: &[(&str, String)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(place.0.path().join(name), text).unwrap();
        }
        place
    }

    fn cutover(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        let output =
            command.args(arguments).current_dir(&self.0).env_remove("CUTOVER_HOME").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

/// One edge file with a fault at a known place, one without any.
fn faulty() -> EdgeFolder {
    let wrong = EDGE.replacen("policy: public", "policy: \"50%, publik\"", 1);
    assert_ne!(wrong, EDGE);
    EdgeFolder::with(&[("wrong.yaml", wrong), ("right.yaml", EDGE.to_owned())])
}

fn line_of_the_fault() -> u64 {
    let before = EDGE.split("policy: public").next().unwrap();
    u64::try_from(before.matches('\n').count()).unwrap() + 1
}

#[test]
fn sarif_names_rule_file_line_and_fix_of_each_fault() {
    let (code, text) = faulty().cutover(&["lint", "wrong.yaml", "right.yaml", "--format", "sarif"]);
    assert_eq!(code, 64);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    let errors: Vec<&Value> = results.iter().filter(|result| result["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{text}");
    let place = &errors[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "wrong.yaml");
    assert_eq!(place["region"]["startLine"], line_of_the_fault());
    let message = errors[0]["message"]["text"].as_str().unwrap();
    assert!(message.contains("50%, publik") && message.contains("\nhelp: "), "{message}");
    // Every result names a rule that the tool declares (SARIF 2.1.0 §3.27.5).
    let declared: Vec<&Value> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    assert!(results.iter().all(|result| declared.contains(&&result["ruleId"])), "{text}");
}

#[test]
fn github_gets_one_line_for_each_fault_whatever_is_in_it() {
    let (code, text) = faulty().cutover(&["lint", "wrong.yaml", "--format", "github"]);
    assert_eq!(code, 64);
    let start = format!("::error file=wrong.yaml,line={},col=", line_of_the_fault());
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&start)).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("50%25, publik") && lines[0].contains("%0Ahelp: "), "{text}");
    assert!(text.lines().all(|line| line.starts_with("::")), "{text}");
}

#[test]
fn junit_has_a_suite_for_each_file_and_a_failure_for_each_fault() {
    let (code, text) = faulty().cutover(&["lint", "wrong.yaml", "right.yaml", "--format", "junit"]);
    assert_eq!(code, 64);
    let document = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let suites: Vec<(&str, usize, usize)> = document
        .test_suites
        .iter()
        .map(|suite| (suite.name.as_str(), suite.test_cases.len(), suite.failures))
        .collect();
    assert_eq!(suites, [("wrong.yaml", 1, 1), ("right.yaml", 1, 0)], "{text}");
}

#[test]
fn a_warning_fails_no_case_until_warnings_are_denied() {
    let of = |more: &[&str]| {
        let place = EdgeFolder::with(&[("edge.yaml", EDGE.replacen(", limits: [codes]", "", 1))]);
        let (code, text) = place.cutover(&[&["lint", "edge.yaml", "--format", "junit"], more].concat());
        let document = quick_junit::Report::deserialize_from_str(&text).unwrap();
        (code, document.failures > 0)
    };
    assert_eq!(of(&["--deny-warnings"]), (64, true));
    assert_eq!(of(&[]), (0, false));
}

#[test]
fn a_plan_is_an_error_where_something_becomes_weaker_and_a_notice_elsewhere() {
    let weaker = EDGE.replacen("policy: signed-in", "policy: public", 1);
    let place = EdgeFolder::with(&[("old.yaml", EDGE.to_owned()), ("new.yaml", weaker)]);
    let plan = |more: &[&str]| place.cutover(&[&["plan", "old.yaml", "new.yaml"], more].concat());
    let (code, text) = plan(&["--format", "github"]);
    assert_eq!(code, 1);
    assert!(text.contains("::error file=new.yaml,title=cutover plan%3A weaker::"), "{text}");
    let (code, text) = plan(&["--format", "github", "--allow-weaker"]);
    assert_eq!((code, text.contains("::error")), (0, false), "{text}");
    let (_, text) = plan(&["--format", "sarif"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["runs"][0]["results"][0]["ruleId"], "weaker");
    let (_, text) = plan(&["--format", "junit"]);
    assert!(quick_junit::Report::deserialize_from_str(&text).unwrap().failures > 0, "{text}");
    // A file that is not there has no plan in any format.
    assert_eq!(place.cutover(&["plan", "old.yaml", "gone.yaml", "--format", "sarif"]), (64, String::new()));
}
