//! Checks of the application's own: queries with an expected answer, on the restored target, and again on a copy of it after
//! each service's migrations ran there. The copy is a database beside the target, and is dropped at the end.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::process::Command;

use crate::client;
use crate::failure::Failure;
use crate::freeze::identifier;
use crate::place::Place;
use crate::progress::Progress;

/// The largest file of checks: some thousand queries.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The end of the copy's name, by which a copy that a killed process left is recognized.
const COPY: &str = "_db_migrate_copy";

/// PostgreSQL's limit for names.
const MAX_NAME_BYTES: usize = 63;

/// The databases that every server has. A database is created and dropped from another one.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// The file of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// Checks of the target as it was restored.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// The services that will use the target, in the order in which their migrations run.
    #[serde(default)]
    pub services: Vec<ServiceChecks>,
}

/// A query with its expected answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What has to be true, for the report.
    pub name: String,
    /// A query with one row and one column. It runs in a read-only transaction.
    pub sql: String,
    /// The answer as text.
    pub expect: String,
}

/// The migrations of a service, and what has to be true afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceChecks {
    /// The name, for the report.
    pub name: String,
    /// The program and its arguments, such as `[users, migrate]`. `DATABASE_URL` names the copy.
    pub command: Vec<String>,
    /// Checks of the copy.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// A check that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// The check, or the service whose migrations failed.
    pub name: String,
    /// What happened instead.
    pub found: String,
}

impl Checks {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// [`Failure::Invalid`], with the line of the fault.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let invalid = |what: &dyn std::fmt::Display| Failure::Invalid(format!("{}: {what}", path.display()));
        let length = std::fs::metadata(path).map_err(|error| invalid(&error))?.len();
        if length > MAX_FILE_BYTES {
            return Err(invalid(&format!("larger than {MAX_FILE_BYTES} bytes; is it a file of checks?")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| invalid(&error))?;
        let checks: Self = serde_saphyr::from_str(&text).map_err(|error| invalid(&error))?;
        match checks.services.iter().find(|service| service.command.is_empty()) {
            Some(service) => {
                Err(invalid(&format!("the command of `{}` is empty; name a program", service.name)))
            }
            None => Ok(checks),
        }
    }

    /// Returns what would make the checks fail whatever the target has, each with its fix: they run at the end of a
    /// move, and hours would be lost.
    ///
    /// # Errors
    /// [`Failure::Database`].
    pub async fn obstacles(&self, target: &Place) -> Result<Vec<String>, Failure> {
        if self.services.is_empty() {
            return Ok(Vec::new());
        }
        let mut obstacles = Vec::new();
        if let Err(failure) = copy_of(target) {
            obstacles.push(failure.to_string());
        }
        for service in &self.services {
            let program = service.command.first().map_or("", String::as_str);
            if !is_found(program) {
                obstacles.push(format!(
                    "the program `{program}` of the checks of `{}` is not found; install it, or write its whole path",
                    service.name
                ));
            }
        }
        let mut connection = target.connect().await?;
        let may = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user";
        let may: bool =
            sqlx::query_scalar(may).fetch_one(&mut connection).await.map_err(|error| target.failed(error))?;
        Place::close(connection).await;
        if !may {
            obstacles.push(format!(
                "the user of {target} may not create the copy for the checks; run there: ALTER ROLE … CREATEDB"
            ));
        }
        Ok(obstacles)
    }

    /// Runs all checks against `target`. A service's program gets `limit`.
    ///
    /// # Errors
    /// [`Failure::Database`] if the copy cannot be made. Checks that do not hold are a result.
    pub async fn run(
        &self,
        target: &Place,
        limit: Duration,
        progress: Progress,
    ) -> Result<Vec<FailedCheck>, Failure> {
        let mut failed = Vec::new();
        holds(target, &self.checks, progress, &mut failed).await?;
        if self.services.is_empty() {
            return Ok(failed);
        }
        let copy = copy_of(target)?;
        make_copy(target, &copy).await?;
        let done = self.services_on(&copy, limit, progress, &mut failed).await;
        drop_copy(target).await?;
        done?;
        Ok(failed)
    }

    async fn services_on(
        &self,
        copy: &Place,
        limit: Duration,
        progress: Progress,
        failed: &mut Vec<FailedCheck>,
    ) -> Result<(), Failure> {
        for service in &self.services {
            progress.event("check", &format!("migrations of {}", service.name));
            let Some((program, arguments)) = service.command.split_first() else { continue };
            let mut command = Command::new(program);
            command.args(arguments).env("DATABASE_URL", copy.service_address());
            let ended = tokio::time::timeout(limit, client::run(command, program)).await;
            let found = match ended {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure.to_string()),
                Err(_) => Some(format!("{program} took longer than {limit:?}; raise --step-limit")),
            };
            match found {
                Some(found) => {
                    failed.push(FailedCheck { name: format!("migrations of {}", service.name), found })
                }
                None => holds(copy, &service.checks, progress, failed).await?,
            }
        }
        Ok(())
    }
}

