//! The row of an account.

use sea_orm::entity::prelude::*;

/// One row of `users`: the columns of the legacy backend, then the two that the edge needs.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The person's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The displayed name.
    pub name: String,
    /// The e-mail address for login codes; compared byte for byte.
    pub email: String,
    /// 0 normal, 1 developer, 2 bot.
    pub role: i16,
    /// When the account was created.
    pub created_at: TimeDateTimeWithTimeZone,
    /// When the account was last changed.
    pub updated_at: TimeDateTimeWithTimeZone,
    /// The short name, unique. A person whom the legacy backend added has none until they are first read
    /// ([`super::whole`]).
    pub handle: Option<String>,
    /// The person's tenant. A person of the legacy backend may have none yet, and cannot sign in until one is
    /// assigned ([`crate::tenants`]).
    pub tenant_id: Option<Uuid>,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
