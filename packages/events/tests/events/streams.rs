//! The event store on both databases.

use events::store::{
    Appended, Fact, MAX_APPEND, Projection, StoreError, Stored, append, append_in, read, rebuild, streams,
};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::json;

use crate::fixture::{Store, clock, now};

fn facts(numbers: std::ops::Range<i64>) -> Vec<Fact> {
    let kind: events::EventType = "test.number.added".parse().unwrap();
    numbers.map(|number| Fact { kind: kind.clone(), payload: json!({ "number": number }) }).collect()
}

/// The sum of all numbers, and how many there were.
#[derive(Debug, Default, PartialEq)]
struct Sum(i64, u32);

impl Projection for Sum {
    fn apply(&mut self, event: &Stored) {
        self.0 += event.payload["number"].as_i64().unwrap();
        self.1 += 1;
    }
}

async fn a_stream_grows_by_its_version_and_a_conflict_is_a_value(store: &Store) {
    let (clock, database) = (clock(), &store.database);
    let add = async |expected, numbers| {
        append(database, "a", expected, &facts(numbers), now(&clock)).await.unwrap()
    };
    assert_eq!(add(0, 0..2).await, Appended::At(2));
    assert_eq!(add(0, 2..3).await, Appended::Conflict, "another append was faster");
    assert_eq!(add(1, 2..4).await, Appended::Conflict);
    assert_eq!(add(7, 2..3).await, Appended::Conflict, "there would be a gap");
    assert_eq!(add(2, 2..3).await, Appended::At(3));
    let events = read(database, "a", 1, 10).await.unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.version, event.payload.clone())).collect();
    assert_eq!(seen, [(2, json!({ "number": 1 })), (3, json!({ "number": 2 }))]);
    assert!(read(database, "b", 0, 10).await.unwrap().is_empty());
    // With the change that they are about, or not at all.
    let change = database.begin().await.unwrap();
    assert_eq!(append_in(&change, "a", 3, &facts(3..4), now(&clock)).await.unwrap(), Appended::At(4));
    change.rollback().await.unwrap();
    assert_eq!(read(database, "a", 3, 10).await.unwrap(), []);
    for (stream, facts) in [("", facts(0..1)), ("a", facts(0..0)), ("a\0", facts(0..1))] {
        let refused = append(database, stream, 0, &facts, now(&clock)).await;
        assert!(matches!(refused, Err(StoreError::Size(_))), "{stream:?}");
    }
}

async fn concurrent_appends_are_all_there_and_each_version_once(store: &Store) {
    let clock = clock();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (database, clock) = (store.database.clone(), clock.clone());
            tokio::spawn(async move {
                let mut conflicts = 0;
                for number in writer * 10..writer * 10 + 10 {
                    loop {
                        let (_, version) = rebuild::<Sum>(&database, "sum").await.unwrap();
                        let fact = facts(number..number + 1);
                        match append(&database, "sum", version, &fact, now(&clock)).await.unwrap() {
                            Appended::At(_) => break,
                            Appended::Conflict => conflicts += 1,
                        }
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for writer in writers {
        conflicts += writer.await.unwrap();
    }
    assert!(conflicts > 0, "the writers never met");
    let (sum, version) = rebuild::<Sum>(&store.database, "sum").await.unwrap();
    assert_eq!((sum, version), (Sum((0..80).sum(), 80), 80));
}

async fn a_long_stream_is_rebuilt_page_by_page(store: &Store) {
    let (clock, database) = (clock(), &store.database);
    let most = i64::try_from(MAX_APPEND).unwrap();
    for page in 0..6 {
        let numbers = facts(page * most..(page + 1) * most);
        append(database, "long/1", page * most, &numbers, now(&clock)).await.unwrap();
    }
    append(database, "long/2", 0, &facts(0..1), now(&clock)).await.unwrap();
    append(database, "lo%", 0, &facts(0..1), now(&clock)).await.unwrap();
    let (Sum(sum, count), version) = rebuild::<Sum>(database, "long/1").await.unwrap();
    assert_eq!((sum, count, version), ((0..600).sum(), 600, 600));
    assert_eq!(streams(database, "long/", "", 10).await.unwrap(), ["long/1", "long/2"]);
    assert_eq!(streams(database, "long/", "long/1", 10).await.unwrap(), ["long/2"]);
    assert_eq!(streams(database, "lo%", "", 10).await.unwrap(), ["lo%"]);
}

async fn a_stored_event_stays_as_it_is(store: &Store) {
    let (clock, database) = (clock(), &store.database);
    append(database, "a", 0, &facts(0..2), now(&clock)).await.unwrap();
    let before = read(database, "a", 0, 10).await.unwrap();
    for statement in [
        "DELETE FROM stored_events",
        "UPDATE stored_events SET kind = 'x'",
        "DELETE FROM stored_events WHERE version = 2",
    ] {
        let error = database.execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    assert_eq!(read(database, "a", 0, 10).await.unwrap(), before);
}

crate::fixture::on_both! {
    a_stream_grows_by_its_version_and_a_conflict_is_a_value
    concurrent_appends_are_all_there_and_each_version_once
    a_long_stream_is_rebuilt_page_by_page
    a_stored_event_stays_as_it_is
}
