//! The two databases of a move.
//!
//! A password is never an argument: other users of the machine can read the arguments of a process. An address on the
//! command line therefore has none, and the password comes from the file that `PGPASSFILE` names (or `~/.pgpass`). An address
//! in the environment may have one, and the programs of PostgreSQL get it in their own environment.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::process::Command;
use url::Url;

use crate::failure::Failure;

/// How long a server may take to accept a connection, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Every session writes values in the same form, whatever its server or role prefers, so that equal rows have equal
/// texts. An empty search path makes the catalogue write each name with its schema. Without row security a query of a
/// table whose policies hide rows from this user is an error, instead of a comparison of the rows that are left.
const SESSION: &str = "SET search_path = ''; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; \
                       SET extra_float_digits = 3; SET bytea_output = 'hex'; SET timezone = 'UTC'; \
                       SET lc_monetary = 'C'; SET statement_timeout = 0; SET lock_timeout = 0; \
                       SET row_security = off; SET client_min_messages = warning";

/// libpq reads these, and each of them could lead a program to another server than the address names.
const MISLEADING: &[&str] =
    &["PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGOPTIONS", "PGTARGETSESSIONATTRS"];

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The database that is moved.
    Source,
    /// The database that it is moved to.
    Target,
}

impl Side {
    /// The flag for its address, and the variable that is read without the flag.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Source => ("--source", "DB_MIGRATE_SOURCE"),
            Self::Target => ("--target", "DB_MIGRATE_TARGET"),
        }
    }
}

/// A database and the way to it. `Debug` and `Display` show neither user nor password.
#[derive(Clone)]
pub struct Place {
    options: PgConnectOptions,
    variables: Vec<(&'static str, String)>,
    shown: String,
    database: String,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.shown)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Place {
    /// Reads the address of `side`: `flag`, or else the variable of the side, which `environment` returns.
    ///
    /// # Errors
    /// [`Failure::Invalid`] for a missing or invalid address, and for a password in the flag.
    pub fn read(
        side: Side,
        flag: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let (name, variable) = side.names();
        if let Some(address) = flag {
            let place = Self::parse(address, name)?;
            if place.variables.iter().any(|(variable, _)| *variable == "PGPASSWORD") {
                return Err(Failure::Invalid(format!(
                    "{name} contains a password, which other users of this machine can read; leave it out and write it \
                     into the file of PGPASSFILE, or set {variable} instead of {name}"
                )));
            }
            return Ok(place);
        }
        let address = environment(variable).filter(|value| !value.is_empty()).ok_or_else(|| {
            Failure::Invalid(format!(
                "name the database: {name} postgres://USER@HOST:5432/DATABASE, or set {variable}"
            ))
        })?;
        Self::parse(&address, variable)
    }

    fn parse(address: &str, name: &str) -> Result<Self, Failure> {
        let invalid = |what: &str| {
            Failure::Invalid(format!(
                "{name}: {what}; write postgres://USER@HOST:5432/DATABASE?sslmode=verify-full"
            ))
        };
        let url = Url::parse(address).map_err(|_| invalid("invalid address"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(invalid("the address has to begin with postgres://"));
        }
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
            text.ok().filter(|text| !text.contains('\0')).ok_or_else(|| invalid("the address is not UTF-8"))
        };
        let database = decoded(url.path().trim_start_matches('/'))?;
        if database.is_empty() {
            return Err(invalid("the address names no database"));
        }
        let mut variables = vec![("PGDATABASE", database.clone()), ("PGAPPNAME", "db-migrate".to_owned())];
        let mut host = url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
        if !url.username().is_empty() {
            variables.push(("PGUSER", decoded(url.username())?));
        }
        if let Some(password) = url.password() {
            variables.push(("PGPASSWORD", decoded(password)?));
        }
        for (parameter, value) in url.query_pairs() {
            let value = value.into_owned();
            match parameter.as_ref() {
                // A directory: the socket of this machine.
                "host" if value.starts_with('/') => host = Some(value),
                "sslmode" => variables.push(("PGSSLMODE", value)),
                "sslrootcert" => variables.push(("PGSSLROOTCERT", value)),
                "sslcert" => variables.push(("PGSSLCERT", value)),
                "sslkey" => variables.push(("PGSSLKEY", value)),
                _ => {
                    return Err(invalid(&format!(
                        "the parameter `{parameter}` is not supported; supported are host (a directory), sslmode, \
                         sslrootcert, sslcert and sslkey"
                    )));
                }
            }
        }
        let host =
            host.filter(|host| !host.is_empty()).ok_or_else(|| invalid("the address names no host"))?;
        let port = url.port().unwrap_or(5432);
        let options: PgConnectOptions = address.parse().map_err(|_| invalid("invalid address or sslmode"))?;
        let shown = format!("{host}:{port}/{database}");
        variables.extend([("PGHOST", host), ("PGPORT", port.to_string())]);
        Ok(Self { options: options.application_name("db-migrate"), variables, shown, database })
    }

    /// Returns the name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns the same server with another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let mut other = self.clone();
        other.options = other.options.database(database);
        other.shown = self.shown.replacen(&format!("/{}", self.database), &format!("/{database}"), 1);
        database.clone_into(&mut other.database);
        for (name, value) in &mut other.variables {
            if *name == "PGDATABASE" {
                database.clone_into(value);
            }
        }
        other
    }

