//! Reads the settings: command line first, then environment, then default. The environment is an argument, so
//! that a test can supply its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use edge_config::edge::Socket;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::credential::cache;
use crate::identity_headers;
use crate::session::revocations;
use crate::tls::TlsFiles;

/// The port of the port table; loopback, because the admin interface has no access control.
const DEFAULT_ADMIN: &str = "127.0.0.1:9192";

/// Decisions take microseconds and Envoy waits 200 ms for one: a connection that is still open after five
/// seconds is idle.
const DEFAULT_DRAIN_SECONDS: u64 = 5;

/// Decides which callers may pass the edge, and for which tenant, as Envoy's ext_authz v3 service.
///
/// Reads the edge file from which Envoy's configuration is rendered, verifies sessions and services, and
/// answers each check with identity headers or with the refusal that the route's contract defines.
///
/// With REDIS_URL=redis://HOST:PORT in the environment, replicas count limits together, share tenant states,
/// and receive pushed changes and revocations; without it, revocations come from the file that the edge file
/// names. There is no option for it because the address may hold a password.
///
/// Audit events go to logs/audit.jsonl under the home and, when AMQP_URL is set, to the exchange
/// `coder.audit` there. When OTEL_EXPORTER_OTLP_ENDPOINT names a collector (http://HOST:PORT, gRPC), it
/// receives a span for each decision.
///
/// Exit codes: 0 stopped by a signal, 1 an address is in use or the process failed, 2 usage error, 64 invalid
/// configuration.
#[derive(Debug, Parser)]
#[command(name = "authz-service", version)]
struct Arguments {
    /// The edge file [env: EDGE_FILE] [default: envoy/edges/dev.yaml]
    #[arg(long, value_name = "FILE")]
    edge: Option<PathBuf>,

    /// Directory of keys, the tenant directory and revocations, unless the edge file names other places [env:
    /// CUTOVER_HOME] [default: .run]
    #[arg(long, value_name = "DIRECTORY")]
    home: Option<PathBuf>,

    /// Address for checks [env: AUTHZ_ADDRESS] [default: the first address of `authorizer` in the edge file].
    /// Without TLS it must be a loopback address or a Unix socket, `unix:/path`; other machines can connect
    /// with TLS only
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH", value_parser = socket)]
    listen: Option<Socket>,

    /// CA certificates that Envoy's certificate is verified with, PEM. It needs the next two options too; all
    /// three files are read again when they change [env: AUTHZ_TLS_CA]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Certificate chain to present to Envoy, PEM [env: AUTHZ_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,

    /// Private key of that certificate, PEM [env: AUTHZ_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Names; Envoy's certificate must be valid for one of them [env: AUTHZ_TLS_CLIENTS] [default: accept
    /// every certificate that the CA certificates verify]
    #[arg(long, value_name = "NAME,…")]
    tls_clients: Option<String>,

    /// Address for /healthz, /readyz, /metrics and /stats [env: AUTHZ_ADMIN_ADDRESS] [default:
    /// 127.0.0.1:9192]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,

    /// Further host names of the admin interface, besides `localhost` and its address, separated by commas; a
    /// request under another name is answered 421 [env: AUTHZ_ADMIN_HOSTS]
    #[arg(long, value_name = "NAMES")]
    admin_hosts: Option<String>,

    /// Private key that signs identities, Ed25519 in PKCS #8 PEM [env: AUTHZ_IDENTITY_KEY] [default:
    /// keys/identity.pem under the home]
    #[arg(long, value_name = "FILE")]
    identity_key: Option<PathBuf>,

    /// How many verified tokens to cache; one takes about 500 bytes [env: AUTHZ_TOKEN_CACHE] [default:
    /// 100000]
    #[arg(long, value_name = "COUNT")]
    token_cache: Option<NonZeroUsize>,

    /// How many signed identities to cache; one takes about 900 bytes [env: AUTHZ_IDENTITY_CACHE] [default:
    /// 20000]
    #[arg(long, value_name = "COUNT")]
    identity_cache: Option<NonZeroUsize>,

