//! `cutover status` shows where routes go and how the backends perform, from the running Envoy.
//!
//! Shares come from the edge file; counts and times from Envoy's own counters, by backend. The revision that Envoy has
//! accepted stands beside the file's, so that a file that is not in force yet is visible.

mod backend;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use edge_config::edge::Percent;
use edge_config::{Edge, Environment};
use serde_json::{Value, json};

use crate::admin::envoy::Stats;
use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::home::usual_edge_file;
use crate::out;
use crate::render;
use crate::table::{Side, lined_up};

pub use backend::Sample;

/// `cutover status`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE", default_value = usual_edge_file())]
    pub edge: PathBuf,
    /// Repeat until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// The time between two readings, over which rates are computed.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
    /// Print JSON, one object on a line for each reading.
    #[arg(long)]
    pub json: bool,
}

/// Prints the status once, or again and again until the program is stopped.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let every = Duration::from_secs(arguments.every);
    let mut before: Option<(Instant, Look)> = None;
    loop {
        let edge = match render::load(&arguments.edge, environment) {
            Ok(edge) => edge,
            Err(message) => {
                out::error!("{message}");
                return exit(INVALID);
            }
        };
        let look = match Look::at(&edge) {
            Ok(look) => look,
            Err(error) => {
                out::error!(
                    "cutover status: Envoy at {} does not answer ({error}); is the edge running?",
                    edge.admin
                );
                return exit(FOUND);
            }
        };
        let now = Instant::now();
        // A rate needs two readings.
        if let Some((then, earlier)) = &before {
            let report = report(&edge, &look, earlier, now.duration_since(*then));
            if arguments.json {
                out::line!("{report}");
            } else {
                out::text!("{}", text(&report));
            }
            if !arguments.watch {
                return exit(DONE);
            }
        }
        before = Some((now, look));
        std::thread::sleep(every);
    }
}

/// Envoy's counters at one moment.
struct Look {
    /// The revision that Envoy has accepted; empty when it has none yet.
    revision: String,
    backends: BTreeMap<String, Sample>,
}

impl Look {
    fn at(edge: &Edge) -> std::io::Result<Self> {
        let stats = Stats::ask(
            edge.admin,
            "(^cluster.backend-.*upstream_(rq|cx)_|^cutover.grpc_answers|version_text)",
        )?;
        let backends = edge
            .backends
            .iter()
            .map(|(name, backend)| (name.clone(), Sample::of(&stats, name, &backend.grpc_errors)))
            .collect();
        let revision = stats.text("listener_manager.lds.version_text").unwrap_or_default().to_owned();
        Ok(Self { revision, backends })
    }
}

fn report(edge: &Edge, now: &Look, before: &Look, over: Duration) -> Value {
    let routes: Vec<Value> = edge
        .routes
        .iter()
        .map(|route| {
            let shares: Vec<Value> = route
                .destination
                .shares
                .iter()
                .map(|share| json!({ "backend": share.backend, "percent": number(share.weight) }))
                .collect();
            let kinds: Vec<Value> = route
                .destination
                .kinds
                .iter()
                .map(|of| json!({ "kind": of.kind.as_str(), "backend": of.backend }))
                .collect();
            json!({ "route": route.name, "host": route.host, "path": route.path.path(), "policy": route.policy, "kinds": kinds, "to": shares, "shadow": route.shadow })
        })
        .collect();
    let backends: BTreeMap<&str, Value> = now
        .backends
        .iter()
        .map(|(name, sample)| {
            let since =
                before.backends.get(name).map_or_else(Sample::default, |earlier| sample.since(earlier));
            let value = json!({
                "requests": sample.requests,
                "requests_per_second": rounded(since.rate(over)),
                "errors": sample.errors,
                "grpc_errors": sample.grpc_errors,
                "error_percent": since.error_percent().map(rounded),
                "no_connection": sample.no_connection,
                "timeouts": sample.timeouts,
                "active": sample.active,
                "p50_ms": sample.p50_ms.map(significant),
                "p95_ms": sample.p95_ms.map(significant),
                "p99_ms": sample.p99_ms.map(significant),
            });
            (name.as_str(), value)
        })
        .collect();
    json!({
        "edge": edge.name,
        "revision": edge.revision.0,
        "envoy_revision": now.revision,
        "in_force": now.revision == edge.revision.0,
        "routes": routes,
        "backends": backends,
    })
}

/// A percentage as a JSON number: `10`, `99.5`.
fn number(percent: Percent) -> Value {
    let thousandths = percent.thousandths();
    if thousandths.is_multiple_of(1000) {
        json!(thousandths / 1000)
    } else {
        json!(f64::from(thousandths) / 1000.0)
    }
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Times to three digits or hundredths: Envoy interpolates its times, and further digits mean nothing.
fn significant(ms: f64) -> f64 {
    match ms {
        ms if ms < 10.0 => rounded(ms),
        ms if ms < 100.0 => (ms * 10.0).round() / 10.0,
        ms => ms.round(),
    }
}

fn text(report: &Value) -> String {
    let field = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            other.to_string()
        }
    };
    let in_force = report.get("in_force").and_then(Value::as_bool).unwrap_or_default();
    let state = if in_force {
        "in force".to_owned()
    } else {
        format!("NOT in force: Envoy has {}", field(report, "envoy_revision"))
    };
    let mut lines =
        format!("edge {} at revision {}: {state}\n\n", field(report, "edge"), field(report, "revision"));
    let mut rows = vec![["route", "path", "policy", "goes to"].map(str::to_owned).to_vec()];
    for route in report.get("routes").and_then(Value::as_array).into_iter().flatten() {
        let shares = route.get("to").and_then(Value::as_array).into_iter().flatten();
        let kinds = route.get("kinds").and_then(Value::as_array).into_iter().flatten();
        let mut to: Vec<String> =
            kinds.map(|of| format!("{} to {}", field(of, "kind"), field(of, "backend"))).collect();
        to.extend(shares.map(|share| format!("{} {} %", field(share, "backend"), field(share, "percent"))));
        if route.get("shadow").is_some_and(Value::is_string) {
            to.push(format!("copies to {}", field(route, "shadow")));
        }
        rows.push(vec![field(route, "route"), field(route, "path"), field(route, "policy"), to.join(", ")]);
    }
    lines.push_str(&lined_up(&[Side::Left; 4], &rows));
    let columns = [
        "requests",
        "requests_per_second",
        "error_percent",
        "errors",
        "grpc_errors",
        "no_connection",
        "timeouts",
        "active",
        "p50_ms",
        "p95_ms",
        "p99_ms",
    ];
    let heads = [
        "requests",
        "per s",
        "failed %",
        "5xx",
        "gRPC err.",
        "no conn.",
        "timeouts",
        "active",
        "p50 ms",
        "p95 ms",
        "p99 ms",
    ];
    let mut rows = vec![std::iter::once("backend").chain(heads).map(str::to_owned).collect::<Vec<_>>()];
    for (name, backend) in report.get("backends").and_then(Value::as_object).into_iter().flatten() {
        let numbers = columns.iter().map(|column| field(backend, column));
        rows.push(std::iter::once(name.clone()).chain(numbers).collect());
    }
    let mut sides = vec![Side::Right; rows.first().map_or(0, Vec::len)];
    if let Some(names) = sides.first_mut() {
        *names = Side::Left;
    }
    lines.push('\n');
    lines.push_str(&lined_up(&sides, &rows));
    lines.push('\n');
    lines
}
