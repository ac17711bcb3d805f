use proptest::prelude::*;

use super::*;

const RULE: Rule = Rule { least: 100, floor_ms: 5.0 };

fn gate(text: &str) -> Gate {
    text.parse().unwrap()
}

fn view(answers: u64, failures: u64, p95: Option<f64>) -> View {
    // A sample so large that its bounds are itself.
    let p95 = p95.map(|ms| P95 { ms, least_ms: ms, most_ms: ms, count: answers });
    View { answers: number(answers), failures: number(failures), p95 }
}

fn views(answers: u64, failures: u64, p95: Option<f64>) -> Views {
    let view = view(answers, failures, p95);
    Views { all: view, bounded: view }
}

fn holds(verdict: &GateVerdict) -> bool {
    matches!(verdict, GateVerdict::Holds(_))
}

fn fails(verdict: &GateVerdict) -> bool {
    matches!(verdict, GateVerdict::Fails(_))
}

#[test]
fn gates_are_printed_as_they_are_read_and_other_texts_are_refused() {
    for text in ["5xx<0.1%", "p95<+20%", "p95<250ms", "diff=0", "agreement"] {
        assert_eq!(gate(text).to_string(), text);
    }
    for text in [
        "5xx<0.1", "5xx>1%", "5xx<-1%", "5xx<nan%", "p95<20%", "p95<+20", "p95<20", "diff<1", "diff=-1", "",
        "agree",
    ] {
        assert!(text.parse::<Gate>().is_err(), "{text}");
    }
}

#[test]
fn a_gate_without_its_source_fails_and_a_gate_without_samples_waits() {
    let nothing = Seen::default();
    for (text, expected) in
        [("5xx<1%", false), ("p95<+20%", false), ("p95<1ms", false), ("diff=0", true), ("agreement", false)]
    {
        let verdict = gate(text).judge(&nothing, &RULE);
        assert_eq!(fails(&verdict), expected, "{text}: {verdict:?}");
        assert!(!holds(&verdict), "{text}: {verdict:?}");
        let unreadable = Seen { unreadable: Some("no log".to_owned()), ..Seen::default() };
        assert!(fails(&gate(text).judge(&unreadable, &RULE)), "{text}");
    }
    let one = Seen { shadow: Some((10, 1)), agreement: (10, 1), ..Seen::default() };
    for gate in [Gate::DiffAtMost(0), Gate::Agreement] {
        assert!(fails(&gate.judge(&one, &RULE)));
    }
    let many = Seen { shadow: Some((100, 1)), agreement: (100, 0), ..Seen::default() };
    assert!(holds(&Gate::DiffAtMost(1).judge(&many, &RULE)) && holds(&Gate::Agreement.judge(&many, &RULE)));
}

#[test]
fn every_gate_waits_for_its_least_number_of_samples() {
    for (text, at) in [
        ("5xx<1%", Seen { new: views(99, 0, None), everywhere: views(99, 0, None), ..Seen::default() }),
        ("p95<50ms", Seen { new: views(99, 0, Some(1.0)), ..Seen::default() }),
        (
            "p95<+20%",
            Seen { new: views(99, 0, Some(1.0)), old: vec![views(500, 0, Some(1.0))], ..Seen::default() },
        ),
        (
            "p95<+20%",
            Seen { new: views(500, 0, Some(1.0)), old: vec![views(99, 0, Some(1.0))], ..Seen::default() },
        ),
        ("diff=0", Seen { shadow: Some((99, 0)), ..Seen::default() }),
        ("agreement", Seen { agreement: (99, 0), ..Seen::default() }),
    ] {
        let verdict = gate(text).judge(&at, &RULE);
        assert!(matches!(verdict, GateVerdict::Undecided(_)), "{text}: {verdict:?}");
    }
    // One bad answer among few rolls nothing back, and one good answer lets nothing pass.
    for failures in [0, 1] {
        let seen =
            Seen { new: views(1, failures, None), everywhere: views(1, failures, None), ..Seen::default() };
        assert!(matches!(gate("5xx<1%").judge(&seen, &RULE), GateVerdict::Undecided(_)));
    }
}

#[test]
fn a_gate_fails_on_a_fifth_of_its_sample_when_the_difference_is_beyond_chance() {
    let slow = |count| Seen {
        new: views(count, 0, Some(900.0)),
        old: vec![views(500, 0, Some(1.0))],
        ..Seen::default()
    };
    for text in ["p95<+20%", "p95<50ms"] {
        assert!(fails(&gate(text).judge(&slow(20), &RULE)), "{text}");
        assert!(matches!(gate(text).judge(&slow(19), &RULE), GateVerdict::Undecided(_)), "{text}");
    }
    let failing = |count| Seen {
        new: views(count, count, None),
        everywhere: views(count, count, None),
        ..Seen::default()
    };
    assert!(fails(&gate("5xx<1%").judge(&failing(20), &RULE)));
    assert!(matches!(gate("5xx<1%").judge(&failing(19), &RULE), GateVerdict::Undecided(_)));
}

