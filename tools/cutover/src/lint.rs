//! `cutover lint`: every fault of an edge file at once.

use std::process::ExitCode;

use edge_config::{Environment, Faults};
use serde_json::{Value, json};

use crate::cli::{DONE, INVALID, LintArguments, exit};

/// Checks every file and prints what is wrong with any.
pub fn main(arguments: &LintArguments, environment: Environment<'_>) -> ExitCode {
    let mut found = Vec::new();
    for file in &arguments.files {
        match edge_config::load(file, environment) {
            Ok(edge) if !arguments.json => {
                println!(
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
            Err(faults) => found.push(faults),
        }
    }
    if arguments.json {
        let all: Vec<Value> = found.iter().flat_map(as_json).collect();
        println!("{:#}", Value::Array(all));
    } else {
        for faults in &found {
            eprintln!("{faults}");
        }
    }
    exit(if found.is_empty() { DONE } else { INVALID })
}

fn as_json(faults: &Faults) -> Vec<Value> {
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
