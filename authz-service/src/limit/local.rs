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
//! * One person has counters for [`SESSIONS_OF_A_PERSON`] sessions in each shard; more are counted by person.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use clock::UnixTime;
use parking_lot::{Mutex, MutexGuard};
use prometheus::IntCounter;

use crate::limit::charge::{Charged, Counted, Key, Of, Wider, in_advance};
use crate::limit::gcra::{Gcra, Weighed};

/// How many counters of addresses are kept. One takes about 120 bytes, so a full table takes 12 MB.
pub const ADDRESSES: usize = 100_000;

/// How many counters of verified callers, routes and services are kept.
pub const PROVED: usize = 100_000;

/// The share of one provider in a shard's room for addresses: one part in this many.
const OF_A_PROVIDER: usize = 8;

/// How many counters of sessions one person has in a shard. Only a person who signs in endlessly has more
/// sessions.
const SESSIONS_OF_A_PERSON: usize = 16;

/// How many shared counters a limit has for keys without a wider key.
pub const BUCKETS: u16 = 1_024;

/// With this many shards, requests on many cores rarely wait for each other.
const SHARDS: usize = 16;

/// A full shard is swept no more often than this: a sweep takes about 50 µs.
const SWEEP_MICROS: u64 = 100_000;

/// The counters of one kind of keys in a shard. Numbers are theoretical arrival times, in microseconds since the epoch.
#[derive(Debug)]
struct Table {
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

/// The place of one counter.
enum Place {
    /// The key's own counter.
    Own,
    /// The shared counter of this wider key.
    Shared(Key),
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
        let of = |table: &Table| table.own.len() + table.shared.len();
        let both = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            of(&shard.addresses) + of(&shard.proved)
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
        let places: Vec<usize> = counted.iter().map(|one| self.shard_of(&one.key)).collect();
        // Always in one order, so that two requests never deadlock.
        let mut order = places.clone();
        order.sort_unstable();
        order.dedup();
        let mut held: Vec<(usize, MutexGuard<'_, Shard>)> =
            order.iter().filter_map(|index| Some((*index, self.shards.get(*index)?.lock()))).collect();

        let mut weighed = Vec::with_capacity(counted.len());
        for (one, place) in counted.iter().zip(&places) {
            let Some((_, shard)) = held.iter_mut().find(|(index, _)| index == place) else { continue };
            let gcra = Gcra::of(&one.rule.limit).share(replicas);
            let (place, kept) = shard.table(&one.wider).find(one, gcra, &self.hasher, now);
            weighed.push((place, gcra.weigh(kept, now)));
        }
        let passes = counted.iter().zip(&weighed).all(|(one, (_, weighed))| match weighed {
            Weighed::Allowed(_) => true,
            Weighed::Refused(_) => one.rule.limit.mode == edge_config::edge::Mode::Shadow,
        });
        let of_all = counted.iter().zip(&weighed).map(|(one, (_, weighed))| match weighed {
            Weighed::Allowed(next) => Gcra::of(&one.rule.limit).share(replicas).left(*next, now),
            Weighed::Refused(_) => 0,
        });
        let taken = if passes { in_advance(more, of_all) } else { 0 };
        if passes {
            for ((one, index), (place, weighed)) in counted.iter().zip(&places).zip(&weighed) {
                let Some((_, shard)) = held.iter_mut().find(|(held, _)| held == index) else { continue };
                if let Weighed::Allowed(next) = weighed {
                    let next = Gcra::of(&one.rule.limit).share(replicas).take(*next, taken);
                    let table = shard.table(&one.wider);
                    match place {
                        Place::Own => table.keep(one, next),
                        Place::Shared(key) => {
                            self.overflows.inc();
                            table.shared.insert(key.clone(), next);
                        }
                    }
                }
            }
        }
        let wait = |(_, weighed): (Place, Weighed)| match weighed {
            Weighed::Allowed(_) => 0,
            Weighed::Refused(wait) => wait,
        };
        Charged { waits: weighed.into_iter().map(wait).collect(), taken }
    }