#[test]
fn a_difference_below_the_floor_does_not_count_whatever_its_share() {
    let seen = |new: f64, old: f64| Seen {
        new: views(1_000, 0, Some(new)),
        old: vec![views(1_000, 0, Some(old))],
        ..Seen::default()
    };
    let slower = gate("p95<+20%");
    assert!(holds(&slower.judge(&seen(4.0, 2.1), &RULE)), "nearly twice, and two milliseconds");
    assert!(fails(&slower.judge(&seen(8.0, 2.1), &RULE)));
    assert!(holds(&slower.judge(&seen(119.0, 100.0), &RULE)));
    assert!(fails(&slower.judge(&seen(121.0, 100.0), &RULE)));
}

#[test]
fn a_difference_that_could_be_chance_waits_and_is_not_rolled_back() {
    let p95 = |ms, least_ms, most_ms| Some(P95 { ms, least_ms, most_ms, count: 200 });
    let of = |p95| {
        let view = View { answers: 200.0, failures: 0.0, p95 };
        Views { all: view, bounded: view }
    };
    let seen = |new, old| Seen { new: of(new), old: vec![of(old)], ..Seen::default() };
    let judge = |seen: &Seen| gate("p95<+20%").judge(seen, &RULE);
    let old = p95(100.0, 80.0, 130.0);
    assert!(matches!(judge(&seen(p95(140.0, 110.0, 200.0), old)), GateVerdict::Undecided(_)));
    assert!(fails(&judge(&seen(p95(200.0, 160.0, 250.0), old))));
    assert!(holds(&judge(&seen(p95(110.0, 60.0, 300.0), old))));
    let errors = |failures| Seen {
        new: views(100, failures, None),
        everywhere: views(100, failures, None),
        ..Seen::default()
    };
    assert!(matches!(gate("5xx<1%").judge(&errors(1), &RULE), GateVerdict::Undecided(_)));
    assert!(fails(&gate("5xx<1%").judge(&errors(6), &RULE)));
}

#[test]
fn other_routes_hide_nothing_and_suffer_nothing() {
    let seen = |new: Views, everywhere: Views| Seen { new, everywhere, ..Seen::default() };
    let judge = |seen: &Seen| gate("5xx<1%").judge(seen, &RULE);
    let good = views(10_000, 0, None);
    assert!(holds(&judge(&seen(views(200, 0, None), good))));
    assert!(fails(&judge(&seen(views(200, 20, None), good))));
    assert!(fails(&judge(&seen(good, views(20_000, 2_000, None)))));
}

#[test]
fn a_difference_that_one_client_hides_in_a_flood_is_found() {
    let both = Views { all: view(50_000, 50, Some(1.0)), bounded: view(150, 50, Some(900.0)) };
    let seen = Seen { new: both, everywhere: both, old: vec![views(1_000, 0, Some(1.0))], ..Seen::default() };
    for text in ["5xx<1%", "p95<+20%", "p95<250ms"] {
        let verdict = gate(text).judge(&seen, &RULE);
        assert!(fails(&verdict), "{text}: {verdict:?}");
    }
}

#[test]
fn a_backend_that_is_down_is_seen_before_the_log_is_written() {
    let seen = |counters, logged| Seen {
        counters,
        everywhere: views(logged, 0, None),
        new: views(logged, 0, None),
        ..Seen::default()
    };
    let judge = |seen: &Seen| gate("5xx<1%").judge(seen, &RULE);
    assert!(fails(&judge(&seen((500, 400), 0))));
    assert!(!fails(&judge(&seen((500, 400), 500))), "the log counts as soon as it is there");
    assert!(!fails(&judge(&seen((99, 99), 0))) && !fails(&judge(&seen((500, 200), 0))));
}

#[test]
fn a_backend_with_every_client_is_compared_with_the_earlier_figures_of_the_others() {
    let at = |old: Option<f64>, moved: bool| Seen {
        new: views(200, 0, Some(2_000.0)),
        old: old.map(|ms| views(200, 0, Some(ms))).into_iter().collect(),
        moved,
        ..Seen::default()
    };
    let judge = |seen: &Seen| Gate::SlowerBelow(500.0).judge(seen, &RULE);
    let mut earlier = Earlier::default();
    let mut nothing = at(None, false);
    earlier.complete(&mut nothing, &RULE);
    assert!(matches!(judge(&nothing), GateVerdict::Undecided(_)), "it waits for them, and does not go on");
    assert!(holds(&judge(&at(None, true))), "there never was anything to compare with");

    earlier.complete(&mut at(Some(100.0), false), &RULE);
    for moved in [false, true] {
        let mut seen = at(None, moved);
        earlier.complete(&mut seen, &RULE);
        assert!(fails(&judge(&seen)), "{seen:?}");
    }
    let mut newer = at(Some(1_900.0), false);
    earlier.complete(&mut newer, &RULE);
    assert!(holds(&judge(&newer)), "what is seen now counts");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_gate_that_fails_fails_for_everything_worse(answers in 100_u64..10_000, failures in 0_u64..10_000, more in 0_u64..10_000, most in 0.01_f64..90.0) {
        let seen = |failures: u64| {
            let views = views(answers, failures.min(answers), None);
            Seen { new: views, everywhere: views, ..Seen::default() }
        };
        let gate = Gate::ErrorsBelow(most);
        if fails(&gate.judge(&seen(failures), &RULE)) {
            prop_assert!(fails(&gate.judge(&seen(failures + more), &RULE)));
        }
        prop_assert!(fails(&gate.judge(&seen(answers), &RULE)), "nothing but failures never holds");
    }
}
