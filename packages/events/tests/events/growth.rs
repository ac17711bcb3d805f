//! An outbox with a week of delivered rows is as fast as an empty one.

use std::sync::{Arc, Mutex};

use events::handled;
use events::outbox::{Entry, Item, Outcome, Rows, Worker, delete_delivered, forget_tenant, unfinished};
use events::statement::sql;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement, TransactionTrait as _};

use crate::fixture::{Recorder, Store, clock, entry, now, outbox};

/// Delivered rows: two full steps of a deletion, and one row.
const DELIVERED: i64 = 20_001;

/// Writes rows that were delivered at the time of the clock.
async fn deliver_many(store: &Store) {
    write_many(store, "test", "$1").await;
}

/// Writes rows of `kind`, which were delivered at the time `processed`.
async fn write_many(store: &Store, kind: &str, processed: &str) {
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
         SELECT {id}, '{kind}', {}, 'many-' || n, $1, $1, {processed} FROM numbers",
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

/// A connection to the database, and the statements that go over it.
fn watched(store: &Store) -> (DatabaseConnection, Arc<Mutex<Vec<Statement>>>) {
    let seen: Arc<Mutex<Vec<Statement>>> = Arc::default();
    let (seeing, mut watched) = (Arc::clone(&seen), store.database.clone());
    watched.set_metric_callback(move |info| seeing.lock().unwrap().push(info.statement.clone()));
    (watched, seen)
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
    let (watched, seen) = watched(store);
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

async fn a_claim_reads_no_row_of_another_kind_that_waits(store: &Store) {
    write_many(store, "other", "NULL").await;
    let clock = clock();
    let outbox = outbox(&clock);
    store.put(&outbox, "mine").await;
    let (watched, seen) = watched(store);
    let recorder = Recorder::new(|_: &Item| Outcome::Delivered);
    assert_eq!(Worker::new(watched, &outbox, recorder).deliver_due().await.unwrap(), 1);
    let claim = seen.lock().unwrap().iter().find(|one| one.sql.contains("SELECT")).unwrap().clone();
    let plan = plan(&store.database, &claim).await;
    assert!(plan.contains("idx_outbox_events_due_by_kind"), "{plan}");
}

async fn a_tenants_rows_are_found_without_reading_the_others(store: &Store) {
    deliver_many(store).await;
    let change = store.database.begin().await.unwrap();
    let of_tenant = Entry { payload: r#"{"tenantId":"Acme"}"#, ..entry("of the tenant") };
    outbox(&clock()).put(&change, of_tenant).await.unwrap();
    change.commit().await.unwrap();
    let (watched, seen) = watched(store);
    let rows = Rows { kinds: &["test"], source: None };
    let removed = forget_tenant(&watched, rows, &"acme".parse().unwrap(), 10).await.unwrap();
    assert_eq!(removed.len(), 1);
    let removal = seen.lock().unwrap()[0].clone();
    let plan = plan(&store.database, &removal).await;
    assert!(plan.contains("idx_outbox_events_tenant"), "{plan}");
}

async fn every_old_mark_goes_in_one_turn(store: &Store) {
    let (database, clock) = (&store.database, clock());
    let at = events::moment::column(now(&clock));
    for (table, columns, values) in
        [("handled_events", "handled_at", "$1"), ("redelivered_events", "times, last_at", "1, $1")]
    {
        let id = match database.get_database_backend() == DbBackend::Postgres {
            true => "gen_random_uuid()",
            false => "randomblob(16)",
        };
        let text = format!(
            "INSERT INTO {table} (consumer, event_id, {columns}) \
             WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {DELIVERED}) \
             SELECT 'consumer', {id}, {values} FROM numbers"
        );
        database.execute_raw(sql(database, &text, [at.into()])).await.unwrap();
    }
    assert_eq!(handled::delete_old(database, now(&clock)).await.unwrap(), 0, "they are not old");
    clock.advance_seconds(30 * 24 * 60 * 60 + 1);
    let all = u64::try_from(2 * DELIVERED).unwrap();
    assert_eq!(handled::delete_old(database, now(&clock)).await.unwrap(), all);
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
    a_claim_reads_no_row_of_another_kind_that_waits
    a_tenants_rows_are_found_without_reading_the_others
    every_old_row_goes_in_one_turn
    every_old_mark_goes_in_one_turn
}
