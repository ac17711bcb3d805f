//! The row that counts the mails to an address.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `auth_code_pauses`. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_code_pauses")]
pub struct Model {
    /// The address, byte for byte.
    #[sea_orm(primary_key, auto_increment = false)]
    pub email: String,
    /// How many codes were mailed since the last sign-in, or since the whole number was available. A service of the version
    /// before, which can run beside this one during an update, counts its pauses by it.
    pub mailed: i32,
    /// The earliest time of the next code.
    pub next_at: i64,
    /// After this time the whole number is available again, and the row no longer matters.
    pub forgotten_at: i64,
    /// The tenant of the account with the address. Null in a row that an older version of this service wrote.
    pub tenant_id: Option<Uuid>,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
