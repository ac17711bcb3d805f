//! The tenants whose people are being removed, or were ([`crate::account::removal`]).

use sea_orm_migration::prelude::*;

/// Creates `tenant_removals`.
pub(super) struct Removals;

impl MigrationName for Removals {
    fn name(&self) -> &'static str {
        "tenant_removals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Removals {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("tenant_removals")
            .if_not_exists()
            .col(ColumnDef::new("tenant_id").uuid().not_null().primary_key())
            .col(ColumnDef::new("prepared_at").timestamp_with_time_zone().not_null())
            .to_owned();
        manager.create_table(table).await
    }
}
