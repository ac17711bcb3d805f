//! The row of a removal.

use sea_orm::entity::prelude::*;

/// One row of `tenant_removals`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant_removals")]
pub struct Model {
    /// The tenant that leaves.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// When its removal was prepared.
    pub prepared_at: TimeDateTimeWithTimeZone,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
