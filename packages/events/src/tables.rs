//! The tables of this crate, as steps of a service's own migrations.
//!
//! Each step creates what is missing and changes nothing that is there, so services that share a database can all have it:
//!
//! ```
//! use sea_orm_migration::prelude::*;
//!
//! struct Steps;
//!
//! impl MigratorTrait for Steps {
//!     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
//!         vec![
//!             Box::new(events::tables::Outbox),
//!             Box::new(events::tables::Unfinished),
//!             Box::new(events::tables::Selected),
//!             Box::new(events::tables::Handled),
//!             Box::new(events::tables::Streams),
//!         ]
//!     }
//! }
//! ```

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

/// `outbox_events`: see [`crate::outbox`]. The legacy backend's last generation has the same table.
#[derive(Debug)]
pub struct Outbox;

/// The indexes of the rows of `outbox_events` that are not delivered. Delivered rows stay for a week, and are in none of them:
/// however many there are, a claim and the counts of [`crate::outbox::unfinished`] read the others alone.
#[derive(Debug)]
pub struct Unfinished;

/// The indexes of `outbox_events` for rows of one kind, and of one tenant. A worker claims rows of its kinds, however
/// many of others wait before them, and [`crate::outbox::forget_tenant`] reads the rows of its tenant alone.
#[derive(Debug)]
pub struct Selected;

/// `handled_events` and `redelivered_events`: see [`crate::handled`].
#[derive(Debug)]
pub struct Handled;

/// `stored_events`: see [`crate::store`].
#[derive(Debug)]
pub struct Streams;

impl MigrationName for Outbox {
    fn name(&self) -> &'static str {
        "events_0001_outbox"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Outbox {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("outbox_events")
            .if_not_exists()
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("kind").string().not_null())
            .col(ColumnDef::new("payload").json_binary().not_null())
            .col(ColumnDef::new("idempotency_key").string().not_null().unique_key())
            .col(ColumnDef::new("attempts").integer().not_null().default(0))
            .col(ColumnDef::new("last_error").text())
            .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
            .col(ColumnDef::new("next_attempt_at").timestamp_with_time_zone().not_null())
            .col(ColumnDef::new("processed_at").timestamp_with_time_zone())
            .col(ColumnDef::new("failed_at").timestamp_with_time_zone())
            .to_owned();
        manager.create_table(table).await?;
        let due = Index::create()
            .if_not_exists()
            .name("idx_outbox_events_next_attempt_at")
            .table("outbox_events")
            .col("next_attempt_at")
            .to_owned();
        manager.create_index(due).await
    }
}

impl MigrationName for Unfinished {
    fn name(&self) -> &'static str {
        "events_0004_unfinished"
    }
}

/// Both databases read it. The index of all rows goes: a planner that took it would read the delivered rows again.
const INDEXES_OF_UNFINISHED: &str = "
    CREATE INDEX IF NOT EXISTS idx_outbox_events_due ON outbox_events (next_attempt_at, id)
    WHERE processed_at IS NULL AND failed_at IS NULL;
    CREATE INDEX IF NOT EXISTS idx_outbox_events_dead ON outbox_events (id) WHERE failed_at IS NOT NULL;
    DROP INDEX IF EXISTS idx_outbox_events_next_attempt_at;
";

#[async_trait::async_trait]
impl MigrationTrait for Unfinished {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(INDEXES_OF_UNFINISHED).await.map(drop)
    }
}

impl MigrationName for Selected {
    fn name(&self) -> &'static str {
        "events_0005_selected"
    }
}

/// Both databases read it. The index by time alone stays: it has several kinds together in the order of a claim.
const INDEXES_OF_SELECTED: &str = "
    CREATE INDEX IF NOT EXISTS idx_outbox_events_due_by_kind ON outbox_events (kind, next_attempt_at, id)
    WHERE processed_at IS NULL AND failed_at IS NULL;
    CREATE INDEX IF NOT EXISTS idx_outbox_events_tenant ON outbox_events (lower(payload ->> 'tenantId'));
";

#[async_trait::async_trait]
impl MigrationTrait for Selected {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(INDEXES_OF_SELECTED).await.map(drop)
    }
}

impl MigrationName for Handled {
    fn name(&self) -> &'static str {
        "events_0002_handled"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Handled {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("handled_events")
            .if_not_exists()
            .col(ColumnDef::new("consumer").string().not_null())
            .col(ColumnDef::new("event_id").uuid().not_null())
            .col(ColumnDef::new("handled_at").timestamp_with_time_zone().not_null())
            .primary_key(Index::create().col("consumer").col("event_id"))
            .to_owned();
        manager.create_table(table).await?;
        // For the removal of old rows.
        let old = Index::create()
            .if_not_exists()
            .name("idx_handled_events_handled_at")
            .table("handled_events")
            .col("handled_at")
            .to_owned();
        manager.create_index(old).await?;
        let again = Table::create()
            .table("redelivered_events")
            .if_not_exists()
            .col(ColumnDef::new("consumer").string().not_null())
            .col(ColumnDef::new("event_id").uuid().not_null())
            .col(ColumnDef::new("times").integer().not_null())
            .col(ColumnDef::new("last_at").timestamp_with_time_zone().not_null())
            .primary_key(Index::create().col("consumer").col("event_id"))
            .to_owned();
        manager.create_table(again).await
    }
}

impl MigrationName for Streams {
    fn name(&self) -> &'static str {
        "events_0003_streams"
    }
}

/// Refuses every change of a stored event, by whatever program.
const APPEND_ONLY_POSTGRES: &str = "
    CREATE OR REPLACE FUNCTION stored_events_are_final() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'stored_events is append-only'; END $$;
    CREATE OR REPLACE TRIGGER stored_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION stored_events_are_final();
";

/// The same for SQLite, which has a trigger for each kind of change.
const APPEND_ONLY_SQLITE: &str = "
    CREATE TRIGGER IF NOT EXISTS stored_events_stay BEFORE UPDATE ON stored_events
    BEGIN SELECT RAISE(ABORT, 'stored_events is append-only'); END;
    CREATE TRIGGER IF NOT EXISTS stored_events_remain BEFORE DELETE ON stored_events
    BEGIN SELECT RAISE(ABORT, 'stored_events is append-only'); END;
";

#[async_trait::async_trait]
impl MigrationTrait for Streams {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("stored_events")
            .if_not_exists()
            .col(ColumnDef::new("stream").string().not_null())
            .col(ColumnDef::new("version").big_integer().not_null())
            .col(ColumnDef::new("id").uuid().not_null().unique_key())
            .col(ColumnDef::new("kind").string().not_null())
            .col(ColumnDef::new("payload").json_binary().not_null())
            .col(ColumnDef::new("recorded_at").timestamp_with_time_zone().not_null())
            .primary_key(Index::create().col("stream").col("version"))
            .to_owned();
        manager.create_table(table).await?;
        let database = manager.get_connection();
        let is_postgres = database.get_database_backend() == DbBackend::Postgres;
        let append_only = if is_postgres { APPEND_ONLY_POSTGRES } else { APPEND_ONLY_SQLITE };
        database.execute_unprepared(append_only).await.map(drop)
    }
}
