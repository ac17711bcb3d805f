//! The row of a used client assertion.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `auth_client_assertions`. The primary key lets an assertion through only once, on any replica.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_client_assertions")]
pub struct Model {
    /// SHA-256 of client and `jti` in base64url, which has one length for every client's choice.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: String,
    /// Seconds since 1970. Later the assertion is refused for its age.
    pub expires_at: i64,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
