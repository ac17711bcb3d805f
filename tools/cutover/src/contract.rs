//! `cutover contract`: records what a backend answers, and compares it byte for byte with what another one does.
//!
//! The work is done by `packages/contract` (`docs/contract.md`); here are the arguments, and what is printed.

pub mod capture;
pub mod coverage;
pub mod paths;
pub mod spoof;
pub mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use contract::exchange::Protocol;
use contract::principal::{self, Principal};
use contract::requests::{self, Set};
use contract::rules::{FILE_NAME, Rules};
use contract::run::Pace;
use edge_config::Environment;

use crate::exit::{FOUND, exit};
use crate::out;

/// `cutover contract`
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `cutover contract`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record what a server answers to a set of requests, one file for each exchange.
    Capture(capture::Arguments),
    /// Compare a server with recorded exchanges, or with another server; fail on any difference.
    Verify(verify::Arguments),
    /// Send reserved headers in every spelling through an edge to an echo; fail when one arrives.
    Spoof(spoof::Arguments),
    /// Send paths in every spelling through an edge to an echo; fail when an internal one is served, or another one changed.
    Paths(paths::Arguments),
    /// Check that every route, operation and denial reason has an exchange; fail when the exceptions could be fewer.
    Coverage(coverage::Arguments),
}

/// The protocol of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocols {
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
    /// Both, one after the other.
    Both,
}

impl Protocols {
    /// Each of them.
    #[must_use]
    pub fn each(self) -> Vec<Protocol> {
        match self {
            Self::H1 => vec![Protocol::Http1],
            Self::H2 => vec![Protocol::Http2],
            Self::Both => vec![Protocol::Http1, Protocol::Http2],
        }
    }
}

/// How requests are sent, for every command.
#[derive(Debug, Args)]
pub struct Sending {
    /// Send this `Host` with every request [default: the one that the request names, else the server's address].
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub host: Option<String>,
    /// Trust the certificates in this file [default: those of the system].
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Send the header lines in this file, such as `cookie: session=VALUE`; its name is the principal's. `none` is the
    /// caller without a session. May be given more than once.
    #[arg(long = "as", value_name = "FILE")]
    pub principals: Vec<String>,
    /// Send this many safe requests at one time. A request that changes something is always sent alone.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Wait this long for one answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

impl Sending {
    /// How fast.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace { concurrency: self.concurrency.into(), patience: Duration::from_secs(self.timeout) }
    }

    /// The principals.
    ///
    /// # Errors
    /// A sentence that names the file and the fix.
    pub fn principals(&self) -> Result<Vec<Option<Principal>>, String> {
        self.principals.iter().map(|path| principal::read(path)).collect()
    }
}

/// The requests of a set, and how they are read.
#[derive(Debug, Args)]
pub struct Requests {
    /// The value of `{{NAME}}` in hurl files, as NAME=VALUE. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub variable: Vec<(String, String)>,
    /// Send also generated requests that change something: operations of an OpenAPI document other than GET, HEAD, OPTIONS.
    #[arg(long)]
    pub unsafe_too: bool,
    /// Rules for volatile and ignored places [default: rules.yaml in the directory of the golden files, if there is one].
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

/// A `Host`: what ends a line would be a header of its own.
fn host(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    if is_word { Ok(text.to_owned()) } else { Err("write a name, such as api.example.com".to_owned()) }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A run that sends nothing shows nothing, so it is refused with the reason of each request.
fn nothing_to_send(path: &std::path::Path, skipped: &[String]) -> String {
    format!("{} has no request that is sent: {}", path.display(), skipped.join("; "))
}

impl Requests {
    /// Reads the set at `path`. Generated requests that change something are left out, unless they are asked for.
    ///
    /// # Errors
    /// A sentence with the file, the line and the fix.
    pub fn read(&self, path: &std::path::Path) -> Result<Set, String> {
        let variables: BTreeMap<String, String> = self.variable.iter().cloned().collect();
        let mut set = requests::read(path, &variables).map_err(|error| error.to_string())?;
        if !self.unsafe_too {
            let generated = &set.generated;
            let is_sent = |request: &contract::exchange::Request| {
                request.is_safe() || !generated.contains(&request.name)
            };
            let left_out = set.requests.iter().filter(|request| !is_sent(request)).count();
            set.requests.retain(is_sent);
            if left_out > 0 {
                let what = "generated requests change something and are not sent; --unsafe-too sends them";
                set.skipped.push(format!("{left_out} {what}"));
            }
        }
        Ok(set)
    }

    /// Reads the rules: those that are named, else those beside the golden files in `directory`.
    ///
    /// # Errors
    /// A sentence with the file, the line and the fix.
    pub fn rules(&self, directory: &std::path::Path) -> Result<Rules, String> {
        let beside = directory.join(FILE_NAME);
        let path = self.rules.as_ref().or_else(|| beside.is_file().then_some(&beside));
        path.map_or_else(|| Ok(Rules::default()), |path| Rules::read(path).map_err(|error| error.to_string()))
    }
}

/// Does what the arguments say.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::error!("cutover contract: {error}");
            return exit(FOUND);
        }
    };
    let code = match &arguments.command {
        Command::Capture(arguments) => runtime.block_on(capture::main(arguments)),
        Command::Verify(arguments) => runtime.block_on(verify::main(arguments)),
        Command::Spoof(arguments) => runtime.block_on(spoof::main(arguments, environment)),
        Command::Paths(arguments) => runtime.block_on(paths::main(arguments, environment)),
        Command::Coverage(arguments) => coverage::main(arguments, environment),
    };
    exit(code)
}

/// Reports progress to standard error, where a report in a file or pipe does not see it.
fn progress(done: usize, all: usize) {
    out::error!("{done} of {all}");
}

/// Prints the reason why a command cannot be carried out.
fn refused(command: &str, message: &str) -> u8 {
    out::error!("cutover contract {command}: {message}");
    crate::exit::USAGE
}
