//! The tree of commands. Each command declares its arguments in its own module.

use clap::{Parser, Subcommand};

/// Checks, renders and runs an edge.
#[derive(Debug, Parser)]
#[command(
    name = "cutover",
    version,
    about = "Move a live product off a legacy stack, path by path.",
    after_help = "Exit codes: 0 done, 1 the check found something or the work failed, 2 wrong usage, 64 invalid edge file."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check edge files: print every fault with its file, line, value and fix.
    Lint(crate::lint::Arguments),
    /// Turn an edge file into Envoy's configuration.
    Render(crate::render::command::Arguments),
    /// Explain how the edge would answer a request, or why it answered one.
    Explain(crate::explain::Arguments),
    /// Compare the edge's verdicts with those of the backends, route by route.
    Agreement(crate::agreement::Arguments),
    /// Query the running legacy backend, and compare the words of its refusals with the edge's `answers`.
    Answers(crate::answers::Arguments),
    /// Record what a backend answers, and show every byte in which another answer differs.
    Contract(crate::contract::Arguments),
    /// Show what the comparator found: where a shadow's answers differ from those of the backend in use.
    Shadow(crate::shadow::Arguments),
    /// Make the missing keys.
    Keys(crate::keys::Arguments),
    /// Make a certificate and its key for a development edge.
    Certs(crate::certs::Arguments),
    /// Make, list and revoke API keys.
    Apikey(crate::apikey::Arguments),
    /// Start the whole edge in the foreground, until Ctrl-C.
    Run(crate::run::Arguments),
    /// End sessions before their tokens expire: one session, all of a person, or all of a tenant.
    Revoke(crate::revoke::Arguments),
    /// Show what a change of an edge file means for requests; fail when something becomes less protected.
    Plan(crate::plan::Arguments),
    /// Set the shares of a route in the edge file itself; all else in the file stays byte for byte.
    Set(crate::set::Arguments),
    /// Show where routes go and how the backends perform, from the running Envoy's counters.
    Status(crate::status::Arguments),
    /// Raise a backend's share of a route while every gate holds; set it to 0 as soon as one fails.
    Ramp(crate::ramp::Arguments),
    /// Sign one request (RFC 9421) and print its headers, one on each line, as `curl -H @FILE` reads them.
    Sign(crate::sign::Arguments),
    /// Print the header with which a service introduces itself on the listener for services, as `curl -H @FILE` reads it.
    Introduce(crate::introduce::Arguments),
    /// Write a small edge file to go on with.
    Init(crate::init::Arguments),
    /// Write the crate of a new service into a checkout of this repository, and print what the edge file needs.
    NewService(crate::new_service::Arguments),
    /// Turn existing routes (OpenAPI, nginx, Kong) into an edge file, and say what could not be translated.
    Import(crate::import::Arguments),
    /// Print what an edge file may say, as JSON Schema for editors or as a page.
    Schema(crate::schema::Arguments),
}
