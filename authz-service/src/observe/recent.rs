//! Remembers the last decisions by request id, to answer "why was this denied?".
//!
//! Bounded: about 450 bytes for each of [`CAPACITY`] and [`ANONYMOUS`] records, 7 MB in total. Decisions for
//! verified callers have a ring of their own, so a flood of unverified ones replaces none of them. Within a
//! ring a new record replaces the oldest.
//!
//! A client may send the id of another request, so an id may have several decisions. All remembered ones are
//! found: an allow hides no denial before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::observe::record::Record;

/// How many decisions for verified callers are remembered.
pub const CAPACITY: usize = 10_000;

/// How many other decisions are remembered.
pub const ANONYMOUS: usize = 5_000;

/// The placeholder for an unusable request id.
const NO_ID: &str = "-";

/// The last decisions.
#[derive(Debug)]
pub struct Decisions(Mutex<Rings>);

#[derive(Debug)]
struct Rings {
    proved: Ring,
    anonymous: Ring,
    /// How many were ever remembered.
    count: u64,
}

#[derive(Debug)]
struct Ring {
    slots: VecDeque<Slot>,
    capacity: usize,
    /// The number of the first slot.
    first: u64,
    /// By request id, the number of its newest slot.
    by_id: HashMap<Arc<str>, u64>,
}

#[derive(Debug)]
struct Slot {
    record: Arc<Record>,
    /// Its position among the decisions of both rings.
    order: u64,
    /// The number of the previous slot with the same id, which may be gone.
    earlier: Option<u64>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self::with_capacity(CAPACITY, ANONYMOUS)
    }
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self { slots: VecDeque::new(), capacity, first: 0, by_id: HashMap::new() }
    }

    fn push(&mut self, record: Arc<Record>, order: u64) {
        while self.slots.len() >= self.capacity {
            let Some(oldest) = self.slots.pop_front() else { return };
            let number = self.first;
            self.first += 1;
            if self.by_id.get(&oldest.record.request_id) == Some(&number) {
                self.by_id.remove(&oldest.record.request_id);
            }
        }
        let mut earlier = None;
        if &*record.request_id != NO_ID {
            let number = self.first + u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
            earlier = self.by_id.insert(Arc::clone(&record.request_id), number);
        }
        self.slots.push_back(Slot { record, order, earlier });
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The slots of `id`, the newest first.
    fn of(&self, id: &str) -> impl Iterator<Item = &Slot> {
        let newest = self.by_id.get(id).and_then(|number| self.slot(*number));
        std::iter::successors(newest, |slot| slot.earlier.and_then(|number| self.slot(number)))
    }
}

/// `one` and `other`, each newest first, merged in one order.
fn merged<'s>(
    one: impl Iterator<Item = &'s Slot>,
    other: impl Iterator<Item = &'s Slot>,
) -> impl Iterator<Item = &'s Arc<Record>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || {
        let from_one = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => one.order > other.order,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if from_one { one.next() } else { other.next() }.map(|slot| &slot.record)
    })
}

impl Decisions {
    /// Remembers `proved` decisions for verified callers, and `anonymous` others.
    #[must_use]
    pub fn with_capacity(proved: usize, anonymous: usize) -> Self {
        let (proved, anonymous) = (Ring::new(proved), Ring::new(anonymous));
        Self(Mutex::new(Rings { proved, anonymous, count: 0 }))
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.0.lock()
    }

    /// Remembers `record`, and forgets the oldest of its kind when there is no room.
    pub fn push(&self, record: Arc<Record>) {
        let mut rings = self.rings();
        let order = rings.count;
        rings.count += 1;
        let ring = if record.is_proved() { &mut rings.proved } else { &mut rings.anonymous };
        ring.push(record, order);
    }

    /// The newest `limit` decisions about the request `id`, the newest first, and how many there are.
    #[must_use]
    pub fn of(&self, id: &str, limit: usize) -> (Vec<Arc<Record>>, usize) {
        let rings = self.rings();
        let mut records = Vec::new();
        let mut count = 0;
        for record in merged(rings.proved.of(id), rings.anonymous.of(id)) {
            if count < limit {
                records.push(Arc::clone(record));
            }
            count += 1;
        }
        (records, count)
    }

