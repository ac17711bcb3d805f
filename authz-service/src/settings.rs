//! Reads the settings: command line first, then environment, then default. The environment is an argument, so
//! that a test can supply its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use edge_config::edge::Socket;
use settings::{Faults, Flag, Program, Reader, Variable};
use tokio_rustls::rustls::pki_types::ServerName;

use crate::credential::cache;
use crate::identity_headers;
use crate::observe::audit::broker::Address;
use crate::observe::spans;
use crate::session::revocations;
use crate::tls::TlsFiles;

/// The port of the port table; loopback, because the admin interface has no access control.
const DEFAULT_ADMIN: &str = "127.0.0.1:9192";

/// Decisions take microseconds and Envoy waits 200 ms for one: a connection that is still open after five
/// seconds is idle.
const DEFAULT_DRAIN_SECONDS: &str = "5";

const ABOUT: &str =
    "Decides which callers may pass the edge, and for which tenant, as Envoy's ext_authz v3 service.

Reads the edge file from which Envoy's configuration is rendered, verifies sessions and services, and
answers each check with identity headers or with the refusal that the route's contract defines.

With REDIS_URL in the environment (one server, sentinels or a cluster), replicas count limits together, share tenant states,
and receive pushed changes and revocations; without it, revocations come from the file that the edge file
names.

