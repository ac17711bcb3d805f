//! Requests that an edge must not let through, sent to an edge whose backend is an [`echo`].

pub mod echo;
pub mod paths;
pub mod spoof;

use std::collections::BTreeMap;

use http_wire::answer::{Answer, Body};

use echo::HEADER;

/// What the probes found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The number of requests that were sent.
    pub sent: usize,
    /// The number of those that arrived at the echo.
    pub arrived: usize,
    /// The statuses of the others, with the number of each.
    pub refused: BTreeMap<u16, usize>,
    /// The number without any answer: the edge closed the connection.
    pub closed: usize,
    /// What must not happen and did, as sentences.
    pub violations: Vec<String>,
    /// The number of violations, of which [`MAX_SHOWN`] are kept.
    pub violated: usize,
}

/// The kept violations: a person reads no more, and ten thousand would be one mistake.
pub const MAX_SHOWN: usize = 50;

impl Findings {
    fn violation(&mut self, what: String) {
        self.violated += 1;
        if self.violations.len() < MAX_SHOWN {
            self.violations.push(what);
        }
    }

    /// Counts an answer; returns the request as the echo received it.
    fn count(&mut self, answer: Result<&Answer, ()>, token: &str) -> Option<Vec<u8>> {
        self.sent += 1;
        let Ok(answer) = answer else {
            self.closed += 1;
            return None;
        };
        if answer.header(HEADER) != Some(token.as_bytes()) {
            *self.refused.entry(answer.status).or_default() += 1;
            return None;
        }
        self.arrived += 1;
        match &answer.body {
            Body::Whole(bytes) => Some(bytes.clone()),
            Body::Digest { .. } => None,
        }
    }
}