    /// How many revoked sessions to hold, and as many persons and tenants; one takes about 80 bytes. Beyond
    /// that, only the sessions without room are refused [env: AUTHZ_REVOCATIONS] [default: 500000]
    #[arg(long, value_name = "COUNT")]
    revocations: Option<NonZeroUsize>,

    /// Whether to grant leases where a policy has `lease`. `off` grants none and ends every lease within a
    /// second [env: AUTHZ_LEASES] [default: on]
    #[arg(long, value_name = "on|off")]
    leases: Option<OnOff>,

    /// How long to keep answering checks after SIGTERM or SIGINT while health reports NOT_SERVING, so that Envoy goes to
    /// another replica first [env: AUTHZ_NOTICE_SECONDS] [default: 1 with several replicas, else 0]
    #[arg(long, value_name = "SECONDS")]
    notice_seconds: Option<u64>,

    /// How long open checks may take to finish after the notice [env: AUTHZ_DRAIN_SECONDS] [default: 5]
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,

    /// Which log lines to write, as `level` or `module=level,…` [env: RUST_LOG] [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnOff {
    On,
    Off,
}

impl std::str::FromStr for OnOff {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("not `on` or `off`"),
        }
    }
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// An invalid environment variable.
    #[error("{name}={value:?} is not {expected}")]
    Environment {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
    /// An incomplete group of settings.
    #[error(
        "{present} is set and {missing} is not; AUTHZ_TLS_CA, AUTHZ_TLS_CERTIFICATE and AUTHZ_TLS_KEY belong together"
    )]
    Incomplete {
        /// The one that is set.
        present: &'static str,
        /// What is missing.
        missing: &'static str,
    },
}

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Reads `arguments` (the program's name first) and `environment`. An empty variable counts as not set.
    ///
    /// # Errors
    /// [`SettingsError`], naming the option or variable and its value.
    pub fn read<I, A>(arguments: I, environment: Environment<'_>) -> Result<Self, SettingsError>
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString> + Clone,
    {
        let Arguments {
            edge,
            home,
            listen,
            tls_ca,
            tls_certificate,
            tls_key,
            tls_clients,
            admin,
            admin_hosts,
            identity_key,
            token_cache,
            identity_cache,
            revocations,
            leases,
            notice_seconds,
            drain_seconds,
            log,
        } = Arguments::try_parse_from(arguments)?;
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let default_admin = || DEFAULT_ADMIN.parse().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9192)));

        let home = home.or_else(|| path("CUTOVER_HOME")).unwrap_or_else(|| PathBuf::from(".run"));
        let address = "an address and port, such as 127.0.0.1:9191";
        let count = "a whole number above 0";
        let seconds = "a whole number of seconds";
        let listen = match listen {
            Some(listen) => Some(listen),
            None => parsed(
                "AUTHZ_ADDRESS",
                &variable,
                "an address and port, such as 127.0.0.1:9191, or unix:/path",
            )?,
        };
        let tls = tls(
            [
                ("AUTHZ_TLS_CA", tls_ca.or_else(|| path("AUTHZ_TLS_CA"))),
                ("AUTHZ_TLS_CERTIFICATE", tls_certificate.or_else(|| path("AUTHZ_TLS_CERTIFICATE"))),
                ("AUTHZ_TLS_KEY", tls_key.or_else(|| path("AUTHZ_TLS_KEY"))),
            ],
            tls_clients.or_else(|| variable("AUTHZ_TLS_CLIENTS")).as_deref(),
        )?;
        let admin = match admin {
            Some(admin) => admin,
            None => parsed("AUTHZ_ADMIN_ADDRESS", &variable, address)?.unwrap_or_else(default_admin),
        };
        let token_cache = match token_cache {
            Some(count) => Some(count),
            None => parsed::<NonZeroUsize>("AUTHZ_TOKEN_CACHE", &variable, count)?,
        };
        let identity_cache = match identity_cache {
            Some(count) => Some(count),
            None => parsed::<NonZeroUsize>("AUTHZ_IDENTITY_CACHE", &variable, count)?,
        };
        let revocations = match revocations {
            Some(count) => Some(count),
            None => parsed::<NonZeroUsize>("AUTHZ_REVOCATIONS", &variable, count)?,
        };
        let leases = match leases {
            Some(leases) => Some(leases),
            None => parsed("AUTHZ_LEASES", &variable, "on or off")?,
        };
        let notice = match notice_seconds {
            Some(seconds) => Some(seconds),
            None => parsed("AUTHZ_NOTICE_SECONDS", &variable, seconds)?,
        };
        let drain = match drain_seconds {
            Some(seconds) => seconds,
            None => parsed("AUTHZ_DRAIN_SECONDS", &variable, seconds)?.unwrap_or(DEFAULT_DRAIN_SECONDS),
        };
        Ok(Self {
            edge_file: edge
                .or_else(|| path("EDGE_FILE"))
                .unwrap_or_else(|| PathBuf::from("envoy/edges/dev.yaml")),
            listen,
            tls,
            admin,
            admin_hosts: admin_hosts.or_else(|| variable("AUTHZ_ADMIN_HOSTS")).unwrap_or_default(),
            identity_key: identity_key
                .or_else(|| path("AUTHZ_IDENTITY_KEY"))
                .unwrap_or_else(|| home.join("keys/identity.pem")),
            token_cache: token_cache.map_or(cache::DEFAULT_CAPACITY, NonZeroUsize::get),
            identity_cache: identity_cache.map_or(identity_headers::DEFAULT_CAPACITY, NonZeroUsize::get),
            revocations: revocations.map_or(revocations::ROOM, NonZeroUsize::get),
            // A policy without `lease` grants none: the edge file decides where leases are granted.
            leases: leases != Some(OnOff::Off),
            redis: variable("REDIS_URL").map(RedisUrl),
            notice: notice.map(Duration::from_secs),
            drain: Duration::from_secs(drain),
            log: log.or_else(|| variable("RUST_LOG")).unwrap_or_else(|| "info".to_owned()),
            home,
        })
    }
}

