//! `PROGRAM migrate`: brings the tables up to date and ends. A service does so at every start, too; the command is for a
//! database that the service does not serve yet, such as the copy on which `db-migrate` tries the migrations.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use sea_orm::DatabaseConnection;

use crate::answer::Chain;
use crate::settings::{CUTOVER_HOME, DATABASE_URL, Home, Reader, database_url};
use crate::startup::{About, StartError};
use crate::store::{self, StoreError};

/// Serves the command `PROGRAM migrate`. Returns `None` for every other command line.
pub async fn command(
    arguments: &[OsString],
    about: About,
    migrate: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), StoreError>,
) -> Option<ExitCode> {
    if arguments.get(1)? != "migrate" {
        return None;
    }
    if arguments.len() > 2 {
        complain(about, &"`migrate` takes no further arguments; the database is DATABASE_URL");
        return Some(ExitCode::from(2));
    }
    Some(match run(about, migrate).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(about, &Chain(&error));
            ExitCode::from(error.exit_code())
        }
    })
}

async fn run(
    about: About,
    migrate: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), StoreError>,
) -> Result<(), StartError> {
    secret_file::restrict_new_files();
    let mut reader = Reader::new(&[CUTOVER_HOME, DATABASE_URL], |name| std::env::var(name).ok());
    let home = Home(reader.path(&CUTOVER_HOME));
    let url = database_url(&mut reader);
    let url = reader.finish(url)?;
    let database = store::open(url.as_deref(), &home.database(about.name)).await?;
    Ok(migrate(&database).await?)
}

/// A closed standard error changes nothing: the exit code says what happened.
fn complain(about: About, what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}: {what}", about.name);
}
