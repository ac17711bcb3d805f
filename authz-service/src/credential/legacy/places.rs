//! Who may ask the legacy when more want to than it can answer.
//!
//! A made-up cookie costs a stranger nothing and the legacy a question. So there are two kinds of askers, and one
//! cannot use up what the other needs:
//!
//! * **Proved**: a session that the legacy's last answer was a yes for. Strangers leave half of the places to
//!   these. One person has a few places at once, however many sessions they have.
//! * **Strangers**: every other session. Each network has a few places at once: an address (of IPv6 its 64 bits), the
//!   network around it, and the provider around that.
//!
//! An asker without a place waits for one within its own patience, first come, first served among those whose network
//! has room. When too many wait, the last one of the network with the most of them goes.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use identity::SubjectId;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use crate::network::Network;

/// What stands for a token: its SHA-256.
pub type Fingerprint = [u8; 32];

/// What stands for `token`.
#[must_use]
pub fn fingerprint(token: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; 32];
    for (to, from) in fingerprint.iter_mut().zip(digest(&SHA256, token).as_ref()) {
        *to = *from;
    }
    fingerprint
}

/// How many sessions are remembered as proved. One takes some 100 bytes. Only a yes of the legacy enters, so a stranger
/// pushes nothing out; a session that is forgotten is a stranger once more.
const REMEMBERED: usize = 50_000;

/// How many networks of a stranger have a bound.
const NETWORKS: usize = 3;

/// How many ask at once, and how many wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Questions in all.
    pub all: usize,
    /// Of these, questions of strangers.
    pub strangers: usize,
    /// Of these, questions from one address, from the network around it, and from the provider around that.
    pub of_network: [usize; NETWORKS],
    /// Questions of one proved person.
    pub of_person: usize,
    /// Askers of each kind that wait.
    pub waiting: usize,
}

/// For whom a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Proved(SubjectId),
    Stranger(Option<IpAddr>),
}

/// What a bound is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Person(SubjectId),
    Network(Network),
    /// Every caller without an address.
    Nowhere,
}

impl Asker {
    /// What counts this asker, each with its bound.
    fn holders(self, bounds: &Bounds) -> Vec<(Holder, usize)> {
        let [finest, ..] = bounds.of_network;
        match self {
            Self::Proved(person) => vec![(Holder::Person(person), bounds.of_person)],
            Self::Stranger(None) => vec![(Holder::Nowhere, finest)],
            Self::Stranger(Some(address)) => {
                Network::all_of(address).map(Holder::Network).into_iter().zip(bounds.of_network).collect()
            }
        }
    }
}

struct Waiting {
    asker: Asker,
    place: oneshot::Sender<Place>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    strangers: usize,
    held: HashMap<Holder, usize>,
    proved: VecDeque<Waiting>,
    unproved: VecDeque<Waiting>,
}

impl Taken {
    fn has_room(&self, asker: Asker, bounds: &Bounds) -> bool {
        let kind = match asker {
            Asker::Proved(_) => true,
            Asker::Stranger(_) => self.strangers < bounds.strangers,
        };
        let of_holder =
            |(holder, bound): &(Holder, usize)| self.held.get(holder).is_none_or(|held| held < bound);
        kind && self.all < bounds.all && asker.holders(bounds).iter().all(of_holder)
    }

    fn take(&mut self, asker: Asker, bounds: &Bounds) {
        self.all += 1;
        self.strangers += usize::from(matches!(asker, Asker::Stranger(_)));
        for (holder, _) in asker.holders(bounds) {
            *self.held.entry(holder).or_default() += 1;
        }
    }

