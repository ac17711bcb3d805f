//! The tables. The first step is the legacy's own table, so that a restored dump is taken as it is; what the edge
//! needs beyond it comes after.
//!
//! Which steps are done is kept in `users_migrations`: the legacy keeps its own list in `seaql_migrations`, and two
//! services can share one database.

use kit::store::StoreError;
use sea_orm::{DatabaseConnection, DynIden};
use sea_orm_migration::prelude::*;

/// Brings the tables up to date.
///
/// # Errors
/// [`StoreError::Migration`].
pub async fn run(database: &DatabaseConnection) -> Result<(), StoreError> {
    Steps::up(database, None).await.map_err(StoreError::Migration)
}

struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(LegacyTable), Box::new(HandleAndTenant)]
    }

    fn migration_table_name() -> DynIden {
        "users_migrations".into_iden()
    }
}

/// CONTRACT §13.1.
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

/// The handle starts as the name, which is unique too. The tenant of people who came before tenants is unknown, and
/// until somebody names it they cannot sign in.
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
