//! The way to the sessions and login codes of the legacy backend.

use std::fmt;
use std::time::Duration;

use kit::settings::{Reader, Variable};

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

/// How long one answer of either may take.
pub const LEGACY_TIMEOUT_MS: Variable = Variable {
    name: "LEGACY_TIMEOUT_MS",
    // Both are near. Four answers in a row stay below the ten seconds that a request may take.
    default: Some("1000"),
    help: "Milliseconds that one answer of the legacy backend or its Redis may take, from 10 to 2000",
    secret: false,
};

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

/// Reads the prefix of shared login codes. They are in the Redis of the legacy backend's sessions.
pub(super) fn shared_codes(reader: &mut Reader) -> Option<String> {
    let redis = reader.optional(&LEGACY_SESSIONS_REDIS);
    reader.optional(&LEGACY_CODES_PREFIX).map(|_| {
        reader.checked(&LEGACY_CODES_PREFIX, |_| match redis {
            Some(_) => Ok(()),
            None => Err("set LEGACY_SESSIONS_REDIS, which holds the codes, or unset it".to_owned()),
        })
    })
}

/// Reads how sessions of the legacy backend are exchanged. `check_url` refuses what is not the address of an HTTP server.
pub(super) fn read(reader: &mut Reader, check_url: fn(&str) -> Result<(), String>) -> Option<Legacy> {
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
