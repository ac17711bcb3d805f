//! The row of a client assertion that was used.

#![expect(unreachable_pub, reason = "what the derive adds is public")]

use sea_orm::entity::prelude::*;

/// One row of `auth_client_assertions`. The primary key is what lets an assertion through once, on every replica.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_client_assertions")]
pub struct Model {
    /// SHA-256 of client and `jti` in base64url: of one length, whatever a client chose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: String,
    /// Seconds since 1970; later the assertion is refused for its age.
    pub expires_at: i64,
}

/// There are none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
