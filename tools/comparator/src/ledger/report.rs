//! The ledger as JSON and as metrics (`docs/shadow.md` explains the keys).

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use clock::UnixTime;
use serde_json::{Value, json};

use super::groups::Group;
use super::{About, Books, Ledger, Route};

/// The state of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The number of copies in it.
    pub waiting: usize,
    /// Its capacity.
    pub capacity: usize,
}

/// The report; `only` names one route.
#[must_use]
pub fn report(ledger: &Ledger, about: &About, queue: Queue, only: Option<&str>, now: UnixTime) -> Value {
    let books = ledger.books();
    let Books { routes, refused } = &*books;
    let routes: BTreeMap<&str, Value> = routes
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name.as_str()))
        .map(|(name, route)| (name.as_str(), one(route, now)))
        .collect();
    let mut unroutable = json!({ "unsafe_method": 0, "unknown_route": 0, "malformed": 0 });
    if let Some(object) = unroutable.as_object_mut() {
        object.extend(refused.iter().map(|(refusal, count)| (refusal.as_str().to_owned(), json!(count))));
    }
    json!({
        "edge": about.edge,
        "revision": about.revision,
        "started_ms": about.started.millis(),
        "now_ms": now.millis(),
        "queue": { "waiting": queue.waiting, "capacity": queue.capacity },
        "unroutable": unroutable,
        "routes": routes,
    })
}

fn one(route: &Route, now: UnixTime) -> Value {
    let Route { pair, since, began, counts, .. } = route;
    let kinds: BTreeMap<_, _> = counts.by_kind.iter().map(|(kind, count)| (kind.as_str(), count)).collect();
    let dropped: BTreeMap<_, _> = counts.dropped.iter().map(|(why, count)| (why.as_str(), count)).collect();
    let notes: BTreeMap<_, _> = counts.notes.iter().map(|(note, count)| (note.as_str(), count)).collect();
    let noise: Vec<Value> = counts
        .noise
        .noisy(now)
        .map(|(kind, place)| json!({ "kind": kind.as_str(), "place": place.shown, "seen": place.seen }))
        .collect();
    let samples: Vec<&Group> = counts.groups.newest_first().collect();
    json!({
        "reference": pair.reference,
        "shadow": pair.shadow,
        "since_ms": since.map(UnixTime::millis),
        "since": began.as_str(),
        "copies": counts.copies,
        "compared": counts.compared,
        "equal": counts.compared.saturating_sub(counts.different),
        "different": counts.different,
        "by_kind": kinds,
        "dropped": counts.dropped.values().sum::<u64>(),
        "dropped_by": dropped,
        "twice": counts.twice,
        "silent": { "noise": counts.silent_noise, "ignored": counts.silent_ignored },
        "notes": notes,
        "noise": noise,
        "samples": samples,
        "samples_forgotten": counts.groups.forgotten(),
    })
}

/// The counts in the Prometheus text format. Names of routes, kinds and reasons need no escaping.
#[must_use]
pub fn metrics(ledger: &Ledger, queue: Queue) -> String {
    let books = ledger.books();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, u64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let of = |name: &str| format!("{{route=\"{name}\"}}");
    let and =
        |name: &str, label: &str, value: &dyn Display| format!("{{route=\"{name}\",{label}=\"{value}\"}}");
    let compared: Vec<_> =
        books.routes.iter().map(|(name, route)| (of(name), route.counts.compared)).collect();
    family("comparator_compared_total", "counter", "Requests whose two answers were compared.", &compared);
    let (mut different, mut dropped) = (Vec::new(), Vec::new());
    for (name, route) in &books.routes {
        different.extend(route.counts.by_kind.iter().map(|(kind, count)| (and(name, "kind", kind), *count)));
        dropped.extend(
            route.counts.dropped.iter().map(|(why, count)| (and(name, "reason", &why.as_str()), *count)),
        );
    }
    family("comparator_different_total", "counter", "Requests whose answers differ, by kind.", &different);
    family("comparator_dropped_total", "counter", "Copies that were not compared.", &dropped);
    let refused: Vec<_> = books
        .refused
        .iter()
        .map(|(refusal, count)| (format!("{{reason=\"{}\"}}", refusal.as_str()), *count))
        .collect();
    family("comparator_refused_total", "counter", "Messages that are not copies to replay.", &refused);
    let waiting = u64::try_from(queue.waiting).unwrap_or(u64::MAX);
    family("comparator_queue_waiting", "gauge", "Copies in the queue.", &[(String::new(), waiting)]);
    text
}
