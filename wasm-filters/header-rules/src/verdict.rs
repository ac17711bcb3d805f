//! The guard's verdict on a request.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Candidate, MovedToken, Reader};

/// The verdict on one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum GuardVerdict<'a> {
    /// It continues, after these edits.
    Forward(Edits<'a>),
    /// The guard answers the request itself.
    Refuse(Refusal<'a>),
    /// It is a browser's question about a page of a listed origin, and ends here with its answer.
    Answer(Preflight<'a>),
}

/// Changes to the headers of a request that continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits<'a> {
    /// Headers to remove: each distinct spelling once, with the number of its lines.
    pub removals: Vec<Removal<'a>>,
    /// The change to the request id.
    pub request_id: RequestId,
    /// The id that the client sent, where another one replaces it.
    pub replaced_id: Option<&'a [u8]>,
    /// The client, on a listener with trusted proxies.
    pub arrival: Option<Arrival<'a>>,
    /// The value for `x-forwarded-for` where it has another one. Absent when the route writes it.
    pub forwarded_for: Option<IpAddr>,
    /// The client's scheme, where `x-forwarded-proto` or `:scheme` has another one.
    pub scheme: Option<&'static str>,
    /// The token that the page of a WebSocket offers as a protocol, moved to where programs send it. Such a request has no
    /// lease: the headers by which it would be found are not those that the client sent.
    pub token: Option<MovedToken>,
    /// The key of a lease for it; absent when the request has to be checked.
    pub lease: Option<Candidate<'a>>,
    /// The page of another origin that may read the answer.
    pub reader: Option<Reader>,
    /// Whether a person opens a page, where the policy sends people without a session to a sign-in page.
    pub navigates: bool,
}

/// The client of a request, on a listener with trusted proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its address.
    pub address: IpAddr,
    /// Whether a trusted proxy sent the request.
    pub trusted: bool,
    /// Whether the client's connection, to the first proxy that is known, is encrypted.
    pub https: bool,
    /// The value for `x-forwarded-host`: the host that the client named, where a trusted proxy says so and it is passed on.
    pub host: Option<Cow<'a, [u8]>>,
}

/// One header to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal<'a> {
    /// The name as written in the request.
    pub name: &'a [u8],
    /// The number of its lines.
    pub lines: u32,
    /// The rule that reserves it.
    pub rule: RuleIndex,
}

/// An index into [`Rules::reserved_rules`](crate::Rules::reserved_rules).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleIndex(pub(crate) u16);

impl RuleIndex {
    /// The index as a number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The change to the request id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestId {
    /// The client sent one valid id: leave it, byte for byte.
    Keep,
    /// Replace any value with a new id.
    #[default]
    Mint,
}

/// The refusal of a request by the guard. What it knows of the request is for the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The reason.
    pub reason: Reason,
    /// The change to the request id.
    pub request_id: RequestId,
    /// The id that the client sent, where another one replaces it.
    pub replaced_id: Option<&'a [u8]>,
    /// The client's address, on a listener with trusted proxies.
    pub client: Option<IpAddr>,
    /// The client's scheme, where `x-forwarded-proto` has another one: Envoy reads it when it makes the answer.
    pub scheme: Option<&'static str>,
    /// The page of another origin that may read the refusal.
    pub reader: Option<Reader>,
}

/// The answer to a preflight (Fetch standard, "CORS-preflight fetch"): [`Self::STATUS`], without a body. The rest is for the
/// access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight<'a> {
    /// Its headers.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The change to the request id.
    pub request_id: RequestId,
    /// The id that the client sent, where another one replaces it.
    pub replaced_id: Option<&'a [u8]>,
    /// The client's address, on a listener with trusted proxies.
    pub client: Option<IpAddr>,
    /// The client's scheme, where `x-forwarded-proto` has another one: Envoy reads it when it makes the answer.
    pub scheme: Option<&'static str>,
}

