//! Grants, uses, ends, time, lost and late answers, clocks that are set, reloads and full slots in any order, for two
//! workers that share slots, against an oracle that remembers everything.
//!
//! The oracle knows only what must never happen: a use of a lease that was not granted to this credential in this
//! class, or past its life by either clock, or more often than granted, or a second after what it rests on ended.

use std::collections::HashMap;
use std::sync::Arc;

use lease::{
    Class, Ended, FRESH_MS, Feed, Grant, Leases, LogFields, Now, Offer, OnOutage, Slots, Store, Tag, Taken,
    WINDOW_MS,
};
use proptest::prelude::*;

/// Shared data as Envoy has it: versions that are never 0 and never come twice.
#[derive(Default)]
struct Memory {
    slots: HashMap<u32, (Vec<u8>, u32)>,
    versions: u32,
}

impl Store for Memory {
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)> {
        self.slots.get(&slot).cloned()
    }

    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool {
        if let (Some(version), Some((_, current))) = (version, self.slots.get(&slot))
            && version != *current
        {
            return false;
        }
        self.versions += 1;
        self.slots.insert(slot, (bytes.to_vec(), self.versions));
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A full check of a caller's request in a class, and its grant.
    Grant { who: u8, class: u8, uses: u32, lifetime_ms: u32 },
    /// A request.
    Use { who: u8, class: u8, worker: u8 },
    /// A caller's session ends at the source.
    End { who: u8 },
    /// A worker's feed is answered, asked `late` ms ago, if the source is there.
    Hear { worker: u8, late: u8 },
    /// Time passes by both clocks.
    Pass { ms: u16 },
    /// The wall clock is set.
    Set { by_s: i8 },
    /// The authorizer goes or comes back.
    Outage(bool),
    /// The revision in force changes, or changes back.
    Revision(bool),
    /// A worker restarts after a trap.
    Restart { worker: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 0_u8..6;
    let class = || 0_u8..2;
    let worker = || 0_u8..2;
    let step = prop_oneof![
        4 => (who(), class(), 1_u32..40, 1_u32..25_000)
            .prop_map(|(who, class, uses, lifetime_ms)| Step::Grant { who, class, uses, lifetime_ms }),
        12 => (who(), class(), worker()).prop_map(|(who, class, worker)| Step::Use { who, class, worker }),
        2 => who().prop_map(|who| Step::End { who }),
        6 => (worker(), 0_u8..150).prop_map(|(worker, late)| Step::Hear { worker, late }),
        4 => (0_u16..700).prop_map(|ms| Step::Pass { ms }),
        1 => (5_000_u16..40_000).prop_map(|ms| Step::Pass { ms }),
        1 => any::<i8>().prop_map(|by_s| Step::Set { by_s }),
        1 => any::<bool>().prop_map(Step::Outage),
        1 => any::<bool>().prop_map(Step::Revision),
        1 => worker().prop_map(|worker| Step::Restart { worker }),
    ];
    proptest::collection::vec(step, 1..300)
}

/// What was granted, by whom it is for.
struct Granted {
    who: u8,
    class: u8,
    left: u32,
    lifetime_ms: u64,
    at: Now,
}

const fn after(now: Now, ms: u64) -> Now {
    Now { wall_ms: now.wall_ms + ms, monotonic_ms: now.monotonic_ms + ms }
}

const REVISION: &str = "in-force";

fn class(id: u8) -> Class {
    // The second class lives on through an outage.
    let on_outage = if id == 0 { OnOutage::Deny } else { OnOutage::Lease };
    Class { id: u32::from(id), lifetime_ms: 20_000, uses: 30, on_outage }
}

fn grant(number: usize, who: u8, uses: u32, lifetime_ms: u32) -> Grant {
    let text = |text: &str| text.to_owned();
    Grant {
        lifetime_ms,
        uses,
        route: text("r"),
        policy: text("p"),
        revision: text(REVISION),
        request_id: number.to_string(),
        tags: vec![Tag(1_000), Tag(u64::from(who))],
        headers: vec![(text("x-auth-subject"), who.to_string())],
        log: LogFields { reason: text("a"), subject: who.to_string(), session: text("s"), tenant: text("t") },
    }
}

#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a model that is wrong fails the test")]
fn run(slots: u32, steps: Vec<Step>) -> Result<usize, TestCaseError> {
    let mut memory = Memory::default();
    let slots = Slots::new(slots, [1, 2]);
    let fresh = || Leases::new(slots);
    let mut workers = [fresh(), fresh()];
    let mut now = Now { wall_ms: 1_000_000_000, monotonic_ms: 1_000_000 };
    let mut granted: Vec<Granted> = Vec::new();
    // When each session ended, and what a worker could know: when it last sent a request for the feed.
    let mut ended: Vec<(u8, u64)> = Vec::new();
    let mut asked: [Option<u64>; 2] = [None, None];
    // When a worker last read both clocks: with each question, as the guard does.
    let mut read = [now; 2];
    let (mut there, mut in_force) = (true, true);
    let mut not_in_force_since = None;
    let mut served = 0;
    for step in steps {
        match step {
            Step::Grant { who, class: id, uses, lifetime_ms } => {
                // No lease is granted after the end.
                if !there || !in_force || ended.iter().any(|(gone, _)| *gone == who) {
                    continue;
                }
                let token = [who; 8];
                let text = grant(granted.len(), who, uses, lifetime_ms).encode().unwrap();
                let grant = Grant::decode(&text).unwrap();
                slots.keep(&mut memory, class(id), Offer::Cookie(&token), &grant, now);
                let lifetime_ms = u64::from(lifetime_ms.min(20_000));
                granted.push(Granted { who, class: id, left: uses.min(30), lifetime_ms, at: now });
            }
            Step::Use { who, class: id, worker } => {
                let token = [who; 8];
                let at = usize::from(worker);
                let known = read[at].at(now.monotonic_ms);
                let taken = workers[at].take(&mut memory, class(id), Offer::Cookie(&token), known);
                let Some(hit) = taken.as_ref().and_then(Taken::hit) else {
                    continue;
                };
                served += 1;
                let number: usize = std::str::from_utf8(hit.request_id).unwrap().parse().unwrap();
                let lease = &mut granted[number];
                prop_assert_eq!((lease.who, lease.class), (who, id), "another caller's lease");
                let subject = who.to_string();
                prop_assert_eq!(hit.subject, subject.as_bytes());
                prop_assert!(lease.left > 0, "more often than granted");
                lease.left -= 1;
                let age = now.monotonic_ms - lease.at.monotonic_ms;
                prop_assert!(age < lease.lifetime_ms, "past its life");
                let wall = known.wall_ms.checked_sub(lease.at.wall_ms);
                prop_assert!(
                    wall.is_some_and(|age| age < lease.lifetime_ms),
                    "past its life by the wall clock, as it stood when it was last read"
                );
                let asked = asked[at];
                prop_assert!(asked.is_some(), "before any reply");
                let asked = asked.unwrap_or_default();
                if id == 0 {
                    prop_assert!(now.monotonic_ms - asked < FRESH_MS, "no reply for too long");
                }
                // Whatever had ended when the worker's last good answer was asked for, it knows.
                let gone = ended.iter().any(|(gone, when)| *gone == who && *when <= asked);
                prop_assert!(!gone, "after the end was received");
                prop_assert!(not_in_force_since.is_none_or(|since| since > asked), "under another revision");
            }
            Step::End { who } => {
                // Not in the millisecond of an answer that was asked for before.
                now = after(now, 1);
                ended.push((who, now.monotonic_ms));
            }
            Step::Hear { worker, late } => {
                read[usize::from(worker)] = now;
                if !there {
                    continue;
                }
                let at = now.monotonic_ms.saturating_sub(u64::from(late));
                let tags =
                    ended.iter().filter(|(_, when)| at.saturating_sub(*when) < WINDOW_MS && *when <= at);
                let feed = Feed {
                    revisions: vec![if in_force { REVISION } else { "another" }.to_owned()],
                    reach_ms: WINDOW_MS,
                    ended: Ended::Tags(tags.map(|(who, _)| Tag(u64::from(*who))).collect()),
                };
                let feed = Feed::decode(&feed.encode().unwrap()).unwrap();
                let index = usize::from(worker);
                Arc::make_mut(&mut workers[index].feed).receive(REVISION, at, &feed, now);
                asked[index] = asked[index].max(Some(at));
            }
            Step::Pass { ms } => {
                now = after(now, u64::from(ms));
            }
            Step::Set { by_s } => now.wall_ms = now.wall_ms.saturating_add_signed(i64::from(by_s) * 1_000),
            Step::Outage(gone) => there = !gone,
            Step::Revision(changed) => {
                now = after(now, 1);
                in_force = !changed;
                not_in_force_since = changed.then_some(not_in_force_since.unwrap_or(now.monotonic_ms));
            }
            Step::Restart { worker } => {
                workers[usize::from(worker)] = fresh();
                asked[usize::from(worker)] = None;
                read[usize::from(worker)] = now;
            }
        }
    }
    Ok(served)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_use_that_was_not_granted(slots in prop_oneof![Just(2_u32), Just(3), Just(64)], steps in steps()) {
        run(slots, steps)?;
    }
}

/// The model is worth nothing if it never serves anything.
#[test]
fn leases_are_served_at_all() {
    let hear = |worker| Step::Hear { worker, late: 5 };
    let mut steps = vec![hear(0), hear(1), Step::Grant { who: 1, class: 0, uses: 30, lifetime_ms: 9_000 }];
    for index in 0..40 {
        steps.push(Step::Use { who: 1, class: 0, worker: index % 2 });
    }
    assert_eq!(run(64, steps).unwrap(), 30);
}

/// A million people pass, and what is kept is as much as after the first thousands.
#[test]
fn a_million_sessions_take_no_more_memory_than_the_slots() {
    let mut memory = Memory::default();
    let slots = Slots::new(1_024, [3, 4]);
    let mut leases = Leases::new(slots);
    let mut now = Now { wall_ms: 1_000_000, monotonic_ms: 1_000_000 };
    let grant = grant(0, 1, 100, 10_000);
    let feed = Feed { revisions: vec![REVISION.to_owned()], reach_ms: WINDOW_MS, ended: Ended::Tags(vec![]) };
    let mut kept = 0;
    for session in 0_u32..1_000_000 {
        if session % 100 == 0 {
            now.monotonic_ms += 1;
            now.wall_ms += 1;
            Arc::make_mut(&mut leases.feed).receive(REVISION, now.monotonic_ms, &feed, now);
        }
        let token = session.to_le_bytes();
        slots.keep(&mut memory, class(0), Offer::Cookie(&token), &grant, now);
        kept += u32::from(leases.take(&mut memory, class(0), Offer::Cookie(&token), now).is_some());
        if session == 20_000 {
            assert_eq!(memory.slots.len(), 1_024);
        }
    }
    assert_eq!((memory.slots.len(), kept), (1_024, 1_000_000));
    assert!(memory.slots.values().all(|(bytes, _)| bytes.len() < 256));
}
