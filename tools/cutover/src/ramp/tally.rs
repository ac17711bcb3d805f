//! Counts the answers of one backend so that no single client decides the result.
//!
//! The answers are judged twice: all of them, and with the part of each client bounded. Otherwise one client that sends
//! cheap requests again and again would hide that the requests of others fail or wait.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::estimate::{P95, number};
use crate::access_log::{Line, Outcome};
use edge_config::edge::GrpcErrors;

/// The largest part of the sample that one of many clients can be.
const MOST_OF_ONE: f64 = 0.1;

/// The number of times kept for one client. A percentile of its own needs no more, and 10,000 clients take 5 MB.
const KEPT: usize = 64;

/// Further clients share one entry: their parts are bounded together.
const MAX_CLIENTS: usize = 10_000;

/// The longest time in microseconds: an hour, which no answer takes.
const LONGEST_US: u64 = 3_600_000_000;

/// Times in microseconds, each exact to one percent: 26 KB for a backend, read at each check.
#[derive(Clone, Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> Result<Self, String> {
        let times = Histogram::new_with_bounds(1, LONGEST_US, 2);
        times.map(Self).map_err(|error| format!("cannot make a histogram of response times: {error}"))
    }

    fn add(&mut self, us: u64, count: u64) {
        self.0.saturating_record_n(us, count);
    }

    fn p95(&self, count: u64) -> Option<P95> {
        let times = &self.0;
        P95::of(if times.is_empty() { 0 } else { count }, |part| {
            number(times.value_at_quantile(part)) / 1_000.0
        })
    }
}

/// The figures by which a sample is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// Answers.
    pub answers: f64,
    /// Failures among them.
    pub failures: f64,
    /// Their times; absent without any.
    pub p95: Option<P95>,
}

/// Two views of the same answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Views {
    /// All answers.
    pub all: View,
    /// The answers with the part of each client bounded.
    pub bounded: View,
}

#[derive(Clone, Debug, Default)]
struct Client {
    answers: u64,
    failures: u64,
    timed: u64,
    kept: Vec<u64>,
}

impl Client {
    /// Keeps a fair sample of the times: each has the same chance, whenever it came.
    fn keep(&mut self, us: u64) {
        self.timed += 1;
        if self.kept.len() < KEPT {
            self.kept.push(us);
            return;
        }
        // The place is pseudo-random and the same in each run.
        let place = self.timed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) % self.timed;
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = us;
        }
    }
}

/// The answers of a backend.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    clients: HashMap<String, Client>,
    answers: u64,
    failures: u64,
    timed: u64,
    times: Times,
    empty: Times,
}

impl Tally {
    /// An empty tally; `empty` is copied for the times.
    pub(super) fn new(empty: &Times) -> Self {
        let (clients, times, empty) = (HashMap::new(), empty.clone(), empty.clone());
        Self { clients, answers: 0, failures: 0, timed: 0, times, empty }
    }

    /// Counts an answer.
    pub(super) fn add(&mut self, line: &Line, errors: &GrpcErrors) {
        let outcome = line.outcome(errors);
        let us = line.waited_us();
        let answered = match outcome {
            Outcome::Answered | Outcome::Failed => 1,
            Outcome::Left => 0,
        };
        if answered == 0 && us.is_none() {
            return;
        }
        let who = line.who();
        let full = self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&who);
        // All clients beyond the limit share one entry: a tenth of a sample is little for them all.
        let client = self.clients.entry(if full { String::new() } else { who }).or_default();
        let failed = u64::from(outcome == Outcome::Failed);
        client.answers += answered;
        client.failures += failed;
        self.answers += answered;
        self.failures += failed;
        if let Some(us) = us {
            client.keep(us);
            self.timed += 1;
            self.times.add(us, 1);
        }
    }

    /// The number of answers.
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// Both views. In the bounded view a client has at most `least` answers or a tenth of all, whichever is more, so that a
    /// backend with few clients can be judged, too.
    pub(super) fn views(&self, least: u64) -> Views {
        let all = View {
            answers: number(self.answers),
            failures: number(self.failures),
            p95: self.times.p95(self.timed),
        };
        let most = bound(self.clients.values().map(|client| client.answers), least);
        let most_times = bound(self.clients.values().map(|client| client.timed), least);
        if self.clients.values().all(|client| client.answers <= most && client.timed <= most_times) {
            return Views { all, bounded: all };
        }
        let mut bounded = View::default();
        let mut times = self.empty.clone();
        let mut count = 0;
        for client in self.clients.values() {
            if client.answers > 0 {
                let part = client.answers.min(most);
                bounded.answers += number(part);
                bounded.failures += number(client.failures) * number(part) / number(client.answers);
            }
            let part = client.timed.min(most_times);
            count += part;
            let kept = u64::try_from(client.kept.len()).unwrap_or(u64::MAX).max(1);
            for us in &client.kept {
                // In 64ths, so that each of a client's times has its share.
                times.add(*us, (part * 64 / kept).max(1));
            }
        }
        bounded.p95 = times.p95(count);
        Views { all, bounded }
    }
}

