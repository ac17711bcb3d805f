//! The row of a login code.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `auth_codes`. An address has a few numbered slots. The primary key keeps two simultaneous
/// requests from taking the same slot, without a count, a lock, or ever one code too many.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_codes")]
pub struct Model {
    /// The address, byte for byte.
    #[sea_orm(primary_key, auto_increment = false)]
    pub email: String,
    /// The slot's number within the address.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i16,
    /// SHA-256 of address and code in base64url. A reader of the table cannot sign in with it.
    pub digest: String,
    /// Expiry in seconds since 1970.
    pub expires_at: i64,
    /// The tenant of the account with the address. Null in a row that an older version of this service wrote.
    pub tenant_id: Option<Uuid>,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
