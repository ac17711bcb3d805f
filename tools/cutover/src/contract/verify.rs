//! `cutover contract verify`: compares a server with recorded exchanges, or with another server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use comparison::redact::Redactor;
use contract::origin::Origin;
use contract::report::{Report, html, junit};
use contract::verify::{Task, Verify, of_goldens, of_requests, verify};

use super::{Protocols, Requests, Sending, progress, refused};
use crate::exit::{DONE, FOUND};
use crate::out;

/// `cutover contract verify`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The tested server: http://HOST:PORT or https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    pub against: String,
    /// The server whose answers are right [default: the golden files are].
    #[arg(long, value_name = "URL")]
    pub direct: Option<String>,
    /// Golden files; with --direct also a hurl, HAR, OpenAPI or access log file, or a directory of them.
    #[arg(long, value_name = "PATH", default_value = "contract")]
    pub requests: PathBuf,
    /// Ask the tested server in this protocol [default: the recorded one, or h1].
    #[arg(long, value_enum)]
    pub protocol: Option<Protocols>,
    /// Count another framing of a body (length, chunked) as a difference.
    #[arg(long)]
    pub framing: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the report as a page that shows both sides.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How requests are sent.
    #[command(flatten)]
    pub sending: Sending,
    /// How requests are read.
    #[command(flatten)]
    pub set: Requests,
}

/// Compares and prints.
pub(super) async fn main(arguments: &Arguments) -> u8 {
    let (plan, tasks, skipped) = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(message) => return refused("verify", &message),
    };
    let title = match &arguments.direct {
        Some(direct) => format!("{direct} and {}", arguments.against),
        None => format!("{} and {}", arguments.requests.display(), arguments.against),
    };
    let outcomes = verify(Arc::new(plan), tasks, progress).await;
    let report = Report { title, outcomes: &outcomes, skipped: &skipped };
    let files = [
        (&arguments.junit, junit::render as fn(&Report<'_>) -> String),
        (&arguments.html, html::render as fn(&Report<'_>) -> String),
    ];
    let mut code = if report.is_equal() { DONE } else { FOUND };
    for (path, render) in files {
        if let Some(path) = path
            && let Err(error) = std::fs::write(path, render(&report))
        {
            out::error!("cutover contract verify: cannot write {}: {error}", path.display());
            code = FOUND;
        }
    }
    if arguments.json {
        out::line!("{:#}", report.json());
    } else {
        out::text!("{}", report.text());
    }
    code
}

fn prepare(arguments: &Arguments) -> Result<(Verify, Vec<Task>, Vec<String>), String> {
    let Arguments { against, direct, requests, protocol, sending, set, .. } = arguments;
    let ca = sending.ca.as_deref();
    let read = set.read(requests)?;
    let principals = sending.principals()?;
    let tasks = if direct.is_some() {
        of_requests(&read.requests, &read.goldens, &principals, &protocol.unwrap_or(Protocols::H1).each())
    } else if read.goldens.is_empty() {
        return Err(format!(
            "{} has requests and no answers; give --direct URL, or record answers with `cutover contract capture`",
            requests.display()
        ));
    } else {
        let mut tasks = Vec::new();
        for protocol in protocol.map_or(vec![None], |all| all.each().into_iter().map(Some).collect()) {
            tasks.extend(of_goldens(&read.goldens, &principals, protocol)?);
        }
        tasks
    };
    if tasks.is_empty() {
        return Err(super::nothing_to_send(requests, &read.skipped));
    }
    let directory = if requests.is_dir() { requests } else { requests.parent().unwrap_or(Path::new(".")) };
    let plan = Verify {
        against: Origin::read(against, ca)?,
        direct: direct.as_deref().map(|url| Origin::read(url, ca)).transpose()?,
        host: sending.host.clone(),
        rules: set.rules(directory)?,
        framing: arguments.framing,
        pace: sending.pace(),
        redactor: Redactor::new(key()),
    };
    Ok((plan, tasks, read.skipped))
}

/// A new key at every start, so that a digest in a report does not help to find the value.
fn key() -> [u8; 32] {
    let mut key = [0; 32];
    for (half, random) in key.chunks_mut(16).zip([uuid::Uuid::new_v4(), uuid::Uuid::new_v4()]) {
        half.copy_from_slice(random.as_bytes());
    }
    key
}
