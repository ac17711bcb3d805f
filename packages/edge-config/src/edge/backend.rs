//! A place that requests can go to, and how carefully it is treated.

use std::collections::BTreeMap;
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
