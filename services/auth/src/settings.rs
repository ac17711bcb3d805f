//! The settings of the service, read from its environment.

pub mod bounds;
pub mod legacy;
pub mod mail;
pub mod passkeys;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::generation::Surface;
use kit::peer::{SERVICE_EDGE_URL, service_edge_url};
use kit::settings::{
    CUTOVER_HOME, DATABASE_URL, EDGE_NAME, Faults, Home, RUST_LOG, Reader, SES_KEY, SES_REGION, SES_URL,
    Variable, database_url,
};
use kit::startup::About;

pub use bounds::{Bounds, CODES_PER_HOUR, SESSION_REFRESH_BURST, SESSIONS_PER_PERSON};
pub use legacy::{
    LEGACY_AUTH_URL, LEGACY_CODES_PREFIX, LEGACY_SESSIONS_PREFIX, LEGACY_SESSIONS_REDIS, LEGACY_TIMEOUT_MS,
    Legacy, LegacyWay,
};
use mail::{MAIL_FROM, MAIL_SMTP_CA, MAIL_SMTP_URL, SES_FROM, Sender};
use passkeys::{PASSKEY_ORIGINS, PASSKEY_RP_ID, RelyingParty};

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About =
    About { name: "auth", purpose: "Login codes, sessions and their cookies.", variables: VARIABLES };

/// The address to listen on.
pub const AUTH_ADDRESS: Variable = Variable {
    name: "AUTH_ADDRESS",
    default: Some("127.0.0.1:3021"),
    help: "Listen address; port 0 means any free port",
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

/// The form of new sessions.
pub const AUTH_SESSIONS: Variable = Variable {
    name: "AUTH_SESSIONS",
    default: Some("own"),
    help: "Begin and refresh sessions with this service's own tokens (`own`), or as sessions of the legacy backend in \
           LEGACY_SESSIONS_REDIS (`legacy`), which it accepts by itself, so that every route can go back to it",
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
    SESSION_REFRESH_BURST,
    SESSIONS_PER_PERSON,
    CODES_PER_HOUR,
    MAIL_SMTP_URL,
    MAIL_SMTP_CA,
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
    /// How much one person or one address can use.
    pub bounds: Bounds,
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
            .field("bounds", &self.bounds)
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
            service_edge_url: service_edge_url(&mut reader),
            mail: mail::read(&mut reader),
            passkeys: RelyingParty::read(&mut reader, &root_domain),
            root_domain,
            issuer: reader.text(&TOKEN_ISSUER),
            audience: reader.text(&TOKEN_AUDIENCE),
            surface,
            cookies: reader.parsed(&AUTH_COOKIES).unwrap_or(surface),
            session_max_age: days(&reader.checked(&SESSION_MAX_DAYS, check_days)),
            bounds: Bounds::read(&mut reader),
            legacy: legacy::read(&mut reader, check_url),
            sessions: form(&mut reader),
            shared_codes: legacy::shared_codes(&mut reader),
            home: Home(reader.path(&CUTOVER_HOME)),
            database_url: database_url(&mut reader),
            redis_url: reader.optional(&REDIS_URL),
            edge_file: reader.optional(&EDGE_FILE).map(PathBuf::from),
            edge: reader.text(&EDGE_NAME),
        };
        reader.finish(settings)
    }
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