    /// The key for `counted` in another store of counters: its own while there is room for it here, else the
    /// shared one. So a flood of addresses fills no other store either.
    #[must_use]
    pub fn key_elsewhere(&self, counted: &Counted<'_>, now: UnixTime) -> Key {
        let now = now.millis().saturating_mul(1_000);
        let Some(shard) = self.shards.get(self.shard_of(&counted.key)) else { return counted.key.clone() };
        let mut shard = shard.lock();
        let table = shard.table(&counted.wider);
        let (place, kept) = table.find(counted, Gcra::of(&counted.rule.limit), &self.hasher, now);
        // A refusal from elsewhere is kept here for as long as a full bucket takes.
        let next = match Gcra::of(&counted.rule.limit).weigh(kept, now) {
            Weighed::Allowed(next) => next,
            Weighed::Refused(_) => kept.unwrap_or(now),
        };
        match place {
            Place::Own => {
                table.keep(counted, next);
                counted.key.clone()
            }
            Place::Shared(key) => {
                self.overflows.inc();
                table.shared.insert(key.clone(), next);
                key
            }
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
    fn new(room: usize) -> Self {
        Self { own: HashMap::new(), shared: HashMap::new(), within: HashMap::new(), room, swept: 0 }
    }

    /// The counter for `counted`, when there is one or room for one; else the shared one. Afterwards no debt
    /// exceeds a burst of `gcra`.
    fn find(
        &mut self,
        counted: &Counted<'_>,
        gcra: Gcra,
        hasher: &RandomState,
        now: u64,
    ) -> (Place, Option<u64>) {
        let owed = |kept: &mut u64| {
            *kept = gcra.owed(*kept, now);
            *kept
        };
        if let Some(kept) = self.own.get_mut(&counted.key) {
            return (Place::Own, Some(owed(&mut kept.number)));
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
            return (Place::Own, None);
        }
        let key = self.shared_key(counted, hasher);
        let kept = self.shared.get_mut(&key).map(owed);
        (Place::Shared(key), kept)
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

    fn keep(&mut self, counted: &Counted<'_>, number: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::snapshot::rule::Rule;
    use edge_config::edge::{Limit, Mode, Per};
    use std::time::Duration;
    use uuid::Uuid;

    fn rule(name: &str, rate: u32, mode: Mode) -> Rule {
        let limit = Limit { per: Per::Subject, rate, period: Duration::from_secs(60), burst: rate, mode };
        Rule { name: Arc::from(name), limit }
    }

    fn owned<'r>(rule: &'r Rule, id: u128, owners: &[u128]) -> Counted<'r> {
        let of = |id: u128| Of::Id(Uuid::from_u128(id));
        let wider = Wider::Owners(owners.iter().map(|id| of(*id)).collect());
        Counted { rule, key: Key { limit: Arc::clone(&rule.name), of: of(id) }, wider }
    }

    /// A caller without wider keys.
    fn counted(rule: &Rule, id: u128) -> Counted<'_> {
        owned(rule, id, &[])
    }

    fn addressed<'r>(rule: &'r Rule, address: &str) -> Counted<'r> {
        let [finest, wider @ ..] = Network::all_of(address.parse().unwrap());
        let of = Of::Address(finest.first());
        Counted { rule, key: Key { limit: Arc::clone(&rule.name), of }, wider: Wider::Networks(wider) }
    }

    fn local(capacity: usize) -> Local {
        Local::new(capacity, capacity, IntCounter::new("overflows", "x").unwrap())
    }

