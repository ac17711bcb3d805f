//! Whether two addresses lead to one database. Its addresses can look different: a name and a number, two names of one
//! server, a pooler before it. A database that is compared with itself is always equal, so it has to be found before.

use sqlx::{PgConnection, Row as _};

use crate::failure::Failure;
use crate::place::Place;

/// What tells a database from every other one. A copy of a whole server has the identifier of its original, so the time
/// of the start tells the two servers apart.
const IDENTITY: &str = "
    SELECT format('%s %s', s.system_identifier, d.oid), pg_postmaster_start_time()::text, pg_is_in_recovery()
    FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database()";

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    /// The number that the server got when it was created, and the number of the database in it.
    database: String,
    started: String,
    is_standby: bool,
}

/// Refuses one database as both source and target, and a standby of the other one, whose content is the same by itself.
///
/// # Errors
/// [`Failure::Invalid`] names both addresses. [`Failure::Database`].
pub async fn distinct(
    (source, from): (&Place, &mut PgConnection),
    (target, to): (&Place, &mut PgConnection),
) -> Result<(), Failure> {
    let (own, other) = (identity(source, from).await?, identity(target, to).await?);
    if own.database != other.database {
        return Ok(());
    }
    if own.started == other.started {
        return Err(Failure::Invalid(format!(
            "the source {source} and the target {target} are the same database; name another target"
        )));
    }
    if own.is_standby || other.is_standby {
        return Err(Failure::Invalid(format!(
            "the source {source} and the target {target} are a database and its standby, which follows it by itself; name \
             another target"
        )));
    }
    Ok(())
}

async fn identity(place: &Place, connection: &mut PgConnection) -> Result<Identity, Failure> {
    let row = sqlx::query(IDENTITY).fetch_one(connection).await.map_err(|error| place.failed(error))?;
    let read =
        || Ok(Identity { database: row.try_get(0)?, started: row.try_get(1)?, is_standby: row.try_get(2)? });
    read().map_err(|error: sqlx::Error| place.failed(error))
}