fn socket(text: &str) -> Result<Socket, &'static str> {
    text.parse().map_err(|()| "write an address and port, such as 127.0.0.1:9191, or unix:/path")
}

/// All three files, or none.
fn tls(
    files: [(&'static str, Option<PathBuf>); 3],
    clients: Option<&str>,
) -> Result<Option<TlsFiles>, SettingsError> {
    let missing = files.iter().find(|(_, file)| file.is_none()).map(|(name, _)| *name);
    let present = files.iter().find(|(_, file)| file.is_some()).map(|(name, _)| *name);
    let [(_, Some(ca)), (_, Some(certificate)), (_, Some(key))] = files else {
        let present = present.or(clients.is_some().then_some("AUTHZ_TLS_CLIENTS"));
        return match (present, missing) {
            (Some(present), Some(missing)) => Err(SettingsError::Incomplete { present, missing }),
            (None, _) | (Some(_), None) => Ok(None),
        };
    };
    let mut names = Vec::new();
    for name in clients.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty())
    {
        names.push(ServerName::try_from(name.to_owned()).map_err(|_| SettingsError::Environment {
            name: "AUTHZ_TLS_CLIENTS",
            value: name.to_owned(),
            expected: "a DNS name or an IP address",
        })?);
    }
    Ok(Some(TlsFiles { ca, certificate, key, clients: names }))
}

fn parsed<T: std::str::FromStr>(
    name: &'static str,
    variable: &dyn Fn(&str) -> Option<String>,
    expected: &'static str,
) -> Result<Option<T>, SettingsError> {
    let Some(value) = variable(name) else { return Ok(None) };
    match value.parse() {
        Ok(parsed) => Ok(Some(parsed)),
        Err(_) => Err(SettingsError::Environment { name, value, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let environment: std::collections::HashMap<String, String> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let all = std::iter::once("authz-service").chain(arguments.iter().copied());
        Settings::read(all, &|name| environment.get(name).cloned())
    }

    #[test]
    fn defaults_follow_the_port_table() {
        let settings = read(&[], &[]).unwrap();
        assert_eq!(settings.edge_file, PathBuf::from("envoy/edges/dev.yaml"));
        assert_eq!(settings.listen, None);
        assert_eq!(settings.admin.to_string(), "127.0.0.1:9192");
        assert_eq!(settings.identity_key, PathBuf::from(".run/keys/identity.pem"));
        assert_eq!(settings.log, "info");
        assert_eq!(settings.notice, None, "it depends on the edge file");
        assert!(settings.leases);
    }

    #[test]
    fn the_room_for_revocations_can_be_set() {
        assert_eq!(read(&[], &[]).unwrap().revocations, 500_000);
        assert_eq!(read(&[], &[("AUTHZ_REVOCATIONS", "8")]).unwrap().revocations, 8);
        assert_eq!(read(&["--revocations", "9"], &[("AUTHZ_REVOCATIONS", "8")]).unwrap().revocations, 9);
        for wrong in ["0", "-1", "many"] {
            let error = read(&[], &[("AUTHZ_REVOCATIONS", wrong)]).unwrap_err().to_string();
            assert!(error.contains("AUTHZ_REVOCATIONS") && error.contains("above 0"), "{error}");
        }
    }

    #[test]
    fn leases_can_be_switched_off() {
        assert!(!read(&[], &[("AUTHZ_LEASES", "off")]).unwrap().leases);
        assert!(read(&["--leases", "on"], &[("AUTHZ_LEASES", "off")]).unwrap().leases);
        let error = read(&[], &[("AUTHZ_LEASES", "no")]).unwrap_err().to_string();
        assert!(error.contains("AUTHZ_LEASES") && error.contains("on or off"), "{error}");
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        let environment = [("AUTHZ_ADDRESS", "127.0.0.1:1"), ("CUTOVER_HOME", "/a"), ("EDGE_FILE", "e.yaml")];
        let settings = read(&[], &environment).unwrap();
        assert_eq!(settings.listen.unwrap().to_string(), "127.0.0.1:1");
        assert_eq!(settings.identity_key, PathBuf::from("/a/keys/identity.pem"));
        assert_eq!(settings.edge_file, PathBuf::from("e.yaml"));
        let settings = read(&["--listen", "127.0.0.1:2", "--home", "/b"], &environment).unwrap();
        assert_eq!(settings.listen.unwrap().to_string(), "127.0.0.1:2");
        assert_eq!(settings.identity_key, PathBuf::from("/b/keys/identity.pem"));
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = read(&[], &[("AUTHZ_ADMIN_ADDRESS", "nine")]).unwrap_err().to_string();
        assert!(error.contains("AUTHZ_ADMIN_ADDRESS") && error.contains("nine"), "{error}");
        assert!(read(&["--listen", "x"], &[]).is_err());
        assert!(read(&["--token-cache", "0"], &[]).is_err());
        assert!(read(&[], &[("AUTHZ_IDENTITY_CACHE", "0")]).is_err());
        assert!(read(&["--nonsense"], &[]).is_err());
        assert!(read(&[], &[("AUTHZ_ADMIN_ADDRESS", "")]).is_ok(), "empty is unset");
    }

    #[test]
    fn help_names_every_variable() {
        let help = read(&["--help"], &[]).unwrap_err().to_string();
        for name in [
            "EDGE_FILE",
            "CUTOVER_HOME",
            "AUTHZ_ADDRESS",
            "AUTHZ_ADMIN_ADDRESS",
            "AUTHZ_ADMIN_HOSTS",
            "AUTHZ_IDENTITY_KEY",
            "AUTHZ_TOKEN_CACHE",
            "AUTHZ_IDENTITY_CACHE",
            "AUTHZ_LEASES",
            "REDIS_URL",
            "AUTHZ_NOTICE_SECONDS",
            "AUTHZ_DRAIN_SECONDS",
            "AMQP_URL",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "RUST_LOG",
        ] {
            assert!(help.contains(name), "{name} is not in the help");
        }
    }
}
