//! What was found so far: counts by route, noise, and samples. All of it is bounded, and none of it is on disk.

mod report;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clock::UnixTime;
use edge_config::edge::DifferenceKind;
use serde::Serialize;

pub use report::{Queue, metrics, report};

use crate::compare::Note;
use crate::copy::Refusal;
use crate::noise::Noise;
use crate::redact::Shown;

/// Routes that had a shadow since the start; an edge that is changed this often is restarted before.
const MAX_ROUTES: usize = 1000;

/// Samples of one route: one of each kind, and a few more.
const MAX_SAMPLES: usize = 20;

/// Differences shown of one request.
const MAX_SHOWN: usize = 8;

/// Why a copy was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// The queue was full.
    QueueFull,
    /// It waited for too long.
    TooOld,
    /// The reference did not answer.
    ReferenceUnanswered,
    /// Something was written between the two answers.
    Moved,
    /// An answer without an end.
    Stream,
    /// An answer that is too large.
    TooLarge,
    /// A backend speaks HTTP/2, which cannot carry this request.
    Unaskable,
    /// The request had a body.
    Body,
    /// The comparator was stopping.
    Stopping,
}

impl Dropped {
    /// As the report spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooOld => "too_old",
            Self::ReferenceUnanswered => "reference_unanswered",
            Self::Moved => "moved",
            Self::Stream => "stream",
            Self::TooLarge => "too_large",
            Self::Unaskable => "unaskable",
            Self::Body => "body",
            Self::Stopping => "stopping",
        }
    }
}

/// A request whose answers differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it was compared, milliseconds since 1970.
    pub at_ms: u64,
    /// Its id, as in the logs.
    pub request_id: String,
    /// `GET` or `HEAD`.
    pub method: &'static str,
    /// The target without credentials.
    pub target: String,
    /// The first differences.
    pub differences: Vec<Shown>,
    /// How many more there are.
    pub more: usize,
}

/// What was found on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The kinds of difference that count, each once; empty when the answers are equal.
    pub kinds: Vec<DifferenceKind>,
    /// What is shown of it; absent when the answers are equal.
    pub sample: Option<Sample>,
    /// What else differs.
    pub notes: Vec<Note>,
    /// Whether noise was passed over.
    pub noise: bool,
    /// Whether something declared was passed over.
    pub ignored: bool,
}

/// One route.
#[derive(Debug, Default)]
struct Route {
    reference: String,
    shadow: String,
    copies: u64,
    compared: u64,
    different: u64,
    by_kind: BTreeMap<DifferenceKind, u64>,
    dropped: BTreeMap<Dropped, u64>,
    twice: u64,
    silent_noise: u64,
    silent_ignored: u64,
    notes: BTreeMap<Note, u64>,
    noise: Noise,
    samples: Vec<(Sample, Vec<DifferenceKind>)>,
}

impl Route {
    fn keep(&mut self, sample: Sample, kinds: Vec<DifferenceKind>) {
        if self.samples.len() >= MAX_SAMPLES {
            let shown_by_others = |at: usize, kind: &DifferenceKind| {
                let others = self.samples.iter().enumerate().filter(|(other, _)| *other != at);
                others.map(|(_, (_, kinds))| kinds).chain([&kinds]).any(|kinds| kinds.contains(kind))
            };
            let spare = self
                .samples
                .iter()
                .enumerate()
                .position(|(at, (_, kinds))| kinds.iter().all(|kind| shown_by_others(at, kind)));
            // The oldest that shows nothing of its own; or the oldest.
            self.samples.remove(spare.unwrap_or(0));
        }
        self.samples.push((sample, kinds));
    }
}

#[derive(Debug, Default)]
struct Books {
    routes: BTreeMap<String, Route>,
    refused: BTreeMap<Refusal, u64>,
}

/// The counts of a process. Its lock is held for map lookups, never across a wait.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Books>);

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        // Counts are whole after every statement: a panic elsewhere cannot have left half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Default>(&self, route: &str, change: impl FnOnce(&mut Route) -> T) -> T {
        let mut books = self.books();
        if books.routes.len() >= MAX_ROUTES && !books.routes.contains_key(route) {
            return T::default();
        }
        change(books.routes.entry(route.to_owned()).or_default())
    }

    /// Something came that is no copy to replay.
    pub fn refused(&self, refusal: Refusal) {
        *self.books().refused.entry(refusal).or_default() += 1;
    }

    /// A copy for `route` came, which is answered by `reference` and `shadow`.
    pub fn copy(&self, route: &str, reference: &str, shadow: &str) {
        self.with(route, |route| {
            route.copies += 1;
            if route.reference != reference || route.shadow != shadow {
                reference.clone_into(&mut route.reference);
                shadow.clone_into(&mut route.shadow);
                // What another backend does with itself is not known yet.
                route.noise = Noise::default();
            }
        });
    }

    /// A copy for `route` was dropped.
    pub fn dropped(&self, route: &str, why: Dropped) {
        self.with(route, |route| *route.dropped.entry(why).or_default() += 1);
    }

    /// The reference was asked again.
    pub fn asked_again(&self, route: &str) {
        self.with(route, |route| route.twice += 1);
    }

    /// Asks or teaches what is known of the noise of `route`.
    pub fn noise<T: Default>(&self, route: &str, with: impl FnOnce(&mut Noise) -> T) -> T {
        self.with(route, |route| with(&mut route.noise))
    }

    /// A copy for `route` was compared.
    pub fn compared(&self, route: &str, outcome: Outcome) {
        self.with(route, |route| {
            route.compared += 1;
            for note in outcome.notes {
                *route.notes.entry(note).or_default() += 1;
            }
            if outcome.kinds.is_empty() {
                route.silent_noise += u64::from(outcome.noise);
                route.silent_ignored += u64::from(outcome.ignored);
                return;
            }
            route.different += 1;
            for kind in &outcome.kinds {
                *route.by_kind.entry(*kind).or_default() += 1;
            }
            if let Some(mut sample) = outcome.sample {
                sample.more = sample.differences.len().saturating_sub(MAX_SHOWN);
                sample.differences.truncate(MAX_SHOWN);
                route.keep(sample, outcome.kinds);
            }
        });
    }
}

/// What a report says about the process as a whole.
#[derive(Clone, Debug)]
pub struct About {
    /// The edge's name.
    pub edge: String,
    /// Which text of the edge file is in force.
    pub revision: String,
    /// When the process started.
    pub started: UnixTime,
}

#[cfg(test)]
mod tests;
