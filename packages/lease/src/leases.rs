//! The machine that keeps leases: slots that all workers share, and what this worker took out of them.

use crate::grant::Grant;
use crate::hearing::Hearing;
use crate::offer::Offer;
use crate::record::{self, Hit, Record};
use crate::{Class, Now, sip};

/// Slots that all workers of a listener share.
pub trait Store {
    /// What stands in a slot, with its version; `None` when nothing ever did, or it cannot be read.
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)>;

    /// Puts `bytes` into a slot, if its version still is `version`; whatever is there if that is `None`. `false` when
    /// it was not done.
    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool;
}

/// So many leases are kept at hand by each worker, at the most. A hit on one of them asks nobody; at 2 KB each they
/// take 2 MB.
const AT_HAND: u32 = 1_024;

/// Another worker may take uses out of the same slot at the same time. Who loses three times has it checked.
const TRIES: usize = 3;

/// A worker takes an eighth of the uses that are left, and at most so many: enough that shared memory is seldom
/// touched, few enough that a worker which gets no more of these requests leaves the others most of them.
const MAX_BATCH: u32 = 64;

/// The leases of one listener, as one worker sees them.
#[derive(Debug)]
pub struct Leases {
    slots: u32,
    key: [u64; 2],
    at_hand: Vec<Option<Held>>,
    /// What ended.
    pub hearing: Hearing,
}

/// A lease at hand, with uses that this worker took.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    uses: u32,
}

impl Leases {
    /// `slots` of shared memory, picked under `key`; both are the same for every worker.
    #[must_use]
    pub fn new(slots: u32, key: [u64; 2]) -> Self {
        let slots = slots.max(2);
        let at_hand = std::iter::repeat_with(|| None).take(slots.min(AT_HAND) as usize).collect();
        Self { slots, key, at_hand, hearing: Hearing::default() }
    }

    /// Changes the key: leases under another one are not found any more.
    pub fn set_key(&mut self, key: [u64; 2]) {
        self.key = key;
    }

    /// Takes one use of the lease for `offer` in `class`. `None` means a full check.
    pub fn take(
        &mut self,
        store: &mut impl Store,
        class: Class,
        offer: Offer<'_>,
        now: Now,
    ) -> Option<Hit<'_>> {
        if !self.hearing.honours(class.on_outage, now) {
            return None;
        }
        let place = self.place(class, offer);
        let at = place.at_hand;
        let usable = |held: &Held| {
            held.uses > 0
                && Record::read(&held.bytes).is_some_and(|record| {
                    record.is_of(class.id, offer)
                        && record.lives(now)
                        && !self.hearing.ended(record.granted(), record.tags())
                })
        };
        if !self.at_hand.get(at)?.as_ref().is_some_and(usable) {
            let held = self.fetch(store, &place, class, offer, now)?;
            *self.at_hand.get_mut(at)? = Some(held);
        }
        let held = self.at_hand.get_mut(at)?.as_mut()?;
        held.uses = held.uses.checked_sub(1)?;
        Record::read(&held.bytes)?.hit()
    }

    /// Takes uses out of shared memory.
    fn fetch(
        &self,
        store: &mut impl Store,
        place: &Place,
        class: Class,
        offer: Offer<'_>,
        now: Now,
    ) -> Option<Held> {
        for slot in place.slots {
            for _ in 0..TRIES {
                let Some((mut bytes, version)) = store.read(slot) else { break };
                let Some(record) = Record::read(&bytes) else { break };
                if !record.is_of(class.id, offer) {
                    break;
                }
                if !record.lives(now)
                    || record.uses == 0
                    || self.hearing.ended(record.granted(), record.tags())
                {
                    return None;
                }
                let taken = record.uses.div_ceil(8).min(MAX_BATCH);
                let left = record.uses.checked_sub(taken)?;
                record.hit()?;
                record::set_uses(&mut bytes, left)?;
                if store.write(slot, &bytes, Some(version)) {
                    return Some(Held { bytes, uses: taken });
                }
            }
        }
        None
    }

    /// Keeps a grant for `offer` in `class`. What does not fit is not kept.
    pub fn keep(&mut self, store: &mut impl Store, class: Class, offer: Offer<'_>, grant: &Grant, now: Now) {
        let lifetime_ms = grant.lifetime_ms.min(class.lifetime_ms);
        let uses = grant.uses.min(class.uses);
        let Some(bytes) = record::write(class.id, offer, grant, lifetime_ms, uses, now) else { return };
        let place = self.place(class, offer);
        // Its own slot first; else an empty one, one whose lease is over, or the one that is over sooner.
        let [first, second] = place.slots.map(|slot| (slot, store.read(slot)));
        let worth = |(_, found): &(u32, Option<(Vec<u8>, u32)>)| {
            let record = found.as_ref().and_then(|(bytes, _)| Record::read(bytes));
            record.map_or(0, |record| {
                if record.is_of(class.id, offer) {
                    0
                } else if record.lives(now) && record.uses > 0 {
                    record.end()
                } else {
                    1
                }
            })
        };
        let own = |(_, found): &(u32, Option<(Vec<u8>, u32)>)| {
            let record = found.as_ref().and_then(|(bytes, _)| Record::read(bytes));
            record.is_some_and(|record| record.is_of(class.id, offer))
        };
        let second_is_better = own(&second) || (!own(&first) && worth(&second) < worth(&first));
        let (slot, found) = if second_is_better { second } else { first };
        // If somebody was faster, theirs is as good.
        store.write(slot, &bytes, found.map(|(_, version)| version));
    }

    fn place(&self, class: Class, offer: Offer<'_>) -> Place {
        let [k0, k1] = self.key;
        let salt = u64::from(class.id) << 8 | u64::from(offer.kind());
        let hash = sip::hash([k0 ^ salt, k1], offer.bytes());
        let slots = u64::from(self.slots);
        let first = hash % slots;
        // Never the same twice: the second is another one, by the other half of the hash.
        let second = (first + 1 + (hash >> 32) % (slots - 1)) % slots;
        let at_hand = usize::try_from((hash >> 16) % (self.at_hand.len().max(1) as u64)).unwrap_or(0);
        let narrow = |slot: u64| u32::try_from(slot).unwrap_or(0);
        Place { slots: [narrow(first), narrow(second)], at_hand }
    }
}

struct Place {
    slots: [u32; 2],
    at_hand: usize,
}