/// Drops the copy of `target`, if there is one.
///
/// # Errors
/// [`Failure::Database`].
pub async fn drop_copy(target: &Place) -> Result<(), Failure> {
    // A name that is too long for a copy never had one.
    let Ok(copy) = copy_of(target) else { return Ok(()) };
    let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(copy.database()));
    maintain(target, vec![statement]).await
}

/// Returns whether the database `target` is on its server.
///
/// # Errors
/// [`Failure::Database`].
pub async fn exists(target: &Place) -> Result<bool, Failure> {
    let server = maintenance(target);
    let mut connection = server.connect().await?;
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
    let found = found.bind(target.database()).fetch_one(&mut connection).await;
    Place::close(connection).await;
    found.map_err(|error| server.failed(error))
}

/// Runs statements about databases of the server of `target`, each by itself.
///
/// # Errors
/// [`Failure::Database`].
pub async fn maintain(target: &Place, statements: Vec<String>) -> Result<(), Failure> {
    let server = maintenance(target);
    let mut connection = server.connect().await?;
    for statement in statements {
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
        done.map_err(|error| server.failed(error))?;
    }
    Place::close(connection).await;
    Ok(())
}

fn maintenance(target: &Place) -> Place {
    let [first, second] = MAINTENANCE;
    target.with_database(if target.database() == first { second } else { first })
}

/// Whether the system finds `program`: at its path, or by its name in `PATH`.
fn is_found(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| directory.join(program).is_file())
}

fn copy_of(target: &Place) -> Result<Place, Failure> {
    let name = format!("{}{COPY}", target.database());
    if name.len() > MAX_NAME_BYTES {
        return Err(Failure::Invalid(format!(
            "the copy for the checks would be called {name:?}, which is longer than {MAX_NAME_BYTES} bytes; give the target \
             a shorter name"
        )));
    }
    Ok(target.with_database(&name))
}

async fn make_copy(target: &Place, copy: &Place) -> Result<(), Failure> {
    drop_copy(target).await?;
    let (copy, original) = (identifier(copy.database()), identifier(target.database()));
    maintain(target, vec![format!("CREATE DATABASE {copy} TEMPLATE {original}")]).await
}

async fn holds(
    place: &Place,
    checks: &[Check],
    progress: Progress,
    failed: &mut Vec<FailedCheck>,
) -> Result<(), Failure> {
    let mut connection = place.connect().await?;
    for check in checks {
        let found = match answer(&mut connection, &check.sql).await {
            Ok(Some(found)) if found == check.expect => {
                progress.event("check", &format!("{}: holds", check.name));
                continue;
            }
            Ok(found) => format!("{:?} instead of {:?}", found.as_deref().unwrap_or("nothing"), check.expect),
            Err(error) => error.to_string(),
        };
        progress.event("check", &format!("{}: {found}", check.name));
        failed.push(FailedCheck { name: check.name.clone(), found });
    }
    Place::close(connection).await;
    Ok(())
}

/// The one value of `sql`, read with the database's own search path.
async fn answer(connection: &mut PgConnection, sql: &str) -> Result<Option<String>, sqlx::Error> {
    let begin = "ROLLBACK; BEGIN READ ONLY; SET LOCAL search_path TO DEFAULT";
    sqlx::raw_sql(begin).execute(&mut *connection).await?;
    let scalar = format!("SELECT ({})::text", sql.trim().trim_end_matches(';'));
    let found = sqlx::query_scalar(AssertSqlSafe(scalar)).fetch_one(&mut *connection).await;
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    found
}
