//! The address of a PostgreSQL, as `DATABASE_URL` gives it: the form that libpq reads
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>), with one or several servers.
//!
//! A parameter that is not supported is refused and not ignored: it may ask for protection (`channel_binding=require`).
//!
//! | `sslmode` | then |
//! |---|---|
//! | `disable` | in the clear |
//! | absent, `allow`, `prefer` | TLS if the server has it, without a check of its certificate |
//! | `require` without `sslrootcert` | TLS, without a check of the server's certificate, as libpq does it |
//! | `require` with `sslrootcert`, `verify-ca`, `verify-full` | TLS; the certificate comes from a CA of `sslrootcert` and has the name of the host |
//!
//! The name is always compared, also for `verify-ca`: the library trusts the public CAs besides those of `sslrootcert`, so
//! without the name any public certificate would do.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use secret_file::MAX_KEY_BYTES;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// More servers than this is surely a mistake; each costs a try at every failover.
const MAX_SERVERS: usize = 8;

/// A bundle of all public CAs has 200 KB.
const MAX_CA_BYTES: u64 = 4 * 1024 * 1024;

/// The file for `sslrootcert=system`: Debian's bundle of the CAs that the machine trusts.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The parameters that this program or its library understands.
const SUPPORTED: &str = "application_name, dbname, host, options, password, password_file, port, sslcert, sslkey, sslmode, \
                         sslrootcert, target_session_attrs, user";

/// The servers, in the order of the address, and how each is entered. `Debug` shows no password.
#[derive(Clone)]
pub(super) struct Address {
    /// At least one.
    pub(super) servers: Vec<PgConnectOptions>,
    /// Whether only a server that takes writes is used.
    pub(super) primary_only: bool,
}

/// An address that cannot be used. The message is the fix, and contains no password.
#[derive(Debug, thiserror::Error)]
pub enum UnusableAddress {
    /// Not an address of PostgreSQL.
    #[error("write an address of PostgreSQL, such as postgres://USER:PASSWORD@HOST:5432/DATABASE")]
    Form,
    /// Too many servers.
    #[error("name at most {MAX_SERVERS} servers")]
    TooMany,
    /// A parameter that is not supported.
    #[error("the parameter `{0}` is not supported; supported are {SUPPORTED}")]
    Parameter(String),
    /// Several hosts in `host` or `port`.
    #[error(
        "write several servers before the database: postgres://USER:PASSWORD@HOST:5432,HOST:5432/DATABASE"
    )]
    List,
    /// An unknown `sslmode`.
    #[error("sslmode={0:?} is not valid; write disable, allow, prefer, require, verify-ca or verify-full")]
    Mode(String),
    /// A check without anything to check with.
    #[error("sslmode={0} needs sslrootcert=FILE, or sslrootcert=system for the CAs that the machine trusts")]
    NoAuthority(String),
    /// CA certificates that are never used.
    #[error(
        "sslmode={0} does not check the server's certificate; sslrootcert=system needs sslmode=verify-full"
    )]
    Unverified(String),
    /// A certificate without its key, or a key without its certificate.
    #[error("sslcert and sslkey belong together")]
    Pair,
    /// Another kind of server.
    #[error(
        "target_session_attrs={0:?} is not supported: the services write; write read-write, or leave it out"
    )]
    Target(String),
    /// The password is given twice.
    #[error("the password is in the address and in password_file; leave one out")]
    TwoPasswords,
    /// A file that cannot be used.
    #[error("{0}")]
    File(String),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Address {
    /// The hosts and ports, without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, server) in self.servers.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}", name(server))?;
        }
        Ok(())
    }
}

/// The host and port of `server`, for messages.
pub(super) fn name(server: &PgConnectOptions) -> String {
    match server.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", server.get_host(), server.get_port()),
    }
}

/// Without a host the library chooses the directory of the machine's own socket.
fn is_socket(server: &PgConnectOptions) -> bool {
    server.get_socket().is_some() || server.get_host().starts_with('/')
}

