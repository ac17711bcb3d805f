//! The tree of commands. Each command has its arguments in its own module.

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
    /// Check edge files: prints every fault with file, line, value and mend.
    Lint(crate::lint::Arguments),
    /// Turn an edge file into Envoy's configuration.
    Render(crate::render::command::Arguments),
    /// Say how a request would be answered and why, or why one was.
    Explain(crate::explain::Arguments),
    /// Compare the edge's verdicts with the backends' own, route by route.
    Agreement(crate::agreement::Arguments),
    /// Show what the comparator found: how a shadow's answers differ from those of the backend in use.
    Shadow(crate::shadow::Arguments),
    /// Make the keys that are missing.
    Keys(crate::keys::Arguments),
    /// Make a certificate and its key for a development edge.
    Certs(crate::certs::Arguments),
    /// Make, list and revoke API keys.
    Apikey(crate::apikey::Arguments),
    /// Start the whole edge in the foreground, until Ctrl-C.
    Run(crate::run::Arguments),
    /// End sessions before their tokens expire: one, all of a person, or all of a tenant.
    Revoke(crate::revoke::Arguments),
    /// Say what a change of an edge file means for requests; fails when something becomes less protected.
    Plan(crate::plan::Arguments),
    /// Move the shares of a route, in the edge file itself; everything else in it stays byte for byte.
    Set(crate::set::Arguments),
    /// Show where routes go and how the backends do, from the running Envoy.
    Status(crate::status::Arguments),
    /// Give a backend more and more of a route while every gate holds, and take all of it back when one does not.
    Ramp(crate::ramp::Arguments),
    /// Sign one request (RFC 9421) and print its headers, one for each line, as `curl -H @FILE` reads them.
    Sign(crate::sign::Arguments),
}
