//! Every query about notes. Each takes the proof of the tenant, so that none can reach another tenant's rows.

use kit::{SubjectId, VerifiedTenant};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr, Statement, Value};

const READ: &str = "SELECT text FROM skeleton_notes WHERE tenant = $1 AND person = $2";

const WRITE: &str = "INSERT INTO skeleton_notes (tenant, person, text) VALUES ($1, $2, $3)
    ON CONFLICT (tenant, person) DO UPDATE SET text = excluded.text";

/// The notes of all people.
#[derive(Clone, Debug)]
pub struct Notes {
    database: DatabaseConnection,
}

impl Notes {
    /// Reads and writes notes in `database`.
    #[must_use]
    pub const fn new(database: DatabaseConnection) -> Self {
        Self { database }
    }

    /// Returns the note of a person, if there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read(&self, tenant: VerifiedTenant, person: SubjectId) -> Result<Option<String>, DbErr> {
        let query = self.statement(READ, [tenant.to_string().into(), person.to_string().into()]);
        let row = self.database.query_one_raw(query).await?;
        row.map(|row| row.try_get_by_index(0)).transpose()
    }

    /// Writes the note of a person, or replaces it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn write(&self, tenant: VerifiedTenant, person: SubjectId, text: &str) -> Result<(), DbErr> {
        let values = [tenant.to_string().into(), person.to_string().into(), text.into()];
        self.database.execute_raw(self.statement(WRITE, values)).await.map(drop)
    }

    /// Whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    fn statement<const N: usize>(&self, sql: &str, values: [Value; N]) -> Statement {
        Statement::from_sql_and_values(self.database.get_database_backend(), sql, values)
    }
}
