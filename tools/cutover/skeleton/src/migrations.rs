//! The tables of this service. `skeleton_migrations` records the applied steps, because services can share one database.

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
        vec![Box::new(Notes)]
    }

    fn migration_table_name() -> DynIden {
        "skeleton_migrations".into_iden()
    }
}

/// `skeleton_notes`, the same in SQLite and PostgreSQL.
const NOTES: &str = "CREATE TABLE IF NOT EXISTS skeleton_notes (
    tenant varchar NOT NULL, person varchar NOT NULL, text varchar NOT NULL, PRIMARY KEY (tenant, person)
)";

struct Notes;

impl MigrationName for Notes {
    fn name(&self) -> &'static str {
        "0001_notes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Notes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(NOTES).await.map(drop)
    }
}
