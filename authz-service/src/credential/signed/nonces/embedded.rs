//! Nonces in this process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use clock::UnixTime;
use parking_lot::Mutex;

use super::{Spent, Window};
use crate::failure::Failure;

/// Per key: with a window of 305 s, 200 requests a second.
const MAX_OF_A_KEY: usize = 65_536;
/// For all keys: about 40 MB.
const MAX: usize = 262_144;

/// How much of the memory is divided among the keys: each key has its share whatever the others do. The rest
/// is for keys that need more than their share, first come, first served.
const SHARED_OUT: usize = MAX / 2;

/// The memory. A nonce is never forgotten early: when there is no room, new nonces of this key are refused.
#[derive(Debug)]
pub struct Embedded {
    since: UnixTime,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    by_key: HashMap<String, OfKey>,
    count: usize,
    /// Nonces whose window closed before this moment are forgotten. It never goes back, even when the clock
    /// does.
    forgotten_before: Option<UnixTime>,
}

#[derive(Debug, Default)]
struct OfKey {
    nonces: HashSet<Arc<str>>,
    by_close: BinaryHeap<Reverse<(UnixTime, Arc<str>)>>,
}

impl Used {
    fn forget(&mut self, now: UnixTime) {
        let limit = self.forgotten_before.map_or(now, |before| before.max(now));
        self.forgotten_before = Some(limit);
        let mut forgotten = 0;
        for of_key in self.by_key.values_mut() {
            while of_key.by_close.peek().is_some_and(|Reverse((closes, _))| *closes < limit) {
                if let Some(Reverse((_, nonce))) = of_key.by_close.pop() {
                    of_key.nonces.remove(&nonce);
                    forgotten += 1;
                }
            }
        }
        self.by_key.retain(|_, of_key| !of_key.nonces.is_empty());
        self.count = self.count.saturating_sub(forgotten);
    }
}

impl Embedded {
    pub(super) fn new(since: UnixTime) -> Self {
        Self { since, used: Mutex::new(Used::default()) }
    }

    pub(super) fn spend(
        &self,
        key: &str,
        nonce: &str,
        keys: usize,
        window: Window,
        now: UnixTime,
    ) -> Result<Spent, Failure> {
        if !window.opens_after(self.since) {
            return Err(Failure::NoncesUnavailable);
        }
        let mut used = self.used.lock();
        used.forget(now);
        if used.forgotten_before.is_some_and(|before| window.closes < before) {
            return Err(Failure::NoncesUnavailable);
        }
        if used.by_key.get(key).is_some_and(|of_key| of_key.nonces.contains(nonce)) {
            return Ok(Spent::Replayed);
        }
        let part = SHARED_OUT / keys.max(1);
        let own = used.by_key.get(key).map_or(0, |of_key| of_key.nonces.len());
        // The use of all keys beyond their shares, this key's included.
        let beyond =
            || used.by_key.values().map(|of_key| of_key.nonces.len().saturating_sub(part)).sum::<usize>();
        let has_room = own < part || (own < MAX_OF_A_KEY && beyond() < MAX - SHARED_OUT);
        if !has_room {
            return Err(Failure::NoncesUnavailable);
        }
        let nonce: Arc<str> = Arc::from(nonce);
        let of_key = used.by_key.entry(key.to_owned()).or_default();
        of_key.nonces.insert(Arc::clone(&nonce));
        of_key.by_close.push(Reverse((window.closes, nonce)));
        used.count += 1;
        Ok(Spent::Fresh)
    }

    pub(super) fn len(&self) -> usize {
        self.used.lock().count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn window(created: u64) -> Window {
        Window { created: at(created), closes: at(created + 305), skew: Duration::from_secs(5) }
    }

    #[test]
    fn a_nonce_counts_once_until_its_window_closes() {
        let memory = Embedded::new(at(0));
        let spend = |key, nonce, now| memory.spend(key, nonce, 2, window(1_000), at(now));
        assert_eq!(spend("a", "n", 1_000), Ok(Spent::Fresh));
        assert_eq!(spend("a", "n", 1_305), Ok(Spent::Replayed));
        assert_eq!(spend("b", "n", 1_000), Ok(Spent::Fresh));
        assert_eq!(spend("a", "m", 1_305), Ok(Spent::Fresh));
        // The window is closed, so no caller reaches this point. If the clock were stepped back, the memory
        // could no longer answer.
        assert_eq!(spend("a", "o", 1_306), Err(Failure::NoncesUnavailable));
        assert_eq!(memory.len(), 0);
        assert_eq!(spend("a", "n", 1_000), Err(Failure::NoncesUnavailable));
        assert_eq!(memory.spend("a", "n", 2, window(2_000), at(1_306)), Ok(Spent::Fresh));
    }

    #[test]
    fn a_signature_from_before_the_start_is_not_vouched_for() {
        let memory = Embedded::new(at(1_000));
        for (created, expected) in [
            (994, Err(Failure::NoncesUnavailable)),
            (1_005, Err(Failure::NoncesUnavailable)),
            (1_006, Ok(Spent::Fresh)),
        ] {
            assert_eq!(memory.spend("a", "n", 2, window(created), at(1_001)), expected, "{created}");
        }
    }

    #[test]
    fn a_full_memory_forgets_nothing() {
        let memory = Embedded::new(at(0));
        for n in 0..MAX_OF_A_KEY {
            assert_eq!(memory.spend("a", &n.to_string(), 2, window(1_000), at(1_000)), Ok(Spent::Fresh));
        }
        assert_eq!(memory.spend("a", "more", 2, window(1_000), at(1_000)), Err(Failure::NoncesUnavailable));
        assert_eq!(memory.spend("a", "0", 2, window(1_000), at(1_000)), Ok(Spent::Replayed));
        assert_eq!(memory.spend("b", "0", 2, window(1_000), at(1_000)), Ok(Spent::Fresh));
        assert_eq!(memory.spend("a", "more", 2, window(2_000), at(2_000)), Ok(Spent::Fresh));
        assert_eq!(memory.len(), 1);
    }

    #[test]
    fn keys_that_take_all_they_can_leave_every_other_key_its_part() {
        let memory = Embedded::new(at(0));
        let (keys, part) = (64, SHARED_OUT / 64);
        let spend = |key: &str, n: usize| memory.spend(key, &n.to_string(), keys, window(1_000), at(1_000));
        for greedy in ["a", "b", "c", "d", "e", "f"] {
            let taken = (0..MAX_OF_A_KEY + 1).take_while(|n| spend(greedy, *n) == Ok(Spent::Fresh)).count();
            assert!(taken >= part && taken <= MAX_OF_A_KEY, "{greedy}: {taken}");
        }
        for other in 6..keys {
            let name = format!("key-{other}");
            for n in 0..part {
                assert_eq!(spend(&name, n), Ok(Spent::Fresh), "{name} {n}");
            }
            assert_eq!(spend(&name, part), Err(Failure::NoncesUnavailable), "the rest is taken");
        }
        assert!(memory.len() <= MAX, "{}", memory.len());
        assert_eq!(spend("a", 0), Ok(Spent::Replayed), "nothing was forgotten for it");
    }
}
