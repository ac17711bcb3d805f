//! The tables of this service. `sync_migrations` records the applied steps: two services can share one database.

use kit::store::StoreError;
use sea_orm::{DatabaseConnection, DynIden};
use sea_orm_migration::prelude::*;

/// Brings the tables up to date.
///
/// # Errors
/// [`StoreError::Migration`].
pub async fn run(database: &DatabaseConnection) -> Result<(), StoreError> {
    kit::migrating::up::<Steps>(database).await
}

struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(JobsBooksEvents), Box::new(JobsInUse)]
    }

    fn migration_table_name() -> DynIden {
        "sync_migrations".into_iden()
    }
}

/// The jobs with their progress, the digest of each delivered book, and the events of each job.
const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS sync_jobs (
        owner varchar NOT NULL, id varchar NOT NULL, next bigint NOT NULL, last_digest varchar, last_outcome varchar,
        events bigint NOT NULL, PRIMARY KEY (owner, id)
    )",
    "CREATE TABLE IF NOT EXISTS sync_books (id integer PRIMARY KEY, digest varchar NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sync_events (
        owner varchar NOT NULL, job varchar NOT NULL, number bigint NOT NULL, name varchar NOT NULL, data varchar NOT NULL,
        PRIMARY KEY (owner, job, number)
    )",
];

struct JobsBooksEvents;

impl MigrationName for JobsBooksEvents {
    fn name(&self) -> &'static str {
        "0001_jobs_books_events"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for JobsBooksEvents {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.get_connection().execute_unprepared(table).await?;
        }
        Ok(())
    }
}

/// When each job was last used, so that idle ones can be forgotten. The digests of books go: the library compares.
const USED: [&str; 3] = [
    "ALTER TABLE sync_jobs ADD COLUMN used_at bigint NOT NULL DEFAULT 0",
    "CREATE INDEX sync_jobs_used ON sync_jobs (owner, used_at)",
    "DROP TABLE sync_books",
];

struct JobsInUse;

impl MigrationName for JobsInUse {
    fn name(&self) -> &'static str {
        "0002_jobs_in_use"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for JobsInUse {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for change in USED {
            manager.get_connection().execute_unprepared(change).await?;
        }
        Ok(())
    }
}
