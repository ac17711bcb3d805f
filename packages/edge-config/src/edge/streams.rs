//! Streams: what ends one besides its client and its backend.

use std::time::Duration;

use super::{Edge, Policy, Route};

/// What ends the open requests of a route, besides their client, their backend and their time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndsWith {
    /// The end of the session, the person's sessions, the tenant or the key, and the expiry of the credential.
    Credential,
    /// The same without the expiry of a token that names a session: its client renews it while the stream is open.
    Session,
    /// Nothing.
    Nothing,
}

impl EndsWith {
    /// The word for it in the edge file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Session => "session",
            Self::Nothing => "nothing",
        }
    }
}

/// The bounds of open streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// The most open streams of one listener: for each worker with the guard as WebAssembly, for all of them with the
    /// native guard. A further one is refused with 503. One caller may hold an eighth of them.
    pub most: u32,
    /// How long a stream lives on while the authorizer cannot judge it.
    pub unjudged: Duration,
}

impl Default for Streams {
    /// 16,384 streams take about 10 MB, and one caller may have 2,048. A minute is longer than the restart of an authorizer or
    /// of its Redis, and shorter than what an outage may add to the life of a session that was ended.
    fn default() -> Self {
        Self { most: 16_384, unjudged: Duration::from_secs(60) }
    }
}

impl Edge {
    /// What ends the open requests of `route`. Where the file does not say it, those of a session policy that may last, as
    /// WebSockets and streams, end with the credential.
    #[must_use]
    pub fn ends_with(&self, route: &Route) -> EndsWith {
        let has_credential = matches!(self.policies.get(&route.policy), Some(Policy::Session(_)));
        match route.ends_with {
            Some(ends_with) => ends_with,
            None if has_credential && (route.websocket || route.stream) => EndsWith::Credential,
            None => EndsWith::Nothing,
        }
    }
}
