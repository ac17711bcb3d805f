//! Migrations have limits of their own, and several processes can start at the same time.

#![expect(clippy::unwrap_used, reason = "tests")]

use kit::testing::{PrivatePostgres, TestHome};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DynIden, Statement};
use sea_orm_migration::prelude::*;

struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Limits)]
    }

    fn migration_table_name() -> DynIden {
        "limits_migrations".into_iden()
    }
}

/// Records the limits that hold while it runs.
struct Limits;

impl MigrationName for Limits {
    fn name(&self) -> &'static str {
        "0001_limits"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Limits {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let limits = if manager.get_database_backend() == DbBackend::Postgres {
            "current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')"
        } else {
            "'none'"
        };
        let create = format!("CREATE TABLE limits AS SELECT {limits} AS value");
        manager.get_connection().execute_unprepared(&create).await.map(drop)
    }
}

/// A step that fails after it has changed something.
struct Broken;

impl MigratorTrait for Broken {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Limits), Box::new(Failing)]
    }
}

struct Failing;

impl MigrationName for Failing {
    fn name(&self) -> &'static str {
        "0002_failing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Failing {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("CREATE TABLE limits (value text)").await.map(drop)
    }
}

async fn text(database: &DatabaseConnection, query: &str) -> String {
    let query = Statement::from_string(database.get_database_backend(), query.to_owned());
    database.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_migration_has_its_own_limits_and_a_request_keeps_the_short_one() {
    let home = TestHome::new();
    let file = home.home().database("limits");
    let sqlite = kit::store::open(None, &file).await.unwrap();
    assert!(kit::migrating::up::<Broken>(&sqlite).await.is_err());
    let tables = "SELECT CAST(count(*) AS text) FROM sqlite_schema WHERE name = 'limits'";
    assert_eq!(text(&sqlite, tables).await, "0", "all steps or none");
    // Two processes of a service at the same time.
    let other = kit::store::open(None, &file).await.unwrap();
    let (first, second) =
        tokio::join!(kit::migrating::up::<Steps>(&sqlite), kit::migrating::up::<Steps>(&other));
    first.unwrap();
    second.unwrap();
    assert_eq!(text(&sqlite, "SELECT value FROM limits").await, "none");

    let postgres = PrivatePostgres::start();
    let url = postgres.url();
    let (one, other) = (kit::store::open(Some(&url), &file), kit::store::open(Some(&url), &file));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert!(kit::migrating::up::<Broken>(&one).await.is_err());
    assert_eq!(
        text(&one, "SELECT coalesce(to_regclass('limits')::text, 'absent')").await,
        "absent",
        "all steps or none"
    );
    // Two processes of a service at the same time.
    let (first, second) =
        tokio::join!(kit::migrating::up::<Steps>(&one), kit::migrating::up::<Steps>(&other));
    first.unwrap();
    second.unwrap();
    assert_eq!(text(&one, "SELECT value FROM limits").await, "10min 5s");
    for database in [&one, &other] {
        assert_eq!(text(database, "SHOW statement_timeout").await, "5s");
        assert_eq!(text(database, "SHOW lock_timeout").await, "0");
    }
}

/// A step that another service's query gets in the way of, as often as the sequence says. Sequences are not rolled back.
struct Crossed;

impl MigratorTrait for Crossed {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Waiting)]
    }
}

struct Waiting;

impl MigrationName for Waiting {
    fn name(&self) -> &'static str {
        "0001_waiting"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Waiting {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let step = "CREATE TABLE waited (value text); DO $$ BEGIN IF nextval('deadlocks') <= 4 THEN \
                    RAISE 'deadlock detected' USING ERRCODE = 'deadlock_detected'; END IF; END $$";
        manager.get_connection().execute_unprepared(step).await.map(drop)
    }
}

#[tokio::test]
async fn a_deadlock_with_another_service_is_tried_again_and_not_for_ever() {
    let (home, postgres) = (TestHome::new(), PrivatePostgres::start());
    let file = home.home().database("limits");
    let database = kit::store::open(Some(&postgres.url()), &file).await.unwrap();
    postgres.sql("CREATE SEQUENCE deadlocks");
    kit::migrating::up::<Crossed>(&database).await.unwrap();
    assert_eq!(text(&database, "SELECT count(*)::text FROM waited").await, "0");

    postgres.sql("DROP TABLE waited, seaql_migrations; DROP SEQUENCE deadlocks; CREATE SEQUENCE deadlocks MINVALUE -100 START -100");
    let error = kit::migrating::up::<Crossed>(&database).await.unwrap_err();
    assert!(format!("{error:?}").contains("deadlock detected"), "{error:?}");
    assert_eq!(postgres.sql("SELECT last_value FROM deadlocks"), "-96", "five tries");
}
