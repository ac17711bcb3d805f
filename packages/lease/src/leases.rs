//! Leases and uses that this worker took out of the shared slots.

use std::sync::Arc;

use crate::feed_state::FeedState;
use crate::offer::Offer;
use crate::record::{self, Hit, Record};
use crate::slots::{SlotPair, Slots, Store};
use crate::{Class, Now};

/// Each worker keeps at most this many leases at hand. A hit on one of them needs no shared memory; at 2 KB each they
/// take 2 MB.
const AT_HAND: u32 = 1_024;

/// Another worker may take uses out of the same slot at the same time. After three lost attempts the request is checked.
const TRIES: usize = 3;

/// A worker takes an eighth of the remaining uses, and at most this many: enough to touch shared memory seldom, few
/// enough to leave the others most of them when this worker sees no more of these requests.
const MAX_BATCH: u32 = 64;

/// The leases of one listener, as one worker sees them.
#[derive(Debug)]
pub struct Leases {
    slots: Slots,
    at_hand: Vec<Option<Held>>,
    /// The invalidations. One that polls for several workers shares them with all.
    pub feed: Arc<FeedState>,
}

/// A lease at hand, with uses that this worker took.
#[derive(Debug)]
struct Held {
    bytes: Arc<[u8]>,
    uses: u32,
}

/// One use of a lease.
#[derive(Clone, Debug)]
pub struct Taken(Arc<[u8]>);

impl Taken {
    /// What the lease gives to the request. It is present for every use that was taken.
    #[must_use]
    pub fn hit(&self) -> Option<Hit<'_>> {
        Record::read(&self.0)?.hit()
    }
}

impl Leases {
    /// A view of `slots` with nothing at hand yet.
    #[must_use]
    pub fn new(slots: Slots) -> Self {
        let at_hand = std::iter::repeat_with(|| None).take(slots.count().min(AT_HAND) as usize).collect();
        Self { slots, at_hand, feed: Arc::default() }
    }

    /// Changes the key of the slots: leases stored under the old one can no longer be found.
    pub fn set_key(&mut self, key: [u64; 2]) {
        self.slots.set_key(key);
    }

    /// Takes one use of the lease for `offer` in `class`. `None` means a full check.
    pub fn take(
        &mut self,
        store: &mut impl Store,
        class: Class,
        offer: Offer<'_>,
        now: Now,
    ) -> Option<Taken> {
        if !self.feed.honours(class.on_outage, now) {
            return None;
        }
        let place = self.slots.place(class, offer);
        // Other bits pick the place here than the places there, so two leases seldom share both.
        let at = usize::try_from((place.hash >> 16) % (self.at_hand.len().max(1) as u64)).ok()?;
        let usable = |held: &Held| {
            held.uses > 0
                && Record::read(&held.bytes).is_some_and(|record| {
                    record.is_of(class.id, offer)
                        && record.lives(now)
                        && !self.feed.ended(record.granted(), record.tags())
                })
        };
        if !self.at_hand.get(at)?.as_ref().is_some_and(usable) {
            let held = self.fetch(store, &place, class, offer, now)?;
            *self.at_hand.get_mut(at)? = Some(held);
        }
        let held = self.at_hand.get_mut(at)?.as_mut()?;
        held.uses = held.uses.checked_sub(1)?;
        Some(Taken(Arc::clone(&held.bytes)))
    }

    /// Takes uses out of shared memory.
    fn fetch(
        &self,
        store: &mut impl Store,
        place: &SlotPair,
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
                if !record.lives(now) || record.uses == 0 || self.feed.ended(record.granted(), record.tags())
                {
                    return None;
                }
                let taken = record.uses.div_ceil(8).min(MAX_BATCH);
                let left = record.uses.checked_sub(taken)?;
                record.hit()?;
                record::set_uses(&mut bytes, left)?;
                if store.write(slot, &bytes, Some(version)) {
                    return Some(Held { bytes: bytes.into(), uses: taken });
                }
            }
        }
        None
    }
}
