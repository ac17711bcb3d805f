//! The table, and the same figures for whoever reads them later.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::load::Measured;
use crate::variants::Variant;

type Results = [(Variant, Vec<Measured>)];

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn of(results: &[Measured], figure: impl Fn(&Measured) -> f64) -> f64 {
    median(results.iter().map(figure).collect())
}

/// The median over rounds of each round's ratio to bare Envoy in the same round.
fn ratio(all: &Results, results: &[Measured]) -> f64 {
    let bare = all
        .iter()
        .find(|(variant, _)| *variant == Variant::Bare)
        .map(|(_, bare)| bare.as_slice())
        .unwrap_or_default();
    median(results.iter().zip(bare).map(|(one, bare)| one.rate / bare.rate).collect())
}

/// Prints the table.
pub(crate) fn print(all: &Results) {
    println!(
        "\n{:<44} {:>8} {:>11} {:>9} {:>10} {:>10}",
        "", "of bare", "requests/s", "p99 ms", "Envoy µs", "authz µs"
    );
    for (variant, results) in all {
        println!(
            "{:<44} {:>7.1}% {:>11.0} {:>9.2} {:>10.1} {:>10.1}",
            variant.title(),
            100.0 * ratio(all, results),
            of(results, |m| m.rate),
            of(results, |m| m.p99_ms),
            of(results, |m| m.envoy_us),
            of(results, |m| m.authorizer_us),
        );
    }
}

/// Writes the figures as JSON.
pub(crate) fn write(path: &Path, all: &Results) {
    let mut ratios = Map::new();
    let mut variants = Map::new();
    for (variant, results) in all {
        ratios.insert(variant.name().to_owned(), json!(ratio(all, results)));
        let rounds: Vec<Value> = results
            .iter()
            .map(|m| json!({ "rate": m.rate, "p99_ms": m.p99_ms, "envoy_us": m.envoy_us, "authorizer_us": m.authorizer_us }))
            .collect();
        variants.insert(variant.name().to_owned(), json!({ "title": variant.title(), "rounds": rounds }));
    }
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let figures =
        json!({ "ratios": ratios, "variants": variants, "machine": { "cpu": model, "cores": cores } });
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).expect("the directory can be made");
    }
    std::fs::write(path, format!("{figures:#}\n")).expect("the figures can be written");
    println!("\n{}", path.display());
}
