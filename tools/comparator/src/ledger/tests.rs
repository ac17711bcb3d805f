use super::*;
use crate::redact::Shown;

const START: UnixTime = UnixTime::from_seconds(1);

fn shown(kind: DifferenceKind, place: &str, values: [&str; 2]) -> Shown {
    let [reference, shadow] = values.map(|value| Some(value.to_owned()));
    Shown { kind: kind.as_str(), place: place.to_owned(), reference, shadow }
}

fn sample(number: u64, differences: Vec<Shown>) -> Sample {
    Sample {
        at_ms: number,
        request_id: format!("id-{number}"),
        method: "GET",
        target: format!("/{number}"),
        differences,
    }
}

fn differing(number: u64, differences: Vec<Shown>) -> Outcome {
    let of = |shown: &Shown| DifferenceKind::ALL.iter().copied().find(|kind| kind.as_str() == shown.kind);
    let kinds = differences.iter().filter_map(of).collect();
    Outcome { kinds, sample: Some(sample(number, differences)), ..Outcome::default() }
}

fn different(number: u64, kinds: &[DifferenceKind]) -> Outcome {
    differing(number, kinds.iter().map(|kind| shown(*kind, "", ["a", "b"])).collect())
}

fn pair(reference: &str, shadow: &str) -> Pair {
    let at = |port: &str| vec![format!("127.0.0.1:{port}")];
    Pair { reference: reference.to_owned(), shadow: shadow.to_owned(), addresses: [at("1"), at("2")] }
}

fn copied(ledger: &Ledger) -> Period {
    ledger.copy("books", pair("legacy", "users"), START)
}

fn route_report(ledger: &Ledger) -> serde_json::Value {
    let about =
        About { edge: "dev".to_owned(), revision: "0".to_owned(), started: UnixTime::from_seconds(1) };
    let queue = Queue { waiting: 0, capacity: 1 };
    report(ledger, &about, queue, None, UnixTime::from_seconds(2))["routes"]["books"].clone()
}

#[test]
fn the_sums_hold() {
    let ledger = Ledger::default();
    let period = (0..5).map(|_| copied(&ledger)).last().unwrap();
    ledger.compared(
        "books",
        period,
        Outcome { noise: true, notes: vec![Note::Framing], ..Outcome::default() },
    );
    ledger.compared("books", period, different(1, &[DifferenceKind::Status, DifferenceKind::BodyValue]));
    ledger.compared("books", period, different(2, &[DifferenceKind::Status]));
    ledger.dropped("books", period, Dropped::QueueFull);
    ledger.dropped("books", period, Dropped::Moved);
    let report = route_report(&ledger);
    assert_eq!(
        (&report["copies"], &report["compared"], &report["dropped"]),
        (&5.into(), &3.into(), &2.into())
    );
    assert_eq!((&report["equal"], &report["different"]), (&1.into(), &2.into()));
    assert_eq!(report["by_kind"], serde_json::json!({ "status": 2, "body_value": 1 }));
    assert_eq!(report["silent"], serde_json::json!({ "noise": 1, "ignored": 0 }));
    assert_eq!((&report["reference"], &report["shadow"]), (&"legacy".into(), &"users".into()));
}

