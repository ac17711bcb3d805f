//! The slots that all workers share, and how a lease gets into one.

use crate::grant::Grant;
use crate::offer::Offer;
use crate::record::{self, Record};
use crate::{Class, Now, sip};

/// Slots that all workers of a listener share.
pub trait Store {
    /// A slot's bytes and their version; `None` when the slot was never written or cannot be read.
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)>;

    /// Writes `bytes` into a slot if its version is still `version`, or unconditionally when that is `None`. `false` when
    /// nothing was written.
    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool;
}

/// The number of slots and the key that picks them. The keeper and the guard must use the same values.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    count: u32,
    key: [u64; 2],
}

/// The places where a lease may be stored.
pub(crate) struct SlotPair {
    /// Its two slots.
    pub(crate) slots: [u32; 2],
    /// The hash that picked them.
    pub(crate) hash: u64,
}

impl Slots {
    /// `count` slots, at least two, picked under `key`.
    #[must_use]
    pub fn new(count: u32, key: [u64; 2]) -> Self {
        Self { count: count.max(2), key }
    }

    /// Changes the key: leases stored under the old one can no longer be found.
    pub fn set_key(&mut self, key: [u64; 2]) {
        self.key = key;
    }

    /// The number of slots.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Keeps a grant for `offer` in `class`. A grant that does not fit is dropped.
    pub fn keep(&self, store: &mut impl Store, class: Class, offer: Offer<'_>, grant: &Grant, now: Now) {
        let lifetime_ms = grant.lifetime_ms.min(class.lifetime_ms);
        let uses = grant.uses.min(class.uses);
        let Some(bytes) = record::write(class.id, offer, grant, lifetime_ms, uses, now) else { return };
        let place = self.place(class, offer);
        // The slot it already has; otherwise an empty one, an expired one, or the one that expires sooner.
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
        // If another worker was faster, its lease is as good.
        store.write(slot, &bytes, found.map(|(_, version)| version));
    }

    pub(crate) fn place(&self, class: Class, offer: Offer<'_>) -> SlotPair {
        let [k0, k1] = self.key;
        let salt = u64::from(class.id) << 8 | u64::from(offer.kind());
        let hash = sip::hash([k0 ^ salt, k1], offer.bytes());
        let slots = u64::from(self.count);
        let first = hash % slots;
        // The second slot comes from the other half of the hash and always differs from the first.
        let second = (first + 1 + (hash >> 32) % (slots - 1)) % slots;
        let narrow = |slot: u64| u32::try_from(slot).unwrap_or(0);
        SlotPair { slots: [narrow(first), narrow(second)], hash }
    }
}
