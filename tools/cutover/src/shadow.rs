//! `cutover shadow` shows in words what the comparator found.
//!
//! The report itself comes from the comparator (`docs/shadow.md` explains its keys); `--json` prints it unchanged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::admin;
use crate::exit::{DONE, FOUND, exit};
use crate::out;

/// `cutover shadow`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The comparator's admin address (`comparator.admin` in the edge file).
    #[arg(long, env = "COMPARATOR_ADMIN_ADDRESS", default_value = "127.0.0.1:9292", value_name = "ADDRESS")]
    pub address: SocketAddr,
    /// Show only this route.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Print the report as JSON.
    #[arg(long, conflicts_with = "reset")]
    pub json: bool,
    /// Restart the counts, for example after a fix: of all routes, or of the one named with --route.
    #[arg(long)]
    pub reset: bool,
}

/// The part of a report that is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// When it was made, in milliseconds since 1970.
    pub now_ms: u64,
    /// Every route whose requests were copied, by name.
    pub routes: BTreeMap<String, Route>,
}

/// One route. The keys are explained in `docs/shadow.md`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Route {
    pub reference: String,
    pub shadow: String,
    pub since_ms: u64,
    pub since: String,
    pub compared: u64,
    pub different: u64,
    pub by_kind: BTreeMap<String, u64>,
    pub dropped: u64,
    pub dropped_by: BTreeMap<String, u64>,
    pub noise: Vec<Noise>,
    pub samples: Vec<Group>,
    pub samples_forgotten: u64,
}

/// A place where the reference differs from itself.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Noise {
    pub kind: String,
    pub place: String,
}

/// Requests whose answers differ in the same way.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "docs/shadow.md explains the keys")]
pub struct Group {
    pub count: u64,
    pub first_ms: u64,
    pub at_ms: u64,
    pub request_ids: Vec<String>,
    pub method: String,
    pub target: String,
    pub differences: Vec<Difference>,
    pub more: usize,
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

/// Queries and prints. Differences are a result and not a failure: exit code 0.
pub fn main(arguments: &Arguments) -> ExitCode {
    let route = arguments.route.as_deref();
    let shown = if arguments.reset {
        restart(arguments.address, route)
    } else {
        report(arguments.address, route).and_then(|report| {
            if arguments.json {
                return Ok(format!("{report:#}\n"));
            }
            serde_json::from_value(report).map(|report| text(&report)).map_err(|error| {
                format!("the report cannot be read ({error}); does the comparator have another version?")
            })
        })
    };
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

/// The report of the comparator at `address`, about one route when `route` is given.
///
/// # Errors
/// The comparator does not answer, or its answer is not a report.
pub fn report(address: SocketAddr, route: Option<&str>) -> Result<Value, String> {
    let (status, body) = admin::get(address, &path(route)?).map_err(|error| silent(address, &error))?;
    if status != 200 {
        return Err(format!("{address} answers {status}; is that the comparator's admin address?"));
    }
    serde_json::from_str(&body).map_err(|error| format!("the answer is not JSON ({error})"))
}

/// Makes the comparator restart its counts; returns the names of the routes.
fn restart(address: SocketAddr, route: Option<&str>) -> Result<String, String> {
    let (status, body) = admin::delete(address, &path(route)?).map_err(|error| silent(address, &error))?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    if let Some(problem) = answer.get("problem").and_then(Value::as_str) {
        return Err(problem.to_owned());
    }
    let Some(routes) = answer.get("begun_anew").and_then(Value::as_array).filter(|_| status == 200) else {
        return Err(format!("{address} answers {status}; is that the comparator's admin address?"));
    };
    let names: Vec<&str> = routes.iter().filter_map(Value::as_str).collect();
    Ok(match names.as_slice() {
        [] => "Nothing was counted yet.\n".to_owned(),
        names => format!("Counts restarted: {}\n", names.join(", ")),
    })
}

fn path(route: Option<&str>) -> Result<String, String> {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match route {
        None => Ok("/report".to_owned()),
        Some(name) if plain(name) => Ok(format!("/report?route={name}")),
        Some(name) => Err(format!("invalid route name {name:?}: use lower-case letters, digits and `-`")),
    }
}

fn silent(address: SocketAddr, error: &std::io::Error) -> String {
    format!(
        "the comparator at {address} does not answer ({error}); it runs when a route has a `shadow`; give another \
         address with --address or COMPARATOR_ADMIN_ADDRESS"
    )
}

/// The time from `at_ms` to `now_ms` in words.
fn ago(now_ms: u64, at_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(at_ms) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        172_800.. => format!("{} days ago", seconds / 86_400),
    }
}

fn text(report: &Report) -> String {
    if report.routes.is_empty() {
        return "No request was copied yet: does a route have a `shadow`, and did it receive a GET?\n"
            .to_owned();
    }
    let mut text = String::new();
    for (name, route) in &report.routes {
        let counts = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
        };
        let since = match route.since.as_str() {
            "command" => ", restarted on command",
            "address" => ", restarted because the address changed",
            "version" => ", restarted because the version changed",
            _ => "",
        };
        let began = ago(report.now_ms, route.since_ms);
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
        let _ = writeln!(text, "  since {began}{since}");
        if route.dropped > 0 {
            let _ = writeln!(text, "  {} not compared: {}", route.dropped, counts(&route.dropped_by));
        }
        if !route.noise.is_empty() {
            let noise: Vec<_> =
                route.noise.iter().map(|noise| format!("{} {}", noise.kind, noise.place)).collect();
            let _ = writeln!(text, "  noise: {}", noise.join(", "));
        }
        for group in &route.samples {
            let Group { count, first_ms, at_ms, method, target, request_ids, .. } = group;
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            let (first, last) = (ago(report.now_ms, *first_ms), ago(report.now_ms, *at_ms));
            let when = if first == last { last } else { format!("{first} to {last}") };
            let ids = request_ids.join(", ");
            let _ = writeln!(text, "  {times}, {when}, such as {method} {target}  ({ids})");
            for difference in &group.differences {
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
            if group.more > 0 {
                let _ = writeln!(text, "    and {} more", group.more);
            }
        }
        if route.samples_forgotten > 0 {
            let _ = writeln!(text, "  {} other samples of the kinds above", route.samples_forgotten);
        }
    }
    text
}

#[cfg(test)]
mod tests;
