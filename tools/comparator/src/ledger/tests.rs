use super::*;
use crate::redact::Shown;

fn sample(number: u64, kind: DifferenceKind) -> Sample {
    let shown = Shown { kind: kind.as_str(), place: String::new(), reference: None, shadow: None };
    let differences = vec![shown; 10];
    Sample {
        at_ms: number,
        request_id: String::new(),
        method: "GET",
        target: "/".to_owned(),
        differences,
        more: 0,
    }
}

fn different(number: u64, kinds: &[DifferenceKind]) -> Outcome {
    let sample = kinds.first().map(|kind| sample(number, *kind));
    Outcome { kinds: kinds.to_vec(), sample, ..Outcome::default() }
}

fn told(ledger: &Ledger) -> serde_json::Value {
    let about =
        About { edge: "dev".to_owned(), revision: "0".to_owned(), started: UnixTime::from_seconds(1) };
    let queue = Queue { waiting: 0, capacity: 1 };
    report(ledger, &about, queue, None, UnixTime::from_seconds(2))["routes"]["books"].clone()
}

#[test]
fn the_sums_hold() {
    let ledger = Ledger::default();
    for _ in 0..5 {
        ledger.copy("books", "legacy", "users");
    }
    ledger.compared("books", Outcome { noise: true, notes: vec![Note::Framing], ..Outcome::default() });
    ledger.compared("books", different(1, &[DifferenceKind::Status, DifferenceKind::BodyValue]));
    ledger.compared("books", different(2, &[DifferenceKind::Status]));
    ledger.dropped("books", Dropped::QueueFull);
    ledger.dropped("books", Dropped::Moved);
    let told = told(&ledger);
    assert_eq!((&told["copies"], &told["compared"], &told["dropped"]), (&5.into(), &3.into(), &2.into()));
    assert_eq!((&told["equal"], &told["different"]), (&1.into(), &2.into()));
    assert_eq!(told["by_kind"], serde_json::json!({ "status": 2, "body_value": 1 }));
    assert_eq!(told["silent"], serde_json::json!({ "noise": 1, "ignored": 0 }));
    assert_eq!((&told["reference"], &told["shadow"]), (&"legacy".into(), &"users".into()));
}

#[test]
fn a_rare_kind_keeps_its_sample_when_a_common_one_comes_again_and_again() {
    let ledger = Ledger::default();
    ledger.compared("books", different(0, &[DifferenceKind::Status]));
    for number in 1..500 {
        ledger.compared("books", different(number, &[DifferenceKind::BodyValue]));
    }
    let samples = told(&ledger)["samples"].as_array().unwrap().clone();
    assert_eq!(samples.len(), MAX_SAMPLES);
    assert!(samples.iter().any(|sample| sample["differences"][0]["kind"] == "status"));
    assert_eq!((&samples[0]["at_ms"], &samples[0]["more"]), (&499.into(), &2.into()));
}

#[test]
fn another_backend_has_another_noise() {
    let ledger = Ledger::default();
    let now = UnixTime::from_seconds(2);
    ledger.copy("books", "legacy", "users");
    ledger.noise("books", |noise| noise.learn((DifferenceKind::Status, String::new()), String::new(), now));
    assert_eq!(told(&ledger)["noise"].as_array().unwrap().len(), 1);
    ledger.copy("books", "other", "users");
    assert_eq!(told(&ledger)["noise"].as_array().unwrap().len(), 0);
}

#[test]
fn metrics_are_told_by_route() {
    let ledger = Ledger::default();
    ledger.compared("books", different(1, &[DifferenceKind::Status]));
    ledger.dropped("books", Dropped::TooOld);
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
