use super::*;
use crate::observe::audit::event::Body;
use clock::UnixTime;
use prometheus::IntCounter;

fn counts() -> Counts {
    let counter = |name: &str| IntCounter::new(name, "x").unwrap();
    Counts { written: counter("written"), dropped: counter("dropped") }
}

fn event(number: usize) -> Arc<Event> {
    let id = uuid::Builder::from_unix_timestamp_millis(1, &[0; 10]).into_uuid();
    let body = Body::Admin { action: "started", detail: format!("number {number}") };
    Arc::new(Event { id, time: UnixTime::from_millis(1_800_000_000_123), body })
}

#[test]
fn files_turn_over_and_nothing_else_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("logs/audit.jsonl");
    let counts = counts();
    let limits = Limits { bytes: 1_000, files: 3 };
    let (queue, sink) = open(&path, limits, counts.clone()).unwrap();
    for number in 0..100 {
        queue.put(event(number));
    }
    drop(sink);
    assert_eq!((counts.written.get(), counts.dropped.get()), (100, 0));
    let mut names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
    let mut all = String::new();
    for name in names.iter().rev() {
        let text = fs::read_to_string(path.with_file_name(name)).unwrap();
        assert!(text.len() <= 1_000 && text.ends_with('\n'), "{name}: {}", text.len());
        all.push_str(&text);
    }
    let numbers: Vec<_> = all
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["detail"].to_string())
        .collect();
    assert_eq!(numbers.last().map(String::as_str), Some("\"number 99\""), "the newest is there");
    assert!(all.contains("\"time\":\"2027-01-15T08:00:00.123Z\""), "{all}");
}

fn refusal(number: usize) -> Arc<Event> {
    use crate::failure::Failure;
    use crate::observe::record::Record;
    use crate::verdict::{Verdict, last_words};

    let verdict = Verdict::failed(Failure::UnknownRevision, last_words());
    let mut record = Record::of(&verdict, None, UnixTime::from_millis(1_800_000_000_123));
    record.request_id = Arc::from(format!("stranger-{number}"));
    let id = uuid::Uuid::nil();
    let body = Body::Decision(Arc::new(record));
    Arc::new(Event { id, time: UnixTime::from_millis(1_800_000_000_123), body })
}

#[test]
fn a_flood_of_strangers_turns_over_its_own_files_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit.jsonl");
    let counts = counts();
    let limits = Limits { bytes: 10_000, files: 3 };
    let (queue, sink) = open(&path, limits, counts.clone()).unwrap();
    queue.put(event(1));
    for number in 0..2_000 {
        queue.put(refusal(number));
    }
    queue.put(event(2));
    drop(sink);
    assert_eq!((counts.written.get(), counts.dropped.get()), (2_002, 0));
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap_or_default();
    let main = read("audit.jsonl");
    assert!(main.contains("number 1") && main.contains("number 2"), "{main}");
    assert!(main.contains("stranger-0\""), "the first refusals stand beside everything else");
    assert!(main.len() < 10_000 / 4 + 1_500 && read("audit.jsonl.1").is_empty());
    assert!(read("audit-anonymous.jsonl").contains("stranger-1999\""), "and the last ones in their own file");
    assert!(!read("audit-anonymous.jsonl.1").is_empty() && read("audit-anonymous.jsonl.2").is_empty());
}

#[test]
fn events_of_unverified_callers_leave_half_of_the_queue_to_all_others() {
    let strangers = Strangers::default();
    let (flood, other) = (refusal(1), event(1));
    let entered = (0..MAX_WAITING).filter(|_| strangers.enter(&flood)).count();
    assert_eq!(entered, MAX_WAITING / 2);
    assert!(strangers.enter(&other));
    strangers.leave(&flood);
    assert!(strangers.enter(&flood) && !strangers.enter(&flood));
}

#[test]
fn an_existing_file_is_continued() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("audit.jsonl");
    for number in 0..2 {
        let (queue, sink) = open(&path, Limits::default(), counts()).unwrap();
        queue.put(event(number));
        drop(sink);
    }
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn an_event_that_cannot_be_written_is_counted() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("logs"), "a file where a directory should be").unwrap();
    let counts = counts();
    let (queue, sink) =
        open(&home.path().join("logs/audit.jsonl"), Limits::default(), counts.clone()).unwrap();
    queue.put(event(1));
    queue.put(event(2));
    drop(sink);
    assert_eq!((counts.written.get(), counts.dropped.get()), (0, 2));

    // A full disk: every file opens and none can be flushed.
    let counts = self::counts();
    let (queue, sink) = open(Path::new("/dev/full"), Limits::default(), counts.clone()).unwrap();
    queue.put(event(1));
    drop(sink);
    assert_eq!((counts.written.get(), counts.dropped.get()), (0, 1));
}