    /// The newest `limit` decisions for which `wanted` is true, the newest first.
    #[must_use]
    pub fn newest(&self, limit: usize, wanted: impl Fn(&Record) -> bool) -> Vec<Arc<Record>> {
        let rings = self.rings();
        let all = merged(rings.proved.slots.iter().rev(), rings.anonymous.slots.iter().rev());
        all.filter(|record| wanted(record)).take(limit).cloned().collect()
    }

    /// The number of remembered decisions.
    #[must_use]
    pub fn len(&self) -> usize {
        let rings = self.rings();
        rings.proved.slots.len() + rings.anonymous.slots.len()
    }

    /// Whether no decision is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::verdict::{Verdict, last_words};
    use crate::who::{Caller, Who};
    use clock::UnixTime;

    fn record(id: &str, who: Who) -> Arc<Record> {
        let verdict = Verdict { who, ..Verdict::failed(Failure::UnknownRevision, last_words()) };
        let mut record = Record::of(&verdict, None, UnixTime::from_seconds(1));
        record.request_id = Arc::from(id);
        Arc::new(record)
    }

    fn anonymous(id: &str) -> Arc<Record> {
        record(id, Who::Anyone)
    }

    fn proved(id: &str) -> Arc<Record> {
        record(id, Who::Caller(Caller::Service("sync".parse::<identity::ServiceName>().unwrap().into())))
    }

    fn ids(records: &[Arc<Record>]) -> Vec<String> {
        records.iter().map(|record| record.request_id.to_string()).collect()
    }

    fn found(decisions: &Decisions, id: &str) -> usize {
        decisions.of(id, 100).1
    }

    #[test]
    fn the_oldest_goes_and_its_id_with_it() {
        let decisions = Decisions::with_capacity(10, 3);
        for id in ["a", "b", "c", "d", "-", "b"] {
            decisions.push(anonymous(id));
        }
        assert_eq!(decisions.len(), 3);
        assert_eq!(["a", "c", "d", "b", "-"].map(|id| found(&decisions, id)), [0, 0, 1, 1, 0]);
        assert_eq!(ids(&decisions.newest(10, |_| true)), ["b", "-", "d"]);
        assert_eq!(decisions.newest(1, |record| &*record.request_id != "b").len(), 1);
        assert_eq!(decisions.rings().anonymous.by_id.len(), 2, "the index is as bounded as the ring");
    }

    #[test]
    fn all_decisions_of_one_id_are_found_as_long_as_they_are_remembered() {
        let decisions = Decisions::with_capacity(3, 3);
        let (first, second, third) = (anonymous("a"), proved("a"), anonymous("a"));
        for record in [&first, &second, &third] {
            decisions.push(Arc::clone(record));
        }
        let (records, count) = decisions.of("a", 2);
        assert_eq!((records.len(), count), (2, 3));
        assert!(Arc::ptr_eq(&records[0], &third) && Arc::ptr_eq(&records[1], &second), "the newest first");
        decisions.push(anonymous("b"));
        decisions.push(anonymous("c"));
        assert_eq!(found(&decisions, "a"), 2, "the oldest went");
        decisions.push(anonymous("d"));
        decisions.push(anonymous("e"));
        assert_eq!(found(&decisions, "a"), 1, "the one of a proved caller stays");
    }

    #[test]
    fn a_flood_of_strangers_evicts_no_decision_about_a_proved_caller() {
        let decisions = Decisions::with_capacity(3, 3);
        decisions.push(proved("kept"));
        for number in 0..1_000 {
            decisions.push(anonymous(&format!("stranger-{number}")));
        }
        decisions.push(proved("later"));
        assert_eq!((found(&decisions, "kept"), decisions.len()), (1, 5));
        let newest = ids(&decisions.newest(10, |_| true));
        assert_eq!(newest, ["later", "stranger-999", "stranger-998", "stranger-997", "kept"]);
    }
}
