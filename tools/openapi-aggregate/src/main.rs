//! `openapi-aggregate`: one public OpenAPI document of all services, and one of their internal routes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use openapi_aggregate::{check, page, write};

/// Merges the services' OpenAPI documents: the public ones, and the internal ones.
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
    /// Fail unless contracts/openapi/public.yaml and internal.yaml are the merged documents. Nothing that clients use may
    /// disappear from the public one.
    Check,
    /// Write the merged documents to contracts/openapi, unless the public one takes something from clients.
    Write {
        /// Write it although clients lose something. Say what and why in the commit.
        #[arg(long)]
        accept_narrowing: bool,
    },
    /// Write the page of the public document: one HTML file that loads nothing else.
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
