//! `cutover lint` reports every fault of an edge file at once, and those of the files that it names.
//!
//! With a *fault* an edge file cannot be used. With a *warning* it probably should not be: a public route accepts POST
//! without a limit, or a key file does not exist yet. Warnings alone end with 0 unless `--deny-warnings` is given.

mod certificates;
mod files;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use edge_config::{Edge, Environment, Fault, Faults, Severity};
use serde_json::{Value, json};

use crate::annotate::{Annotation, Format, Level, Report, Rule};
use crate::exit::{DONE, INVALID, exit};
use crate::out;
use crate::render::check_rules;

/// `cutover lint`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Edge files to check.
    #[arg(required = true, value_name = "EDGE_FILE")]
    pub files: Vec<PathBuf>,
    /// How to print faults and warnings.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    pub format: Format,
    /// The same as `--format json`: one array for all files.
    #[arg(long)]
    pub json: bool,
    /// Fail on warnings, too.
    #[arg(long)]
    pub deny_warnings: bool,
}

/// What is wrong with one file.
enum Finding {
    /// Faults and warnings, with their places.
    Faults(Faults),
    /// The file is valid, but the guard rejects the configuration made from it.
    Rules { file: PathBuf, message: String },
}

impl Finding {
    /// Whether the file cannot be used.
    fn prevents(&self, deny_warnings: bool) -> bool {
        match self {
            Self::Faults(faults) => deny_warnings || faults.prevent(),
            Self::Rules { .. } => true,
        }
    }
}

/// The kinds of things that a check finds.
const RULES: &[Rule] = &[
    Rule { name: "fault", about: "The edge file cannot be used." },
    Rule { name: "warning", about: "The edge file can be used, but probably should not be." },
    Rule { name: "rules", about: "The guard rejects the configuration that is made from the edge file." },
];

/// Checks every file and prints all faults and warnings.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let format = if arguments.json { Format::Json } else { arguments.format };
    let mut found = Vec::new();
    for file in &arguments.files {
        let finding = match check(file, environment) {
            Ok((edge, warnings)) => {
                if format == Format::Text && !warnings.prevent() {
                    out::line!(
                        "{}: edge `{}` at revision {}: {} routes, {} policies, {} backends, no faults",
                        file.display(),
                        edge.name,
                        edge.revision,
                        edge.routes.len(),
                        edge.policies.len(),
                        edge.backends.len()
                    );
                }
                (!warnings.faults.is_empty()).then_some(Finding::Faults(warnings))
            }
            Err(finding) => Some(finding),
        };
        found.extend(finding);
    }
    let annotations =
        || found.iter().flat_map(|finding| annotate(finding, arguments.deny_warnings)).collect();
    let report = || Report {
        command: "lint",
        rules: RULES,
        files: arguments.files.clone(),
        annotations: annotations(),
    };
    match format {
        Format::Json => {
            let all: Vec<Value> = found.iter().flat_map(as_json).collect();
            out::line!("{:#}", Value::Array(all));
        }
        Format::Text => {
            for finding in &found {
                match finding {
                    Finding::Faults(faults) => out::error!("{faults}"),
                    Finding::Rules { file, message } => out::error!("{}: {message}", file.display()),
                }
            }
        }
        Format::Sarif | Format::Junit | Format::Github => {
            out::text!("{}", report().render(format).unwrap_or_default());
        }
    }
    let invalid = found.iter().any(|finding| finding.prevents(arguments.deny_warnings));
    exit(if invalid { INVALID } else { DONE })
}

fn check(file: &Path, environment: Environment<'_>) -> Result<(Edge, Faults), Finding> {
    let (edge, mut found) = edge_config::inspect(file, environment).map_err(Finding::Faults)?;
    check_rules(&edge).map_err(|message| Finding::Rules { file: file.to_owned(), message })?;
    // The file was read a moment ago. If it is gone now, faults only lose their places.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    found.extend(files::check(&edge, &text));
    Ok((edge, found))
}

/// The files that `edge` names and that are missing or cannot be loaded; `text` is the edge file.
pub(crate) fn named_files(edge: &Edge, text: &str) -> Vec<Fault> {
    files::in_the_way(edge, text)
}

/// What CI shows of a finding. A warning that fails the command is shown as an error.
fn annotate(finding: &Finding, deny_warnings: bool) -> Vec<Annotation> {
    let faults = match finding {
        Finding::Faults(faults) => faults,
        Finding::Rules { file, message } => {
            return vec![Annotation {
                rule: "rules",
                level: Level::Error,
                file: file.clone(),
                place: None,
                message: message.clone(),
                fix: None,
            }];
        }
    };
    let one = |fault: &edge_config::Fault| {
        let (rule, level) = match fault.severity {
            Severity::Error => ("fault", Level::Error),
            Severity::Warning if deny_warnings => ("warning", Level::Error),
            Severity::Warning => ("warning", Level::Warning),
        };
        Annotation {
            rule,
            level,
            file: faults.file.clone(),
            place: Some((fault.place.line, fault.place.column)),
            message: fault.problem.clone(),
            fix: Some(fault.mend.clone()),
        }
    };
    faults.faults.iter().map(one).collect()
}

fn as_json(finding: &Finding) -> Vec<Value> {
    let faults = match finding {
        Finding::Faults(faults) => faults,
        Finding::Rules { file, message } => {
            return vec![json!({ "file": file, "problem": message, "severity": "error" })];
        }
    };
    let one = |fault: &edge_config::Fault| {
        json!({
            "file": faults.file,
            "line": fault.place.line,
            "column": fault.place.column,
            "severity": fault.severity.as_str(),
            "problem": fault.problem,
            "mend": fault.mend,
        })
    };
    faults.faults.iter().map(one).collect()
}
