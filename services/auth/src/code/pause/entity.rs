//! The row of what was mailed to an address.

#![expect(unreachable_pub, reason = "what the derive adds is public")]

use sea_orm::entity::prelude::*;

/// One row of `auth_code_pauses`. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_code_pauses")]
pub struct Model {
    /// The address, byte for byte.
    #[sea_orm(primary_key, auto_increment = false)]
    pub email: String,
    /// How many codes were mailed since the last sign-in or the last quiet time.
    pub mailed: i32,
    /// Before this there is no other code.
    pub next_at: i64,
    /// After this the row says nothing.
    pub forgotten_at: i64,
}

/// There are none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
