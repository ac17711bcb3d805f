//! `cutover agreement` shows whether a backend may stop checking its callers.
//!
//! It reads the edge's access log and compares, route by route, the edge's decision with the backend's own answer. Where
//! the two disagree, a backend that still checks answers 401 or 403 to a request that the edge allowed. After enough
//! requests without one such answer the edge's verdict is as good as the backend's.
//!
//! A comparison needs two verdicts. A request that the edge refused never reached the backend, so the backend's verdict
//! is unknown: the request is counted and not compared. A policy in shadow is the exception: its log line has a
//! `shadow_reason` *and* an upstream. On a public route the edge has no verdict. A backend that answers 404, 400, 5xx, a
//! redirect elsewhere than to a sign-in page, or nothing at all does not show whether it knows the caller. That is not a
//! verdict either, and such requests are counted by their answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::access_log::{Line, MAX_LINE_BYTES, Word};
use crate::exit::{DONE, FOUND, exit};
use crate::out;

/// A day's requests on a quiet route. With fewer, a rare kind of caller may be missing.
const DEFAULT_LEAST: u64 = 1_000;

/// More route names than an edge file can have: the file is not an access log.
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

/// One route.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub route: String,
    /// Requests in all.
    pub requests: u64,
    /// The edge allows, the backend lets the caller in.
    pub both_allow: u64,
    /// The edge allows, the backend refuses, by answer: `401`, `403`, `grpc 7`, `grpc 16`, `302 sign-in`.
    pub backend_refuses: BTreeMap<String, u64>,
    /// The edge would refuse (a policy in shadow), and the backend lets the caller in.
    pub backend_allows: u64,
    /// The edge would refuse (a policy in shadow), and the backend refuses.
    pub both_refuse: u64,
    /// The edge refuses, by answer; the request did not reach the backend.
    pub edge_refuses: BTreeMap<String, u64>,
    /// One of the two had no verdict.
    pub no_verdict: u64,
    /// The same by cause: `public` when the edge did not decide, otherwise the answer (`404`, `302`, `grpc 5`, `none`).
    pub no_verdict_by: BTreeMap<String, u64>,
    /// Equal verdicts in percent of the requests with two verdicts; absent when there are none.
    pub agreement_percent: Option<f64>,
    /// The conclusion.
    pub verdict: String,
}

/// What the command found in a log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Each route, by name.
    pub routes: Vec<Row>,
    /// Lines that are not access log lines.
    pub unreadable_lines: u64,
}

/// Compares and prints. Disagreement is a result and not a failure: exit code 0.
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
/// The file cannot be read, or has more routes than an edge can have.
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
            Ok(entry) => match (&entry.route, entry.status) {
                (Some(route), Some(_)) => {
                    if rows.len() >= MAX_ROUTES && !rows.contains_key(route) {
                        return Err(io::Error::other(
                            "it has more routes than an edge can have; is it an access log?",
                        ));
                    }
                    let new = || Row { route: route.clone(), ..Row::default() };
                    rows.entry(route.clone()).or_insert_with(new).count(&entry);
                }
                // No route matched: the edge answered alone.
                (None, _) => {}
                (Some(_), None) => unreadable += 1,
            },
            Err(_) => unreadable += 1,
        }
    }
    let mut routes: Vec<Row> = rows.into_values().collect();
    routes.iter_mut().for_each(|row| row.conclude(least));
    Ok(Report { routes, unreadable_lines: unreadable })
}

impl Row {
    fn count(&mut self, entry: &Line) {
        self.requests += 1;
        let by = |counts: &mut BTreeMap<String, u64>, what: String| *counts.entry(what).or_default() += 1;
        match (entry.edge_says(), entry.upstream.is_some(), entry.word()) {
            (Some("deny" | "error"), false, _) => by(&mut self.edge_refuses, entry.answer()),
            // A lease repeats an allow: the backend receives each of its requests.
            (Some("allow" | "lease"), true, Word::Consents) => self.both_allow += 1,
            (Some("allow" | "lease"), true, Word::Refuses) => by(&mut self.backend_refuses, entry.answer()),
            (Some("deny"), true, Word::Consents) => self.backend_allows += 1,
            (Some("deny"), true, Word::Refuses) => self.both_refuse += 1,
            (edge, _, _) => {
                self.no_verdict += 1;
                let what = if edge.is_none() { "public".to_owned() } else { entry.answer() };
                by(&mut self.no_verdict_by, what);
            }
        }
    }

    fn conclude(&mut self, least: u64) {
        let agree = self.both_allow + self.both_refuse;
        let disagree = self.backend_refuses.values().sum::<u64>() + self.backend_allows;
        let compared = agree + disagree;
        self.verdict = match (compared, disagree) {
            (0, _) => "nothing to compare".to_owned(),
            (_, 1..) => "the backend must keep checking".to_owned(),
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

/// The verdict, and how many requests it does not cover.
fn shown_verdict(row: &Row) -> String {
    match row.no_verdict {
        0 => row.verdict.clone(),
        none => format!("{} ({none} of {} had no verdict)", row.verdict, row.requests),
    }
}

fn table(report: &Report) -> String {
    let answers = |counts: &BTreeMap<String, u64>| {
        if counts.is_empty() {
            return "0".to_owned();
        }
        counts.iter().map(|(answer, count)| format!("{count}×{answer}")).collect::<Vec<_>>().join(" ")
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
            answers(&row.backend_refuses),
            row.backend_allows.to_string(),
            answers(&row.edge_refuses),
            answers(&row.no_verdict_by),
            row.agreement_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.2} %")),
            shown_verdict(row),
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
        text.push_str(&format!("{} lines are not access log lines\n", report.unreadable_lines));
    }
    text
}

#[cfg(test)]
mod tests;
