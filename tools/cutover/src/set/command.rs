//! The command line of `cutover set`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use edge_config::Environment;
use serde_json::json;

use super::{InvalidMove, InvalidShares, Moves, SetError, set};
use crate::exit::{DONE, FOUND, INVALID, USAGE, exit};
use crate::out;

/// `cutover set`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE")]
    pub edge: PathBuf,
    /// The route's name.
    #[arg(value_name = "ROUTE")]
    pub route: String,
    /// Where its requests go: percentages that add up to 100, or one backend's name for all requests. A kind of
    /// session moves alone: legacy-session=auth.
    #[arg(long, value_name = "BACKEND=PERCENT,…|KIND=BACKEND")]
    pub to: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Edits the file and prints the change.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let moves: Moves = match arguments.to.parse() {
        Ok(shares) => shares,
        Err(error) => {
            out::error!("cutover set: --to {}: {error}", arguments.to);
            return exit(match error {
                InvalidMove::Kind(_) | InvalidMove::Shares(InvalidShares::Malformed(_)) => USAGE,
                InvalidMove::Twice(_)
                | InvalidMove::Shares(InvalidShares::Sum(_) | InvalidShares::Twice(_)) => INVALID,
            });
        }
    };
    match set(&arguments.edge, &arguments.route, &moves, environment) {
        Ok(changed) if arguments.json => {
            out::line!(
                "{:#}",
                json!({
                    "file": arguments.edge,
                    "route": arguments.route,
                    "before": changed.before.to_string(),
                    "after": changed.after.to_string(),
                    "revision": changed.revision,
                })
            );
            exit(DONE)
        }
        Ok(changed) => {
            out::line!(
                "{}: route `{}`: {} -> {} (revision {})",
                arguments.edge.display(),
                arguments.route,
                changed.before,
                changed.after,
                changed.revision
            );
            exit(DONE)
        }
        Err(error) => {
            out::error!("{error}");
            exit(code(&error))
        }
    }
}

/// The exit code of a failure.
#[must_use]
pub fn code(error: &SetError) -> u8 {
    match error {
        // As for every other command, an unreadable file is an invalid edge file.
        SetError::Invalid(_) | SetError::Io { what: "read", .. } => INVALID,
        SetError::NoRoute { .. } => USAGE,
        SetError::Unclear { .. } | SetError::Raced(_) | SetError::Io { .. } => FOUND,
    }
}
