//! `cutover agreement`: may a backend stop checking who is calling?
//!
//! Reads the edge's access log and compares, route by route, what the edge decided with what the backend itself
//! answered. A backend that still checks answers 401 or 403 where the edge allowed, if the two disagree. After
//! enough requests without one such answer the edge's verdict is as good as the backend's.
//!
//! Two verdicts are needed for a comparison. A request that the edge refused never reached the backend, so its
//! other half is unknown; it is counted and not compared, unless the policy is in shadow: then the log has a
//! `shadow_reason` *and* an upstream. Public routes have no verdict of the edge. A 5xx, or no answer,
//! is no verdict of the backend.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::exit::{DONE, FOUND, exit};
use crate::out;

/// A day of a quiet route; below it a rare kind of caller may not have come by.
const DEFAULT_LEAST: u64 = 1_000;

/// Envoy writes less than 4 KB for a request of usual size, and headers end at 60 KB.
const MAX_LINE_BYTES: u64 = 262_144;

/// More route names than an edge file has: this is not an access log.
const MAX_ROUTES: usize = 10_000;

/// `cutover agreement`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The access log: $CUTOVER_HOME/logs/access.json.
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    /// How many compared requests a route needs before its backend may stop checking.
    #[arg(long, default_value_t = DEFAULT_LEAST, value_name = "COUNT")]
    pub least: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What the log says about one request.
#[derive(Debug, Deserialize)]
struct Line {
    route: Option<String>,
    status: Option<u16>,
    upstream: Option<String>,
    decision: Option<String>,
    /// What a policy or limit in shadow would have refused for.
    shadow_reason: Option<String>,
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub route: String,
    /// Requests in all.
    pub requests: u64,
    /// The edge allows, the backend does not refuse.
    pub both_allow: u64,
    /// The edge allows, the backend answers 401 or 403, by status.
    pub backend_refuses: BTreeMap<u16, u64>,
    /// The edge denies without enforcing it, the backend does not refuse.
    pub backend_allows: u64,
    /// The edge denies without enforcing it, and the backend refuses.
    pub both_refuse: u64,
    /// The edge refuses, by status; the backend was not asked.
    pub edge_refuses: BTreeMap<u16, u64>,
    /// One of the two had no verdict: a public route, a 5xx, no answer.
    pub no_verdict: u64,
    /// Requests with two verdicts that are the same, in percent of those with two; absent without any.
    pub agreement_percent: Option<f64>,
    /// What follows.
    pub verdict: String,
}

/// What a log says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Each route, by name.
    pub routes: Vec<Row>,
    /// Lines that are no access log lines.
    pub unreadable_lines: u64,
}

/// Compares and prints. Disagreement is what was asked for, not a failure: exit code 0.
pub fn main(arguments: &Arguments) -> ExitCode {
    match read(&arguments.log, arguments.least) {
        Ok(report) if arguments.json => out::line!("{:#}", serde_json::json!(report)),
        Ok(report) => out::text!("{}", table(&report)),
        Err(error) => {
            out::error!("cutover agreement: cannot read {}: {error}", arguments.log.display());
            return exit(FOUND);
        }
    }
    exit(DONE)
}

/// Reads `log`; a route needs `least` comparisons for a verdict.
///
/// # Errors
/// When the file cannot be read, or has more routes than an edge can.
pub fn read(log: &Path, least: u64) -> io::Result<Report> {
    let mut input = BufReader::new(File::open(log)?);
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut unreadable = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(Line { route: Some(route), status: Some(status), upstream, decision, shadow_reason }) => {
                if rows.len() >= MAX_ROUTES && !rows.contains_key(&route) {
                    return Err(io::Error::other("more routes than an edge has; is it an access log?"));
                }
                let row = rows.entry(route.clone()).or_insert_with(|| Row { route, ..Row::default() });
                // A limit is no word about who may: only a policy's shadow counts as a denial.
                let denies = shadow_reason.is_some_and(|reasons| {
                    reasons.split(',').any(|reason| !reason.starts_with("rate_limited"))
                });
                let decision = if denies { Some("deny") } else { decision.as_deref() };
                row.count(status, upstream.is_some(), decision);
            }
            // A request that no route took: the edge's alone.
            Ok(Line { route: None, .. }) => {}
            Ok(Line { status: None, .. }) | Err(_) => unreadable += 1,
        }
    }
    let mut routes: Vec<Row> = rows.into_values().collect();
    routes.iter_mut().for_each(|row| row.conclude(least));
    Ok(Report { routes, unreadable_lines: unreadable })
}

impl Row {
    fn count(&mut self, status: u16, reached: bool, decision: Option<&str>) {
        self.requests += 1;
        let refuses = matches!(status, 401 | 403);
        match (decision, reached) {
            (Some("deny" | "error"), false) => *self.edge_refuses.entry(status).or_default() += 1,
            (Some("allow" | "deny"), true) if status >= 500 => self.no_verdict += 1,
            (Some("allow"), true) if refuses => *self.backend_refuses.entry(status).or_default() += 1,
            (Some("allow"), true) => self.both_allow += 1,
            (Some("deny"), true) if refuses => self.both_refuse += 1,
            (Some("deny"), true) => self.backend_allows += 1,
            (Some(_) | None, _) => self.no_verdict += 1,
        }
    }

    fn conclude(&mut self, least: u64) {
        let agree = self.both_allow + self.both_refuse;
        let disagree = self.backend_refuses.values().sum::<u64>() + self.backend_allows;
        let compared = agree + disagree;
        self.verdict = match (compared, disagree) {
            (0, _) => "nothing to compare".to_owned(),
            (_, 1..) => "the backend must go on checking".to_owned(),
            (_, 0) if compared < least => format!("{} more requests", least - compared),
            (_, 0) => "the backend may stop checking".to_owned(),
        };
        if compared > 0 {
            // Rounded down, so that one disagreement in a million is never shown as 100.
            let ten_thousandths = u128::from(agree) * 10_000 / u128::from(compared);
            self.agreement_percent =
                u32::try_from(ten_thousandths).ok().map(|share| f64::from(share) / 100.0);
        }
    }
}

fn table(report: &Report) -> String {
    let statuses = |counts: &BTreeMap<u16, u64>| {
        if counts.is_empty() {
            return "0".to_owned();
        }
        counts.iter().map(|(status, count)| format!("{count}×{status}")).collect::<Vec<_>>().join(" ")
    };
    let head = [
        "route",
        "requests",
        "both allow",
        "edge allows, backend refuses",
        "edge would refuse, backend allows",
        "edge refuses",
        "no verdict",
        "agreement",
        "verdict",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(report.routes.iter().map(|row| {
        [
            row.route.clone(),
            row.requests.to_string(),
            row.both_allow.to_string(),
            statuses(&row.backend_refuses),
            row.backend_allows.to_string(),
            statuses(&row.edge_refuses),
            row.no_verdict.to_string(),
            row.agreement_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.2} %")),
            row.verdict.clone(),
        ]
    }));
    let mut widths = [0; 9];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    if report.unreadable_lines > 0 {
        text.push_str(&format!("{} lines are not of an access log\n", report.unreadable_lines));
    }
    text
}

#[cfg(test)]
mod tests;
