//! `make bench` compares the cost of the edge with its alternatives.
//!
//! One run starts every variant, then measures them in turn, round by round, under the same load from the same client with
//! the same access log. It prints medians as ratios to bare Envoy in the same round. Absolute times depend on the machine;
//! ratios of one run depend on it much less, and CPU time for a request even less. `docs/performance.md` has the findings and
//! explains the figures.
#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run stops with the reason")]

mod backend;
mod chart;
mod crowd;
mod extremes;
mod filters;
mod leases;
mod load;
mod machine;
mod naive;
mod networks;
mod progress;
mod report;
mod results;
mod services;
mod sessions;
mod size;
mod stage;
mod streams;
mod tail;
mod variants;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use load::{Measured, Protocol, measure};
use progress::Progress;
use results::{Line, Results};
use stage::{PATH, Stage, Tried};
use variants::{Form, ROWS, Row, Variant};

/// The experiments besides the rows, by name.
const EXPERIMENTS: [&str; 11] = [
    "crowd",
    "tail",
    "routes",
    "templates",
    "networks",
    "short",
    "authorizer",
    "connections",
    "streams",
    "bodies",
    "services",
];

/// Rows with a promise are measured twice in each round: on a machine with neighbours, two seconds differ by a tenth, and
/// these rows need more precision.
const PROMISED: [&str; 4] = ["guard", "lua_jwt_cached", "cold", "warm"];

const NAMES: &str = "Rows (bare is always among them):
  guard, guard_wasm  the guard and nothing else: as a dynamic module, and as WebAssembly
  jwt, jwt_cached  Envoy's own jwt_authn, without and with its token cache
  lua_jwt_cached   headers stripped by Lua, then jwt_authn with its token cache
  naive            a tonic ext_authz that verifies every token again
  cold, cold_wasm  the edge without leases: a full check on every request
  warm, warm_wasm  the edge with leases
  cold_1000, warm_1000                            1,000 sessions in turn
  lua_jwt_cached_h2, cold_h2, warm_h2, warm_1000_h2   over HTTP/2

Experiments:
  crowd        100,000 sessions in turn, after a first request of each
  tail         added p99 over bare Envoy at half load, requests at a fixed rate
  routes       what a request costs with 10, 100, 1,000 and 10,000 routes
  templates    the same with path templates
  networks     the edge warm over TLS, and over HTTP/2 on both sides, beside bare Envoy with the same settings
  short        what a short request pays for a limit of bodies, and for a stream that ends with its session
  authorizer   prints target/bench/authorizer.json if `cargo bench -p authz-service` has written it
  connections  10,000 open connections at half load
  streams      5,000 open streams, most of which end with their sessions
  bodies       1 GiB up and down, and Envoy's memory meanwhile
  services     accounts and books of the services against those of the legacy sample, and 10,000 people at once

Examples (make bench BENCH=\"…\"):
  --rounds 3 --only warm,cold,lua_jwt_cached
  --only tail --rounds 5 --seconds 4
  --only cold --try ./change.py           next to it with another setting
  --only warm --of warm --try ./change.py the same with leases
  --chart docs/performance.svg            measure, then draw the chart
  --from target/bench/latest.json --chart docs/performance.svg   only draw it";

/// Measure the cost of the edge: bare Envoy, the edge and the alternatives side by side in one run. Takes about twelve minutes.
#[derive(Debug, Parser)]
#[command(after_help = NAMES)]
struct Arguments {
    /// The number of rounds; every row is measured in each, right after bare Envoy, and its median counts.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Seconds of load for each measurement of a row; an experiment takes twice as many.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Measure only these rows and experiments, by name, separated by commas (default: all).
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Add a row: an edge with its Envoy configuration (JSON) passed through this shell command, to measure the cost of a
    /// setting. May be repeated.
    #[arg(long = "try", value_name = "COMMAND")]
    tries: Vec<String>,
    /// The edge that `--try` changes.
    #[arg(long, value_enum, default_value = "cold")]
    of: TriedEdge,
    /// Print the figures as JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// The file for the figures.
    #[arg(long, default_value = "target/bench/latest.json", value_name = "FILE")]
    out: PathBuf,
    /// Draw the chart (SVG) to this file.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Measure nothing: read the figures from this file, and draw the chart from them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only"])]
    from: Option<PathBuf>,
    /// Run as the naive authorizer at this address (the benchmark starts itself in this way).
    #[arg(long, hide = true)]
    naive_authorizer: Option<SocketAddr>,
    /// The public keys of the naive authorizer.
    #[arg(long, hide = true)]
    keys: Option<PathBuf>,
}

/// The edge that `--try` changes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TriedEdge {
    /// The edge with a full check on every request.
    Cold,
    /// The edge with leases.
    Warm,
    /// The edge with a full check on every request and its guard in WebAssembly.
    ColdWasm,
    /// The edge with leases and its guard in WebAssembly.
    WarmWasm,
}

