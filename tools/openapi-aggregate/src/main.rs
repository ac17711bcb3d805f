//! `openapi-aggregate`: one public OpenAPI document of all services.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use openapi_aggregate::{check, page, write};

/// Merges the services' public OpenAPI documents.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The root of the repository.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fail unless contracts/openapi/public.yaml is the merged document. Nothing that clients use may disappear from it.
    Check,
    /// Write the merged document to contracts/openapi/public.yaml, unless it takes something from clients.
    Write {
        /// Write it although clients lose something. Say what and why in the commit.
        #[arg(long)]
        accept_narrowing: bool,
    },
    /// Write the page: one HTML file that loads nothing else.
    Page {
        /// Where to.
        #[arg(long, default_value = "dist/openapi/index.html")]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let Arguments { root, command } = Arguments::parse();
    let done = match command {
        Command::Check => check(&root),
        Command::Write { accept_narrowing } => write(&root, accept_narrowing),
        Command::Page { out } => page(&root, &root.join(out)),
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