    /// Opens a session that writes values in the same form on every server.
    ///
    /// # Errors
    /// [`Failure::Database`].
    pub async fn connect(&self) -> Result<PgConnection, Failure> {
        let options = self.options.clone().disable_statement_logging();
        let open = async {
            let mut connection = options.connect().await?;
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, open).await {
            Ok(opened) => opened.map_err(|source| self.failed(source)),
            Err(_) => Err(Failure::Program(format!("{self}: no answer in {CONNECT_TIMEOUT:?}"))),
        }
    }

    /// Closes a session. The work is done, so an error while it closes changes nothing.
    pub async fn close(connection: PgConnection) {
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, connection.close()).await;
    }

    /// Turns an error of the library into a failure that names this database.
    #[must_use]
    pub fn failed(&self, source: sqlx::Error) -> Failure {
        Failure::Database { place: self.shown.clone(), source }
    }

    /// Leads a program of PostgreSQL to this database by its environment.
    pub fn lead(&self, program: &mut Command) {
        for name in MISLEADING {
            program.env_remove(name);
        }
        program.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Returns the address for the programs of services (`DATABASE_URL`), with the password if the address has one.
    #[must_use]
    pub fn service_address(&self) -> String {
        let get = |name: &str| self.variables.iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        let encoded = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut address = "postgres://".to_owned();
        if let Some(user) = get("PGUSER") {
            address.push_str(&encoded(user));
            if let Some(password) = get("PGPASSWORD") {
                address.push(':');
                address.push_str(&encoded(password));
            }
            address.push('@');
        }
        let (host, port) =
            (get("PGHOST").map_or("", String::as_str), get("PGPORT").map_or("", String::as_str));
        let mut parameters = Vec::new();
        if host.starts_with('/') {
            parameters.push(format!("host={}", encoded(host)));
            address.push_str(&format!("localhost:{port}"));
        } else if host.contains(':') {
            address.push_str(&format!("[{host}]:{port}"));
        } else {
            address.push_str(&format!("{host}:{port}"));
        }
        address.push('/');
        address.push_str(&encoded(&self.database));
        for (variable, parameter) in [
            ("PGSSLMODE", "sslmode"),
            ("PGSSLROOTCERT", "sslrootcert"),
            ("PGSSLCERT", "sslcert"),
            ("PGSSLKEY", "sslkey"),
        ] {
            parameters.extend(get(variable).map(|value| format!("{parameter}={}", encoded(value))));
        }
        if !parameters.is_empty() {
            address.push('?');
            address.push_str(&parameters.join("&"));
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_come_from_the_environment_and_not_from_an_argument() {
        let address = "postgres://me:s3%40cret@db.test:5433/app";
        let refused = Place::read(Side::Source, Some(address), |_| None).unwrap_err().to_string();
        assert!(refused.contains("PGPASSFILE") && !refused.contains("s3"), "{refused}");
        let place = Place::read(Side::Source, None, |name| {
            assert_eq!(name, "DB_MIGRATE_SOURCE");
            Some(address.to_owned())
        })
        .unwrap();
        assert_eq!(place.to_string(), "db.test:5433/app");
        assert_eq!(format!("{place:?}"), "Place(db.test:5433/app)");
        assert_eq!(place.service_address(), "postgres://me:s3%40cret@db.test:5433/app");
        let copy = place.with_database("app copy");
        assert_eq!(copy.to_string(), "db.test:5433/app copy");
        assert_eq!(copy.service_address(), "postgres://me:s3%40cret@db.test:5433/app%20copy");
    }

    #[test]
    fn an_invalid_address_names_the_fix_and_never_the_password() {
        for (address, text) in [
            ("mysql://u:s3cret@h/d", "postgres://"),
            ("postgres://u:s3cret@h/", "names no database"),
            ("postgres://u:s3cret@h/d?channel_binding=require", "channel_binding"),
            ("postgres:///d", "names no host"),
        ] {
            let refused = Place::read(Side::Target, None, |_| Some(address.to_owned())).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains(text) && !refused.contains("s3cret"), "{refused}");
        }
        let missing = Place::read(Side::Target, None, |_| None).unwrap_err().to_string();
        assert!(missing.contains("DB_MIGRATE_TARGET"), "{missing}");
    }
}
