//! The row of a book.

use sea_orm::entity::prelude::*;

/// One row of `books`: the columns of the legacy backend, then those of releases and renewals.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "books")]
pub struct Model {
    /// The number that the source of the book gave it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The title.
    pub title: String,
    /// The language.
    pub language: String,
    /// The number of pages.
    pub page: i16,
    /// The kind, with `_`.
    pub kind: String,
    /// When the book appeared at its source.
    pub created_at: TimeDateTimeWithTimeZone,
    /// When it was last changed.
    pub updated_at: TimeDateTimeWithTimeZone,
    /// When it was released. The legacy backend never writes this column or the next three.
    pub published_at: Option<TimeDateTimeWithTimeZone>,
    /// When a bot last checked it at its source.
    pub checked_at: Option<TimeDateTimeWithTimeZone>,
    /// The id of the book that replaces this one.
    pub renewed_as: Option<i32>,
    /// The id of the book that is about to replace this one.
    pub renewing_as: Option<i32>,
}

/// The relations are in [`super::tags`].
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
