//! The settings of the service, read from its environment.

pub mod mail;
pub mod passkeys;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::generation::Surface;
use kit::settings::{
    CUTOVER_HOME, DATABASE_URL, EDGE_NAME, Faults, Home, RUST_LOG, Reader, SES_KEY, SES_REGION, SES_URL,
    Variable, database_url,
};

use mail::{MAIL_FROM, MAIL_SMTP_URL, SES_FROM, Sender};
use passkeys::{PASSKEY_ORIGINS, PASSKEY_RP_ID, RelyingParty};

/// The address to listen on.
pub const AUTH_ADDRESS: Variable = Variable {
    name: "AUTH_ADDRESS",
    default: Some("127.0.0.1:3021"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The edge's listener for services.
pub const SERVICE_EDGE_URL: Variable = Variable {
    name: "SERVICE_EDGE_URL",
    default: Some("http://127.0.0.1:8081"),
    help: "The edge's listener for services, used to look up accounts",
    secret: false,
};

/// The domain of the cookies.
pub const ROOT_DOMAIN: Variable = Variable {
    name: "ROOT_DOMAIN",
    default: Some("dev-domain.test"),
    help: "Domain of the cookies, without a leading dot (`root_domain` in the edge file)",
    secret: false,
};

/// `iss` of the tokens.
pub const TOKEN_ISSUER: Variable = Variable {
    name: "TOKEN_ISSUER",
    default: Some("https://api.dev-domain.test/auth"),
    help: "Issuer of the tokens (`sessions.issuer` in the edge file)",
    secret: false,
};

/// `aud` of access tokens.
pub const TOKEN_AUDIENCE: Variable = Variable {
    name: "TOKEN_AUDIENCE",
    default: Some("https://api.dev-domain.test"),
    help: "Audience of access tokens (`sessions.audience` in the edge file)",
    secret: false,
};

/// The generation of clients to answer as.
pub const AUTH_SURFACE: Variable = Variable {
    name: "AUTH_SURFACE",
    default: Some("later"),
    help: "Answer as the legacy backend (`older`), or with role and expiry (`later`)",
    secret: false,
};

/// The generation of the cookie lines.
pub const AUTH_COOKIES: Variable = Variable {
    name: "AUTH_COOKIES",
    default: None,
    help: "Set-Cookie lines of contracts/cookies/older.yaml (`older`) or later.yaml (`later`); unset means as \
           AUTH_SURFACE",
    secret: false,
};

/// The legacy backend's Redis, whose sessions are exchanged.
pub const LEGACY_SESSIONS_REDIS: Variable = Variable {
    name: "LEGACY_SESSIONS_REDIS",
    default: None,
    help: "Redis with the signing keys of the legacy backend's sessions, which a refresh exchanges, in the forms of \
           REDIS_URL; unset means that none is exchanged, unless LEGACY_AUTH_URL is set",
    secret: true,
};

/// The names of the keys there.
pub const LEGACY_SESSIONS_PREFIX: Variable = Variable {
    name: "LEGACY_SESSIONS_PREFIX",
    default: None,
    help: "Text before a session's id in the names of those keys (`key_prefix` in the edge file); unset means none",
    secret: false,
};

/// The names of the legacy backend's login codes.
pub const LEGACY_CODES_PREFIX: Variable = Variable {
    name: "LEGACY_CODES_PREFIX",
    default: None,
    help: "Text before ADDRESS:CODE in the names of login codes in LEGACY_SESSIONS_REDIS, such as `authcode:`, to \
           share the codes with the legacy backend while sign-in moves; unset means that they are not shared",
    secret: false,
};

/// The legacy backend itself, when its Redis cannot be reached.
pub const LEGACY_AUTH_URL: Variable = Variable {
    name: "LEGACY_AUTH_URL",
    default: None,
    help: "The legacy backend (not the edge), such as http://127.0.0.1:3000, whose sessions a refresh exchanges \
           through its own /auth/token; instead of LEGACY_SESSIONS_REDIS",
    secret: false,
};

/// The form of new sessions.
pub const AUTH_SESSIONS: Variable = Variable {
    name: "AUTH_SESSIONS",
    default: Some("own"),
    help: "Begin and refresh sessions with this service's own tokens (`own`), or as sessions of the legacy backend in \
           LEGACY_SESSIONS_REDIS (`legacy`), which it accepts by itself, so that every route can go back to it",
    secret: false,
};

/// How long one answer of either may take.
pub const LEGACY_TIMEOUT_MS: Variable = Variable {
    name: "LEGACY_TIMEOUT_MS",
    // Both are near. Four answers in a row stay below the ten seconds that a request may take.
    default: Some("1000"),
    help: "Milliseconds that one answer of the legacy backend or its Redis may take, from 10 to 2000",
    secret: false,
};

/// The longest duration of a sign-in, however often it is refreshed.
pub const SESSION_MAX_DAYS: Variable = Variable {
    name: "SESSION_MAX_DAYS",
    // NIST SP 800-63B (AAL1): a person proves who they are again at least once in 30 days.
    default: Some("30"),
    help: "Days after which a person must sign in again, however often the session is refreshed",
    secret: false,
};

/// The Redis that receives revocations.
pub const REDIS_URL: Variable = Variable {
    name: "REDIS_URL",
    default: None,
    help: "Redis that reports ended sessions to the edge: redis://HOST:PORT, redis+sentinel://HOST:PORT,…/NAME or \
           redis+cluster://HOST:PORT,… (docs/stores.md); unset means the file sessions/revoked.jsonl",
    secret: true,
};

/// The edge file, which lists the services that can get tokens.
pub const EDGE_FILE: Variable = Variable {
    name: "EDGE_FILE",
    default: None,
    help: "The edge file, whose services can get tokens here; unset means that no service can",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[
    AUTH_ADDRESS,
    SERVICE_EDGE_URL,
    ROOT_DOMAIN,
    TOKEN_ISSUER,
    TOKEN_AUDIENCE,
    AUTH_SURFACE,
    AUTH_COOKIES,
    SESSION_MAX_DAYS,
    MAIL_SMTP_URL,
    MAIL_FROM,
    SES_FROM,
    SES_KEY,
    SES_REGION,
    SES_URL,
    PASSKEY_RP_ID,
    PASSKEY_ORIGINS,
    LEGACY_SESSIONS_REDIS,
    LEGACY_SESSIONS_PREFIX,
    LEGACY_CODES_PREFIX,
    LEGACY_AUTH_URL,
    AUTH_SESSIONS,
    LEGACY_TIMEOUT_MS,
    EDGE_FILE,
    CUTOVER_HOME,
    DATABASE_URL,
    REDIS_URL,
    EDGE_NAME,
    RUST_LOG,
];

/// The form of sessions that begin or are refreshed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionForm {
    /// Tokens of this service, which only this service and the edge verify.
    #[default]
    Own,
    /// Sessions of the legacy backend, in its Redis.
    Legacy,
}

/// How sessions of the legacy backend are exchanged.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// The way to them.
    pub way: LegacyWay,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// The way to the legacy backend's sessions.
#[derive(Clone)]
pub enum LegacyWay {
    /// Its Redis.
    Redis {
        /// Its address. May contain a password.
        url: String,
        /// The text before a session's id in the name of its key.
        prefix: String,
    },
    /// Its own endpoint.
    Endpoint {
        /// The base URL; no trailing slash.
        url: String,
    },
}

impl fmt::Debug for LegacyWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis { url: _, prefix } => {
                f.debug_struct("Redis").field("prefix", prefix).finish_non_exhaustive()
            }
            Self::Endpoint { url } => f.debug_struct("Endpoint").field("url", url).finish(),
        }
    }
}