impl Preflight<'_> {
    /// The status: there is no body.
    pub const STATUS: u16 = 204;
    /// Its name in Envoy's response code details.
    pub const DETAILS: &'static str = "edge_guard_preflight";
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Some reading of the path is closed on this listener.
    InternalPath,
    /// Some reading of the path has another policy than the path as sent.
    AmbiguousPath,
    /// The path has bytes that no honest client sends: control bytes, `#`, `%00`, overlong UTF-8, no leading `/`.
    MalformedPath,
    /// The path has too many readings to judge them all.
    ConvolutedPath,
    /// The authority is not one host name with an optional port.
    MalformedHost,
    /// `Connection` names a header that only the edge may write: the next hop would remove it.
    NominatedHeader,
    /// A page of another site caused it.
    CrossSite,
    /// A preflight for a page of an origin that is not listed.
    CorsOrigin,
    /// A WebSocket offers two tokens as protocols, one beside `Authorization`, or a malformed one.
    WebsocketToken,
    /// A WebSocket offers a token and no other protocol: the edge may not choose the token, and a browser accepts no answer
    /// without a choice.
    WebsocketTokenAlone,
    /// HTTP/1.0, on a listener that refuses it.
    OldVersion,
    /// The host's header buffer cannot be read, or lacks a method, path or authority, or has one twice.
    MalformedHeaders,
}

impl Reason {
    /// Every reason, in the order of their indices.
    pub const ALL: [Self; 12] = [
        Self::InternalPath,
        Self::AmbiguousPath,
        Self::MalformedPath,
        Self::ConvolutedPath,
        Self::MalformedHost,
        Self::NominatedHeader,
        Self::CrossSite,
        Self::CorsOrigin,
        Self::WebsocketToken,
        Self::WebsocketTokenAlone,
        Self::OldVersion,
        Self::MalformedHeaders,
    ];

    /// The index in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Stable name: the end of the counter's name and, after `edge_guard_`, Envoy's response code details.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InternalPath => "internal_path",
            Self::AmbiguousPath => "ambiguous_path",
            Self::MalformedPath => "malformed_path",
            Self::ConvolutedPath => "convoluted_path",
            Self::MalformedHost => "malformed_host",
            Self::NominatedHeader => "nominated_header",
            Self::CrossSite => "cross_site",
            Self::CorsOrigin => "cors_origin",
            Self::WebsocketToken => "websocket_token",
            Self::WebsocketTokenAlone => "websocket_token_alone",
            Self::OldVersion => "low_version",
            Self::MalformedHeaders => "malformed_headers",
        }
    }

    /// The HTTP status of the answer. An internal path does not exist from outside, hence 404.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InternalPath => 404,
            Self::CrossSite | Self::CorsOrigin => 403,
            Self::OldVersion => 426,
            Self::AmbiguousPath
            | Self::MalformedPath
            | Self::ConvolutedPath
            | Self::MalformedHost
            | Self::NominatedHeader
            | Self::WebsocketToken
            | Self::WebsocketTokenAlone
            | Self::MalformedHeaders => 400,
        }
    }

    /// The body of the answer, where Envoy has no wording of the route. It does not name the rule, which is in the access
    /// log.
    #[must_use]
    pub const fn body(self) -> &'static str {
        match self {
            Self::InternalPath => "Not found",
            Self::CrossSite | Self::CorsOrigin => "Permission denied",
            Self::OldVersion => "Upgrade Required",
            Self::AmbiguousPath
            | Self::MalformedPath
            | Self::ConvolutedPath
            | Self::MalformedHost
            | Self::NominatedHeader
            | Self::WebsocketToken
            | Self::WebsocketTokenAlone
            | Self::MalformedHeaders => "Bad request",
        }
    }

    /// The headers of the answer: a 426 names the protocol that the client has to use (RFC 9110 §15.5.22), and `Upgrade`
    /// goes with `Connection: upgrade` (§7.8).
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OldVersion => &[("connection", "upgrade"), ("upgrade", "HTTP/1.1")],
            // A cache must not use it for a page of another origin.
            Self::CorsOrigin => &[("vary", "Origin")],
            Self::InternalPath
            | Self::AmbiguousPath
            | Self::MalformedPath
            | Self::ConvolutedPath
            | Self::MalformedHost
            | Self::NominatedHeader
            | Self::CrossSite
            | Self::WebsocketToken
            | Self::WebsocketTokenAlone
            | Self::MalformedHeaders => &[],
        }
    }
}
