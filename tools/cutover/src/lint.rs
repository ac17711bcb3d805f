//! `cutover lint` reports every fault of an edge file at once, and those of the files that it names.
//!
//! With a *fault* an edge file cannot be used. With a *warning* it probably should not be: a public route accepts POST
//! without a limit, or a key file does not exist yet. Warnings alone end with 0 unless `--deny-warnings` is given.

mod files;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use edge_config::{Edge, Environment, Faults};
use serde_json::{Value, json};

use crate::exit::{DONE, INVALID, exit};
use crate::out;
use crate::render::check_rules;

/// `cutover lint`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Edge files to check.
    #[arg(required = true, value_name = "EDGE_FILE")]
    pub files: Vec<PathBuf>,
    /// Print faults and warnings as JSON, one array for all files.
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

/// Checks every file and prints all faults and warnings.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let mut found = Vec::new();
    for file in &arguments.files {
        let finding = match check(file, environment) {
            Ok((edge, warnings)) => {
                if !arguments.json && !warnings.prevent() {
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
    if arguments.json {
        let all: Vec<Value> = found.iter().flat_map(as_json).collect();
        out::line!("{:#}", Value::Array(all));
    } else {
        for finding in &found {
            match finding {
                Finding::Faults(faults) => out::error!("{faults}"),
                Finding::Rules { file, message } => out::error!("{}: {message}", file.display()),
            }
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