impl TriedEdge {
    const fn variant(self) -> Variant {
        match self {
            Self::Cold => Variant::Cold(Form::Native),
            Self::Warm => Variant::Warm(Form::Native),
            Self::ColdWasm => Variant::Cold(Form::Wasm),
            Self::WarmWasm => Variant::Warm(Form::Wasm),
        }
    }
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// A name in `--only` that does not exist.
    fn unknown(&self) -> Option<&String> {
        let known = |name: &str| ROWS.iter().any(|row| row.key == name) || EXPERIMENTS.contains(&name);
        self.only.iter().find(|name| !known(name))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(address), Some(keys)) = (arguments.naive_authorizer, &arguments.keys) {
        naive::serve(address, keys);
        return ExitCode::SUCCESS;
    }
    let complaint = arguments
        .unknown()
        .map(|name| format!("--only {name}: unknown row or experiment (--help lists them)"));
    if let Some(complaint) = complaint.or_else(|| arguments.from.is_none().then(machine::unfit).flatten()) {
        eprintln!("bench: {complaint}");
        return ExitCode::from(2);
    }
    let figures = if let Some(file) = &arguments.from {
        let read = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let Some(figures) = read else {
            eprintln!(
                "bench: --from {}: this is not a file of figures; `make bench` writes one",
                file.display()
            );
            return ExitCode::from(2);
        };
        figures
    } else {
        let progress = Progress::begin();
        let load_at_start = machine::load();
        let figures_of = |results: &Results| {
            report::figures(results, &machine::figures(&load_at_start), progress.seconds())
        };
        // Written after every part, so that a failed experiment does not lose the others.
        let keep = |results: &Results| report::write(&arguments.out, &format!("{:#}\n", figures_of(results)));
        let results = run(&arguments, &progress, &keep);
        let figures = figures_of(&results);
        if !arguments.json {
            report::print(&results, &figures);
        }
        eprintln!("{}", arguments.out.display());
        figures
    };
    if arguments.json {
        println!("{figures:#}");
    }
    if let Some(file) = &arguments.chart {
        report::write(file, &chart::draw(&figures));
    }
    ExitCode::SUCCESS
}

/// Measures the requested parts, and writes the figures after each.
fn run(arguments: &Arguments, progress: &Progress, keep: &dyn Fn(&Results)) -> Results {
    let duration = Duration::from_secs(arguments.seconds);
    let rounds = usize::from(arguments.rounds);
    if ["connections", "streams", "services"].iter().any(|name| arguments.wants(name)) {
        extremes::allow_open_files();
    }
    let edge = arguments.of.variant();
    let tried =
        (0_u8..).zip(&arguments.tries).map(|(number, command)| variants::tried(number, edge, command));
    let table: Vec<Row> = ROWS.into_iter().chain(tried).collect();
    let is_tried = |row: &Row| matches!(row.variant, Variant::Tried(_));
    let wanted: Vec<Row> =
        table.iter().copied().filter(|row| arguments.wants(row.key) || is_tried(row)).collect();
    let mut variants = vec![Variant::Bare];
    variants.extend(wanted.iter().map(|row| row.variant));
    if !arguments.tries.is_empty() {
        variants.push(edge);
    }
    // The experiments use the edge in its intended form.
    if EXPERIMENTS.iter().any(|name| arguments.wants(name)) {
        variants.push(Variant::Warm(Form::Native));
    }
    let mut unique: Vec<Variant> = Vec::new();
    for variant in variants {
        if !unique.contains(&variant) {
            unique.push(variant);
        }
    }
    progress.say("starting the edge and the alternatives");
    let backend = backend::start();
    let tried = Tried { edge, commands: arguments.tries.clone() };
    let mut stage = Stage::set(backend, &unique, &tried);
    stage.prepare_sessions(1);
    let mut results =
        Results { lines: rows(&mut stage, &wanted, rounds, duration, progress), findings: Vec::new() };
    keep(&results);
    let duration = 2 * duration;
    if arguments.wants("crowd") {
        results.lines.extend(crowd::run(&mut stage, duration, progress));
        keep(&results);
    }
    if arguments.wants("tail") {
        results.findings.push(tail::run(&mut stage, rounds, duration, progress));
        keep(&results);
    }
    if arguments.wants("routes") {
        // Each is started for itself, which takes longer than measuring it.
        let fewer = rounds.min(3);
        results.findings.push(size::routes(
            &mut stage,
            size::Paths::Literal,
            backend,
            (fewer, duration),
            progress,
        ));
        keep(&results);
    }
    if arguments.wants("templates") {
        let fewer = rounds.min(3);
        results.findings.push(size::routes(
            &mut stage,
            size::Paths::Template,
            backend,
            (fewer, duration),
            progress,
        ));
        keep(&results);
    }
    let few = (rounds.min(5), duration);
    if arguments.wants("networks") {
        let backends = (backend, backend::start_http2());
        results.findings.push(networks::networks(stage.directory(), backends, few, progress));
        keep(&results);
    }
    if arguments.wants("short") {
        results.findings.push(networks::short(stage.directory(), backend, few, progress));
        keep(&results);
    }
    if arguments.wants("authorizer") {
        results.findings.push(size::authorizer(&arguments.out.with_file_name("authorizer.json")));
        keep(&results);
    }
    if arguments.wants("connections") {
        results.findings.push(extremes::connections(&mut stage, duration, progress));
        keep(&results);
    }
    if arguments.wants("streams") {
        results.findings.push(streams::streams(backend, progress));
        keep(&results);
    }
    if arguments.wants("bodies") {
        results.findings.push(extremes::bodies(&mut stage, progress));
        keep(&results);
    }
    if arguments.wants("services") {
        results.findings.push(services::services(stage.directory(), few, progress));
        keep(&results);
    }
    results
}

