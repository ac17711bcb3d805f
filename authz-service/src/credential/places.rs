//! Decides which requests may query a program that knows sessions (the legacy backend, an introspection
//! endpoint) when there are more than it can answer.
//!
//! A made-up session costs an attacker nothing and that program a query. So there are two kinds of
//! sessions, and one cannot use up the other's share:
//!
//! * **Proved**: a session that the program confirmed in its last answer. Strangers leave half of the
//!   places to these. One person has a few places at once, however many sessions they have.
//! * **Strangers**: every other session. Each network has a few places at once: an address (for IPv6 its
//!   /64), the network around it, and the provider around that.
//!
//! A request without a place waits for one within its own patience: first come, first served among those
//! whose network has room. When too many wait, the last one of the network with the most waiting requests is
//! dropped.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::{Mutex, MutexGuard};
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

use crate::network::Network;

/// The fingerprint of a token, or of a person's id: its SHA-256.
pub type Fingerprint = [u8; 32];

/// The fingerprint of `text`.
#[must_use]
pub fn fingerprint(text: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; 32];
    for (to, from) in fingerprint.iter_mut().zip(digest(&SHA256, text).as_ref()) {
        *to = *from;
    }
    fingerprint
}

/// How many sessions are remembered as proved. One takes about 100 bytes. Only a confirmed session
/// adds one, so strangers evict nothing; a forgotten session is a stranger again.
const REMEMBERED: usize = 50_000;

/// How many of a stranger's networks have a bound.
const NETWORKS: usize = 3;

/// The bounds of concurrent and of waiting queries.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All queries.
    pub all: usize,
    /// Of these, queries for strangers.
    pub strangers: usize,
    /// Of these, queries from one address, from the network around it, and from the provider around that.
    pub of_network: [usize; NETWORKS],
    /// Queries for one proved person.
    pub of_person: usize,
    /// Waiting requests of each kind.
    pub waiting: usize,
}

/// The caller of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Proved(Fingerprint),
    Stranger(Option<IpAddr>),
}

/// The subject of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Person(Fingerprint),
    Network(Network),
    /// Every caller without an address.
    Nowhere,
}

impl Asker {
    /// The holders that count this caller, each with its bound.
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
    place: oneshot::Sender<QueryPermit>,
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

    /// Makes room for one more in the queue of `asker`: drops the last request of the holder with the most of
    /// them. Returns whether there is room; there is none when `asker` is of that holder.
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

    /// The next waiting request that has room: proved ones come first.
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
    /// Every change of the numbers is complete before the lock is released.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock()
    }
}

/// The places for queries to one program.
pub struct Places {
    shared: Arc<Shared>,
    proved: Cache<Fingerprint, Fingerprint>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("bounds", &self.shared.bounds).finish_non_exhaustive()
    }
}

/// Permission for one query; dropping it passes the place on.
pub struct QueryPermit {
    shared: Arc<Shared>,
    asker: Asker,
}

impl fmt::Debug for QueryPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryPermit").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl Drop for QueryPermit {
    fn drop(&mut self) {
        let bounds = &self.shared.bounds;
        let mut given = Vec::new();
        {
            let mut taken = self.shared.lock();
            taken.give_back(self.asker, bounds);
            while let Some(Waiting { asker, place }) = taken.next(bounds) {
                // A request that has stopped waiting takes no place.
                if place.is_closed() {
                    continue;
                }
                taken.take(asker, bounds);
                given.push((place, Self { shared: Arc::clone(&self.shared), asker }));
            }
        }
        for (place, given) in given {
            // When the caller has just left, the place comes back and is dropped here, for the next one.
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

    /// A place for a query about the session `fingerprint`, for a caller at `client`, within `patience`.
    /// `None` when none is free in time.
    pub async fn take(
        &self,
        fingerprint: Fingerprint,
        client: Option<IpAddr>,
        patience: Duration,
    ) -> Option<QueryPermit> {
        let asker = match self.proved.get(&fingerprint) {
            Some(person) => Asker::Proved(person),
            None => Asker::Stranger(client),
        };
        let bounds = &self.shared.bounds;
        let waiting = {
            let mut taken = self.shared.lock();
            if taken.has_room(asker, bounds) {
                taken.take(asker, bounds);
                return Some(QueryPermit { shared: Arc::clone(&self.shared), asker });
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

    /// Notes that the session `fingerprint` of `person` was confirmed.
    pub fn prove(&self, fingerprint: Fingerprint, person: Fingerprint) {
        self.proved.insert(fingerprint, person);
    }

    /// Notes that the session was refused.
    pub fn disprove(&self, fingerprint: &Fingerprint) {
        self.proved.remove(fingerprint);
    }
}

#[cfg(test)]
mod tests;
