//! Brings the tables of a service up to date: at every start ([`up`]), and with `PROGRAM migrate` ([`command`]). The command is
//! for a database that the service does not serve yet, such as the copy on which `db-migrate` tries the migrations.
//!
//! On PostgreSQL a migration has limits of its own, because the five seconds of a request's statement are too short for an index
//! over a restored dump:
//!
//! | what | limit |
//! |---|---|
//! | one statement of a step | ten minutes |
//! | waiting for a table that another program uses | five seconds |
//! | waiting for another process that migrates this database | ten minutes |
//!
//! All steps are one transaction, on SQLite, too: either all are applied and recorded, or none, also when the process is
//! killed. A deadlock with a query of another service undoes it, and it is tried again.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait;

use crate::answer::Chain;
use crate::settings::{CUTOVER_HOME, DATABASE_URL, Home, Reader, database_url};
use crate::startup::{About, StartError};
use crate::store::{self, StoreError};

/// The limit of one statement, and of the wait for another process that migrates. An index over ten million rows takes a few
/// minutes on a small server.
const STATEMENT: &str = "SET LOCAL statement_timeout = '10min'";

/// Makes the processes of all services that start on one database at the same time wait for each other: PostgreSQL refuses two
/// `CREATE TABLE IF NOT EXISTS` of the same table at the same moment. The number is "cutover" in ASCII.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(27995165641041266)";

/// The limit of the wait for a table. While a change of a table waits, every later query of the table waits behind it, also
/// those of a legacy backend that serves people.
const TABLE: &str = "SET LOCAL lock_timeout = '5s'";

/// Applies the steps of `S` that `database` does not have yet.
///
/// # Errors
/// [`StoreError::Migration`]. Nothing has changed then.
pub async fn up<S: MigratorTrait>(database: &DatabaseConnection) -> Result<(), StoreError> {
    let applied = if database.get_database_backend() == DbBackend::Postgres {
        up_within_limits::<S>(database).await
    } else {
        in_one_write::<S>(database).await
    };
    applied.map_err(StoreError::Migration)
}

/// How often the steps are tried when each time a query of another service on the same database and a step wait for each other.
/// The other service's query ends soon, and PostgreSQL has undone all of the try.
const TRIES: usize = 5;

async fn up_within_limits<S: MigratorTrait>(database: &DatabaseConnection) -> Result<(), DbErr> {
    for _ in 1..TRIES {
        match in_one_transaction::<S>(database).await {
            Err(error) if is_deadlock(&error) => {}
            done => return done,
        }
    }
    in_one_transaction::<S>(database).await
}

/// Whether PostgreSQL has ended the transaction because it and another one waited for each other (`deadlock_detected`).
fn is_deadlock(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40P01")
}

/// SQLite has no limit for a statement; another writer of the file is waited for as in every request. The transaction writes from
/// its beginning: one that read first would fail when another process writes meanwhile.
async fn in_one_write<S: MigratorTrait>(database: &DatabaseConnection) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = database.begin_with_options(options).await?;
    S::up(&transaction, None).await?;
    transaction.commit().await
}

async fn in_one_transaction<S: MigratorTrait>(database: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = database.begin().await?;
    for limit in [STATEMENT, ONE_AT_A_TIME, TABLE] {
        transaction.execute_unprepared(limit).await?;
    }
    S::up(&transaction, None).await?;
    transaction.commit().await
}

/// Serves the command `PROGRAM migrate`. Returns `None` for every other command line.
pub async fn command(
    arguments: &[OsString],
    about: About,
    migrate: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), StoreError>,
) -> Option<ExitCode> {
    let migrate = async move |database: &DatabaseConnection| Ok(migrate(database).await?);
    on_database(arguments, "migrate", about, migrate).await
}

/// Serves the command `PROGRAM NAME`, whose `work` needs the database of the service and nothing else. Returns `None` for every
/// other command line.
pub async fn on_database(
    arguments: &[OsString],
    name: &str,
    about: About,
    work: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), StartError>,
) -> Option<ExitCode> {
    if arguments.get(1)? != name {
        return None;
    }
    if arguments.len() > 2 {
        complain(about, &format!("`{name}` takes no further arguments; the database is DATABASE_URL"));
        return Some(ExitCode::from(2));
    }
    Some(match run(about, work).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(about, &Chain(&error));
            ExitCode::from(error.exit_code())
        }
    })
}

async fn run(
    about: About,
    work: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), StartError>,
) -> Result<(), StartError> {
    secret_file::restrict_new_files();
    let mut reader = Reader::new(&[CUTOVER_HOME, DATABASE_URL], |name| std::env::var(name).ok());
    let home = Home(reader.path(&CUTOVER_HOME));
    let url = database_url(&mut reader);
    let url = reader.finish(url)?;
    let database = store::open(url.as_deref(), &home.database(about.name)).await?;
    work(&database).await
}

/// A closed standard error changes nothing: the exit code says what happened.
fn complain(about: About, what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}: {what}", about.name);
}