/// The validated settings.
#[derive(Clone)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Base URL for account lookups; no trailing slash.
    pub service_edge_url: String,
    /// The domain of the cookies.
    pub root_domain: String,
    /// `iss` of the tokens, and `aud` of refresh tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// The generation of clients to answer as.
    pub surface: Surface,
    /// The generation of the cookie lines.
    pub cookies: Surface,
    /// The longest duration of a sign-in, however often it is refreshed.
    pub session_max_age: Duration,
    /// What mails the login codes, if not files.
    pub mail: Option<Sender>,
    /// Where passkeys are valid.
    pub passkeys: RelyingParty,
    /// How sessions of the legacy backend are exchanged, if they are.
    pub legacy: Option<Legacy>,
    /// The form of sessions that begin or are refreshed here.
    pub sessions: SessionForm,
    /// The prefix of login codes that are shared with the legacy backend, if they are.
    pub shared_codes: Option<String>,
    /// The directory of keys, mail, revocations and the embedded database.
    pub home: Home,
    /// PostgreSQL, if not embedded. Contains a password.
    pub database_url: Option<String>,
    /// Redis, if not the file. May contain a password.
    pub redis_url: Option<String>,
    /// The edge file, when service tokens are issued.
    pub edge_file: Option<PathBuf>,
    /// The name of the edge. This service trusts its signature, and the edge trusts this service's.
    pub edge: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("service_edge_url", &self.service_edge_url)
            .field("root_domain", &self.root_domain)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("surface", &self.surface)
            .field("cookies", &self.cookies)
            .field("session_max_age", &self.session_max_age)
            .field("mail", &self.mail)
            .field("passkeys", &self.passkeys)
            .field("legacy", &self.legacy)
            .field("sessions", &self.sessions)
            .field("shared_codes", &self.shared_codes)
            .field("home", &self.home)
            .field("database_url", &self.database_url.as_ref().map(|_| "[redacted]"))
            .field("redis_url", &self.redis_url.as_ref().map(|_| "[redacted]"))
            .field("edge_file", &self.edge_file)
            .field("edge", &self.edge)
            .finish()
    }
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let surface = reader.parsed(&AUTH_SURFACE).unwrap_or_default();
        let root_domain = reader.checked(&ROOT_DOMAIN, check_domain);
        let settings = Self {
            address: reader.address(&AUTH_ADDRESS),
            service_edge_url: reader.checked(&SERVICE_EDGE_URL, check_url).trim_end_matches('/').to_owned(),
            mail: mail::read(&mut reader),
            passkeys: RelyingParty::read(&mut reader, &root_domain),
            root_domain,
            issuer: reader.text(&TOKEN_ISSUER),
            audience: reader.text(&TOKEN_AUDIENCE),
            surface,
            cookies: reader.parsed(&AUTH_COOKIES).unwrap_or(surface),
            session_max_age: days(&reader.checked(&SESSION_MAX_DAYS, check_days)),
            legacy: legacy(&mut reader),
            sessions: form(&mut reader),
            shared_codes: shared_codes(&mut reader),
            home: Home(reader.path(&CUTOVER_HOME)),
            database_url: database_url(&mut reader),
            redis_url: reader.optional(&REDIS_URL),
            edge_file: reader.optional(&EDGE_FILE).map(PathBuf::from),
            edge: reader.text(&EDGE_NAME),
        };
        reader.finish(settings)
    }
}

