//! The row of a session.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `auth_sessions`. Times are seconds since 1970, as in the tokens.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_sessions")]
pub struct Model {
    /// `sid` of both tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The person: `sub` of both tokens.
    pub user_id: Uuid,
    /// The person's tenant: `tenantId` of both tokens.
    pub tenant_id: Uuid,
    /// `jti` of the only refresh token that is valid for a refresh. The session's own id for a session in the legacy backend's
    /// form, whose refresh tokens have no `jti`.
    pub refresh_id: Uuid,
    /// When the session began.
    pub created_at: i64,
    /// `exp` of the access token.
    pub access_expires_at: i64,
    /// `exp` of the refresh token.
    pub refresh_expires_at: i64,
    /// The first session of the sign-in that this one came from, through any number of refreshes. Null in a
    /// row that an older version of this service wrote; such a session is a family of its own.
    pub family_id: Option<Uuid>,
    /// When that sign-in was. Null when `family_id` is.
    pub family_began_at: Option<i64>,
    /// The time from which the session is dead. Null: it is alive and can be refreshed. In the future: it was
    /// refreshed, and its access token still works for a moment.
    pub dead_from: Option<i64>,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
