//! The results of a run.

use serde_json::{Value, json};

use crate::load::{Measured, Protocol};

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in the figures.
    pub(crate) key: &'static str,
    /// Its title.
    pub(crate) title: &'static str,
    /// The protocol of its load.
    pub(crate) protocol: Protocol,
    /// The number of sessions that sent requests in turn.
    pub(crate) sessions: usize,
    /// Its measurements, round by round.
    pub(crate) rounds: Vec<Measured>,
    /// Bare Envoy's measurements in the same rounds.
    pub(crate) bare: Vec<Measured>,
}

impl Line {
    /// A line of measurements, with those of bare Envoy.
    pub(crate) const fn new(
        key: &'static str,
        title: &'static str,
        protocol: Protocol,
        sessions: usize,
        rounds: Vec<Measured>,
        bare: Vec<Measured>,
    ) -> Self {
        Self { key, title, protocol, sessions, rounds, bare }
    }

    fn compared(&self, figure: impl Fn(&Measured, &Measured) -> f64) -> Vec<f64> {
        self.rounds.iter().zip(&self.bare).map(|(one, bare)| figure(one, bare)).collect()
    }

    /// Throughput as a share of bare Envoy's: the median over the rounds.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.compared(|one, bare| one.rate / bare.rate))
    }

    /// The lowest and the highest share of any round.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let all = self.compared(|one, bare| one.rate / bare.rate);
        (all.iter().copied().fold(f64::NAN, f64::min), all.iter().copied().fold(f64::NAN, f64::max))
    }

    /// Bare Envoy's CPU time for a request as a share of this Envoy's: the throughput if Envoy's worker were the only scarce
    /// resource. Other work on the machine disturbs it much less than throughput.
    pub(crate) fn cpu_ratio(&self) -> f64 {
        median(self.compared(|one, bare| bare.envoy_us / one.envoy_us))
    }

    /// The median of one figure over the rounds.
    pub(crate) fn median_of(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }

    /// The figures.
    pub(crate) fn figures(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .zip(&self.bare)
            .map(|(one, bare)| {
                json!({
                    "rate": rounded(one.rate), "p99_ms": rounded(one.p99_ms),
                    "envoy_us": rounded(one.envoy_us), "authorizer_us": rounded(one.authorizer_us),
                    "requests": one.requests, "refused": one.refused,
                    "bare_rate": rounded(bare.rate), "bare_envoy_us": rounded(bare.envoy_us),
                })
            })
            .collect();
        let (lowest, highest) = self.spread();
        json!({
            "title": self.title,
            "protocol": match self.protocol { Protocol::H1 => "h1", Protocol::H2 => "h2", Protocol::Tls => "tls" },
            "sessions": self.sessions,
            "ratio": rounded(self.ratio()),
            "ratio_lowest": rounded(lowest),
            "ratio_highest": rounded(highest),
            "envoy_cpu_ratio": rounded(self.cpu_ratio()),
            "rate": rounded(self.median_of(|m| m.rate)),
            "p99_ms": rounded(self.median_of(|m| m.p99_ms)),
            "envoy_us": rounded(self.median_of(|m| m.envoy_us)),
            "authorizer_us": rounded(self.median_of(|m| m.authorizer_us)),
            "rounds": rounds,
        })
    }
}

/// The findings of an experiment.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// Its name in `--only` and in the figures.
    pub(crate) key: &'static str,
    /// The findings in words.
    pub(crate) said: Vec<String>,
    /// The same for programs.
    pub(crate) figures: Value,
}

/// All results.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    /// The table.
    pub(crate) lines: Vec<Line>,
    /// The findings of the experiments.
    pub(crate) findings: Vec<Finding>,
}

/// The middle of `values`: the mean of the two in the middle when their number is even.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 || values.is_empty() {
        return upper;
    }
    let lower = values.get(middle - 1).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

/// A quarter of `values` is below the first, half below the second, three quarters below the third.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let lower = values.get(..half).unwrap_or_default().to_vec();
    let upper = values.get(values.len() - half..).unwrap_or_default().to_vec();
    let middle = median(values);
    if half == 0 { [middle; 3] } else { [median(lower), middle, median(upper)] }
}

/// Rounds to four digits after the point; further digits are noise.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::{median, quartiles};

    #[test]
    fn quartiles_are_the_medians_of_the_halves() {
        assert_eq!(quartiles(vec![5.0, 1.0, 2.0, 4.0, 3.0]), [1.5, 3.0, 4.5]);
        assert_eq!(quartiles(vec![4.0, 3.0, 2.0, 1.0]), [1.5, 2.5, 3.5]);
        assert_eq!(quartiles(vec![7.0]), [7.0, 7.0, 7.0]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