    fn give_back(&mut self, asker: Asker, bounds: &Bounds) {
        self.all = self.all.saturating_sub(1);
        self.strangers = self.strangers.saturating_sub(usize::from(matches!(asker, Asker::Stranger(_))));
        for (holder, _) in asker.holders(bounds) {
            if let Some(held) = self.held.get_mut(&holder) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    self.held.remove(&holder);
                }
            }
        }
    }

    const fn queue(&mut self, asker: Asker) -> &mut VecDeque<Waiting> {
        match asker {
            Asker::Proved(_) => &mut self.proved,
            Asker::Stranger(_) => &mut self.unproved,
        }
    }

    /// Makes room for one more in the queue of `asker`: the last one of the holder that has the most of them goes. Says
    /// whether there is room; not when the asker is of that holder.
    fn make_room(&mut self, asker: Asker, bounds: &Bounds) -> bool {
        let first = |asker: Asker| asker.holders(bounds).first().map(|(holder, _)| *holder);
        let own = first(asker);
        let queue = self.queue(asker);
        queue.retain(|waiting| !waiting.place.is_closed());
        if queue.len() < bounds.waiting {
            return true;
        }
        let mut crowds: HashMap<Option<Holder>, usize> = HashMap::from([(own, 1)]);
        for waiting in queue.iter() {
            *crowds.entry(first(waiting.asker)).or_default() += 1;
        }
        let own_crowd = crowds.get(&own).copied().unwrap_or_default();
        let Some((most, crowd)) = crowds.into_iter().max_by_key(|(_, crowd)| *crowd) else { return false };
        if crowd <= own_crowd {
            return false;
        }
        let last = queue.iter().rposition(|waiting| first(waiting.asker) == most);
        last.and_then(|position| queue.remove(position)).is_some()
    }

    /// The next one that waits and has room now: proved ones come first.
    fn next(&mut self, bounds: &Bounds) -> Option<Waiting> {
        for proved in [true, false] {
            let queue = if proved { &self.proved } else { &self.unproved };
            let position = queue.iter().position(|waiting| self.has_room(waiting.asker, bounds));
            if let Some(position) = position {
                let queue = if proved { &mut self.proved } else { &mut self.unproved };
                return queue.remove(position);
            }
        }
        None
    }
}

struct Shared {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

impl Shared {
    /// Every change of the numbers is whole before the lock is left.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places to ask the legacy in.
pub struct Places {
    shared: Arc<Shared>,
    proved: Cache<Fingerprint, SubjectId>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("bounds", &self.shared.bounds).finish_non_exhaustive()
    }
}

/// Leave to ask once; dropping it gives the place to the next one.
pub struct Place {
    shared: Arc<Shared>,
    asker: Asker,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let bounds = &self.shared.bounds;
        let mut given = Vec::new();
        {
            let mut taken = self.shared.lock();
            taken.give_back(self.asker, bounds);
            while let Some(Waiting { asker, place }) = taken.next(bounds) {
                // One that waits no longer takes no place.
                if place.is_closed() {
                    continue;
                }
                taken.take(asker, bounds);
                given.push((place, Self { shared: Arc::clone(&self.shared), asker }));
            }
        }
        for (place, given) in given {
            // When the asker has just gone, the place comes back and is dropped here, for the next one.
            drop(place.send(given));
        }
    }
}

impl Places {
    /// Places within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let shared = Arc::new(Shared { bounds, taken: Mutex::default() });
        Self { shared, proved: Cache::new(REMEMBERED) }
    }

    /// A place to ask about the session `fingerprint`, for a caller at `client`, within `patience`. `None` when there is
    /// none in time.
    pub async fn take(
        &self,
        fingerprint: Fingerprint,
        client: Option<IpAddr>,
        patience: Duration,
    ) -> Option<Place> {
        let asker = match self.proved.get(&fingerprint) {
            Some(person) => Asker::Proved(person),
            None => Asker::Stranger(client),
        };
        let bounds = &self.shared.bounds;
        let waiting = {
            let mut taken = self.shared.lock();
            if taken.has_room(asker, bounds) {
                taken.take(asker, bounds);
                return Some(Place { shared: Arc::clone(&self.shared), asker });
            }
            if !taken.make_room(asker, bounds) {
                return None;
            }
            let (place, waiting) = oneshot::channel();
            taken.queue(asker).push_back(Waiting { asker, place });
            waiting
        };
        tokio::time::timeout(patience, waiting).await.ok()?.ok()
    }

    /// The legacy said yes to the session `fingerprint`: it is of `person`.
    pub fn prove(&self, fingerprint: Fingerprint, person: SubjectId) {
        self.proved.insert(fingerprint, person);
    }

    /// The legacy said no.
    pub fn disprove(&self, fingerprint: &Fingerprint) {
        self.proved.remove(fingerprint);
    }
}

#[cfg(test)]
mod tests;
