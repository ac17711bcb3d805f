//! The findings so far: counts by route, noise, and samples. All of it is bounded, and none of it is on disk.
//!
//! Findings about one backend do not apply to another, nor to the same one after a fix. So a route is counted in periods: a
//! new one begins on command, when a backend has another address, and when another version of it answers. A copy belongs to
//! the period in which it arrived; if that period has ended, it is not counted.

mod groups;
mod report;
mod versions;

use std::collections::BTreeMap;

use clock::UnixTime;
use edge_config::edge::DifferenceKind;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

pub use report::{Queue, metrics, report};

use crate::compare::Note;
use crate::copy::Refusal;
use crate::noise::Noise;
use crate::redact::Shown;
use groups::Groups;
use versions::Versions;

/// The most routes with a shadow since the start; an edge that changes this often is restarted before.
const MAX_ROUTES: usize = 1000;

/// Why a copy was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// The queue was full.
    QueueFull,
    /// It waited for too long.
    TooOld,
    /// The reference did not answer.
    ReferenceUnanswered,
    /// The data was changed between the two answers.
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
    /// Its spelling in the report.
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
    /// When it was compared, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its id, as in the logs.
    pub request_id: String,
    /// `GET` or `HEAD`.
    pub method: &'static str,
    /// The target without credentials.
    pub target: String,
    /// All of its differences.
    pub differences: Vec<Shown>,
}

/// The findings on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The counted kinds of difference, each once; empty when the answers are equal.
    pub kinds: Vec<DifferenceKind>,
    /// Its sample; absent when the answers are equal.
    pub sample: Option<Sample>,
    /// The notes.
    pub notes: Vec<Note>,
    /// Whether noise was ignored.
    pub noise: bool,
    /// Whether a declared difference was ignored.
    pub ignored: bool,
}

/// Why a route's counts were restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// The first copy arrived.
    #[default]
    First,
    /// By a command.
    Command,
    /// Another backend, or one at another address.
    Address,
    /// Another version of a backend answered.
    Version,
}

impl Restart {
    /// Its spelling in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first_copy",
            Self::Command => "command",
            Self::Address => "address",
            Self::Version => "version",
        }
    }
}

/// The two backends that answer the copies of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The name of the backend in use.
    pub reference: String,
    /// The name of the new one.
    pub shadow: String,
    /// The addresses of both.
    pub addresses: [Vec<String>; 2],
}

/// The period in which a copy arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period(u64);

/// One route.
#[derive(Debug, Default)]
struct Route {
    pair: Pair,
    period: Period,
    since: Option<UnixTime>,
    began: Restart,
    versions: Versions,
    counts: Counts,
}

/// The findings of a period.
#[derive(Debug, Default)]
struct Counts {
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
    groups: Groups,
}

impl Route {
    /// Begins a new period.
    fn begin(&mut self, why: Restart, now: UnixTime) {
        self.period.0 += 1;
        self.since = Some(now);
        self.began = why;
        self.counts = Counts::default();
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
        // Counts are consistent after every statement: a panic elsewhere cannot leave a partial change.
        self.0.lock()
    }

    /// Changes the counts of `route`, unless another period has begun meanwhile.
    fn with<T: Default>(&self, route: &str, period: Period, change: impl FnOnce(&mut Counts) -> T) -> T {
        match self.books().routes.get_mut(route) {
            Some(route) if route.period == period => change(&mut route.counts),
            Some(_) | None => T::default(),
        }
    }

    /// Counts a message that is not a copy to replay.
    pub fn refused(&self, refusal: Refusal) {
        *self.books().refused.entry(refusal).or_default() += 1;
    }

    /// Counts a copy for `route`, which `pair` will answer; returns its period.
    pub fn copy(&self, route: &str, pair: Pair, now: UnixTime) -> Period {
        let mut books = self.books();
        if books.routes.len() >= MAX_ROUTES && !books.routes.contains_key(route) {
            return Period::default();
        }
        let route = books.routes.entry(route.to_owned()).or_default();
        if route.since.is_none() {
            route.pair = pair;
            route.begin(Restart::First, now);
        } else if route.pair != pair {
            route.pair = pair;
            // Nothing is known yet about the new pair and its versions.
            route.versions = Versions::default();
            route.begin(Restart::Address, now);
        }
        route.counts.copies += 1;
        route.period
    }

    /// Notes that these versions of these backends answered a copy of `period`. Another version than before begins a new
    /// period, to which the copy belongs then.
    pub fn answered(&self, route: &str, period: Period, versions: &[(&str, &[u8])], now: UnixTime) -> Period {
        let mut books = self.books();
        let Some(route) = books.routes.get_mut(route).filter(|route| route.period == period) else {
            return period;
        };
        let mut new = false;
        for (backend, version) in versions {
            new |= route.versions.is_new(backend, version, now);
        }
        if new {
            route.begin(Restart::Version, now);
            route.counts.copies = 1;
        }
        route.period
    }

    /// Begins a new period for `only`, or for every route, and returns the names of the routes. With all routes, it also
    /// restarts the counts of messages that were not copies.
    pub fn restart(&self, only: Option<&str>, now: UnixTime) -> Vec<String> {
        let mut books = self.books();
        if only.is_none() {
            books.refused.clear();
        }
        let named = books.routes.iter_mut().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
        named
            .map(|(name, route)| {
                route.begin(Restart::Command, now);
                name.clone()
            })
            .collect()
    }

    /// Counts a dropped copy for `route`.
    pub fn dropped(&self, route: &str, period: Period, why: Dropped) {
        self.with(route, period, |counts| *counts.dropped.entry(why).or_default() += 1);
    }

    /// Counts a second query of the reference.
    pub fn asked_again(&self, route: &str, period: Period) {
        self.with(route, period, |counts| counts.twice += 1);
    }

    /// Reads or updates the known noise of `route`.
    pub fn noise<T: Default>(&self, route: &str, period: Period, with: impl FnOnce(&mut Noise) -> T) -> T {
        self.with(route, period, |counts| with(&mut counts.noise))
    }

    /// Counts a compared copy for `route`.
    pub fn compared(&self, route: &str, period: Period, outcome: Outcome) {
        self.with(route, period, |counts| {
            counts.compared += 1;
            for note in outcome.notes {
                *counts.notes.entry(note).or_default() += 1;
            }
            if outcome.kinds.is_empty() {
                counts.silent_noise += u64::from(outcome.noise);
                counts.silent_ignored += u64::from(outcome.ignored);
                return;
            }
            counts.different += 1;
            for kind in &outcome.kinds {
                *counts.by_kind.entry(*kind).or_default() += 1;
            }
            if let Some(sample) = outcome.sample {
                counts.groups.add(sample, outcome.kinds);
            }
        });
    }
}

/// The data of a report about the process as a whole.
#[derive(Clone, Debug)]
pub struct About {
    /// The edge's name.
    pub edge: String,
    /// The revision of the edge file in force.
    pub revision: String,
    /// When the process started.
    pub started: UnixTime,
}

#[cfg(test)]
mod tests;