impl Address {
    /// Reads an address. `environment` is asked for libpq's own variables, which the library reads besides. The files must be
    /// there and usable, so that a mistake is found at the start.
    pub(super) fn parse(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, UnusableAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(UnusableAddress::Form)?;
        if !matches!(scheme, "postgres" | "postgresql") || rest.contains('#') {
            return Err(UnusableAddress::Form);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > MAX_SERVERS {
            return Err(UnusableAddress::TooMany);
        }
        if hosts.len() > 1 && hosts.iter().any(|host| host.is_empty()) {
            return Err(UnusableAddress::Form);
        }
        let own = Parameters::read(query)?;
        let tls = Tls::read(&own, environment)?;
        let password = own.password(login)?;
        let mut servers = Vec::with_capacity(hosts.len());
        for host in &hosts {
            let at = if login.is_empty() { "" } else { "@" };
            let one = format!("postgres://{login}{at}{host}/{database}?{}", own.others);
            let server: PgConnectOptions = one.parse().map_err(|_| UnusableAddress::Form)?;
            let server = tls.on(server);
            servers.push(match &password {
                Some(password) => server.password(password),
                None => server,
            });
        }
        let primary_only = hosts.len() > 1 || own.primary_only;
        Ok(Self { servers, primary_only })
    }
}

/// The parameters behind `?`.
#[derive(Default)]
struct Parameters {
    mode: Option<String>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    password_file: Option<PathBuf>,
    has_password: bool,
    primary_only: bool,
    /// Those that the library reads, encoded.
    others: String,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, UnusableAddress> {
        let mut read = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, encoded) = pair.split_once('=').ok_or(UnusableAddress::Form)?;
            let value = percent_decode_str(encoded).decode_utf8().map_err(|_| UnusableAddress::Form)?;
            let value = value.into_owned();
            match name {
                "sslmode" => read.mode = Some(value),
                "sslrootcert" => read.root = Some(value),
                "sslcert" => read.certificate = Some(value),
                "sslkey" => read.key = Some(value),
                "password_file" => read.password_file = Some(PathBuf::from(value)),
                "target_session_attrs" => match value.as_str() {
                    "read-write" | "primary" => read.primary_only = true,
                    _ => return Err(UnusableAddress::Target(value)),
                },
                "host" | "port" if value.contains(',') => return Err(UnusableAddress::List),
                "application_name" | "dbname" | "host" | "options" | "password" | "port" | "user" => {
                    read.has_password |= name == "password";
                    read.others.push_str(pair);
                    read.others.push('&');
                }
                _ => return Err(UnusableAddress::Parameter(name.to_owned())),
            }
        }
        Ok(read)
    }

    /// The password in the file, if one is named. One line break at its end is not part of it.
    fn password(&self, login: &str) -> Result<Option<String>, UnusableAddress> {
        let Some(file) = &self.password_file else { return Ok(None) };
        if self.has_password || login.contains(':') {
            return Err(UnusableAddress::TwoPasswords);
        }
        let secret =
            secret_file::read(file, MAX_KEY_BYTES).map_err(|e| UnusableAddress::File(e.to_string()))?;
        let text = secret.as_text().ok().map(|text| text.trim_end_matches(['\r', '\n']));
        match text.filter(|text| !text.is_empty() && !text.contains(char::is_control)) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(UnusableAddress::File(format!(
                "{}: write the password on one line, as UTF-8",
                file.display()
            ))),
        }
    }
}

/// How a server is checked, and what it is shown.
struct Tls {
    mode: PgSslMode,
    root: Option<PathBuf>,
    pair: Option<(String, String)>,
}

impl Tls {
    fn read(own: &Parameters, environment: impl Fn(&str) -> Option<String>) -> Result<Self, UnusableAddress> {
        let or = |own: &Option<String>, variable: &str| own.clone().or_else(|| environment(variable));
        let root = or(&own.root, "PGSSLROOTCERT");
        let is_system = root.as_deref() == Some("system");
        let written = or(&own.mode, "PGSSLMODE");
        let written = written.unwrap_or_else(|| if is_system { "verify-full" } else { "prefer" }.to_owned());
        let mode = match (written.as_str(), &root) {
            ("disable" | "allow" | "prefer" | "require", _) if is_system => {
                return Err(UnusableAddress::Unverified(written));
            }
            ("disable", _) => PgSslMode::Disable,
            // libpq tries without TLS first for `allow`. With TLS first nothing is lost.
            ("allow" | "prefer", _) => PgSslMode::Prefer,
            ("require", None) => PgSslMode::Require,
            ("verify-ca" | "verify-full", None) => return Err(UnusableAddress::NoAuthority(written)),
            ("require" | "verify-ca" | "verify-full", Some(_)) => PgSslMode::VerifyFull,
            _ => return Err(UnusableAddress::Mode(written)),
        };
        let root = root.map(|root| PathBuf::from(if is_system { SYSTEM_CAS } else { &root }));
        if let (PgSslMode::VerifyFull, Some(root)) = (mode, &root) {
            check_authorities(root)?;
        }
        let pair = match (or(&own.certificate, "PGSSLCERT"), or(&own.key, "PGSSLKEY")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                secret_file::read(Path::new(&key), MAX_KEY_BYTES)
                    .map_err(|error| UnusableAddress::File(error.to_string()))?;
                Some((certificate, key))
            }
            _ => return Err(UnusableAddress::Pair),
        };
        Ok(Self { mode, root, pair })
    }

    fn on(&self, server: PgConnectOptions) -> PgConnectOptions {
        // A Unix socket has no TLS, as in libpq.
        if is_socket(&server) {
            return server.ssl_mode(PgSslMode::Disable);
        }
        let mut server = server.ssl_mode(self.mode);
        if let Some(root) = &self.root {
            server = server.ssl_root_cert(root);
        }
        match &self.pair {
            Some((certificate, key)) => server.ssl_client_cert(certificate).ssl_client_key(key),
            None => server,
        }
    }
}

/// The library skips a file without certificates, and trusts the public CAs alone.
fn check_authorities(path: &Path) -> Result<(), UnusableAddress> {
    let unusable =
        |what: &dyn fmt::Display| UnusableAddress::File(format!("sslrootcert {}: {what}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| unusable(&error))?.len();
    if length > MAX_CA_BYTES {
        return Err(unusable(&format!(
            "it has more than {MAX_CA_BYTES} bytes; is it a file of CA certificates?"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(()),
        false => Err(unusable(&"it contains no certificate in PEM; write the CA certificates into it")),
    }
}

#[cfg(test)]
mod tests;
