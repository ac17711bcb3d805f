//! The source takes no writes while it is moved.
//!
//! `ALTER DATABASE … SET default_transaction_read_only = on` counts for sessions that begin later, so the sessions from
//! before are ended. A role's own setting is stronger than the database's, and a prepared transaction needs no session:
//! [`obstacles`] finds both. What remains possible is a session that asks for writes itself
//! (`SET transaction_read_only = off`); docs/data.md says so.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::Row as _;

use crate::failure::Failure;
use crate::place::Place;
use crate::state::Frozen;

/// How long ended sessions may take to go: PostgreSQL ends one at its next interrupt check, which is milliseconds away.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is checked whether they are gone.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// Ways past the database's setting, each with its fix.
const OBSTACLES: &str = "
    SELECT format('the role %I has default_transaction_read_only=off, which is stronger than the setting of the database; \
                   run: ALTER ROLE %I %s RESET default_transaction_read_only', r.rolname, r.rolname,
                  CASE WHEN s.setdatabase = 0 THEN '' ELSE format('IN DATABASE %I', current_database()) END)
    FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
         unnest(s.setconfig) AS entry
    WHERE entry ~* '^default_transaction_read_only=(off|f|fa|fal|fals|false|n|no|0)$'
      AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
    UNION ALL
    SELECT format('the prepared transaction %L could write after the dump; commit it or roll it back', gid)
    FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
    UNION ALL
    SELECT format('the subscription %I writes into the source what another server sends; run: ALTER SUBSCRIPTION %I DISABLE',
                  subname, subname)
    FROM pg_catalog.pg_subscription
    WHERE subenabled AND subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())";

/// The database's own setting, without those of roles.
const PREVIOUS: &str = "
    SELECT split_part(entry, '=', 2) FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS entry
    WHERE s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND entry LIKE 'default_transaction_read_only=%'";

/// The sessions on this database, except this one: of clients, and of extensions' workers. The others are of the server
/// itself and write nothing that a dump has.
const OTHERS: &str = "
    SELECT pid, backend_start::text FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type NOT IN ('autovacuum worker', 'parallel worker', 'walsender')";

/// The sessions of this program and the programs that it started, except this one.
const OWN: &str = "
    SELECT pid, backend_start::text FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'db-migrate'";

/// Returns what would let writes through.
///
/// # Errors
/// [`Failure::Database`].
pub async fn obstacles(place: &Place, connection: &mut PgConnection) -> Result<Vec<String>, Failure> {
    sqlx::query_scalar(OBSTACLES).fetch_all(connection).await.map_err(|error| place.failed(error))
}

/// Returns how the source is now, to be recorded before [`freeze`].
///
/// # Errors
/// [`Failure::Database`].
pub async fn previous(place: &Place, connection: &mut PgConnection) -> Result<Frozen, Failure> {
    let previous = sqlx::query_scalar(PREVIOUS).fetch_optional(connection).await;
    Ok(Frozen { previous: previous.map_err(|error| place.failed(error))? })
}

/// Returns whether new sessions on the source refuse writes.
///
/// # Errors
/// [`Failure::Database`].
pub async fn is_frozen(place: &Place, connection: &mut PgConnection) -> Result<bool, Failure> {
    Ok(previous(place, connection).await?.previous.as_deref() == Some("on"))
}

/// Makes the source refuse writes, and ends the sessions from before. Returns how many were ended.
///
/// # Errors
/// [`Failure::Database`]; [`Failure::Program`] when a session does not end.
pub async fn freeze(place: &Place, connection: &mut PgConnection) -> Result<usize, Failure> {
    set(place, connection, Some("on")).await?;
    end_sessions(place, connection, OTHERS).await
}

/// Ends what a killed run left working on `place`, such as a `pg_restore` that does not know of the end of its parent.
///
/// # Errors
/// As [`freeze`].
pub async fn end_orphans(place: &Place) -> Result<usize, Failure> {
    let mut connection = place.connect().await?;
    let ended = end_sessions(place, &mut connection, OWN).await?;
    Place::close(connection).await;
    Ok(ended)
}

/// Ends the sessions that `query` finds, waits until they are gone, and returns how many there were.
async fn end_sessions(
    place: &Place,
    connection: &mut PgConnection,
    query: &'static str,
) -> Result<usize, Failure> {
    let earlier = sessions(place, connection, query).await?;
    for (pid, _) in &earlier {
        let end = sqlx::query("SELECT pg_catalog.pg_terminate_backend($1)").bind(pid);
        end.execute(&mut *connection).await.map_err(|error| place.failed(error))?;
    }
    let deadline = tokio::time::Instant::now() + END_TIMEOUT;
    loop {
        let left = sessions(place, connection, query).await?;
        let waiting = left.iter().filter(|session| earlier.contains(session)).count();
        if waiting == 0 {
            return Ok(earlier.len());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Failure::Program(format!(
                "{place}: {waiting} sessions did not end in {END_TIMEOUT:?}; close the programs that use the database"
            )));
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Gives the source its earlier setting. Sessions that began meanwhile stay read-only until they reconnect, so they are
/// ended too. Doing this twice does no harm.
///
/// # Errors
/// [`Failure::Database`].
pub async fn release(place: &Place, frozen: &Frozen) -> Result<(), Failure> {
    let mut connection = place.connect().await?;
    set(place, &mut connection, frozen.previous.as_deref()).await?;
    for (pid, _) in sessions(place, &mut connection, OTHERS).await? {
        let end = sqlx::query("SELECT pg_catalog.pg_terminate_backend($1)").bind(pid);
        end.execute(&mut connection).await.map_err(|error| place.failed(error))?;
    }
    Place::close(connection).await;
    Ok(())
}

async fn set(place: &Place, connection: &mut PgConnection, value: Option<&str>) -> Result<(), Failure> {
    let change = match value {
        Some(value) => format!("SET default_transaction_read_only = {}", literal(value)),
        None => "RESET default_transaction_read_only".to_owned(),
    };
    let alter = format!("ALTER DATABASE {} {change}", identifier(place.database()));
    // This session has to write even while the database is frozen: the setting itself is a write. The two statements are
    // sent one by one, because together they would be one transaction, which began read-only.
    for statement in ["SET default_transaction_read_only = off".to_owned(), alter] {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await;
        done.map_err(|error| place.failed(error))?;
    }
    Ok(())
}

async fn sessions(
    place: &Place,
    connection: &mut PgConnection,
    query: &'static str,
) -> Result<Vec<(i32, String)>, Failure> {
    let rows = sqlx::query(query).fetch_all(connection).await.map_err(|error| place.failed(error))?;
    let session = |row: &sqlx::postgres::PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
    rows.iter().map(session).collect::<Result<_, sqlx::Error>>().map_err(|error| place.failed(error))
}

/// Returns `name` as SQL writes a name that needs quotes.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns `text` as SQL writes a text.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
