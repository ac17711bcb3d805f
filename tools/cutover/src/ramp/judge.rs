//! Checks the gates of one step again and again, until one fails. No I/O.
//!
//! One failed check decides nothing: a backend pauses for a second when it collects garbage, writes a snapshot or is
//! deployed, and so does the machine of Envoy.

use std::collections::VecDeque;

use super::gate::{Earlier, Gate, GateVerdict, Rule, Seen};

/// After how many failed checks a gate fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// This many failed checks …
    pub bad: usize,
    /// … among this many last ones.
    pub of: usize,
}

impl std::str::FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// There is one check a second: a bad backend is not watched for longer than a minute.
        const MOST: usize = 60;
        let numbers = text.split_once('/').and_then(|(bad, of)| Some((bad.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((bad, of)) if 1 <= bad && bad <= of && of <= MOST => Ok(Self { bad, of }),
            _ => Err(format!(
                "invalid number of failed checks `{text}`: write 3/5 for three of the last five; at most {MOST}"
            )),
        }
    }
}

/// The result of one check of all gates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The verdict of each gate in words.
    pub shown: Vec<String>,
    /// Whether all of them hold.
    pub held: bool,
    /// The gate that has failed, and why.
    pub failed: Option<String>,
}

/// Judges one step.
#[derive(Clone, Debug)]
pub struct Judge {
    gates: Vec<(Gate, VecDeque<bool>)>,
    rule: Rule,
    patience: Patience,
    /// The answers at the last check that had new ones.
    answers: Option<(u64, u64)>,
}

impl Judge {
    /// A judge for the beginning of a step.
    #[must_use]
    pub fn new(gates: &[Gate], rule: Rule, patience: Patience) -> Self {
        let gates = gates.iter().map(|gate| (gate.clone(), VecDeque::new())).collect();
        Self { gates, rule, patience, answers: None }
    }

    /// Judges everything since the step began. `answers` are the new backend's on the route, by the log and by Envoy's
    /// counters.
    pub fn look(&mut self, mut seen: Seen, answers: (u64, u64), earlier: &mut Earlier) -> Look {
        earlier.complete(&mut seen, &self.rule);
        let logged = self.answers.map(|(logged, _)| logged) != Some(answers.0) || seen.unreadable.is_some();
        let counted = seen.log_is_behind() && self.answers != Some(answers);
        self.answers = Some(answers);
        let mut look = Look { held: true, ..Look::default() };
        for (gate, looks) in &mut self.gates {
            let verdict = gate.judge(&seen, &self.rule);
            if logged || !gate.needs_new_answers() || (counted && gate.reads_counters()) {
                looks.push_back(matches!(verdict, GateVerdict::Fails(_)));
                if looks.len() > self.patience.of {
                    looks.pop_front();
                }
            }
            match verdict {
                GateVerdict::Holds(said) => look.shown.push(format!("{gate}: {said}")),
                GateVerdict::Undecided(said) => {
                    look.held = false;
                    look.shown.push(format!("{gate}: waiting, {said}"));
                }
                GateVerdict::Fails(said) => {
                    look.held = false;
                    let bad = looks.iter().filter(|bad| **bad).count();
                    if bad >= self.patience.bad && look.failed.is_none() {
                        look.failed = Some(format!("{gate}: {said}"));
                    }
                    look.shown.push(format!(
                        "{gate}: failed, {said} (check {bad} of {} that end the step)",
                        self.patience.bad
                    ));
                }
            }
        }
        look
    }
}

#[cfg(test)]
mod tests;