/// Measures the rows in turn, round by round, each right after bare Envoy: other work on a machine changes within seconds.
fn rows(
    stage: &mut Stage,
    wanted: &[Row],
    rounds: usize,
    duration: Duration,
    progress: &Progress,
) -> Vec<Line> {
    let mut runs: Vec<Row> = wanted.iter().copied().filter(|row| stage.has(row.variant)).collect();
    let bare_of = |protocol: Protocol| ROWS.into_iter().find(|row| row.key == protocol.bare());
    // Without bare Envoy beside it, a row means nothing.
    for bare in ROWS.into_iter().filter(|row| row.variant == Variant::Bare) {
        let missing = runs.iter().all(|row| row.key != bare.key);
        if missing && runs.iter().any(|row| row.protocol == bare.protocol) {
            runs.insert(0, bare);
        }
    }
    for row in &runs {
        // Connections and caches are warm before anything counts.
        stage.prepare_sessions(row.sessions);
        warm(stage, row);
    }
    let ask = |stage: &mut Stage, row: &Row, round: usize| {
        let target = stage.target(row.variant);
        let one = measure(target, row.protocol, PATH, stage.sessions(row.sessions), duration);
        progress.round(&format!("{round}/{rounds} {}", row.key), &one);
        stage.empty_logs();
        one
    };
    let mut measured: BTreeMap<&str, (Vec<Measured>, Vec<Measured>)> = BTreeMap::new();
    for round in 1..=rounds {
        let once = runs.iter().filter(|row| row.variant != Variant::Bare);
        let again = runs.iter().filter(|row| PROMISED.contains(&row.key));
        for row in once.chain(again) {
            let Some(bare) = bare_of(row.protocol) else { continue };
            if row.sessions > 1 {
                // A round is longer than a lease: sessions of the last round are new to the edge again, and `crowd` measures
                // the cost of new sessions.
                warm(stage, row);
            }
            let beside = ask(stage, &bare, round);
            let one = ask(stage, row, round);
            let of_bare = measured.entry(bare.key).or_default();
            of_bare.0.push(beside);
            of_bare.1.push(beside);
            let (of_row, bares) = measured.entry(row.key).or_default();
            of_row.push(one);
            bares.push(beside);
        }
        // Only bare Envoy was requested.
        if runs.iter().all(|row| row.variant == Variant::Bare) {
            for bare in &runs {
                let one = ask(stage, bare, round);
                let (of_row, bares) = measured.entry(bare.key).or_default();
                of_row.push(one);
                bares.push(one);
            }
        }
    }
    runs.iter()
        .map(|row| {
            let (of_row, bares) = measured.get(row.key).cloned().unwrap_or_default();
            Line::new(row.key, row.title, row.protocol, row.sessions, of_row, bares)
        })
        .collect()
}

/// A second of `row` that does not count.
fn warm(stage: &mut Stage, row: &Row) {
    let target = stage.target(row.variant);
    let _ = measure(target, row.protocol, PATH, stage.sessions(row.sessions), Duration::from_secs(1));
}
