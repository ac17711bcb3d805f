//! The tables of this service. The first step is the legacy backend's own table, so that a restored dump
//! works unchanged. The additions for the edge follow.
//!
//! `users_migrations` records the applied steps: the legacy backend keeps its own list in `seaql_migrations`,
//! and two services can share one database.

mod activity;
mod devices;
mod older_handles;
mod removals;

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
            Box::new(older_handles::SetAside),
            Box::new(LegacyTable),
            Box::new(HandleAndTenant),
            Box::new(NormalNames),
            Box::new(older_handles::PutBack),
            Box::new(activity::Tables),
            Box::new(removals::Removals),
            Box::new(events::tables::Handled),
            Box::new(events::tables::Outbox),
            Box::new(devices::Tokens),
            Box::new(events::tables::Unfinished),
            Box::new(events::tables::Selected),
        ]
    }

    fn migration_table_name() -> DynIden {
        "users_migrations".into_iden()
    }
}

/// The table as the legacy backend created it.
struct LegacyTable;

impl MigrationName for LegacyTable {
    fn name(&self) -> &'static str {
        "0001_legacy_table"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LegacyTable {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("users")
            .if_not_exists()
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("name").string().not_null().unique_key())
            .col(ColumnDef::new("email").string().not_null().unique_key())
            .col(ColumnDef::new("role").small_integer().not_null())
            .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
            .col(ColumnDef::new("updated_at").timestamp_with_time_zone().not_null())
            .to_owned();
        manager.create_table(table).await
    }
}

/// Adds handle and tenant. The handle starts as the name, which is unique too. The tenant of people from
/// before tenants is unknown, and they cannot sign in until one is assigned.
struct HandleAndTenant;

impl MigrationName for HandleAndTenant {
    fn name(&self) -> &'static str {
        "0002_handle_and_tenant"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for HandleAndTenant {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column at a time: SQLite cannot add two, nor one that is unique or not null.
        for column in [ColumnDef::new("handle").string(), ColumnDef::new("tenant_id").uuid()] {
            manager.alter_table(Table::alter().table("users").add_column(column).to_owned()).await?;
        }
        let handles = Query::update().table("users").value("handle", Expr::col("name")).to_owned();
        manager.get_connection().execute(&handles).await?;
        let unique =
            Index::create().name("users_handle_key").table("users").col("handle").unique().to_owned();
        manager.create_index(unique).await
    }
}

/// Converts older names and handles to the stored form of new ones, so that the check for "already taken"
/// compares equal forms. A name whose form is taken stays unchanged: two people cannot have it, and neither
/// loses theirs.
struct NormalNames;

impl MigrationName for NormalNames {
    fn name(&self) -> &'static str {
        "0003_normal_names"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NormalNames {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["name", "handle"] {
            normal_forms(manager, column).await?;
        }
        Ok(())
    }
}

/// Converts the texts of a unique `column` of people to their stored form, unless another person has that form.
async fn normal_forms(manager: &SchemaManager<'_>, column: &'static str) -> Result<(), DbErr> {
    let database = manager.get_connection();
    let all = Query::select()
        .from("users")
        .columns(["id", column])
        .and_where(Expr::col(column).is_not_null())
        .to_owned();
    for row in database.query_all(&all).await? {
        let (id, text): (uuid::Uuid, String) = (row.try_get("", "id")?, row.try_get("", column)?);
        let Some(normal) = kit::shown::normal(&text).ok().filter(|normal| *normal != text) else {
            continue;
        };
        let same = Query::select()
            .from("users")
            .column("id")
            .and_where(Expr::col(column).eq(normal.as_str()))
            .to_owned();
        // Checked beforehand: a failed update would end the whole transaction.
        if normal.is_empty() || database.query_one(&same).await?.is_some() {
            continue;
        }
        let update =
            Query::update().table("users").value(column, normal).and_where(Expr::col("id").eq(id)).to_owned();
        database.execute(&update).await?;
    }
    Ok(())
}
