//! Counters in this process: exact for one replica, and bounded in number.
//!
//! A counter is dropped only when its bucket is full again, and then it means no more than no counter at all:
//! a flood of new keys never frees a caller who is over a limit. Where there is no room, a key shares the
//! counter of the network around it, or of the person and tenant that it belongs to. It may then be refused
//! too early, but never too late, and only because of its neighbours: no counter is shared by all.
//!
//! * Addresses and verified callers have tables of their own ([`ADDRESSES`], [`PROVED`]): unknown clients
//!   take no room from verified callers.
//! * One provider (an IPv4 /16, an IPv6 /32) may use an eighth of the addresses. Further addresses of it are
//!   counted by the networks around them, so that four billion networks of one provider leave room for the
//!   rest of the world.
//! * One person has counters for 16 sessions in each shard; more are counted by person.

mod table;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use clock::UnixTime;
use parking_lot::{Mutex, MutexGuard};
use prometheus::IntCounter;

use crate::limit::charge::{Bucket, Charged, Counted, Key, Wider, in_advance};
use crate::limit::gcra::{Gcra, Weighed};
use crate::limit::local::table::{Slot, Table};

/// How many counters of addresses are kept. One takes about 120 bytes, so a full table takes 12 MB.
pub const ADDRESSES: usize = 100_000;

/// How many counters of verified callers, routes and services are kept.
pub const PROVED: usize = 100_000;

/// How many shared counters a limit has for keys without a wider key.
pub const BUCKETS: u16 = 1_024;

/// With this many shards, requests on many cores rarely wait for each other.
const SHARDS: usize = 16;

#[derive(Debug)]
struct Shard {
    addresses: Table,
    proved: Table,
}

/// Counters in this process.
#[derive(Debug)]
pub struct Local {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    overflows: IntCounter,
}

impl Local {
    /// At most `addresses` and `proved` counters; `overflows` counts requests that had to share one.
    #[must_use]
    pub fn new(addresses: usize, proved: usize, overflows: IntCounter) -> Self {
        let table = |capacity: usize| Table::new((capacity / SHARDS).max(1));
        let shard = || Shard { addresses: table(addresses), proved: table(proved) };
        let shards = (0..SHARDS).map(|_| Mutex::new(shard())).collect();
        Self { shards, hasher: RandomState::new(), overflows }
    }

    /// How many counters are kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        let both = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.addresses.len() + shard.proved.len()
        };
        self.shards.iter().map(both).sum()
    }

    /// Whether there are no counters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks a request against each of `counted`, with this replica's share of each limit. It is charged to
    /// all of them when every enforced limit allows it (and to those in shadow that do), else to none.
    /// Returns for each the microseconds to wait; 0 when it allows. When all allow, up to `more` requests are
    /// charged in advance, as [`in_advance`] describes.
    #[must_use]
    pub fn charge(&self, counted: &[Counted<'_>], replicas: u32, more: u64, now: UnixTime) -> Charged {
        let now = now.millis().saturating_mul(1_000);
        // All counters stay locked from the first look to the last write: the request is charged to all of its
        // limits or to none, and no other request may take what was seen free in between.
        let mut held = self.hold(counted);
        let gcra = |one: &Counted<'_>| Gcra::of(&one.tier.quota).share(replicas);

        // First look at every counter: one refusal decides for all, so nothing is written yet.
        let mut weighed = Vec::with_capacity(counted.len());
        for one in counted {
            let Some(table) = held.table(one) else { continue };
            let (slot, kept) = table.find(one, gcra(one), &self.hasher, now);
            weighed.push((one, slot, kept, gcra(one).weigh(kept, now)));
        }
        let waits = weighed.iter().map(|(_, _, _, weighed)| weighed.wait()).collect();
        let passes = weighed.iter().all(|(one, _, _, weighed)| match weighed {
            Weighed::Allowed(_) => true,
            Weighed::Refused(_) => one.rule.mode == edge_config::edge::Mode::Shadow,
        });
        if !passes {
            // A refusal says how long to wait, not what is left.
            return Charged { waits, buckets: vec![Bucket::default(); counted.len()], taken: 0 };
        }

        // Then charge them. A shadow that would have refused is not charged, and leaves nothing in advance.
        let left = weighed.iter().map(|(one, _, _, weighed)| match weighed {
            Weighed::Allowed(next) => gcra(one).left(*next, now),
            Weighed::Refused(_) => 0,
        });
        let taken = in_advance(more, left);
        let mut buckets = Vec::with_capacity(weighed.len());
        for (one, slot, kept, weighed) in &weighed {
            let number = match weighed {
                Weighed::Allowed(next) => gcra(one).take(*next, taken),
                Weighed::Refused(_) => kept.unwrap_or(now),
            };
            buckets.push(gcra(one).bucket(number, now));
            if let Weighed::Allowed(_) = weighed
                && let Some(table) = held.table(one)
                && table.keep(one, slot, number)
            {
                self.overflows.inc();
            }
        }
        Charged { waits, buckets, taken }
    }

    /// Locks the shards of `counted`, always in one order, so that two requests never deadlock.
    fn hold(&self, counted: &[Counted<'_>]) -> Held<'_> {
        let mut order: Vec<usize> = counted.iter().map(|one| self.shard_of(&one.key)).collect();
        order.sort_unstable();
        order.dedup();
        let lock = |index: &usize| Some((*index, self.shards.get(*index)?.lock()));
        Held { local: self, shards: order.iter().filter_map(lock).collect() }
    }

    /// The key for `counted` in another store of counters: its own while there is room for it here, else the
    /// shared one. So a flood of addresses fills no other store either.
    #[must_use]
    pub fn key_elsewhere(&self, counted: &Counted<'_>, now: UnixTime) -> Key {
        let now = now.millis().saturating_mul(1_000);
        let Some(shard) = self.shards.get(self.shard_of(&counted.key)) else { return counted.key.clone() };
        let mut shard = shard.lock();
        let table = shard.table(&counted.wider);
        let (slot, kept) = table.find(counted, Gcra::of(&counted.tier.quota), &self.hasher, now);
        // A refusal from elsewhere is kept here for as long as a full bucket takes.
        let next = match Gcra::of(&counted.tier.quota).weigh(kept, now) {
            Weighed::Allowed(next) => next,
            Weighed::Refused(_) => kept.unwrap_or(now),
        };
        if table.keep(counted, &slot, next) {
            self.overflows.inc();
        }
        match slot {
            Slot::Own => counted.key.clone(),
            Slot::Shared(key) => key,
        }
    }

    fn shard_of(&self, key: &Key) -> usize {
        usize::try_from(self.hasher.hash_one(key) % (SHARDS as u64)).unwrap_or_default()
    }
}

impl Shard {
    const fn table(&mut self, wider: &Wider) -> &mut Table {
        match wider {
            Wider::Networks(_) => &mut self.addresses,
            Wider::Owners(_) => &mut self.proved,
        }
    }
}

/// The locked shards of one request.
struct Held<'l> {
    local: &'l Local,
    shards: Vec<(usize, MutexGuard<'l, Shard>)>,
}

impl Held<'_> {
    /// The table that has the counter of `counted`. Every shard of the request is held, so there is one.
    fn table(&mut self, counted: &Counted<'_>) -> Option<&mut Table> {
        let index = self.local.shard_of(&counted.key);
        let (_, shard) = self.shards.iter_mut().find(|(held, _)| *held == index)?;
        Some(shard.table(&counted.wider))
    }
}

#[cfg(test)]
mod tests;
