//! Medians, the table, and the same figures in a file for later readers.

use std::path::Path;

use serde_json::{Map, Value};

/// One figure from each round.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The ratio of each round's figure to the other's of the same round.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }
}

/// What is to be reached: at most, or at least.
const TARGETS: [(&str, Target); 13] = [
    ("decision_us", Target::Most(20.0)),
    ("decision_allocations", Target::Most(100.0)),
    ("decision_mapped_us", Target::Most(20.0)),
    ("decision_mapped_allocations", Target::Most(100.0)),
    ("decision_with_limits_us", Target::Most(20.0)),
    ("decision_with_limits_allocations", Target::Most(100.0)),
    ("first_seen_us", Target::Most(120.0)),
    ("tenants_ratio", Target::Most(1.2)),
    ("api_key_us_100000", Target::Most(3.0)),
    ("api_key_ratio", Target::Most(1.2)),
    ("api_key_in_turn_us", Target::Most(3.0)),
    ("memory_mib_100000", Target::Most(128.0)),
    ("load_ratio", Target::Least(0.8)),
];

#[derive(Clone, Copy)]
enum Target {
    Most(f64),
    Least(f64),
}

/// Every figure, in the order of the measurements.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn measured(&mut self, name: &str, samples: &Samples) {
        self.one(name, samples.median());
    }

    pub(crate) fn one(&mut self, name: &str, figure: f64) {
        self.figures.push((name.to_owned(), (figure * 1_000.0).round() / 1_000.0));
    }

    /// Prints the table and, when the figures are `complete`, writes the file.
    pub(crate) fn finish(&self, complete: bool) {
        println!("\n{:<40} {:>10}  to reach", "the authorizer", "median");
        let mut all = Map::new();
        for (name, figure) in &self.figures {
            let target = TARGETS.iter().find(|(of, _)| of == name).map(|(_, target)| *target);
            let verdict = match target {
                None => String::new(),
                Some(Target::Most(most)) => format!("≤ {most}{}", mark(*figure <= most)),
                Some(Target::Least(least)) => format!("≥ {least}{}", mark(*figure >= least)),
            };
            println!("{name:<40} {figure:>10.2}  {verdict}");
            all.insert(name.clone(), Value::from(*figure));
        }
        if !complete {
            return;
        }
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&directory).expect("the target directory is writable");
        let file = directory.join("authorizer.json");
        std::fs::write(&file, format!("{:#}\n", Value::Object(all)))
            .expect("the target directory is writable");
        println!("\n{}", file.display());
    }
}

fn mark(reached: bool) -> &'static str {
    if reached { "" } else { "  MISSED" }
}
