//! Counters in this process: exact for one replica, and bounded.
//!
//! At most [`CAPACITY`] counters are kept. One is dropped only when its bucket is full again, and then it says
//! no more than no counter at all: a flood of new keys never frees somebody who is over a limit. While no room
//! can be made, keys without a counter share one overflow counter for each limit and shard. They are
//! refused sooner than they should be, never later.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clock::UnixTime;
use prometheus::IntCounter;

use crate::limit::charge::{Charged, Counted, Key, in_advance};
use crate::limit::gcra::{Gcra, Weighed};

/// How many counters are kept. One takes some 120 bytes, so a full house takes 12 MB.
pub const CAPACITY: usize = 100_000;

/// So that requests on many cores seldom wait for each other.
const SHARDS: usize = 16;

/// A full shard is swept no more often than this: a sweep takes some 50 µs.
const SWEEP_MICROS: u64 = 100_000;

#[derive(Debug, Default)]
struct Shard {
    /// Theoretical arrival times, in microseconds since the epoch.
    kept: HashMap<Key, u64>,
    /// The same for everybody who has no counter, by limit.
    overflow: HashMap<Arc<str>, u64>,
    swept: u64,
}

/// Counters in this process.
#[derive(Debug)]
pub struct Local {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// Counters of one shard at most.
    room: usize,
    overflows: IntCounter,
}

/// Where one counter is.
enum Place {
    /// Its own.
    Own,
    /// The one that it shares.
    Shared,
}

impl Local {
    /// At most `capacity` counters; `overflows` counts requests that had to share one.
    #[must_use]
    pub fn new(capacity: usize, overflows: IntCounter) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), room: (capacity / SHARDS).max(1), overflows }
    }

    /// How many counters are kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).kept.len()).sum()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Weighs a request against each of `counted`, with this replica's share of each limit. It is charged to
    /// all of them when every limit that is enforced allows it (and to those in shadow that do), else to none.
    /// For each the microseconds to wait; 0 when it allows. When all allow, up to `more` requests are taken in advance,
    /// as [`in_advance`] says.
    #[must_use]
    pub fn charge(&self, counted: &[Counted<'_>], replicas: u32, more: u64, now: UnixTime) -> Charged {
        let now = now.millis().saturating_mul(1_000);
        let places: Vec<usize> = counted.iter().map(|one| self.shard_of(&one.key)).collect();
        // Always in one order, so that two requests never wait for each other.
        let mut order = places.clone();
        order.sort_unstable();
        order.dedup();
        let mut held: Vec<(usize, MutexGuard<'_, Shard>)> =
            order.iter().filter_map(|index| Some((*index, lock(self.shards.get(*index)?)))).collect();

        let mut weighed = Vec::with_capacity(counted.len());
        for (one, place) in counted.iter().zip(&places) {
            let Some((_, shard)) = held.iter_mut().find(|(index, _)| index == place) else { continue };
            let gcra = Gcra::of(&one.rule.limit).share(replicas);
            let (place, kept) = shard.find(&one.key, gcra, self.room, now);
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
                    match place {
                        Place::Own => shard.kept.insert(one.key.clone(), next),
                        Place::Shared => {
                            self.overflows.inc();
                            shard.overflow.insert(Arc::clone(&one.key.limit), next)
                        }
                    };
                }
            }
        }
        let wait = |(_, weighed): (Place, Weighed)| match weighed {
            Weighed::Allowed(_) => 0,
            Weighed::Refused(wait) => wait,
        };
        Charged { waits: weighed.into_iter().map(wait).collect(), taken }
    }

    fn shard_of(&self, key: &Key) -> usize {
        usize::try_from(self.hasher.hash_one(key) % (SHARDS as u64)).unwrap_or_default()
    }
}

impl Shard {
    /// The counter for `key`, when there is one or room for one; else the one that it shares.
    /// Nobody's debt is more than a burst of `gcra` afterwards.
    fn find(&mut self, key: &Key, gcra: Gcra, room: usize, now: u64) -> (Place, Option<u64>) {
        if let Some(kept) = self.kept.get_mut(key) {
            *kept = gcra.owed(*kept, now);
            return (Place::Own, Some(*kept));
        }
        if self.kept.len() >= room && now.abs_diff(self.swept) >= SWEEP_MICROS {
            self.swept = now;
            self.kept.retain(|_, kept| *kept > now);
        }
        if self.kept.len() < room {
            (Place::Own, None)
        } else {
            let kept = self.overflow.get_mut(&key.limit).map(|kept| {
                *kept = gcra.owed(*kept, now);
                *kept
            });
            (Place::Shared, kept)
        }
    }
}

/// A panic while a number was written leaves a number: the counters go on.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::charge::Of;
    use crate::snapshot::rule::Rule;
    use edge_config::edge::{Limit, Mode, Per};
    use std::time::Duration;
    use uuid::Uuid;

    fn rule(name: &str, rate: u32, mode: Mode) -> Rule {
        let limit = Limit { per: Per::Subject, rate, period: Duration::from_secs(60), burst: rate, mode };
        Rule { name: Arc::from(name), limit }
    }

    fn counted(rule: &Rule, id: u128) -> Counted<'_> {
        Counted { rule, key: Key { limit: Arc::clone(&rule.name), of: Of::Id(Uuid::from_u128(id)) } }
    }

    fn local(capacity: usize) -> Local {
        Local::new(capacity, IntCounter::new("overflows", "x").unwrap())
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
        // Room for one counter: the others share one, for which the same holds.
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
        // 9, 4, 1 are left after each request; the last one of all is nobody's in advance.
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
        assert!(local.len() <= 1_600, "{} counters", local.len());
        assert!(!passes(&local, &[counted(&rule, 0)], NOW), "the flood freed a limited key");
        // Who found no room shared the counters of the overflow: two requests in each shard.
        assert!(passed <= 1_600 + 2 * SHARDS, "{passed} passed");
        assert!(local.overflows.get() > 0);
        // When buckets are full again, there is room again.
        let later = NOW.plus(Duration::from_secs(61));
        let passed = (1_000..1_300_u128).filter(|id| passes(&local, &[counted(&rule, *id)], later)).count();
        assert_eq!(passed, 300);
        assert!(local.len() <= 1_600);
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
