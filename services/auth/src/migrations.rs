//! The tables of this service. Which steps are done is kept in `auth_migrations`, because services can share one database.

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
        vec![Box::new(CodesAndSessions), Box::new(ClientAssertions)]
    }

    fn migration_table_name() -> DynIden {
        "auth_migrations".into_iden()
    }
}

struct CodesAndSessions;

impl MigrationName for CodesAndSessions {
    fn name(&self) -> &'static str {
        "0001_codes_and_sessions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CodesAndSessions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let codes = Table::create()
            .table("auth_codes")
            .col(ColumnDef::new("email").string().not_null())
            .col(ColumnDef::new("slot").small_integer().not_null())
            .col(ColumnDef::new("digest").string().not_null())
            .col(ColumnDef::new("expires_at").big_integer().not_null())
            .primary_key(Index::create().col("email").col("slot"))
            .to_owned();
        manager.create_table(codes).await?;
        let sessions = Table::create()
            .table("auth_sessions")
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("user_id").uuid().not_null())
            .col(ColumnDef::new("tenant_id").uuid().not_null())
            .col(ColumnDef::new("refresh_id").uuid().not_null())
            .col(ColumnDef::new("created_at").big_integer().not_null())
            .col(ColumnDef::new("access_expires_at").big_integer().not_null())
            .col(ColumnDef::new("refresh_expires_at").big_integer().not_null())
            .col(ColumnDef::new("dead_from").big_integer())
            .to_owned();
        manager.create_table(sessions).await?;
        // Expired rows are looked for every hour.
        for (name, table, column) in [
            ("auth_codes_expires_at", "auth_codes", "expires_at"),
            ("auth_sessions_refresh_expires_at", "auth_sessions", "refresh_expires_at"),
            ("auth_sessions_access_expires_at", "auth_sessions", "access_expires_at"),
        ] {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        Ok(())
    }
}

struct ClientAssertions;

impl MigrationName for ClientAssertions {
    fn name(&self) -> &'static str {
        "0002_client_assertions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ClientAssertions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let assertions = Table::create()
            .table("auth_client_assertions")
            .col(ColumnDef::new("digest").string().not_null().primary_key())
            .col(ColumnDef::new("expires_at").big_integer().not_null())
            .to_owned();
        manager.create_table(assertions).await?;
        let (name, table) = ("auth_client_assertions_expires_at", "auth_client_assertions");
        manager.create_index(Index::create().name(name).table(table).col("expires_at").to_owned()).await
    }
}
