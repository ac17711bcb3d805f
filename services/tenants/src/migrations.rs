//! The tables of this service, and those of [`events`] for its outbox and its history.

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
            Box::new(events::tables::Streams),
            Box::new(Tenants),
            Box::new(Offboardings),
            Box::new(events::tables::Unfinished),
            Box::new(events::tables::Selected),
        ]
    }

    /// Services can share one database, so each has its own list of applied steps.
    fn migration_table_name() -> DynIden {
        "tenants_migrations".into_iden()
    }
}

struct Tenants;

impl MigrationName for Tenants {
    fn name(&self) -> &'static str {
        "0001_tenants"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tenants {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("tenants")
            .if_not_exists()
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("name").string().not_null())
            .col(ColumnDef::new("standing").string().not_null())
            .col(ColumnDef::new("version").big_integer().not_null())
            .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
            .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
            .to_owned();
        manager.create_table(table).await
    }
}

/// One row for each tenant that is or was being removed: where its offboarding stands.
struct Offboardings;

impl MigrationName for Offboardings {
    fn name(&self) -> &'static str {
        "0002_offboardings"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Offboardings {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("offboardings")
            .if_not_exists()
            .col(ColumnDef::new("tenant_id").uuid().not_null().primary_key())
            .col(ColumnDef::new("kept").string().not_null())
            .col(ColumnDef::new("participants").string().not_null())
            .col(ColumnDef::new("phase").string().not_null())
            .col(ColumnDef::new("step").integer().not_null())
            .col(ColumnDef::new("attempts").integer().not_null())
            .col(ColumnDef::new("last_error").string())
            .col(ColumnDef::new("begun_by").string().not_null())
            .col(ColumnDef::new("request_id").string().not_null())
            .col(ColumnDef::new("reason").string())
            .col(ColumnDef::new("claim").big_integer().not_null())
            .col(ColumnDef::new("free_at").big_integer().not_null())
            .to_owned();
        manager.create_table(table).await?;
        let due = Index::create()
            .if_not_exists()
            .name("offboardings_due")
            .table("offboardings")
            .col("phase")
            .col("free_at")
            .to_owned();
        manager.create_index(due).await
    }
}
