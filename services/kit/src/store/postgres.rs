//! Opens PostgreSQL: one server, or of several the one that takes writes, also after a failover.
//!
//! | what happens | then |
//! |---|---|
//! | the server ends | its connections fail; a request waits [`ACQUIRE_TIMEOUT`] for a new one, and fails |
//! | another server of the address is promoted | it is found within [`CHECK_EVERY`] and used for all new connections |
//! | a server is a standby | it gets no connection; libpq calls this `target_session_attrs=read-write` |

use std::time::Duration;

use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::ACQUIRE_TIMEOUT;
use super::address::{Address, name};

/// Connections to PostgreSQL. A request spends most of its time elsewhere. Two services with eight
/// connections each stay far below PostgreSQL's default limit of 100.
const CONNECTIONS: u32 = 8;

/// How long one server may take to accept a connection, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long PostgreSQL may work on one statement. Every statement of a request touches a handful of rows. Migrations have their
/// own limit ([`crate::migrating`]).
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is checked which of several servers takes writes: a standby takes seconds to be promoted, and the query
/// microseconds.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// Whether the server takes writes: libpq's own rule for `read-write`.
const TAKES_WRITES: &str =
    "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'";

/// Why no server can be used: each with its error, without passwords.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(server, error)| format!("{server}: {error}")).collect::<Vec<_>>().join("; "))]
pub struct Unreachable(Vec<(String, Trouble)>);

/// Why one server cannot be used.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// It is unreachable, or refuses.
    #[error("{0}")]
    Failed(#[from] sqlx::Error),
    /// It does not answer.
    #[error("no answer in {CONNECT_TIMEOUT:?}")]
    Silent(#[from] tokio::time::error::Elapsed),
    /// It takes no writes.
    #[error("takes no writes, as a standby does")]
    Standby,
}

/// Opens the servers of `address`.
pub(super) async fn open(address: Address) -> Result<DatabaseConnection, Unreachable> {
    let Address { servers, primary_only } = address;
    let statement_timeout = STATEMENT_TIMEOUT.as_millis().to_string();
    // Statements contain addresses and digests. The handler of the request logs failures.
    let ready = |server: PgConnectOptions| {
        server.options([("statement_timeout", statement_timeout.as_str())]).disable_statement_logging()
    };
    let servers: Vec<PgConnectOptions> = servers.into_iter().map(ready).collect();
    let mut options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    if primary_only {
        options = options.after_connect(|connection, _| {
            Box::pin(async move {
                match takes_writes(connection).await? {
                    true => Ok(()),
                    false => Err(sqlx::Error::Configuration(Trouble::Standby.into())),
                }
            })
        });
    }
    let (server, connection) = find(&servers, primary_only).await?;
    let pool = options.connect_lazy_with(server);
    if primary_only {
        tokio::spawn(follow(pool.clone(), servers, connection));
    }
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// The first of `servers` that can be used, and a connection to it.
async fn find(
    servers: &[PgConnectOptions],
    primary_only: bool,
) -> Result<(PgConnectOptions, PgConnection), Unreachable> {
    let mut troubles = Vec::with_capacity(servers.len());
    for server in servers {
        match connect(server, primary_only).await {
            Ok(connection) => return Ok((server.clone(), connection)),
            Err(trouble) => troubles.push((name(server), trouble)),
        }
    }
    Err(Unreachable(troubles))
}

async fn connect(server: &PgConnectOptions, primary_only: bool) -> Result<PgConnection, Trouble> {
    timeout(CONNECT_TIMEOUT, async {
        let mut connection = server.connect().await?;
        match !primary_only || takes_writes(&mut connection).await? {
            true => Ok(connection),
            false => Err(Trouble::Standby),
        }
    })
    .await?
}

async fn takes_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(TAKES_WRITES).fetch_one(connection).await
}

/// Keeps a connection to the server in use, and leads the pool to another one when that takes no writes any more.
async fn follow(pool: PgPool, servers: Vec<PgConnectOptions>, mut connection: PgConnection) {
    let mut is_lost = false;
    let mut ticks = tokio::time::interval(CHECK_EVERY);
    // After a slow check the next one is not made up for.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !pool.is_closed() {
        ticks.tick().await;
        if !is_lost && matches!(timeout(CONNECT_TIMEOUT, takes_writes(&mut connection)).await, Ok(Ok(true))) {
            continue;
        }
        match find(&servers, true).await {
            Ok((server, found)) => {
                tracing::info!(server = %name(&server), "connected to the database that takes writes");
                let earlier = std::mem::replace(&mut connection, found);
                // It is broken, or leads to a standby.
                let _ = timeout(CONNECT_TIMEOUT, earlier.close_hard()).await;
                pool.set_connect_options(server);
                is_lost = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_lost, true) {
                    tracing::error!(%error, "no database takes writes; retrying");
                }
            }
        }
    }
}
