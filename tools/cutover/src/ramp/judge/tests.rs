//! Whole ramps over simulated access logs, judged by the real code. The same seed gives the same lines.

use std::collections::BTreeMap;

use super::super::log::Log;
use super::*;
use crate::access_log::Line;

/// A sequence of numbers from 0 to 1 (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap();
        f64::from(high) / f64::from(u32::MAX)
    }

    /// A time around `ms`, with the tail that services have: one in fifty takes up to four times as long.
    fn time(&mut self, ms: f64) -> f64 {
        let usual = ms * (0.8 + 0.5 * self.next() * self.next());
        if self.next() < 0.02 { usual * (1.0 + 3.0 * self.next()) } else { usual }
    }
}

/// The end of a ramp.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Done,
    TakenBack(u8),
}

struct World {
    /// Milliseconds that the old and the new backend take.
    old_ms: f64,
    new_ms: f64,
    /// The share of the new backend's answers that fail.
    failing: f64,
    /// Requests in a second that a single client adds to `clients` others; they go everywhere and never fail.
    flood: u32,
    per_second: u32,
}

const GATES: [&str; 3] = ["5xx<1%", "p95<+50%", "agreement"];

/// Runs the steps as the command does: one check a second, 20 s for each step, at most five minutes for one that waits.
fn ramp(world: &World, seed: u64) -> End {
    let mut chance = Chance(seed);
    let gates: Vec<Gate> = GATES.iter().map(|gate| gate.parse().unwrap()).collect();
    let rule = Rule { least: 100, floor_ms: 5.0 };
    let mut earlier = Earlier::default();
    for percent in [10, 50, 100_u8] {
        let mut log =
            Log::from_now("/nowhere".into(), "books".into(), "new".into(), Vec::new(), BTreeMap::new())
                .unwrap();
        let mut judge = Judge::new(&gates, rule, "3/5".parse().unwrap());
        let mut passed = false;
        for second in 1..=300 {
            for request in 0..world.per_second + world.flood {
                let flood = request >= world.per_second;
                let new = chance.next() * 100.0 < f64::from(percent);
                let (backend, ms) = if new { ("new", world.new_ms) } else { ("old", world.old_ms) };
                let failed = new && !flood && chance.next() < world.failing;
                let ms = if flood { 0.3 } else { chance.time(ms) };
                let us = format!("{:.0}", ms * 1_000.0).parse().unwrap();
                let client = if flood { 999.0 } else { (chance.next() * 40.0).floor() };
                log.take(&Line {
                    route: Some("books".to_owned()),
                    cluster: Some(format!("backend-{backend}")),
                    status: Some(if failed { 500 } else { 200 }),
                    upstream: Some("127.0.0.1:1".to_owned()),
                    decision: Some("allow".to_owned()),
                    subject: Some(format!("{client}")),
                    upstream_us: Some(us),
                    ..Line::default()
                });
            }
            let seen = Seen {
                new: log.of("new", 100).unwrap_or_default(),
                old: log.of("old", 100).into_iter().collect(),
                everywhere: log.everywhere(100),
                moved: percent == 100,
                agreement: log.agreement(),
                ..Seen::default()
            };
            let look = judge.look(seen, (log.answers(), 0), &mut earlier);
            if look.failed.is_some() {
                return End::TakenBack(percent);
            }
            if look.held && second >= 20 {
                passed = true;
                break;
            }
        }
        assert!(passed, "step {percent} of seed {seed} waits for ever");
    }
    End::Done
}

const HEALTHY: World = World { old_ms: 2.0, new_ms: 3.0, failing: 0.0, flood: 0, per_second: 40 };

fn ends(world: &World) -> Vec<End> {
    (0..50).map(|seed| ramp(world, seed)).collect()
}

#[test]
fn a_healthy_service_that_is_a_millisecond_slower_passes_50_of_50_ramps() {
    assert!(ends(&HEALTHY).iter().all(|end| *end == End::Done));
    let same = World { old_ms: 100.0, new_ms: 101.0, ..HEALTHY };
    assert!(ends(&same).iter().all(|end| *end == End::Done));
}

#[test]
fn a_service_that_takes_200_ms_for_100_is_taken_back_50_of_50_times() {
    let slow = World { old_ms: 100.0, new_ms: 200.0, ..HEALTHY };
    let ends = ends(&slow);
    assert!(ends.iter().all(|end| *end == End::TakenBack(10)), "{ends:?}");
}

#[test]
fn a_service_that_fails_a_twentieth_is_taken_back_and_one_in_a_thousand_passes() {
    let failing = World { failing: 0.05, ..HEALTHY };
    assert!(ends(&failing).iter().all(|end| matches!(end, End::TakenBack(_))));
    let nearly = World { failing: 0.001, ..HEALTHY };
    assert!(ends(&nearly).iter().all(|end| *end == End::Done));
}

#[test]
fn a_flood_by_one_client_saves_no_backend() {
    for world in [
        World { failing: 0.2, flood: 2_000, ..HEALTHY },
        World { old_ms: 100.0, new_ms: 300.0, flood: 2_000, ..HEALTHY },
    ] {
        let ends: Vec<End> = (0..10).map(|seed| ramp(&world, seed)).collect();
        assert!(ends.iter().all(|end| matches!(end, End::TakenBack(_))), "{ends:?}");
    }
}

#[test]
fn a_gate_fails_after_three_bad_looks_of_five_and_an_old_look_is_not_a_new_one() {
    let view = super::super::tally::View { answers: 200.0, failures: 100.0, p95: None };
    let views = super::super::tally::Views { all: view, bounded: view };
    let bad = Seen { new: views, everywhere: views, ..Seen::default() };
    let rule = Rule { least: 100, floor_ms: 5.0 };
    let gates = ["5xx<1%".parse::<Gate>().unwrap()];
    let mut earlier = Earlier::default();
    let mut judge = Judge::new(&gates, rule, Patience { bad: 3, of: 5 });
    let mut failed =
        |judge: &mut Judge, answers| judge.look(bad.clone(), (answers, 0), &mut earlier).failed.is_some();
    assert!(!failed(&mut judge, 200) && !failed(&mut judge, 201));
    // The log was not written meanwhile.
    assert!(!failed(&mut judge, 201) && !failed(&mut judge, 201));
    assert!(failed(&mut judge, 202));
    // Nor is it while the log is behind: then each look at the counters is a new one.
    let behind = Seen { counters: (500, 500), ..Seen::default() };
    let mut judge = Judge::new(&gates, rule, Patience { bad: 3, of: 5 });
    let ends: Vec<bool> = (0..3)
        .map(|look| judge.look(behind.clone(), (0, 500 + look), &mut Earlier::default()).failed.is_some())
        .collect();
    assert_eq!(ends, [false, false, true]);
    for text in ["0/5", "6/5", "3", "3/61", "-1/5", "a/b"] {
        assert!(text.parse::<Patience>().is_err(), "{text}");
    }
}
