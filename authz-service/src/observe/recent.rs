//! The last decisions, by request id, for "why was this denied?".
//!
//! Bounded: [`CAPACITY`] records of some 450 bytes are 5 MB, whatever happens. A new one takes the place of the
//! oldest. A client may send the id of another request; then the newer decision is found by it, and the list
//! has both.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::observe::record::Record;

/// How many decisions are remembered.
pub const CAPACITY: usize = 10_000;

/// What stands for an id that was not worth writing down.
const NO_ID: &str = "-";

/// The last decisions.
#[derive(Debug)]
pub struct Decisions {
    ring: Mutex<Ring>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Arc<Record>>,
    /// The number of the first record.
    first: u64,
    /// By request id, the number of its newest record.
    by_id: HashMap<Arc<str>, u64>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Decisions {
    /// Remembers `capacity` decisions.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { ring: Mutex::default(), capacity }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers `record`, and forgets the oldest when there is no room.
    pub fn push(&self, record: Arc<Record>) {
        let mut ring = self.ring();
        while ring.records.len() >= self.capacity {
            let Some(oldest) = ring.records.pop_front() else { return };
            let number = ring.first;
            ring.first += 1;
            if ring.by_id.get(&oldest.request_id) == Some(&number) {
                ring.by_id.remove(&oldest.request_id);
            }
        }
        if &*record.request_id != NO_ID {
            let number = ring.first + u64::try_from(ring.records.len()).unwrap_or(u64::MAX);
            ring.by_id.insert(Arc::clone(&record.request_id), number);
        }
        ring.records.push_back(record);
    }

    /// The newest decision about the request `id`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Record>> {
        let ring = self.ring();
        let position = ring.by_id.get(id)?.checked_sub(ring.first)?;
        ring.records.get(usize::try_from(position).ok()?).cloned()
    }

    /// The newest `limit` decisions that are `wanted`, the newest first.
    #[must_use]
    pub fn newest(&self, limit: usize, wanted: impl Fn(&Record) -> bool) -> Vec<Arc<Record>> {
        let ring = self.ring();
        ring.records.iter().rev().filter(|record| wanted(record)).take(limit).cloned().collect()
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring().records.len()
    }

    /// Whether none is.
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
    use clock::UnixTime;

    fn record(id: &str) -> Arc<Record> {
        let verdict = Verdict::failed(Failure::UnknownRevision, last_words());
        let mut record = Record::of(&verdict, None, UnixTime::from_seconds(1));
        record.request_id = Arc::from(id);
        Arc::new(record)
    }

    #[test]
    fn the_oldest_goes_and_its_id_with_it() {
        let decisions = Decisions::with_capacity(3);
        for id in ["a", "b", "c", "d", "-", "b"] {
            decisions.push(record(id));
        }
        assert_eq!(decisions.len(), 3);
        assert!(decisions.find("a").is_none() && decisions.find("c").is_none());
        assert!(decisions.find("d").is_some() && decisions.find("b").is_some());
        assert!(decisions.find("-").is_none(), "no id is nobody's id");
        let ids: Vec<_> = decisions.newest(10, |_| true).iter().map(|r| r.request_id.to_string()).collect();
        assert_eq!(ids, ["b", "-", "d"]);
        assert_eq!(decisions.newest(1, |record| &*record.request_id != "b").len(), 1);
        assert_eq!(decisions.ring().by_id.len(), 2, "the index is as bounded as the ring");
    }

    #[test]
    fn an_id_that_comes_again_finds_the_newer_decision_until_that_one_goes() {
        let decisions = Decisions::with_capacity(2);
        let (first, second) = (record("a"), record("a"));
        decisions.push(Arc::clone(&first));
        decisions.push(Arc::clone(&second));
        assert!(Arc::ptr_eq(&decisions.find("a").unwrap(), &second));
        decisions.push(record("b"));
        assert!(Arc::ptr_eq(&decisions.find("a").unwrap(), &second), "the older one took no index with it");
        decisions.push(record("c"));
        assert!(decisions.find("a").is_none());
    }
}