Audit events go to logs/audit.jsonl under the home and, when AMQP_URL is set, to the exchange
`coder.audit` there. When OTEL_EXPORTER_OTLP_ENDPOINT names a collector (http://HOST:PORT, gRPC), it
receives a span for each decision.

Exit codes: 0 stopped by a signal, 1 an address is in use or the process failed, 2 usage error, 64 invalid
configuration.";

const EDGE_FILE: Variable = flagged("EDGE_FILE", Some("envoy/edges/dev.yaml"), "The edge file");
const CUTOVER_HOME: Variable = flagged(
    "CUTOVER_HOME",
    Some(".run"),
    "Directory of keys, the tenant directory and revocations, unless the edge file names other places",
);
const AUTHZ_ADDRESS: Variable = flagged(
    "AUTHZ_ADDRESS",
    None,
    "Address for checks; unset means the first address of `authorizer` in the edge file. Without \
     TLS it must be a loopback address or a Unix socket, `unix:/path`; other machines can connect \
     with TLS only",
);
const AUTHZ_TLS_CA: Variable = flagged(
    "AUTHZ_TLS_CA",
    None,
    "CA certificates that Envoy's certificate is verified with, PEM. It needs the next two \
     options too; all three files are read again when they change",
);
const AUTHZ_TLS_CERTIFICATE: Variable =
    flagged("AUTHZ_TLS_CERTIFICATE", None, "Certificate chain to present to Envoy, PEM");
const AUTHZ_TLS_KEY: Variable = flagged("AUTHZ_TLS_KEY", None, "Private key of that certificate, PEM");
const AUTHZ_TLS_CLIENTS: Variable = flagged(
    "AUTHZ_TLS_CLIENTS",
    None,
    "Names; Envoy's certificate must be valid for one of them. Unset means every certificate that \
     the CA certificates verify",
);
const AUTHZ_ADMIN_ADDRESS: Variable =
    flagged("AUTHZ_ADMIN_ADDRESS", Some(DEFAULT_ADMIN), "Address for /healthz, /readyz, /metrics and /stats");
const AUTHZ_ADMIN_HOSTS: Variable = flagged(
    "AUTHZ_ADMIN_HOSTS",
    None,
    "Further host names of the admin interface, besides `localhost` and its address, separated by \
     commas; a request under another name is answered 421",
);
const AUTHZ_IDENTITY_KEY: Variable = flagged(
    "AUTHZ_IDENTITY_KEY",
    None,
    "Private key that signs identities, Ed25519 in PKCS #8 PEM; unset means keys/identity.pem \
     under the home",
);
const AUTHZ_TOKEN_CACHE: Variable = flagged(
    "AUTHZ_TOKEN_CACHE",
    None,
    "How many verified tokens to cache; one takes about 500 bytes. Unset means 100000",
);
const AUTHZ_IDENTITY_CACHE: Variable = flagged(
    "AUTHZ_IDENTITY_CACHE",
    None,
    "How many signed identities to cache; one takes about 900 bytes. Unset means 20000",
);
const AUTHZ_REVOCATIONS: Variable = flagged(
    "AUTHZ_REVOCATIONS",
    None,
    "How many revoked sessions to hold, and as many persons and tenants; one takes about 80 \
     bytes. Beyond that, only the sessions without room are refused. Unset means 500000",
);
const AUTHZ_LEASES: Variable = flagged(
    "AUTHZ_LEASES",
    Some("on"),
    "Whether to grant leases where a policy has `lease`. `off` grants none and ends every lease \
     within a second",
);
const AUTHZ_NOTICE_SECONDS: Variable = flagged(
    "AUTHZ_NOTICE_SECONDS",
    None,
    "How long to keep answering checks after SIGTERM or SIGINT while health reports NOT_SERVING, \
     so that Envoy goes to another replica first. Unset means 1 with several replicas, else 0",
);
const AUTHZ_DRAIN_SECONDS: Variable = flagged(
    "AUTHZ_DRAIN_SECONDS",
    Some(DEFAULT_DRAIN_SECONDS),
    "How long open checks may take to finish after the notice",
);
const RUST_LOG: Variable =
    flagged("RUST_LOG", Some("info"), "Which log lines to write, as `level` or `module=level,…`");
const REDIS_URL: Variable = secret(
    "REDIS_URL",
    "The Redis that replicas share: redis://HOST:PORT, redis+sentinel://HOST:PORT,…/NAME or \
     redis+cluster://HOST:PORT,… (rediss with TLS; docs/stores.md); unset means that each replica \
     works alone",
);
const AMQP_URL: Variable = secret(
    "AMQP_URL",
    "The RabbitMQ that gets the audit, as amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps with TLS; \
     `ca`, `certificate`, `key` and `password_file` behind `?` name files; several hosts with commas; \
     unset means the file only",
);
const COLLECTOR: Variable = secret(
    spans::ENDPOINT,
    "The collector of spans, as http://HOST:PORT (OTLP over gRPC); unset means that no spans are sent",
);

/// Every setting, in the order of `--help`.
const VARIABLES: &[Variable] = &[
    EDGE_FILE,
    CUTOVER_HOME,
    AUTHZ_ADDRESS,
    AUTHZ_TLS_CA,
    AUTHZ_TLS_CERTIFICATE,
    AUTHZ_TLS_KEY,
    AUTHZ_TLS_CLIENTS,
    AUTHZ_ADMIN_ADDRESS,
    AUTHZ_ADMIN_HOSTS,
    AUTHZ_IDENTITY_KEY,
    AUTHZ_TOKEN_CACHE,
    AUTHZ_IDENTITY_CACHE,
    AUTHZ_REVOCATIONS,
    AUTHZ_LEASES,
    AUTHZ_NOTICE_SECONDS,
    AUTHZ_DRAIN_SECONDS,
    RUST_LOG,
    REDIS_URL,
    AMQP_URL,
    COLLECTOR,
];

/// The flags of the settings. They are older than the common rule for names, and shorter.
const FLAGS: &[Flag] = &[
    flag(EDGE_FILE, "edge", "FILE"),
    flag(CUTOVER_HOME, "home", "DIRECTORY"),
    flag(AUTHZ_ADDRESS, "listen", "ADDRESS:PORT|unix:PATH"),
    flag(AUTHZ_TLS_CA, "tls-ca", "FILE"),
    flag(AUTHZ_TLS_CERTIFICATE, "tls-certificate", "FILE"),
    flag(AUTHZ_TLS_KEY, "tls-key", "FILE"),
    flag(AUTHZ_TLS_CLIENTS, "tls-clients", "NAME,…"),
    flag(AUTHZ_ADMIN_ADDRESS, "admin", "ADDRESS:PORT"),
    flag(AUTHZ_ADMIN_HOSTS, "admin-hosts", "NAMES"),
    flag(AUTHZ_IDENTITY_KEY, "identity-key", "FILE"),
    flag(AUTHZ_TOKEN_CACHE, "token-cache", "COUNT"),
    flag(AUTHZ_IDENTITY_CACHE, "identity-cache", "COUNT"),
    flag(AUTHZ_REVOCATIONS, "revocations", "COUNT"),
    flag(AUTHZ_LEASES, "leases", "on|off"),
    flag(AUTHZ_NOTICE_SECONDS, "notice-seconds", "SECONDS"),
    flag(AUTHZ_DRAIN_SECONDS, "drain-seconds", "SECONDS"),
    flag(RUST_LOG, "log", "FILTER"),
];

const fn flagged(name: &'static str, default: Option<&'static str>, help: &'static str) -> Variable {
    Variable { name, default, help, secret: false }
}

const fn secret(name: &'static str, help: &'static str) -> Variable {
    Variable { name, default: None, help, secret: true }
}

const fn flag(variable: Variable, long: &'static str, value: &'static str) -> Flag {
    Flag { variable: variable.name, long, value }
}

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The edge file.
    pub edge_file: PathBuf,
    /// The directory for files of a run.
    pub home: PathBuf,
    /// The address for checks; absent means the one in the edge file.
    pub listen: Option<Socket>,
    /// The TLS files; absent means without TLS, on this machine only.
    pub tls: Option<TlsFiles>,
    /// The address of the admin interface.
    pub admin: SocketAddr,
    /// Further host names of the admin interface, separated by commas.
    pub admin_hosts: String,
    /// The key that signs identities.
    pub identity_key: PathBuf,
    /// The capacity of the token cache.
    pub token_cache: usize,
    /// The capacity of the identity cache.
    pub identity_cache: usize,
    /// The room for revoked sessions.
    pub revocations: usize,
    /// Whether leases are granted.
    pub leases: bool,
    /// The Redis that replicas share; absent means that each replica works alone.
    pub redis: Option<RedisUrl>,
    /// How long checks are still answered while health reports NOT_SERVING; absent means that it depends on
    /// whether another replica can answer them.
    pub notice: Option<Duration>,
    /// How long open checks may take to finish.
    pub drain: Duration,
    /// The filter of log lines.
    pub log: String,
    /// The broker that gets the audit; absent means that the audit goes to its file only.
    pub broker: Option<Address>,
    /// The collector that gets spans.
    pub collector: Option<String>,
}