/// How many answers of one client count, so that it has at most `least` or a tenth of all counted answers.
fn bound(counts: impl Iterator<Item = u64>, least: u64) -> u64 {
    let mut counts: Vec<u64> = counts.collect();
    counts.sort_unstable();
    let clients = u64::try_from(counts.len()).unwrap_or(u64::MAX);
    let mut most = least;
    let (mut below, mut passed) = (0_u64, 0_u64);
    for count in counts {
        // With the bound at `count`, the clients passed so far count whole, and each of the rest counts this much.
        let all = below.saturating_add(count.saturating_mul(clients - passed));
        if number(count) <= MOST_OF_ONE * number(all) {
            most = most.max(count);
        }
        below = below.saturating_add(count);
        passed += 1;
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: &str, status: u16, us: u64) -> Line {
        Line {
            client: Some(client.to_owned()),
            status: Some(status),
            upstream_us: Some(us),
            ..Line::default()
        }
    }

    fn tally(lines: impl IntoIterator<Item = Line>) -> Tally {
        let mut tally = Tally::new(&Times::new().unwrap());
        for line in lines {
            tally.add(&line, &GrpcErrors::default());
        }
        tally
    }

    fn times(count: usize, line: &Line) -> Vec<Line> {
        vec![line.clone(); count]
    }

    #[test]
    fn a_flood_by_one_client_hides_neither_failures_nor_waits_of_others() {
        let flood = times(50_000, &line("10.0.0.1", 200, 300));
        let others = (0..20).flat_map(|n| times(10, &line(&format!("10.0.1.{n}"), 500, 900_000)));
        let views = tally(flood.into_iter().chain(others)).views(100);
        assert!(views.all.failures / views.all.answers < 0.005, "{views:?}");
        assert!(views.bounded.failures / views.bounded.answers > 0.6, "{views:?}");
        assert!(views.all.p95.unwrap().ms < 1.0 && views.bounded.p95.unwrap().ms > 800.0, "{views:?}");
        // Two clients are enough to see it.
        let both = times(50_000, &line("a", 200, 300)).into_iter().chain(times(50, &line("b", 503, 300)));
        let views = tally(both).views(100);
        assert!(views.bounded.failures / views.bounded.answers > 0.3, "{views:?}");
    }

    #[test]
    fn one_client_alone_and_many_alike_are_judged_as_they_are() {
        let alone = tally((0..5_000).map(|n| line("a", if n % 100 == 0 { 500 } else { 200 }, 1_000 + n)));
        let views = alone.views(100);
        assert!((views.bounded.failures / views.bounded.answers - 0.01).abs() < 1e-9, "{views:?}");
        let (all, bounded) = (views.all.p95.unwrap(), views.bounded.p95.unwrap());
        assert!((all.ms - bounded.ms).abs() < 0.5, "{views:?}");
        let alike = tally((0..5_000).map(|n| line(&format!("{}", n % 50), 200, 1_000))).views(100);
        assert_eq!(alike.all, alike.bounded);
    }

    #[test]
    fn times_have_parts_of_a_millisecond() {
        let p95 = tally(times(100, &line("a", 200, 420))).views(100).all.p95.unwrap();
        assert!((p95.ms - 0.42).abs() < 0.005, "{p95:?}");
    }

    #[test]
    fn a_client_that_left_soon_is_not_an_answer_and_one_that_waited_long_counts_as_a_wait() {
        let left = |ms| Line {
            status: Some(0),
            flags: Some("DC".to_owned()),
            duration_ms: Some(ms),
            ..Line::default()
        };
        let tally = tally([left(3), left(4_000)]);
        let views = tally.views(100);
        assert_eq!((tally.answers(), tally.timed), (0, 1));
        assert!(views.all.p95.unwrap().ms > 3_990.0);
    }
}
