//! The limits of the wire: how large heads may be, and how long the parts of a message may take.

use std::time::Duration;

/// The limits of one listener for what clients send. Changing one replaces the listener's filter chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireLimits {
    /// The most header lines of a request; more are refused with 431.
    pub headers: u32,
    /// The longest head of a request, in KiB, 1 to 8,192; a longer one is refused with 431.
    pub header_kib: u32,
    /// How long the head of a request may take; 408.
    pub header_timeout: Duration,
    /// How long a whole request may take, with its body; 408.
    pub request_timeout: Duration,
    /// How long a request and its answer may be silent, both ways; a route may say otherwise.
    pub idle_timeout: Duration,
    /// How long a connection is kept without a request.
    pub connection_idle_timeout: Duration,
    /// How long a connection is used. Its last requests are finished.
    pub connection_age: Duration,
    /// The most requests at one time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            // No client is known to send half of it.
            headers: 100,
            // A token of 16 KiB, twice, beside the cookies of a browser (4 KiB each).
            header_kib: 60,
            // It ends slow attackers early; a phone on a bad line needs two.
            header_timeout: Duration::from_secs(10),
            // An upload of 20 MB on a slow line takes four minutes.
            request_timeout: Duration::from_mins(5),
            // Longer than any answer but a stream is silent.
            idle_timeout: Duration::from_mins(5),
            // A minute more than browsers keep an idle connection.
            connection_idle_timeout: Duration::from_mins(3),
            // Clients reconnect, and an old connection does not delay a new version of the edge for longer.
            connection_age: Duration::from_hours(24),
            // The least that RFC 9113 §6.5.2 recommends.
            streams: 100,
        }
    }
}

/// The longest head of an answer, and its most lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerHeads {
    /// The most header lines.
    pub headers: u32,
    /// The longest head, in KiB, 1 to 8,192.
    pub header_kib: u32,
}

impl Default for AnswerHeads {
    /// Envoy's own limits (100 lines, 60 KiB) turn an answer that a legacy backend has always given, such as one with many
    /// `Set-Cookie`, into a 502.
    fn default() -> Self {
        Self { headers: 1_000, header_kib: 256 }
    }
}

/// What a route says instead of its backends and its listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimes {
    /// How long an answer may take to begin; absent where its backends decide.
    pub timeout: Option<Duration>,
    /// How long a request and its answer may be silent, both ways; absent where the listener decides.
    pub idle_timeout: Option<Duration>,
}
