//! Spares an endpoint that fails, and spares its callers the wait.
//!
//! After [`FAILURES`] failures in a row it rests: no query is made for a quarter of a second, then one for a
//! trial. While trials fail, the rests double up to [`LONGEST`]. The first answer ends it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backoff::Backoff;

/// One failure may be a lost packet. Five in a row, with no answer between them, are an outage.
const FAILURES: u32 = 5;

/// The first rest: a restarted process listens again after about as long.
const FIRST: Duration = Duration::from_millis(250);

/// An endpoint that is back is used again within this time.
const LONGEST: Duration = Duration::from_secs(2);

/// Whether an endpoint may be queried.
#[derive(Debug)]
pub struct Circuit {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failures: u32,
    rests_until: Option<Instant>,
    rests: Backoff,
}

impl Default for Circuit {
    fn default() -> Self {
        let state = State { failures: 0, rests_until: None, rests: Backoff::new(FIRST, LONGEST) };
        Self { state: Mutex::new(state) }
    }
}

impl Circuit {
    /// Whether a query may be made at `at`. The one that is admitted after a rest is its trial: others wait for the
    /// next one, or for its answer.
    #[must_use]
    pub fn admits(&self, at: Instant) -> bool {
        let mut state = self.state.lock();
        match state.rests_until {
            None => true,
            Some(until) if at < until => false,
            Some(_) => {
                let rest = state.rests.wait();
                state.rests_until = Some(at + rest);
                true
            }
        }
    }

    /// Notes an answer.
    pub fn answered(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.rests_until = None;
        state.rests.reset();
    }

    /// Notes at `at` that a query failed.
    pub fn failed(&self, at: Instant) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES && state.rests_until.is_none() {
            let rest = state.rests.wait();
            state.rests_until = Some(at + rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_rests_after_five_failures_and_one_query_tries_it_again() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..4 {
            circuit.failed(at(0));
        }
        assert!(circuit.admits(at(0)), "four are none yet");
        circuit.answered();
        for _ in 0..5 {
            assert!(circuit.admits(at(0)), "an answer begins the count anew");
            circuit.failed(at(0));
        }
        assert!(!circuit.admits(at(0)) && !circuit.admits(at(249)));
        assert!(circuit.admits(at(250)), "the trial");
        assert!(!circuit.admits(at(250)) && !circuit.admits(at(749)), "and no other");
        circuit.failed(at(300));
        assert!(circuit.admits(at(750)) && !circuit.admits(at(1_749)), "the rests double");
        assert!(
            circuit.admits(at(1_750)) && circuit.admits(at(3_750)) && circuit.admits(at(5_750)),
            "to two seconds"
        );
        circuit.answered();
        assert!(circuit.admits(at(5_750)) && circuit.admits(at(5_750)));
    }
}