/// `REDIS_URL`, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(pub String);

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisUrl([redacted])")
    }
}

/// Invalid settings, or a request for help.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The output of the command line parser, including `--help` and `--version`.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// Invalid values, all of them.
    #[error(transparent)]
    Values(#[from] Faults),
}

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Reads `arguments` (the program's name first) and `environment`. An empty variable counts as not set.
    ///
    /// # Errors
    /// [`SettingsError`], naming each option or variable and its value.
    pub fn read<I, A>(arguments: I, environment: Environment<'_>) -> Result<Self, SettingsError>
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString> + Clone,
    {
        let program = Program { name: "authz-service", about: ABOUT, variables: VARIABLES, flags: FLAGS };
        let mut reader = Reader::from_command_line(program, arguments, environment)?;
        let home = reader.path(&CUTOVER_HOME);
        let count = |reader: &mut Reader, variable, default| {
            let count: Option<NonZeroUsize> = reader.parsed_as(variable, "write a whole number above 0");
            count.map_or(default, NonZeroUsize::get)
        };
        let seconds = |reader: &mut Reader, variable| {
            reader.parsed_as(variable, "write a whole number of seconds").map(Duration::from_secs)
        };
        let settings = Self {
            edge_file: reader.path(&EDGE_FILE),
            listen: reader.parsed_by(&AUTHZ_ADDRESS, |text| {
                text.parse().map_err(|()| {
                    "write an address and a port, such as 127.0.0.1:9191, or unix:/path".to_owned()
                })
            }),
            tls: tls(&mut reader),
            admin: reader.address(&AUTHZ_ADMIN_ADDRESS),
            admin_hosts: reader.optional(&AUTHZ_ADMIN_HOSTS).unwrap_or_default(),
            identity_key: reader
                .optional(&AUTHZ_IDENTITY_KEY)
                .map_or_else(|| home.join("keys/identity.pem"), PathBuf::from),
            token_cache: count(&mut reader, &AUTHZ_TOKEN_CACHE, cache::DEFAULT_CAPACITY),
            identity_cache: count(&mut reader, &AUTHZ_IDENTITY_CACHE, identity_headers::DEFAULT_CAPACITY),
            revocations: count(&mut reader, &AUTHZ_REVOCATIONS, revocations::ROOM),
            // A policy without `lease` grants none: the edge file decides where leases are granted.
            leases: reader.parsed_by(&AUTHZ_LEASES, on_or_off).unwrap_or(true),
            redis: reader.optional(&REDIS_URL).map(RedisUrl),
            notice: seconds(&mut reader, &AUTHZ_NOTICE_SECONDS),
            drain: seconds(&mut reader, &AUTHZ_DRAIN_SECONDS).unwrap_or_default(),
            log: reader.text(&RUST_LOG),
            broker: reader.parsed_by(&AMQP_URL, |url| Address::parse(url).map_err(|error| error.to_string())),
            collector: reader.optional(&COLLECTOR),
            home,
        };
        Ok(reader.finish(settings)?)
    }
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".to_owned()),
    }
}

/// All three files, or none.
fn tls(reader: &mut Reader) -> Option<TlsFiles> {
    let files = [&AUTHZ_TLS_CA, &AUTHZ_TLS_CERTIFICATE, &AUTHZ_TLS_KEY]
        .map(|variable| (variable.name, reader.optional(variable).map(PathBuf::from)));
    let clients = reader.parsed_by(&AUTHZ_TLS_CLIENTS, names);
    let missing = files.iter().find(|(_, file)| file.is_none()).map(|(name, _)| *name);
    let present = files.iter().find(|(_, file)| file.is_some()).map(|(name, _)| *name);
    let [(_, Some(ca)), (_, Some(certificate)), (_, Some(key))] = files else {
        let present = present.or(clients.map(|_| AUTHZ_TLS_CLIENTS.name));
        if let (Some(present), Some(missing)) = (present, missing) {
            reader.incomplete(format!(
                "{present} is set and {missing} is not; AUTHZ_TLS_CA, AUTHZ_TLS_CERTIFICATE and AUTHZ_TLS_KEY \
                 belong together"
            ));
        }
        return None;
    };
    Some(TlsFiles { ca, certificate, key, clients: clients.unwrap_or_default() })
}

fn names(text: &str) -> Result<Vec<ServerName<'static>>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            ServerName::try_from(name.to_owned())
                .map_err(|_| format!("`{name}` must be a DNS name or an IP address"))
        })
        .collect()
}

#[cfg(test)]
mod tests;