/// Reads the prefix of shared login codes. They are in the Redis of the legacy backend's sessions.
fn shared_codes(reader: &mut Reader) -> Option<String> {
    let redis = reader.optional(&LEGACY_SESSIONS_REDIS);
    reader.optional(&LEGACY_CODES_PREFIX).map(|_| {
        reader.checked(&LEGACY_CODES_PREFIX, |_| match redis {
            Some(_) => Ok(()),
            None => Err("set LEGACY_SESSIONS_REDIS, which holds the codes, or unset it".to_owned()),
        })
    })
}

/// Reads the form of sessions. Those of the legacy backend need its Redis.
fn form(reader: &mut Reader) -> SessionForm {
    let has_redis = reader.optional(&LEGACY_SESSIONS_REDIS).is_some();
    let read = |text: &str| match (text, has_redis) {
        ("own", _) => Ok(SessionForm::Own),
        ("legacy", true) => Ok(SessionForm::Legacy),
        ("legacy", false) => {
            Err("set LEGACY_SESSIONS_REDIS, where such sessions begin, or write `own`".to_owned())
        }
        _ => Err("write `own` or `legacy` (sessions that the legacy backend accepts by itself)".to_owned()),
    };
    reader.parsed_by(&AUTH_SESSIONS, read).unwrap_or_default()
}

/// Reads how sessions of the legacy backend are exchanged.
fn legacy(reader: &mut Reader) -> Option<Legacy> {
    let redis = reader.optional(&LEGACY_SESSIONS_REDIS);
    let millis = reader.checked(&LEGACY_TIMEOUT_MS, check_millis);
    // A value that is not a number has already been reported.
    let timeout = Duration::from_millis(millis.parse().unwrap_or(*MILLIS.end()));
    let is_other_way = redis.is_some();
    let endpoint = reader.optional(&LEGACY_AUTH_URL).map(|_| {
        let check = |text: &str| {
            if is_other_way {
                return Err("unset it, or unset LEGACY_SESSIONS_REDIS: one way is enough".to_owned());
            }
            check_url(text)
        };
        reader.checked(&LEGACY_AUTH_URL, check).trim_end_matches('/').to_owned()
    });
    let way = match (redis, endpoint) {
        (Some(url), _) => {
            let prefix = reader.optional(&LEGACY_SESSIONS_PREFIX).unwrap_or_default();
            LegacyWay::Redis { url, prefix }
        }
        (None, Some(url)) => LegacyWay::Endpoint { url },
        (None, None) => return None,
    };
    Some(Legacy { way, timeout })
}

/// A shorter time is less than a busy machine needs; with a longer one an exchange could exceed the ten seconds
/// of a request.
const MILLIS: std::ops::RangeInclusive<u64> = 10..=2_000;

fn check_millis(text: &str) -> Result<(), String> {
    let millis = text.parse::<u64>().ok().filter(|millis| MILLIS.contains(millis));
    millis
        .map(|_| ())
        .ok_or_else(|| format!("write a whole number from {} to {}", MILLIS.start(), MILLIS.end()))
}

/// A refresh token lives for seven days, so a shorter sign-in would end before its own token. Ten years are
/// as good as no limit.
const DAYS: std::ops::RangeInclusive<u64> = 7..=3_650;

fn days(text: &str) -> Duration {
    // A value that is not a number has already been reported.
    Duration::from_secs(text.parse::<u64>().unwrap_or(*DAYS.end()).saturating_mul(86_400))
}

fn check_days(text: &str) -> Result<(), String> {
    let days = text.parse::<u64>().ok().filter(|days| DAYS.contains(days));
    days.map(|_| ()).ok_or_else(|| format!("write a whole number from {} to {}", DAYS.start(), DAYS.end()))
}

fn check_url(text: &str) -> Result<(), String> {
    let has_host = reqwest::Url::parse(text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none()
    });
    if has_host { Ok(()) } else { Err("write a URL, such as http://127.0.0.1:8081".to_owned()) }
}

/// The domain is copied into `Set-Cookie` unchanged, where `;` would begin another attribute.
fn check_domain(text: &str) -> Result<(), String> {
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if letters && !text.starts_with('.') {
        Ok(())
    } else {
        Err("write a domain name without a leading dot, such as dev-domain.test".to_owned())
    }
}
