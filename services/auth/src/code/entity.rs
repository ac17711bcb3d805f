//! The row of a login code.

#![expect(unreachable_pub, reason = "what the derive adds is public")]

use sea_orm::entity::prelude::*;

/// One row of `auth_codes`. An address has a few numbered slots, and the primary key is what keeps two requests at the
/// same moment from taking the same one: no count, no lock, and never one code too many.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_codes")]
pub struct Model {
    /// The address, byte for byte.
    #[sea_orm(primary_key, auto_increment = false)]
    pub email: String,
    /// Which of its slots.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i16,
    /// SHA-256 of address and code in base64url. Who reads the table cannot sign in with it.
    pub digest: String,
    /// Seconds since 1970.
    pub expires_at: i64,
}

/// There are none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
