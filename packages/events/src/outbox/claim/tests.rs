use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sea_orm_migration::MigrationTrait as _;
use sea_orm_migration::prelude::SchemaManager;

use super::*;

const START: UnixTime = UnixTime::from_seconds(1_790_000_000);

/// A database with one row that is due.
async fn with_a_row(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    // Each connection to `sqlite::memory:` is a database of its own.
    options.max_connections(1);
    let database = Database::connect(options).await.unwrap();
    let manager = SchemaManager::new(&database);
    crate::tables::Outbox.up(&manager).await.unwrap();
    let text = format!(
        "INSERT INTO outbox_events (id, kind, payload, idempotency_key, created_at, next_attempt_at) \
         VALUES ($1, 'test', {}, 'row', $2, $2)",
        crate::statement::json("$3", &database)
    );
    let values = [moment::id(START).into(), moment::column(START).into(), "{}".into()];
    database.execute_raw(sql(&database, &text, values)).await.unwrap();
    database
}

async fn claimed(database: &DatabaseConnection, now: UnixTime) -> Option<Item> {
    claim(database, &["test"], now, 1).await.unwrap().pop()
}

async fn a_record_that_is_repeated_takes_no_claim_from_another_worker(database: &DatabaseConnection) {
    let wait = Duration::from_secs(1);
    let away = Ended::Unavailable { error: "away".to_owned(), after: wait };
    let first = claimed(database, START).await.unwrap();
    assert!(record(database, &first, &away, START).await.unwrap());
    // The database committed that, and ended before it answered. Meanwhile another worker claims the row.
    let now = START.plus(wait);
    let second = claimed(database, now).await.unwrap();
    assert_eq!(
        (first.attempt, second.attempt),
        (1, 1),
        "an attempt that does not count gives its number back"
    );
    for ended in [away.clone(), Ended::Delivered, Ended::Dead { error: "late".to_owned() }] {
        assert!(!record(database, &first, &ended, now).await.unwrap(), "{ended:?}");
    }
    let later = now.plus(LEASE.saturating_sub(wait));
    assert!(claimed(database, later).await.is_none(), "the row is the second worker's until its lease ends");
    assert!(record(database, &second, &Ended::Delivered, later).await.unwrap());
    assert!(!record(database, &second, &Ended::Delivered, later).await.unwrap(), "it is recorded");
}

#[tokio::test]
async fn a_repeated_record_takes_no_claim_on_sqlite() {
    let database = with_a_row("sqlite::memory:").await;
    a_record_that_is_repeated_takes_no_claim_from_another_worker(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_record_takes_no_claim_on_postgresql() {
    let postgres = tokio::task::spawn_blocking(kit::testing::PrivatePostgres::start).await.unwrap();
    let database = with_a_row(&postgres.url()).await;
    a_record_that_is_repeated_takes_no_claim_from_another_worker(&database).await;
}
