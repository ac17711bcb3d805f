//! The command line of `cutover plan`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use edge_config::Environment;

use super::{plan, report};
use crate::annotate::Format;
use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::out;
use crate::render;

/// `cutover plan`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The present edge file.
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The changed edge file.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Exit with 0 even when something becomes less protected. It is still printed.
    #[arg(long)]
    pub allow_weaker: bool,
    /// How to print the plan: `text` is Markdown, for a pull request.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "json")]
    pub format: Format,
    /// The same as `--format json`.
    #[arg(long)]
    pub json: bool,
}

/// Compares two edge files and prints the plan.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let (old, new) =
        match (render::load(&arguments.old, environment), render::load(&arguments.new, environment)) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                for message in [old.err(), new.err()].into_iter().flatten() {
                    out::error!("{message}");
                }
                return exit(INVALID);
            }
        };
    let plan = plan(&old, &new);
    match if arguments.json { Format::Json } else { arguments.format } {
        Format::Json => out::line!("{:#}", report::json(&plan)),
        Format::Text => out::text!("{}", report::markdown(&plan)),
        format @ (Format::Sarif | Format::Junit | Format::Github) => {
            let report = report::annotated(&plan, &arguments.new, arguments.allow_weaker);
            out::text!("{}", report.render(format).unwrap_or_default());
        }
    }
    if plan.weaker() && !arguments.allow_weaker {
        out::error!(
            "cutover plan: something becomes less protected; if that is intended, add --allow-weaker"
        );
        return exit(FOUND);
    }
    exit(DONE)
}
