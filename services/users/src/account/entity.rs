//! The row of a person.

use sea_orm::entity::prelude::*;

/// One row of `users`: the legacy's columns, then the two that the edge brought.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The name that others see.
    pub name: String,
    /// Where login codes go; compared byte for byte.
    pub email: String,
    /// 0 normal, 1 developer, 2 bot.
    pub role: i16,
    /// When the account was made.
    pub created_at: TimeDateTimeWithTimeZone,
    /// When the account was last changed.
    pub updated_at: TimeDateTimeWithTimeZone,
    /// The short name, unique.
    pub handle: String,
    /// The tenant that the person belongs to. A person restored from the legacy may have none yet; then nobody can
    /// sign in as them.
    pub tenant_id: Option<Uuid>,
}

/// There are none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
