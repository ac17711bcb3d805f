//! The row of one person's usage.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `auth_people`. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_people")]
pub struct Model {
    /// The person: `sub` of the tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    /// Until when past refreshes are paid for, at one for each interval. In the past: the whole burst is
    /// available.
    pub refreshes_paid_until: i64,
    /// Tokens issued before this second are dead: announced with one line instead of one for each session.
    pub ended_before: i64,
    /// Until when that line is needed.
    pub ended_until: i64,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
