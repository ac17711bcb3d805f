//! The counters of one kind of keys in one shard: each key's own while there is room, shared ones beyond it.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use crate::limit::charge::{Counted, Key, Of, Wider};
use crate::limit::gcra::Gcra;
use crate::limit::local::BUCKETS;

/// The share of one provider in a shard's room for addresses: one part in this many.
const OF_A_PROVIDER: usize = 8;

/// How many counters of sessions one person has in a shard. Only a person who signs in endlessly has more
/// sessions.
pub(super) const SESSIONS_OF_A_PERSON: usize = 16;

/// A full shard is swept no more often than this: a sweep takes about 50 µs.
const SWEEP_MICROS: u64 = 100_000;

/// The counters of one kind of keys in a shard. Numbers are theoretical arrival times, in microseconds since the epoch.
#[derive(Debug)]
pub(super) struct Table {
    own: HashMap<Key, Kept>,
    /// Counters that several keys share.
    shared: HashMap<Key, u64>,
    /// The number of entries of `own` within each wider key that has a bound, over all limits.
    within: HashMap<Of, usize>,
    room: usize,
    swept: u64,
}

/// The counter of a single key.
#[derive(Debug)]
struct Kept {
    number: u64,
    /// The wider key around it that has a bound.
    within: Option<Of>,
}

/// Where the counter of one key is.
pub(super) enum Slot {
    /// The key's own counter.
    Own,
    /// The shared counter of this wider key.
    Shared(Key),
}

/// The wider key around `counted` with a bound on the number of counters within it, and that bound.
fn bound(counted: &Counted<'_>, room: usize) -> Option<(Of, usize)> {
    match &counted.wider {
        Wider::Networks([_, provider, _]) => Some((Of::Network(*provider), (room / OF_A_PROVIDER).max(1))),
        // Two owners mean a session, and the nearer one is its person.
        Wider::Owners(owners) => match owners.as_slice() {
            [person, _, ..] => Some((person.clone(), SESSIONS_OF_A_PERSON)),
            [_] | [] => None,
        },
    }
}

impl Table {
    /// An empty table with room for `room` keys, and again as many shared counters.
    pub(super) fn new(room: usize) -> Self {
        Self { own: HashMap::new(), shared: HashMap::new(), within: HashMap::new(), room, swept: 0 }
    }

    /// How many counters there are.
    pub(super) fn len(&self) -> usize {
        self.own.len() + self.shared.len()
    }

    /// The counter for `counted`, when there is one or room for one; else the shared one. Afterwards no debt
    /// exceeds a burst of `gcra`.
    pub(super) fn find(
        &mut self,
        counted: &Counted<'_>,
        gcra: Gcra,
        hasher: &RandomState,
        now: u64,
    ) -> (Slot, Option<u64>) {
        let owed = |kept: &mut u64| {
            *kept = gcra.owed(*kept, now);
            *kept
        };
        if let Some(kept) = self.own.get_mut(&counted.key) {
            return (Slot::Own, Some(owed(&mut kept.number)));
        }
        let is_full = |table: &Self| {
            let within = bound(counted, table.room);
            table.own.len() >= table.room
                || within.is_some_and(|(of, most)| table.within.get(&of).is_some_and(|held| *held >= most))
        };
        if is_full(self) && now.abs_diff(self.swept) >= SWEEP_MICROS {
            self.sweep(now);
        }
        if !is_full(self) {
            return (Slot::Own, None);
        }
        let key = self.shared_key(counted, hasher);
        let kept = self.shared.get_mut(&key).map(owed);
        (Slot::Shared(key), kept)
    }

    /// Drops every counter whose bucket is full again.
    fn sweep(&mut self, now: u64) {
        self.swept = now;
        self.shared.retain(|_, number| *number > now);
        let within = &mut self.within;
        self.own.retain(|_, kept| {
            let stays = kept.number > now;
            if let (false, Some(of)) = (stays, &kept.within)
                && let Some(held) = within.get_mut(of)
            {
                *held = held.saturating_sub(1);
            }
            stays
        });
        within.retain(|_, held| *held > 0);
    }

    /// The nearest wider key around `counted` that has a shared counter or room for one. The last level of
    /// networks has no bound: there are only some thousands of them in the world.
    fn shared_key(&self, counted: &Counted<'_>, hasher: &RandomState) -> Key {
        let of = |of: Of| Key { limit: Arc::clone(&counted.key.limit), of };
        let bucket = || {
            let bucket = hasher.hash_one(&counted.key) % u64::from(BUCKETS);
            Of::Bucket(u16::try_from(bucket).unwrap_or_default())
        };
        let (nearer, last) = match &counted.wider {
            Wider::Networks([site, provider, registry]) => {
                (vec![Of::Network(*site), Of::Network(*provider)], Of::Network(*registry))
            }
            Wider::Owners(owners) => (owners.clone(), bucket()),
        };
        let fits = |key: &Key| self.shared.len() < self.room || self.shared.contains_key(key);
        nearer.into_iter().map(of).find(fits).unwrap_or_else(|| of(last))
    }

    /// Stores `number` in the counter that [`find`](Self::find) returned for `counted`. Returns whether it is shared.
    pub(super) fn keep(&mut self, counted: &Counted<'_>, slot: &Slot, number: u64) -> bool {
        match slot {
            Slot::Own => {
                self.keep_own(counted, number);
                false
            }
            Slot::Shared(key) => {
                self.shared.insert(key.clone(), number);
                true
            }
        }
    }

    fn keep_own(&mut self, counted: &Counted<'_>, number: u64) {
        if let Some(kept) = self.own.get_mut(&counted.key) {
            kept.number = number;
            return;
        }
        let within = bound(counted, self.room).map(|(of, _)| of);
        if let Some(of) = &within {
            *self.within.entry(of.clone()).or_default() += 1;
        }
        self.own.insert(counted.key.clone(), Kept { number, within });
    }
}
