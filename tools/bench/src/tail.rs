//! How much longer a request takes than through bare Envoy while both have half of what the edge can do.
//!
//! A fixed rate (see [`crate::load::steady`]) over 16 connections; bare Envoy and the edge take turns at the same
//! rate, and each pair gives one difference of 99th percentiles.

use std::time::Duration;

use serde_json::json;

use crate::load::steady::{self, Plan};
use crate::load::{Protocol, measure};
use crate::progress::Progress;
use crate::results::{Finding, median, rounded};
use crate::stage::{PATH, Stage};
use crate::variants::{Form, Variant};

const CONNECTIONS: u32 = 16;

/// Measures the edge as it is meant to run, and without leases.
pub(crate) fn run(stage: &mut Stage, rounds: usize, duration: Duration, progress: &Progress) -> Finding {
    let mut said = Vec::new();
    let mut figures = serde_json::Map::new();
    for variant in [Variant::Warm(Form::Native), Variant::Cold(Form::Native)] {
        if !stage.has(variant) {
            continue;
        }
        let sessions = stage.sessions(1);
        let token = sessions.first().to_owned();
        let full = measure(stage.target(variant), Protocol::H1, PATH, stage.sessions(1), duration);
        let rate = full.rate / 2.0;
        let mut ask = |variant| {
            let address = stage.target(variant).address;
            let path = PATH.to_owned();
            steady::run(&Plan {
                address,
                path,
                token: token.clone(),
                rate,
                duration,
                threads: CONNECTIONS,
                connections: 1,
            })
        };
        let mut pairs = Vec::new();
        for _ in 0..rounds {
            let (bare, edge) = (ask(Variant::Bare), ask(variant));
            if bare.errors + edge.errors > 0 {
                progress.say(&format!("{} requests had no good answer", bare.errors + edge.errors));
            }
            progress.say(&format!(
                "tail, {:<20} p99 {:.3} ms, bare {:.3} ms at {rate:.0}/s",
                variant.name(),
                edge.p99_ms,
                bare.p99_ms
            ));
            pairs.push((bare, edge));
        }
        let over = |figure: fn(&steady::Steady) -> f64| {
            let all = |which: fn(&(steady::Steady, steady::Steady)) -> &steady::Steady| {
                median(pairs.iter().map(|pair| figure(which(pair))).collect())
            };
            let added = median(pairs.iter().map(|(bare, edge)| figure(edge) - figure(bare)).collect());
            (all(|(bare, _)| bare), all(|(_, edge)| edge), added)
        };
        let (bare_p50, edge_p50, added_p50) = over(|s| s.p50_ms);
        let (bare_p99, edge_p99, added_p99) = over(|s| s.p99_ms);
        said.push(format!(
            "at half load ({rate:.0} requests/s), the edge {}: p99 {edge_p99:.2} ms, bare {bare_p99:.2} ms, added {added_p99:.2} ms (median added {added_p50:.2} ms)",
            variant.name()
        ));
        figures.insert(
            variant.name().to_owned(),
            json!({
                "requests_per_second": rounded(rate),
                "p50_ms": rounded(edge_p50), "bare_p50_ms": rounded(bare_p50), "added_p50_ms": rounded(added_p50),
                "p99_ms": rounded(edge_p99), "bare_p99_ms": rounded(bare_p99), "added_p99_ms": rounded(added_p99),
            }),
        );
        stage.empty_logs();
    }
    Finding { key: "tail", said, figures: figures.into() }
}
