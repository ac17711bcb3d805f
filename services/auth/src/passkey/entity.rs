//! The row of a passkey.

#![expect(unreachable_pub, reason = "the derive generates public items")]

use sea_orm::entity::prelude::*;

/// One row of `passkeys`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "passkeys")]
pub struct Model {
    /// The id that the authenticator chose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub credential_id: Vec<u8>,
    /// The person to whom it belongs.
    pub user_id: Uuid,
    /// The model of the authenticator; all zeros when it does not say.
    pub aaguid: Uuid,
    /// The public key with its signature counter, as JSON. It changes with each sign-in of an authenticator that
    /// counts.
    pub credential: Vec<u8>,
    /// The tenant of the person. Null until it is known, in a row from before this column: the next use by the person
    /// notes it.
    pub tenant_id: Option<Uuid>,
    /// When it was registered.
    pub created_at: TimeDateTimeWithTimeZone,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
