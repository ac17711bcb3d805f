//! The store of leases: slots that guard and keeper of all workers share, as long as either is configured.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use header_rules::config::LeaseRules;
use lease::{Slots, Store};

use crate::host::{self, HostError};

/// The slots of one listener and revision.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Slab>);

struct Slab {
    name: (String, String),
    slots: Slots,
    leases: Box<[Mutex<Option<Kept>>]>,
}

struct Kept {
    bytes: Box<[u8]>,
    version: u32,
}

/// All stores: guard and keeper of a listener are two configurations, and so are those of one revision before and after
/// another one was in force.
static SHELVES: Mutex<Vec<Weak<Slab>>> = Mutex::new(Vec::new());

impl Shelf {
    /// The slots of this listener and revision, under a key that the first user makes.
    pub(crate) fn open(
        rules: &LeaseRules,
        listener: &str,
        revision: &str,
    ) -> Result<(Self, Slots), HostError> {
        let name = (listener.to_owned(), revision.to_owned());
        let mut shelves = held(&SHELVES);
        shelves.retain(|shelf| shelf.strong_count() > 0);
        if let Some(slab) = shelves.iter().filter_map(Weak::upgrade).find(|slab| slab.name == name) {
            let slots = slab.slots;
            return Ok((Self(slab), slots));
        }
        let [a, b] = [host::random()?, host::random()?].map(u64::from_le_bytes);
        let slots = Slots::new(rules.slots, [a, b]);
        let leases = std::iter::repeat_with(|| Mutex::new(None)).take(slots.count() as usize).collect();
        let slab = Arc::new(Slab { name, slots, leases });
        shelves.push(Arc::downgrade(&slab));
        Ok((Self(slab), slots))
    }

    /// `slots` under the present key, which never changes here.
    pub(crate) fn under_its_key(&self, slots: Slots) -> Result<Slots, HostError> {
        Ok(slots)
    }

    fn slot(&self, slot: u32) -> Option<MutexGuard<'_, Option<Kept>>> {
        self.0.leases.get(slot as usize).map(held)
    }
}

impl Store for Shelf {
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)> {
        self.slot(slot)?.as_ref().map(|kept| (kept.bytes.to_vec(), kept.version))
    }

    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool {
        let Some(mut place) = self.slot(slot) else { return false };
        let present = place.as_ref().map_or(0, |kept| kept.version);
        if version.is_some_and(|version| version != present) {
            return false;
        }
        *place = Some(Kept { bytes: bytes.into(), version: present.wrapping_add(1).max(1) });
        true
    }
}

/// The content of a slot is consistent between any two steps, even after a panic of its holder.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
