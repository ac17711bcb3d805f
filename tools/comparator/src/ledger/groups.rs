//! Groups requests whose answers differ in the same way: twenty samples of one mistake show no more than one.

use edge_config::edge::DifferenceKind;
use serde::Serialize;

use super::Sample;
use crate::redact::Shown;

/// The most groups of one route: one for each kind of difference, and a few more.
const MAX_GROUPS: usize = 20;

/// The kept ids of one group: enough to find one in the logs when the first was rotated away.
const MAX_IDS: usize = 5;

/// The most shown differences of one request.
const MAX_SHOWN: usize = 8;

/// Requests with equal differences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    /// The number of requests.
    pub(super) count: u64,
    /// When the first was compared, in milliseconds since 1970.
    pub(super) first_ms: u64,
    /// When the last was compared.
    pub(super) at_ms: u64,
    /// The id of the last, as in the logs.
    pub(super) request_id: String,
    /// The ids of the last few, the newest first.
    pub(super) request_ids: Vec<String>,
    /// `GET` or `HEAD`, of the last.
    pub(super) method: &'static str,
    /// The target of the last, without credentials.
    pub(super) target: String,
    /// The first differences of the last.
    pub(super) differences: Vec<Shown>,
    /// The number of further differences.
    pub(super) more: usize,
    #[serde(skip)]
    key: Vec<Key>,
    #[serde(skip)]
    kinds: Vec<DifferenceKind>,
}

/// The key by which two differences are equal: kind and place, and for a status the two statuses, because there are few of
/// them and each pair is another mistake. Other values are too many to count.
type Key = (&'static str, String, Option<String>, Option<String>);

fn key(difference: &Shown) -> Key {
    let Shown { kind, place, reference, shadow } = difference;
    let values = if *kind == DifferenceKind::Status.as_str() {
        (reference.clone(), shadow.clone())
    } else {
        (None, None)
    };
    (kind, place.clone(), values.0, values.1)
}

/// The groups of a route, the most recent at the end.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// The requests of groups that others replaced.
    forgotten: u64,
}

impl Groups {
    /// Counts a request; `kinds` are the kinds of its differences.
    pub(super) fn add(&mut self, sample: Sample, kinds: Vec<DifferenceKind>) {
        let mut sample = sample;
        let mut keys: Vec<Key> = sample.differences.iter().map(key).collect();
        keys.sort();
        let more = sample.differences.len().saturating_sub(MAX_SHOWN);
        sample.differences.truncate(MAX_SHOWN);
        let Sample { at_ms, request_id, method, target, differences } = sample;
        let known = self.groups.iter().position(|group| group.key == keys);
        let (count, first_ms, mut request_ids) = known.map_or((0, at_ms, Vec::new()), |at| {
            let group = self.groups.remove(at);
            (group.count, group.first_ms, group.request_ids)
        });
        if known.is_none() && self.groups.len() >= MAX_GROUPS {
            self.make_room(&kinds);
        }
        request_ids.insert(0, request_id.clone());
        request_ids.truncate(MAX_IDS);
        let count = count + 1;
        self.groups.push(Group {
            count,
            first_ms,
            at_ms,
            request_id,
            request_ids,
            method,
            target,
            differences,
            more,
            key: keys,
            kinds,
        });
    }

    /// Removes the oldest group that shows nothing beyond the others, or else the oldest.
    fn make_room(&mut self, kinds: &[DifferenceKind]) {
        let shown_by_others = |at: usize, kind: &DifferenceKind| {
            let others = self.groups.iter().enumerate().filter(|(other, _)| *other != at);
            others.map(|(_, group)| group.kinds.as_slice()).chain([kinds]).any(|kinds| kinds.contains(kind))
        };
        let spare = (0..self.groups.len()).find(|at| {
            let kinds = self.groups.get(*at).map(|group| group.kinds.as_slice()).unwrap_or_default();
            kinds.iter().all(|kind| shown_by_others(*at, kind))
        });
        self.forgotten += self.groups.remove(spare.unwrap_or(0)).count;
    }

    /// The groups, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().rev()
    }

    /// The number of requests that are in no group any more.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
