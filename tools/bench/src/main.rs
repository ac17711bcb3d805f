//! `make bench`: what the edge costs, beside what else one could put there.
//!
//! One run starts every variant in turn, round by round, under the same load from the same client with the same
//! access log, and prints medians as ratios to bare Envoy. Absolute times depend on the machine; ratios of one
//! run do not, much.
#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run stops and says why")]

mod backend;
mod load;
mod naive;
mod report;
mod variants;

use std::time::Duration;

use clap::Parser;

use load::Measured;
use variants::{ALL, Variant};

/// Bare Envoy and the edge side by side: ratios, and CPU time for each request.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds; the median of each variant counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load for each variant in each round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections of the client.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Variants to run beside bare Envoy (default: all), by their names in the table.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/latest.json")]
    out: std::path::PathBuf,
    /// Be the naive authorizer at this address (the benchmark starts itself so).
    #[arg(long, hide = true)]
    naive_authorizer: Option<std::net::SocketAddr>,
    /// The public keys of the naive authorizer.
    #[arg(long, hide = true)]
    keys: Option<std::path::PathBuf>,
}

fn main() {
    let arguments = Arguments::parse();
    if let (Some(address), Some(keys)) = (arguments.naive_authorizer, &arguments.keys) {
        naive::serve(address, keys);
        return;
    }
    let backend = backend::start();
    let chosen: Vec<Variant> = ALL
        .into_iter()
        .filter(|v| {
            *v == Variant::Bare
                || arguments.only.is_empty()
                || arguments.only.iter().any(|name| name == v.name())
        })
        .collect();
    let mut stage = variants::Stage::set(backend, &chosen);
    let mut measured: Vec<(Variant, Vec<Measured>)> = chosen.iter().map(|v| (*v, Vec::new())).collect();
    for round in 1..=arguments.rounds {
        for (variant, results) in &mut measured {
            let one = stage.measure(*variant, Duration::from_secs(arguments.seconds), arguments.connections);
            eprintln!(
                "round {round}/{}  {:<24} {:>8.0} requests/s",
                arguments.rounds,
                variant.name(),
                one.rate
            );
            results.push(one);
        }
    }
    report::print(&measured);
    report::write(&arguments.out, &measured);
}
