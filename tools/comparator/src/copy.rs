//! A copy of a request, and the request that each backend receives.

use edge_config::Edge;
use edge_config::edge::Route;
use identity::headers::SHADOW_ROUTE;
use tokio::time::Instant;

use crate::answer::Line;
use crate::ledger::Period;
use crate::wire::head::{Head, StartLine};

const HOST: &str = "host";
/// Where the edge names the client's host to a backend with a host of its own.
const FORWARDED_HOST: &str = "x-forwarded-host";

/// A copy that can be replayed.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The route of the request.
    pub route: String,
    /// Whether it is `HEAD`; otherwise it is `GET`.
    pub is_head: bool,
    /// The target, as the client sent it.
    pub target: Vec<u8>,
    /// The headers, including the edge's own, in order.
    pub lines: Vec<Line>,
    /// When it came.
    pub received: Instant,
    /// The period of its route in which it is counted; none before it is counted.
    pub period: Period,
}

/// Why a message is not a copy that can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Its method may change something.
    UnsafeMethod,
    /// It names no route, or a route without a shadow in the edge file.
    UnknownRoute,
    /// It is not an HTTP/1 request.
    Malformed,
}

impl Refusal {
    /// Its spelling in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnsafeMethod => "unsafe_method",
            Self::UnknownRoute => "unknown_route",
            Self::Malformed => "malformed",
        }
    }
}

/// Headers that belong to a hop, and those that Envoy adds to a copy (`x-envoy-internal`). The length is removed, too: a
/// replayed request has no body.
fn is_for_this_hop(line: &Line) -> bool {
    const HOP: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        SHADOW_ROUTE,
    ];
    HOP.iter().any(|name| line.is(name)) || line.lower().starts_with("x-envoy-")
}

impl Copy {
    /// Reads a copy from Envoy's message.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn new(head: &Head, received: Instant) -> Result<Self, Refusal> {
        let StartLine::Request { method, target } = &head.start else { return Err(Refusal::Malformed) };
        let is_head = match method.as_slice() {
            b"GET" => false,
            b"HEAD" => true,
            [..] => return Err(Refusal::UnsafeMethod),
        };
        let route = head.lines.iter().find(|line| line.is(SHADOW_ROUTE)).ok_or(Refusal::UnknownRoute)?;
        let route = String::from_utf8(route.value.clone()).map_err(|_| Refusal::UnknownRoute)?;
        let mut lines: Vec<Line> = head.lines.iter().filter(|line| !is_for_this_hop(line)).cloned().collect();
        for line in lines.iter_mut().filter(|line| line.is("x-forwarded-for")) {
            // The edge writes one address; Envoy appends its own to a copy.
            let end = line.value.iter().position(|byte| *byte == b',').unwrap_or(line.value.len());
            line.value.truncate(end);
        }
        Ok(Self { route, is_head, target: target.clone(), lines, received, period: Period::default() })
    }

    /// `GET` or `HEAD`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        if self.is_head { "HEAD" } else { "GET" }
    }

    /// The id of the request, as in the logs: the value of `header`.
    #[must_use]
    pub fn request_id(&self, header: &str) -> String {
        let line = self.lines.iter().find(|line| line.is(header));
        line.map(|line| String::from_utf8_lossy(&line.value).into_owned()).unwrap_or_default()
    }

    /// The header lines for `backend`: the same for every backend, except for each one's own constant headers.
    #[must_use]
    pub fn lines_for(&self, edge: &Edge, backend: &str) -> Vec<Line> {
        let is_constant = |line: &&Line| {
            let name = line.lower();
            edge.backends.values().any(|backend| backend.request_headers.contains_key(&name))
        };
        let backend = edge.backends.get(backend);
        let own = backend.into_iter().flat_map(|backend| &backend.request_headers);
        let own =
            own.map(|(name, value)| Line { name: name.as_bytes().into(), value: value.as_bytes().into() });
        let lines = self.lines.iter().filter(|line| !is_constant(line)).cloned();
        let mut lines: Vec<Line> = lines.chain(own).collect();
        self.name_host(edge, backend.and_then(|backend| backend.host.as_deref()), &mut lines);
        lines
    }

    /// Has `lines` name the `host` of their backend, or the client's where it has none. In a copy, Envoy has named the host of
    /// the backend that answered the client, and that one may have a host of its own.
    fn name_host(&self, edge: &Edge, host: Option<&str>, lines: &mut Vec<Line>) {
        let value = |lines: &[Line], name: &str| {
            lines.iter().find(|line| line.is(name)).map(|line| line.value.clone())
        };
        let Some(named) = value(lines, HOST) else { return };
        let route = edge.routes.iter().find(|route| route.name == self.route);
        let mut of_route =
            route.into_iter().flat_map(Route::backends).filter_map(|name| edge.backends.get(name));
        let is_replaced =
            of_route.any(|backend| backend.host.as_deref().is_some_and(|own| own.as_bytes() == named));
        let forwarded = value(lines, FORWARDED_HOST);
        let client = if is_replaced { forwarded.clone().unwrap_or(named) } else { named };
        let host = host.map(|host| host.as_bytes().to_vec());
        match (&host, &forwarded) {
            (Some(_), None) => lines.push(Line { name: FORWARDED_HOST.into(), value: client.clone() }),
            // The edge added it for the other backend.
            (None, Some(_)) if is_replaced => lines.retain(|line| !line.is(FORWARDED_HOST)),
            (Some(_) | None, _) => {}
        }
        for line in lines.iter_mut().filter(|line| line.is(HOST)) {
            line.value = host.clone().unwrap_or_else(|| client.clone());
        }
    }

    /// The bytes for `backend` on HTTP/1.1.
    #[must_use]
    pub fn bytes_for(&self, edge: &Edge, backend: &str) -> Vec<u8> {
        let mut bytes = [self.method().as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        for line in self.lines_for(edge, backend) {
            bytes.extend([line.name.as_slice(), b": ", &line.value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}

#[cfg(test)]
mod tests;
