//! Opens the database: SQLite in a file by default, PostgreSQL when `DATABASE_URL` names one. Both have the
//! same connection type, and every query of the services is tested on both.

mod address;
mod postgres;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use address::Address;
pub use address::UnusableAddress;
pub use postgres::Unreachable;

/// Connections to SQLite: readers run beside the one writer that WAL allows.
const SQLITE_CONNECTIONS: u32 = 4;

/// How long a request waits for a free connection before it fails: far less than the request's own limit.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a writer waits for another writer of the same SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory of the SQLite file cannot be created.
    #[error("cannot create the directory {path}: {source}; set CUTOVER_HOME to one that can be written")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The I/O error of the system.
        source: std::io::Error,
    },
    /// SQLite refuses the file.
    #[error("cannot open the database {path}: {source}; is it a SQLite file that this user may write?")]
    Sqlite {
        /// The SQLite file.
        path: PathBuf,
        /// The error of the library.
        source: DbErr,
    },
    /// The address of PostgreSQL cannot be used. It is not repeated, because it contains a password.
    #[error("DATABASE_URL is not valid: {0}")]
    Address(UnusableAddress),
    /// PostgreSQL is unreachable or refuses.
    #[error("cannot open the database named by DATABASE_URL: {0}; unset it to use SQLite instead")]
    Postgres(Unreachable),
    /// The tables cannot be brought up to date.
    #[error("cannot bring the tables of the database up to date: {0}")]
    Migration(DbErr),
}

/// Opens `database_url` (PostgreSQL), or without one the SQLite file `file`, which is created when missing.
/// Only its owner may read the directory of the file, even if an earlier version left it open.
///
/// # Errors
/// [`StoreError`], naming the file or the variable, never the password.
pub async fn open(database_url: Option<&str>, file: &Path) -> Result<DatabaseConnection, StoreError> {
    match database_url {
        Some(url) => {
            let address = Address::parse(url, of_environment).map_err(StoreError::Address)?;
            postgres::open(address).await.map_err(StoreError::Postgres)
        }
        None => open_file(file).await,
    }
}

/// Checks a value of `DATABASE_URL`, its files included, without a connection.
///
/// # Errors
/// [`UnusableAddress`], which names the fix and not the password.
pub fn check(database_url: &str) -> Result<(), UnusableAddress> {
    Address::parse(database_url, of_environment).map(drop)
}

/// The variables of libpq, which the library reads from the environment by itself.
fn of_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn open_file(file: &Path) -> Result<DatabaseConnection, StoreError> {
    if let Some(directory) = file.parent() {
        secret_file::make_directory(directory)
            .map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
    }
    let mut options = ConnectOptions::new("sqlite::memory:".to_owned());
    options
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go away as a server does; the test costs each query a turn of the connection's thread.
        .test_before_acquire(false)
        // Statements contain addresses and digests. The handler of the request logs failures.
        .sqlx_logging(false);
    let path = file.to_owned();
    // The path is passed as a path: in a URL, `?` and `%` would have another meaning.
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .filename(&path)
            .in_memory(false)
            .shared_cache(false)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
    });
    Database::connect(options).await.map_err(|source| StoreError::Sqlite { path: file.to_owned(), source })
}
