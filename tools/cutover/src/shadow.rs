//! `cutover shadow`: what the comparator found, for people.
//!
//! The report itself is the comparator's (`docs/shadow.md` has its keys); `--json` prints it as it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::exit::{DONE, FOUND, exit};
use crate::out;

/// It answers from memory.
const WITHIN: Duration = Duration::from_secs(5);

/// Twenty samples of eight differences for each of a hundred routes are less.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// `cutover shadow`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the comparator reports (`comparator.admin` in the edge file).
    #[arg(long, env = "COMPARATOR_ADMIN_ADDRESS", default_value = "127.0.0.1:9292", value_name = "ADDRESS")]
    pub address: SocketAddr,
    /// Only this route.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is shown of a report.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Every route that had a copy, by name.
    pub routes: BTreeMap<String, Route>,
}

/// One route. The keys are explained in `docs/shadow.md`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Route {
    pub reference: String,
    pub shadow: String,
    pub compared: u64,
    pub different: u64,
    pub by_kind: BTreeMap<String, u64>,
    pub dropped: u64,
    pub dropped_by: BTreeMap<String, u64>,
    pub noise: Vec<Noise>,
    pub samples: Vec<Sample>,
}

/// Where the reference differs from itself.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Noise {
    pub kind: String,
    pub place: String,
}

/// One request whose answers differ.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Sample {
    pub request_id: String,
    pub method: String,
    pub target: String,
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Difference {
    pub kind: String,
    pub place: String,
    pub reference: Option<String>,
    pub shadow: Option<String>,
}

/// Asks and prints. Differences are what was asked for, not a failure: exit code 0.
pub fn main(arguments: &Arguments) -> ExitCode {
    let shown = report(arguments.address, arguments.route.as_deref()).and_then(|report| {
        if arguments.json {
            return Ok(format!("{report:#}\n"));
        }
        serde_json::from_value(report).map(|report| text(&report)).map_err(|error| {
            format!("the report has another shape ({error}); is the comparator of another version?")
        })
    });
    match shown {
        Ok(shown) => {
            out::text!("{shown}");
            exit(DONE)
        }
        Err(message) => {
            out::error!("cutover shadow: {message}");
            exit(FOUND)
        }
    }
}

/// The report of the comparator at `address`; of one route when it is named.
///
/// # Errors
/// Nobody answers there, or it is no report.
pub fn report(address: SocketAddr, route: Option<&str>) -> Result<Value, String> {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if let Some(name) = route.filter(|name| !plain(name)) {
        return Err(format!("{name:?} is no name of a route"));
    }
    let path = route.map_or_else(|| "/report".to_owned(), |name| format!("/report?route={name}"));
    let answer = get(address, &path).map_err(|error| {
        format!(
            "the comparator at {address} does not answer ({error}); it runs when a route has a `shadow`; name another \
             with --address or COMPARATOR_ADMIN_ADDRESS"
        )
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP".to_owned())?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("{address} answers {:?}", head.lines().next().unwrap_or_default()));
    }
    serde_json::from_str(body).map_err(|error| format!("the answer is not JSON ({error})"))
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

fn text(report: &Report) -> String {
    if report.routes.is_empty() {
        return "Nothing was copied yet: is there a route with a `shadow`, and did a GET come by?\n"
            .to_owned();
    }
    let mut text = String::new();
    for (name, route) in &report.routes {
        let counts = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{name}: {} beside {}\n  {} compared, ",
            route.shadow, route.reference, route.compared
        );
        let _ = match route.different {
            0 => writeln!(text, "none different"),
            different => writeln!(text, "{different} different: {}", counts(&route.by_kind)),
        };
        if route.dropped > 0 {
            let _ = writeln!(text, "  {} not compared: {}", route.dropped, counts(&route.dropped_by));
        }
        if !route.noise.is_empty() {
            let noise: Vec<_> =
                route.noise.iter().map(|noise| format!("{} {}", noise.kind, noise.place)).collect();
            let _ = writeln!(text, "  noise: {}", noise.join(", "));
        }
        for sample in &route.samples {
            let _ = writeln!(text, "  {} {}  ({})", sample.method, sample.target, sample.request_id);
            for difference in &sample.differences {
                let side = |value: &Option<String>| {
                    value.as_ref().map_or("nothing".to_owned(), |v| format!("{v:?}"))
                };
                let place = if difference.place.is_empty() { "" } else { " " };
                let (reference, shadow) = (side(&difference.reference), side(&difference.shadow));
                let _ = writeln!(
                    text,
                    "    {}{place}{}: {reference} → {shadow}",
                    difference.kind, difference.place
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
