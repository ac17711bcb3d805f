//! An outbox with a week of delivered rows is as fast as an empty one.

use std::sync::{Arc, Mutex};

use events::outbox::{Item, Outcome, Worker, delete_delivered, unfinished};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::fixture::{Recorder, Store, clock, now, outbox};

/// Delivered rows: two full steps of a deletion, and one row.
const DELIVERED: i64 = 20_001;

/// Writes rows that were delivered at the time of the clock.
async fn deliver_many(store: &Store) {
    let database = &store.database;
    let is_postgres = database.get_database_backend() == DbBackend::Postgres;
    let id = match is_postgres {
        true => "gen_random_uuid()",
        false => "randomblob(16)",
    };
    let text = format!(
        "INSERT INTO outbox_events \
         (id, kind, payload, idempotency_key, created_at, next_attempt_at, processed_at) \
         WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {DELIVERED}) \
         SELECT {id}, 'test', {}, 'done-' || n, $1, $1, $1 FROM numbers",
        if is_postgres { "CAST('{}' AS jsonb)" } else { "'{}'" }
    );
    let at = events::moment::column(now(&clock()));
    database
        .execute_raw(Statement::from_sql_and_values(database.get_database_backend(), text, [at.into()]))
        .await
        .unwrap();
    if is_postgres {
        // As its own process does, some time later.
        database.execute_unprepared("VACUUM ANALYZE outbox_events").await.unwrap();
    }
}

/// How the database would run `statement`.
async fn plan(database: &DatabaseConnection, statement: &Statement) -> String {
    let is_postgres = statement.db_backend == DbBackend::Postgres;
    let mut explained = statement.clone();
    explained.sql = format!("EXPLAIN {}{}", if is_postgres { "" } else { "QUERY PLAN " }, statement.sql);
    let rows = database.query_all_raw(explained).await.unwrap();
    let place = if is_postgres { 0 } else { 3 };
    rows.iter().map(|row| row.try_get_by_index::<String>(place).unwrap() + "\n").collect()
}

async fn a_claim_and_the_counts_read_no_delivered_row(store: &Store) {
    deliver_many(store).await;
    let clock = clock();
    let outbox = outbox(&clock);
    for number in 0..20 {
        store.put(&outbox, &format!("waits-{number}")).await;
    }
    let seen: Arc<Mutex<Vec<Statement>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let mut watched = store.database.clone();
    watched.set_metric_callback(move |info| seeing.lock().unwrap().push(info.statement.clone()));
    assert_eq!(unfinished(&watched, Some("test")).await.unwrap().waiting, 20);
    assert_eq!(unfinished(&watched, None).await.unwrap().dead, 0);
    let recorder = Recorder::new(|_: &Item| Outcome::Delivered);
    assert_eq!(Worker::new(watched, &outbox, recorder).deliver_due().await.unwrap(), 16);
    let seen = seen.lock().unwrap().clone();
    let reading: Vec<_> = seen.iter().filter(|statement| statement.sql.contains("SELECT")).collect();
    assert_eq!(reading.len(), 5, "two for each count, and the claim: {seen:?}");
    for statement in reading {
        let plan = plan(&store.database, statement).await;
        assert!(plan.contains("idx_outbox_events_due"), "{}\n{plan}", statement.sql);
        let walks =
            ["Seq Scan on outbox_events", "SCAN outbox_events\n", "SCAN outbox_events USING INDEX sqlite"];
        assert!(walks.iter().all(|walk| !plan.contains(walk)), "{}\n{plan}", statement.sql);
    }
}

async fn every_old_row_goes_in_one_turn(store: &Store) {
    let clock = clock();
    deliver_many(store).await;
    assert_eq!(delete_delivered(&store.database, now(&clock)).await.unwrap(), 0, "they are not old");
    clock.advance_seconds(7 * 24 * 60 * 60 + 1);
    store.put(&outbox(&clock), "waits").await;
    let (waiting, delivered, _) = store.rows().await;
    let deleted = delete_delivered(&store.database, now(&clock)).await.unwrap();
    assert!(deleted >= u64::try_from(DELIVERED).unwrap() && i64::try_from(deleted) == Ok(delivered));
    assert_eq!(store.rows().await, (waiting, 0, 0));
}

crate::fixture::on_both! {
    a_claim_and_the_counts_read_no_delivered_row
    every_old_row_goes_in_one_turn
}
