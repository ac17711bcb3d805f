//! A place that requests can go to, and how carefully it is treated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A place that requests can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where it answers; at least one.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// The `aud` of the identities that are signed for it: the backend's name.
    pub audience: String,
    /// How long a TCP connection may take.
    pub connect_timeout: Duration,
    /// How long a request may wait until its answer begins.
    pub request_timeout: Duration,
    /// How long a connection without a request is kept.
    pub idle_timeout: Duration,
    /// How much of it may be used at once.
    pub circuit: Circuit,
    /// When a request is tried again.
    pub retries: Retries,
    /// When an endpoint that fails is left alone.
    pub ejection: Ejection,
    /// How its endpoints are asked whether they are well; absent when they are not asked.
    pub health: Option<Health>,
    /// Constant headers that this backend expects from its edge. Their names are reserved.
    pub request_headers: BTreeMap<String, String>,
    /// Which of its gRPC answers are failures of the backend (`status`, `ramp`).
    pub grpc_errors: GrpcErrors,
    /// Where it sends a caller whom it does not know: a redirect there is a refusal (`agreement`).
    pub sign_in: Vec<SignIn>,
    /// Whether it gets the credentials of people whom the edge has decided about.
    pub credentials: Credentials,
}

/// What becomes of a person's credentials on their way to a backend.
///
/// Credentials of programs (service tokens, assertions, signatures, API keys) reach no backend, whatever is said here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// `authorization` and `cookie` go on as the client sent them.
    #[default]
    Keep,
    /// `authorization` and `cookie` end at the edge where a policy decided by them. A route that anybody may use is left
    /// alone: there, signing in say, they are the backend's own business.
    Remove,
}

/// One address of a backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host name or IP address. A name is looked up again and again, and all of its addresses are used.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What is spoken with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, with the case of header names and the reason phrase kept.
    Http1,
    /// HTTP/2 in the clear, with prior knowledge.
    Http2,
    /// gRPC: HTTP/2, and health is asked by `grpc.health.v1.Health`.
    Grpc,
}

/// How much of a backend may be used at once. Whatever is beyond gets 503 at once: a backend that is this far
/// behind answers no sooner for being asked more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Connections, 1 to 65,535.
    pub connections: u32,
    /// Requests that wait for a connection, 1 to 65,535.
    pub waiting: u32,
    /// Requests on the way, 1 to 65,535.
    pub requests: u32,
}

/// When a request is tried again: only GET, HEAD and OPTIONS, and only when no answer has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often at the most, 0 to 3.
    pub attempts: u32,
    /// How many of the requests on the way may be second tries, in per cent.
    pub budget_percent: u8,
    /// The first pause; each further one is up to twice as long, by chance.
    pub backoff: Duration,
    /// The longest pause.
    pub longest_backoff: Duration,
}

/// When an endpoint that fails is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// After so many failures in a row (no connection, 502, 503, 504); 0 turns it off.
    pub failures: u32,
    /// For how long; each further time for as much longer.
    pub pause: Duration,
    /// How many of the endpoints at the most, in per cent.
    pub most_percent: u8,
}

/// How endpoints are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The path of a GET that a well one answers with 200; for gRPC absent.
    pub path: Option<String>,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// After so many bad answers it is left alone.
    pub unhealthy: u32,
    /// After so many good ones it is used again.
    pub healthy: u32,
}

/// The names of gRPC's statuses; the place in this list is the number.
pub const GRPC_STATUSES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Which statuses of gRPC answers count as failures of a backend, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcErrors(pub BTreeSet<u8>);

impl GrpcErrors {
    /// Whether an answer with this status is a failure.
    #[must_use]
    pub fn contains(&self, status: u64) -> bool {
        u8::try_from(status).is_ok_and(|status| self.0.contains(&status))
    }
}

impl Default for GrpcErrors {
    /// What says that the backend failed, and not that the request was wrong: unknown (2), deadline_exceeded (4),
    /// resource_exhausted (8), internal (13), unavailable (14) and data_loss (15).
    fn default() -> Self {
        Self(BTreeSet::from([2, 4, 8, 13, 14, 15]))
    }
}

/// The beginning of a `Location`: a path, on whatever host, or a whole `http://` or `https://` URL. It takes whole
/// segments: `/login` takes `/login?next=/` and `/login/otp`, and not `/logins`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignIn(pub String);
