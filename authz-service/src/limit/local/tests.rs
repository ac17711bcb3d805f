//! What floods, shadows and replicas do to the counters of one process.

use super::*;
use crate::limit::charge::Of;
use crate::limit::local::table::SESSIONS_OF_A_PERSON;
use crate::network::Network;
use crate::snapshot::rule::Rule;
use edge_config::edge::{Limit, Mode, Per, Quota, RateHeaders};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

fn rule(name: &str, rate: u32, mode: Mode) -> Rule {
    let quota = Quota { rate, period: Duration::from_secs(60), burst: rate };
    let (headers, overrides, plans) = (RateHeaders::Refusals, BTreeMap::new(), BTreeMap::new());
    Rule::new(name, &Limit { per: Per::Subject, quota, mode, headers, overrides, plans })
}

fn owned<'r>(rule: &'r Rule, id: u128, owners: &[u128]) -> Counted<'r> {
    let of = |id: u128| Of::Id(Uuid::from_u128(id));
    let wider = Wider::Owners(owners.iter().map(|id| of(*id)).collect());
    Counted::new(rule, &rule.base, of(id), wider)
}

/// A caller without wider keys.
fn counted(rule: &Rule, id: u128) -> Counted<'_> {
    owned(rule, id, &[])
}

fn addressed<'r>(rule: &'r Rule, address: &str) -> Counted<'r> {
    let [finest, wider @ ..] = Network::all_of(address.parse().unwrap());
    let of = Of::Address(finest.first());
    Counted::new(rule, &rule.base, of, Wider::Networks(wider))
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
        assert_eq!((charged.waits, charged.taken), (vec![0, 60_000_000], 0));
    }
    let left = (0..20).filter(|_| passes(&local, &[counted(&wide, 1)], NOW)).count();
    assert_eq!(left, 9, "refused requests were not charged to the wide limit");
}

#[test]
fn after_a_clock_that_was_an_hour_ahead_every_caller_is_served_again_at_once() {
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
fn an_advance_is_half_of_the_rest_of_the_tightest_limit() {
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
fn a_limit_in_shadow_counts_and_refuses_no_caller() {
    let (wide, tried) = (rule("wide", 3, Mode::Enforce), rule("tried", 1, Mode::Shadow));
    let local = local(1_000);
    let all = [counted(&wide, 1), counted(&tried, 1)];
    let waits: Vec<Vec<u64>> = (0..4).map(|_| local.charge(&all, 1, 0, NOW).waits).collect();
    assert_eq!(waits, [[0, 0], [0, 60_000_000], [0, 60_000_000], [20_000_000, 60_000_000]]);
}

#[test]
fn a_flood_of_new_keys_never_frees_a_limited_caller_and_never_takes_more_room() {
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
fn endless_sessions_of_one_person_are_counted_by_person_and_affect_no_other() {
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
