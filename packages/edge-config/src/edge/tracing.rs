//! Traces: spans of requests for a collector.

use super::{Endpoint, Percent};

/// Where Envoy sends a span of a request, and of which ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// The OpenTelemetry collector: OTLP over gRPC, without TLS, on the same machine or network.
    pub collector: Endpoint,
    /// The share of the traces that begin here of which spans are sent.
    pub sample: Percent,
    /// Whose traces are continued.
    pub trust_incoming: TrustIncoming,
}

/// Whose `traceparent` is continued. Any other is removed, and a trace begins: its sender could decide how much is sampled,
/// and write into the traces of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustIncoming {
    /// No caller's.
    Never,
    /// That of callers on internal listeners: the platform's own services.
    #[default]
    Services,
    /// Every caller's.
    Always,
}

impl TrustIncoming {
    /// The word for it in the edge file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Services => "services",
            Self::Always => "always",
        }
    }
}
