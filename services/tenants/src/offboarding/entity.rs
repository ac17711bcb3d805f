//! The row of an offboarding.

use sea_orm::entity::prelude::*;

/// One row of `offboardings`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "offboardings")]
pub struct Model {
    /// The tenant that is removed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// Its standing before, to which an undone offboarding returns.
    pub kept: String,
    /// The names of the services with data of tenants, in the order of the steps, separated by commas.
    pub participants: String,
    /// See [`Phase`](super::progress::Phase).
    pub phase: String,
    /// See [`Progress`](super::progress::Progress).
    pub step: i32,
    /// How often the present step has failed.
    pub attempts: i32,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// The service that requested it.
    pub begun_by: String,
    /// The id of that request.
    pub request_id: String,
    /// Why, in the words of the request.
    pub reason: Option<String>,
    /// Counts the workers that took it over. A worker that was too slow has an older number and records nothing.
    pub claim: i64,
    /// When the next worker may take it, in ms since 1970: the end of a lease, or of a pause.
    pub free_at: i64,
}

/// The table has no relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
