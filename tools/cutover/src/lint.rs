//! `cutover lint`: every fault of an edge file at once.

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
    /// Print the faults as JSON, one array for all files.
    #[arg(long)]
    pub json: bool,
}

/// What is wrong with one file.
enum Finding {
    /// The file itself.
    Faults(Faults),
    /// The file is sound by itself, but the guard does not take what comes of it.
    Rules { file: PathBuf, message: String },
}

/// Checks every file and prints what is wrong with any.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let mut found = Vec::new();
    for file in &arguments.files {
        match check(file, environment) {
            Ok(edge) if !arguments.json => {
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
            Ok(_) => {}
            Err(finding) => found.push(finding),
        }
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
    exit(if found.is_empty() { DONE } else { INVALID })
}

fn check(file: &Path, environment: Environment<'_>) -> Result<Edge, Finding> {
    let edge = edge_config::load(file, environment).map_err(Finding::Faults)?;
    check_rules(&edge).map_err(|message| Finding::Rules { file: file.to_owned(), message })?;
    Ok(edge)
}

fn as_json(finding: &Finding) -> Vec<Value> {
    let faults = match finding {
        Finding::Faults(faults) => faults,
        Finding::Rules { file, message } => return vec![json!({ "file": file, "problem": message })],
    };
    let one = |fault: &edge_config::Fault| {
        json!({
            "file": faults.file,
            "line": fault.place.line,
            "column": fault.place.column,
            "problem": fault.problem,
            "mend": fault.mend,
        })
    };
    faults.faults.iter().map(one).collect()
}
