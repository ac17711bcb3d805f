//! Finds the rows of a push token.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

/// Adds the index by which a token finds its rows: when another person sends it, and when its device is gone.
pub(super) struct Tokens;

impl MigrationName for Tokens {
    fn name(&self) -> &'static str {
        "tokens_of_devices"
    }
}

/// PostgreSQL cannot have texts of 4 KiB in an ordered index, so it has their hashes.
const HASHED: &str = "CREATE INDEX IF NOT EXISTS users_fcm_token_token ON fcm_token USING hash (fcm_token)";
const ORDERED: &str = "CREATE INDEX IF NOT EXISTS users_fcm_token_token ON fcm_token (fcm_token)";

#[async_trait::async_trait]
impl MigrationTrait for Tokens {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let statement = if is_postgres { HASHED } else { ORDERED };
        manager.get_connection().execute_unprepared(statement).await.map(drop)
    }
}
