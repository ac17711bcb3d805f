//! A backend, and the limits on its use.

mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use tls::{BackendTls, ClientCertificate};

use super::AnswerHeads;

/// A destination of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its addresses; at least one.
    pub endpoints: Vec<Endpoint>,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// How its certificate is verified; absent where it is reached in the clear.
    pub tls: Option<BackendTls>,
    /// The host that its requests name instead of the client's, with its port where it is not the default one; the client's is
    /// in `x-forwarded-host` then. Absent where the client's host passes.
    pub host: Option<String>,
    /// The `aud` of the identities that are signed for it: its name, or that of the backend at the same addresses that it names.
    pub audience: String,
    /// How long a TCP connection may take.
    pub connect_timeout: Duration,
    /// How long a request may wait until its answer begins.
    pub request_timeout: Duration,
    /// How long a connection without a request is kept.
    pub idle_timeout: Duration,
    /// How much load it may receive at once.
    pub circuit: Circuit,
    /// When a request is retried.
    pub retries: Retries,
    /// When a failing endpoint is ejected.
    pub ejection: Ejection,
    /// How the health of its endpoints is checked; absent when it is not checked.
    pub health: Option<Health>,
    /// Constant headers that this backend expects from its edge. Their names are reserved.
    pub request_headers: BTreeMap<String, String>,
    /// The gRPC statuses that are failures of the backend (`status`, `ramp`).
    pub grpc_errors: GrpcErrors,
    /// The pages to which it redirects an unknown caller: a redirect there is a refusal (`agreement`).
    pub sign_in: Vec<SignIn>,
    /// Whether it receives the credentials of people whose requests the edge has decided.
    pub credentials: Credentials,
    /// How large the head of an answer may be.
    pub answer: AnswerHeads,
}

/// Whether a person's credentials reach a backend.
///
/// Credentials of programs (service tokens, assertions, signatures, API keys) never reach a backend, whatever this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// `authorization` and `cookie` are forwarded as the client sent them.
    #[default]
    Keep,
    /// The edge removes `authorization` and `cookie` where a policy decided by them. Public routes are exempt: there, for
    /// example at a sign-in, credentials are the backend's own matter.
    Remove,
}

/// One address of a backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The host name or IP address. A name is resolved again and again, and all of its addresses are used.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The protocol of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, with the case of header names and the reason phrase kept.
    Http1,
    /// HTTP/2: in the clear with prior knowledge, over TLS by ALPN.
    Http2,
    /// Over TLS only: HTTP/2 where the backend agrees to it in the handshake (ALPN), otherwise HTTP/1.1.
    Auto,
    /// gRPC: HTTP/2, with health checks by `grpc.health.v1.Health`.
    Grpc,
}

/// How much load a backend may receive at once. Further requests get 503 at once: more requests do not make an overloaded
/// backend answer sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// The most connections, 1 to 65,535.
    pub connections: u32,
    /// The most requests that wait for a connection, 1 to 65,535.
    pub waiting: u32,
    /// The most requests in progress, 1 to 65,535.
    pub requests: u32,
}

/// When a request is retried: only GET, HEAD and OPTIONS, and only when no answer has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// The most retries of a request, 0 to 3.
    pub attempts: u32,
    /// The most retries among the requests in progress, in percent.
    pub budget_percent: u8,
    /// The first pause; each further one is up to twice as long, at random.
    pub backoff: Duration,
    /// The longest pause.
    pub longest_backoff: Duration,
}

/// When a failing endpoint gets no requests for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// The number of failures in a row (no connection, 502, 503, 504) that ejects an endpoint; 0 turns ejection off.
    pub failures: u32,
    /// How long an ejection lasts; each further one lasts longer by this time.
    pub pause: Duration,
    /// The most ejected endpoints, in percent of all.
    pub most_percent: u8,
}

/// How the health of endpoints is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The path of a GET that a healthy endpoint answers with 200; absent for gRPC.
    pub path: Option<String>,
    /// The time between two checks.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The number of failed checks after which an endpoint gets no requests.
    pub unhealthy: u32,
    /// The number of good checks after which it gets requests again.
    pub healthy: u32,
}

/// The names of the gRPC statuses; the index in this list is the number.
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

/// The gRPC statuses that count as failures of a backend, by number.
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
    /// The statuses for a failed backend, as opposed to a wrong request: unknown (2), deadline_exceeded (4),
    /// resource_exhausted (8), internal (13), unavailable (14) and data_loss (15).
    fn default() -> Self {
        Self(BTreeSet::from([2, 4, 8, 13, 14, 15]))
    }
}

/// The beginning of a `Location`: a path on any host, or a whole `http://` or `https://` URL. It matches whole segments:
/// `/login` matches `/login?next=/` and `/login/otp`, but not `/logins`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignIn(pub String);
