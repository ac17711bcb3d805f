//! How much longer a request takes through the edge than through bare Envoy, at half of the edge's highest rate.
//!
//! A fixed rate (see [`crate::load::steady`]) over 16 connections. Bare Envoy and the edge take turns at the same rate, a
//! tenth of a second each, and each pair gives one difference of 99th percentiles; the result is their median. A virtual
//! machine with neighbours is stopped for milliseconds, a few times a second, and each stop delays about one request in a
//! hundred of that second. In long turns the 99th percentile is the length of the stops, for bare Envoy as for the edge. Most
//! short turns have no stop in them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::steady::{self, Ask, Plan, Steady};
use crate::load::{Protocol, measure};
use crate::progress::Progress;
use crate::results::{Finding, median, quartiles, rounded};
use crate::stage::{PATH, Stage};
use crate::variants::{Form, Variant};

const CONNECTIONS: u32 = 16;

/// One turn: hundreds of requests, so that some are above its 99th percentile.
const TURN: Duration = Duration::from_millis(100);

/// How long the highest rate is measured, to find half of it.
const FULL: Duration = Duration::from_secs(1);

/// Measures the edge with leases, and without, for `rounds` times `duration` each.
pub(crate) fn run(stage: &mut Stage, rounds: usize, duration: Duration, progress: &Progress) -> Finding {
    let turns = u64::try_from(duration.as_millis() / TURN.as_millis()).unwrap_or(1).max(1);
    let mut said = Vec::new();
    let mut figures = serde_json::Map::new();
    for variant in [Variant::Warm(Form::Native), Variant::Cold(Form::Native)] {
        if !stage.has(variant) {
            continue;
        }
        let mut pairs = Pairs::default();
        let mut rates = Vec::new();
        for round in 1..=rounds {
            let mut these = Pairs::default();
            // On a machine with neighbours the highest rate changes every second.
            let full = measure(stage.target(variant), Protocol::H1, PATH, stage.sessions(1), FULL);
            let rate = full.rate / 2.0;
            rates.push(rate);
            for turn in 0..turns {
                // The order alternates, so that after-effects of one turn affect both.
                let mut ask = |variant| steady::run(&plan(stage, variant, rate));
                let pair = if turn % 2 == 0 {
                    let bare = ask(Variant::Bare);
                    (bare, ask(variant))
                } else {
                    let edge = ask(variant);
                    (ask(Variant::Bare), edge)
                };
                let errors = pair.0.errors + pair.1.errors;
                if errors > 0 {
                    progress.say(&format!("{errors} requests had no good answer"));
                }
                these.0.push(pair);
            }
            progress.say(&format!(
                "{round}/{rounds} tail, {:<16} p99 {:.3} ms, bare {:.3} ms, added {:.3} ms at {rate:.0}/s",
                variant.name(),
                these.edge(|s| s.p99_ms),
                these.bare(|s| s.p99_ms),
                these.added(|s| s.p99_ms)[1],
            ));
            pairs.0.extend(these.0);
            stage.empty_logs();
        }
        let rate = median(rates);
        let [low, added, high] = pairs.added(|s| s.p99_ms);
        said.push(format!(
            "at half load ({rate:.0} requests/s), the edge {}: added p99 {added:.2} ms (half of {} pairs {low:.2} to {high:.2}); p99 {:.2} ms, bare {:.2} ms; median added {:.2} ms",
            variant.name(),
            pairs.0.len(),
            pairs.edge(|s| s.p99_ms),
            pairs.bare(|s| s.p99_ms),
            pairs.added(|s| s.p50_ms)[1],
        ));
        figures.insert(variant.name().to_owned(), pairs.figures(rate));
    }
    Finding { key: "tail", said, figures: figures.into() }
}

fn plan(stage: &mut Stage, variant: Variant, rate: f64) -> Plan {
    Plan {
        address: stage.target(variant).address,
        asks: vec![Ask { path: PATH.to_owned(), token: stage.sessions(1).first().to_owned() }],
        rate,
        duration: TURN,
        connections: CONNECTIONS,
    }
}

/// Bare Envoy and the edge, turn by turn.
#[derive(Debug, Default)]
struct Pairs(Vec<(Steady, Steady)>);

impl Pairs {
    fn bare(&self, figure: fn(&Steady) -> f64) -> f64 {
        quartiles(self.0.iter().map(|(bare, _)| figure(bare)).collect())[1]
    }

    fn edge(&self, figure: fn(&Steady) -> f64) -> f64 {
        quartiles(self.0.iter().map(|(_, edge)| figure(edge)).collect())[1]
    }

    /// The added time of the edge, pair by pair: first quartile, median, third quartile.
    fn added(&self, figure: fn(&Steady) -> f64) -> [f64; 3] {
        quartiles(self.0.iter().map(|(bare, edge)| figure(edge) - figure(bare)).collect())
    }

    fn figures(&self, rate: f64) -> Value {
        let [low, added, high] = self.added(|s| s.p99_ms);
        json!({
            "requests_per_second": rounded(rate),
            "pairs": self.0.len(),
            "p50_ms": rounded(self.edge(|s| s.p50_ms)),
            "bare_p50_ms": rounded(self.bare(|s| s.p50_ms)),
            "added_p50_ms": rounded(self.added(|s| s.p50_ms)[1]),
            "p99_ms": rounded(self.edge(|s| s.p99_ms)),
            "bare_p99_ms": rounded(self.bare(|s| s.p99_ms)),
            "added_p99_ms": rounded(added),
            "added_p99_ms_quartiles": [rounded(low), rounded(high)],
        })
    }
}
