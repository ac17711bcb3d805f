//! `cutover schema` prints what an edge file may say: as JSON Schema for editors, or as a page for people.
//!
//! Both are made from the description that the reader of edge files gives of itself ([`edge_config::describe`]).

mod json;
mod markdown;

use std::process::ExitCode;

use clap::Args;

use crate::exit::{DONE, exit};
use crate::out;

pub use json::json;
pub use markdown::markdown;

/// `cutover schema`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the reference page (docs/edge-file.md) instead of JSON Schema (2020-12).
    #[arg(long)]
    pub markdown: bool,
}

/// Prints the schema.
pub fn main(arguments: &Arguments) -> ExitCode {
    let described = edge_config::describe::edge_file();
    if arguments.markdown {
        out::text!("{}", markdown(&described));
    } else {
        out::line!("{:#}", json(&described));
    }
    exit(DONE)
}
