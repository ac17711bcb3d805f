//! What people like, read and are told, and every query about it.
//!
//! The tables are those of the legacy backend, and so are the ids of their rows ([`row_id`]). Each query takes an
//! [`Owner`](crate::account::Owner), the person whose data it is about; the few for all people take a
//! [`PlatformService`](kit::PlatformService).

pub mod devices;
pub mod histories;
pub mod news;
pub mod notifications;
pub mod part;
pub(crate) mod present;
pub mod push;
pub mod renewal;
mod row;
mod row_id;
pub mod tag;
pub mod tastes;

use std::fmt;
use std::sync::Arc;

use clock::Clock;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr, SqlErr, StatementBuilder};
use time::OffsetDateTime;

use crate::error::Error;

/// Stores and finds the activity of people.
#[derive(Clone)]
pub struct Activity {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
    news: Option<news::News>,
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").finish_non_exhaustive()
    }
}

impl Activity {
    /// Uses the activity in `database`, whose tables are up to date.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, news: None }
    }

    /// Announces changes, and sends push messages about what people are told.
    #[must_use]
    pub fn with_news(self, news: Option<news::News>) -> Self {
        Self { news, ..self }
    }

    fn now(&self) -> OffsetDateTime {
        crate::moment::now(&*self.clock)
    }

    /// Runs a statement that changes rows, and returns their number.
    async fn run(&self, statement: &impl StatementBuilder) -> Result<u64, Error> {
        Ok(self.database.execute(statement).await.map_err(failed)?.rows_affected())
    }
}

/// A row of a person who was deleted a moment ago cannot be written.
fn failed(error: DbErr) -> Error {
    if matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))) {
        Error::NotFound
    } else {
        Error::Store(error)
    }
}
