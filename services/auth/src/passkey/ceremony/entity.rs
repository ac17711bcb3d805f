//! The row of a ceremony.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `auth_passkey_ceremonies`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_passkey_ceremonies")]
pub struct Model {
    /// The id that the client sends back.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What it is for, and for whom: `passkey_reg:PERSON` or `passkey_auth:ADDRESS`.
    pub owner: String,
    /// What the answer is compared with, as JSON.
    pub state: String,
    /// Expiry in seconds since 1970.
    pub expires_at: i64,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