#[test]
fn equal_differences_are_one_group_with_a_count() {
    let ledger = Ledger::default();
    let period = copied(&ledger);
    let titles = |values| {
        vec![
            shown(DifferenceKind::BodyValue, "/title", values),
            shown(DifferenceKind::HeaderMissing, "etag", ["1", ""]),
        ]
    };
    for number in 0..20 {
        let values = if number % 2 == 0 { ["Momo", "momo"] } else { ["Emil", "emil"] };
        ledger.compared("books", period, differing(number, titles(values)));
    }
    // Another status is another mistake, and so is a missing difference.
    for (number, statuses) in [(20, ["200", "500"]), (21, ["404", "500"]), (22, ["200", "500"])] {
        ledger.compared(
            "books",
            period,
            differing(number, vec![shown(DifferenceKind::Status, "", statuses)]),
        );
    }
    ledger.compared("books", period, differing(23, titles(["a", "b"]).into_iter().take(1).collect()));
    let report = route_report(&ledger);
    let groups: Vec<_> = report["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (
                group["count"].as_u64().unwrap(),
                group["first_ms"].as_u64().unwrap(),
                group["at_ms"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(groups, [(1, 23, 23), (2, 20, 22), (1, 21, 21), (20, 0, 19)], "{report:#}");
    let books = &report["samples"][3];
    assert_eq!(books["request_ids"], serde_json::json!(["id-19", "id-18", "id-17", "id-16", "id-15"]));
    assert_eq!((&books["request_id"], &books["target"]), (&"id-19".into(), &"/19".into()));
    assert_eq!(books["differences"].as_array().unwrap().len(), 2);
    assert_eq!(report["different"], 24, "all of them are counted");
}

#[test]
fn a_rare_kind_keeps_its_group_when_many_others_come() {
    let ledger = Ledger::default();
    let period = copied(&ledger);
    ledger.compared("books", period, different(0, &[DifferenceKind::Status]));
    for number in 1..500 {
        let place = format!("/{number}");
        let differences = vec![shown(DifferenceKind::BodyValue, &place, ["a", "b"]); 10];
        ledger.compared("books", period, differing(number, differences));
    }
    let report = route_report(&ledger);
    let samples = report["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 20);
    assert!(samples.iter().any(|sample| sample["differences"][0]["kind"] == "status"));
    assert_eq!((&samples[0]["at_ms"], &samples[0]["more"]), (&499.into(), &2.into()));
    assert_eq!(report["samples_forgotten"], 480);
}

#[test]
fn counts_restart_on_command_and_with_another_address_or_version_of_a_backend() {
    let ledger = Ledger::default();
    let now = UnixTime::from_seconds(2);
    let old = copied(&ledger);
    ledger.noise("books", old, |noise| {
        noise.learn((DifferenceKind::Status, String::new()), String::new(), now)
    });
    ledger.compared("books", old, different(1, &[DifferenceKind::Status]));
    assert_eq!(
        (&route_report(&ledger)["since"], &route_report(&ledger)["since_ms"]),
        (&"first_copy".into(), &1_000.into())
    );

    let counts = |why: &str| {
        let report = route_report(&ledger);
        assert_eq!(report["since"], why, "{report:#}");
        (
            report["copies"].as_u64().unwrap(),
            report["compared"].as_u64().unwrap(),
            report["samples"].as_array().unwrap().len(),
        )
    };
    assert_eq!(ledger.restart(Some("other"), now), Vec::<String>::new());
    assert_eq!(ledger.restart(Some("books"), now), ["books"]);
    assert_eq!(counts("command"), (0, 0, 0));
    assert_eq!(route_report(&ledger)["noise"].as_array().unwrap().len(), 0);
    // A copy in progress belongs to the period before.
    ledger.compared("books", old, different(2, &[DifferenceKind::Status]));
    ledger.dropped("books", old, Dropped::Moved);
    assert_eq!(counts("command"), (0, 0, 0));

    let moved = Pair {
        addresses: [vec!["127.0.0.1:1".to_owned()], vec!["127.0.0.1:9".to_owned()]],
        ..pair("legacy", "users")
    };
    copied(&ledger);
    ledger.copy("books", moved, now);
    assert_eq!(counts("address"), (1, 0, 0));
    ledger.copy("books", pair("other", "users"), now);
    assert_eq!(counts("address"), (1, 0, 0));

    let period = ledger.copy("books", pair("other", "users"), now);
    assert_eq!(
        ledger.answered("books", period, &[("users", b"1")], now),
        period,
        "the first version is not another"
    );
    let next = ledger.answered("books", period, &[("users", b"2")], now);
    assert_ne!(next, period);
    ledger.compared("books", next, different(3, &[DifferenceKind::Status]));
    assert_eq!(counts("version"), (1, 1, 1));
    assert_eq!(
        ledger.answered("books", period, &[("users", b"3")], now),
        period,
        "a late answer begins nothing"
    );
}

#[test]
fn metrics_are_reported_by_route() {
    let ledger = Ledger::default();
    let period = copied(&ledger);
    ledger.compared("books", period, different(1, &[DifferenceKind::Status]));
    ledger.dropped("books", period, Dropped::TooOld);
    ledger.refused(Refusal::UnsafeMethod);
    let text = metrics(&ledger, Queue { waiting: 3, capacity: 4 });
    for line in [
        "comparator_compared_total{route=\"books\"} 1",
        "comparator_different_total{route=\"books\",kind=\"status\"} 1",
        "comparator_dropped_total{route=\"books\",reason=\"too_old\"} 1",
        "comparator_refused_total{reason=\"unsafe_method\"} 1",
        "comparator_queue_waiting 3",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}