    fn passes(local: &Local, counted: &[Counted<'_>], now: UnixTime) -> bool {
        local.charge(counted, 1, 0, now).waits.iter().all(|wait| *wait == 0)
    }

    const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

    #[test]
    fn all_or_none() {
        let (wide, tight) = (rule("wide", 10, Mode::Enforce), rule("tight", 1, Mode::Enforce));
        let local = local(1_000);
        assert!(passes(&local, &[counted(&wide, 1), counted(&tight, 1)], NOW));
        for _ in 0..50 {
            let charged = local.charge(&[counted(&wide, 1), counted(&tight, 1)], 1, 5, NOW);
            assert_eq!(charged, Charged { waits: vec![0, 60_000_000], taken: 0 });
        }
        let left = (0..20).filter(|_| passes(&local, &[counted(&wide, 1)], NOW)).count();
        assert_eq!(left, 9, "refused requests were not charged to the wide limit");
    }

    #[test]
    fn after_a_clock_that_was_an_hour_ahead_everybody_is_served_again_at_once() {
        let ten = rule("ten", 10, Mode::Enforce);
        // Room for one counter: the others share one, to which the same applies.
        for local in [local(1_000), local(1)] {
            for id in 0..20 {
                assert!(passes(&local, &[counted(&ten, id)], NOW.plus(Duration::from_secs(3_600))) || id > 0);
            }
            let served_at = |seconds: u64| {
                let now = NOW.plus(Duration::from_secs(seconds));
                (0..20).any(|id| passes(&local, &[counted(&ten, id)], now))
            };
            let _ = served_at(0);
            assert!(served_at(6), "an interval later");
        }
    }

    #[test]
    fn what_is_taken_in_advance_is_half_of_what_the_tightest_limit_leaves() {
        let (wide, tight) = (rule("wide", 100, Mode::Enforce), rule("tight", 10, Mode::Enforce));
        let local = local(1_000);
        let both = [counted(&wide, 1), counted(&tight, 1)];
        let taken: Vec<u64> = (0..5).map(|_| local.charge(&both, 1, 50, NOW).taken).collect();
        // 9, 4, 1 are left after each request; the very last one is never charged in advance.
        assert_eq!(taken, [4, 2, 0, 0, 0]);
        let left = (0..200).filter(|_| passes(&local, &[counted(&wide, 1)], NOW)).count();
        assert_eq!(left, 100 - 4 - 6, "as many were taken from the wide one");
        assert_eq!(local.charge(&[counted(&wide, 2)], 1, 7, NOW).taken, 7, "no more than is wanted");
    }

    #[test]
    fn a_shadow_counts_and_hinders_nobody() {
        let (wide, tried) = (rule("wide", 3, Mode::Enforce), rule("tried", 1, Mode::Shadow));
        let local = local(1_000);
        let all = [counted(&wide, 1), counted(&tried, 1)];
        let waits: Vec<Vec<u64>> = (0..4).map(|_| local.charge(&all, 1, 0, NOW).waits).collect();
        assert_eq!(waits, [[0, 0], [0, 60_000_000], [0, 60_000_000], [20_000_000, 60_000_000]]);
    }

    #[test]
    fn a_flood_of_new_keys_never_frees_who_is_limited_and_never_takes_more_room() {
        let rule = rule("calm", 2, Mode::Enforce);
        let local = local(1_600);
        while passes(&local, &[counted(&rule, 0)], NOW) {}
        let passed = (1..100_000_u128).filter(|id| passes(&local, &[counted(&rule, *id)], NOW)).count();
        let most = 1_600 + SHARDS * usize::from(BUCKETS);
        assert!(local.len() <= most, "{} counters", local.len());
        assert!(!passes(&local, &[counted(&rule, 0)], NOW), "the flood freed a limited key");
        // Keys without room shared a counter with some others: two requests in each.
        assert!(passed <= 1_600 + 2 * SHARDS * usize::from(BUCKETS), "{passed} passed");
        assert!(local.overflows.get() > 0);
        // When buckets are full again, there is room again.
        let later = NOW.plus(Duration::from_secs(61));
        let passed = (1_000..1_300_u128).filter(|id| passes(&local, &[counted(&rule, *id)], later)).count();
        assert_eq!(passed, 300);
        assert!(local.len() <= most);
    }

    #[test]
    fn four_billion_networks_of_one_provider_leave_every_other_address_its_own_counter() {
        let calm = rule("calm", 2, Mode::Enforce);
        let local = local(16_000);
        // 100,000 networks in 100,000 sites, and again as many in one site.
        for number in 0..100_000_u32 {
            let (high, low) = (number >> 16, number & 0xffff);
            let _ = passes(&local, &[addressed(&calm, &format!("2001:db8:{low:x}:{high:x}::1"))], NOW);
            let _ = passes(&local, &[addressed(&calm, &format!("2001:db9:0:{low:x}::1"))], NOW);
        }
        assert!(local.overflows.get() > 0, "the flood shares counters");
        assert!(local.len() <= 40_000, "{} counters", local.len());
        for other in ["2001:dba::1", "2003:1:2:3::4", "198.51.100.7", "203.0.113.9"] {
            let allowed = (0..3).map(|_| passes(&local, &[addressed(&calm, other)], NOW)).collect::<Vec<_>>();
            assert_eq!(allowed, [true, true, false], "{other} has its own limit and all of it");
        }
        // Nor do addresses take room from verified callers.
        for id in 0..1_000 {
            assert!(passes(&local, &[counted(&calm, id)], NOW), "{id}");
        }
    }

    #[test]
    fn a_flood_of_addresses_makes_no_more_keys_elsewhere_than_there_is_room_for_here() {
        let calm = rule("calm", 2, Mode::Enforce);
        let local = local(1_600);
        let mut keys = std::collections::HashSet::new();
        for number in 0..20_000_u32 {
            let address = format!("2001:db8:{:x}:{:x}::1", number & 0xff, number >> 8);
            keys.insert(local.key_elsewhere(&addressed(&calm, &address), NOW));
        }
        assert!(keys.len() <= 3_200, "{} keys", keys.len());
        let other = addressed(&calm, "198.51.100.7");
        assert_eq!(local.key_elsewhere(&other, NOW), other.key, "another address has its own");
    }

    #[test]
    fn with_no_room_at_all_an_address_shares_with_its_own_neighbours_alone() {
        let calm = rule("calm", 2, Mode::Enforce);
        // Room for one in each shard, and floods from many providers.
        let local = local(SHARDS);
        for number in 0..20_000_u32 {
            let (a, b) = (number >> 8, number & 0xff);
            let _ = passes(&local, &[addressed(&calm, &format!("2a00:{a:x}:{b:x}::1"))], NOW);
        }
        for other in ["2003:1:2:3::4", "198.51.100.7"] {
            assert!(passes(&local, &[addressed(&calm, other)], NOW), "{other} pays for the flood");
        }
    }

    #[test]
    fn sessions_without_end_of_one_person_are_counted_by_person_and_cost_nobody_else() {
        let calm = rule("calm", 2, Mode::Enforce);
        let local = local(16_000);
        let (person, tenant) = (1, 2);
        let passed = (100..50_100_u128)
            .filter(|session| passes(&local, &[owned(&calm, *session, &[person, tenant])], NOW))
            .count();
        // Each counter lets two through: those of the sessions, and in each shard the person's.
        assert!(passed <= SHARDS * (SESSIONS_OF_A_PERSON + 2), "{passed} passed");
        for session in 60_000..61_000_u128 {
            let other = owned(&calm, session, &[session + 1_000_000, tenant]);
            assert!(passes(&local, &[other], NOW), "{session} of another person of the same tenant");
        }
    }

    #[test]
    fn replicas_alone_together_let_no_more_through_than_the_limit() {
        let rule = rule("calm", 60, Mode::Enforce);
        let replicas = [local(100), local(100), local(100)];
        let mut passed = 0;
        for second in 0..60 {
            let now = NOW.plus(Duration::from_secs(second));
            for replica in &replicas {
                for _ in 0..30 {
                    let waits = replica.charge(&[counted(&rule, 7)], 3, 0, now).waits;
                    passed += usize::from(waits == [0]);
                }
            }
        }
        assert!(passed <= 60 + 59, "{passed} passed in a minute that begins with a burst of 60");
        assert!(passed >= 100, "{passed}: the shares are too small");
    }

    #[test]
    fn many_at_once_are_counted_exactly() {
        let (one, other) = (rule("one", 500, Mode::Enforce), rule("other", 900, Mode::Enforce));
        let local = local(1_000);
        let passed = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (local, passed, one, other) = (&local, &passed, &one, &other);
                scope.spawn(move || {
                    for _ in 0..400 {
                        let mut all = [counted(one, 1), counted(other, 2)];
                        if thread % 2 == 0 {
                            all.reverse();
                        }
                        if passes(local, &all, NOW) {
                            passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 500);
    }
}
