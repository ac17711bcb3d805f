//! The tables of this service: those of `events`, the marks of sendings, the schedule, devices that are gone, and
//! tenants that leave.
//!
//! `notifications_migrations` records the applied steps, because services can share one database.

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
        vec![
            Box::new(events::tables::Outbox),
            Box::new(events::tables::Handled),
            Box::new(Sendings),
            Box::new(Attempts),
            Box::new(events::tables::Unfinished),
            Box::new(Removals),
            Box::new(events::tables::Selected),
        ]
    }

    fn migration_table_name() -> DynIden {
        "notifications_migrations".into_iden()
    }
}

/// `sendings`, `scheduled_jobs` and `gone_devices`.
struct Sendings;

impl MigrationName for Sendings {
    fn name(&self) -> &'static str {
        "0001_sendings_jobs_devices"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sendings {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sendings = Table::create()
            .table("sendings")
            .if_not_exists()
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("state").string().not_null())
            .col(ColumnDef::new("provider_id").text())
            .col(ColumnDef::new("changed_at").timestamp_with_time_zone().not_null())
            .to_owned();
        manager.create_table(sendings).await?;
        let jobs = Table::create()
            .table("scheduled_jobs")
            .if_not_exists()
            .col(ColumnDef::new("name").string().not_null().primary_key())
            .col(ColumnDef::new("every_seconds").big_integer().not_null())
            .col(ColumnDef::new("next_run_at").timestamp_with_time_zone().not_null())
            .col(ColumnDef::new("lease_until").timestamp_with_time_zone())
            .col(ColumnDef::new("runs").big_integer().not_null().default(0))
            .col(ColumnDef::new("failures").big_integer().not_null().default(0))
            .col(ColumnDef::new("last_began_at").timestamp_with_time_zone())
            .col(ColumnDef::new("last_ended_at").timestamp_with_time_zone())
            .col(ColumnDef::new("last_error").text())
            .to_owned();
        manager.create_table(jobs).await?;
        let gone = Table::create()
            .table("gone_devices")
            .if_not_exists()
            .col(ColumnDef::new("digest").string().not_null().primary_key())
            .col(ColumnDef::new("since").timestamp_with_time_zone().not_null())
            .to_owned();
        manager.create_table(gone).await
    }
}

/// The attempt that wrote the mark of a sending, and when a job last succeeded.
struct Attempts;

impl MigrationName for Attempts {
    fn name(&self) -> &'static str {
        "0002_attempts_successes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Attempts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Attempts are counted from 1, so older marks belong to none.
        let attempt = Table::alter()
            .table("sendings")
            .add_column(ColumnDef::new("attempt").integer().not_null().default(0))
            .to_owned();
        manager.alter_table(attempt).await?;
        let success = Table::alter()
            .table("scheduled_jobs")
            .add_column(ColumnDef::new("last_success_at").timestamp_with_time_zone())
            .to_owned();
        manager.alter_table(success).await
    }
}

/// The tenants whose messages are removed ([`crate::removal`]).
struct Removals;

impl MigrationName for Removals {
    fn name(&self) -> &'static str {
        "0003_removals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Removals {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(kit::removal::table(crate::removal::TABLE)).await
    }
}
