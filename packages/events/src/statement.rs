//! Statements that PostgreSQL and SQLite read alike.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

/// The statement `text` with `values` for the database behind `connection`. Both databases read `$1`.
pub fn sql(
    connection: &impl ConnectionTrait,
    text: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), text, values)
}

/// The parameter `place`, a text, as a value of a JSON column.
pub fn json(place: &str, connection: &impl ConnectionTrait) -> String {
    // SQLite has no such type: the column is a text.
    let is_postgres = connection.get_database_backend() == DbBackend::Postgres;
    if is_postgres { format!("CAST({place} AS jsonb)") } else { place.to_owned() }
}
