//! What a request says, read from its headers in one pass.

use lease::Gathered;

use super::Rules;
use crate::proxies::Lines;
use crate::request_id::{is_id_of_proxy, is_request_id};
use crate::reserved::Fate;
use crate::websocket::Opening;
use crate::{HeaderMap, MalformedHeaders, Removal, RequestId};

impl Rules {
    /// Reads what the rules judge. `trusted` says whether a trusted proxy sent the request.
    pub(super) fn read<'a>(&self, headers: &'a [u8], trusted: bool) -> Result<Request<'a>, MalformedHeaders> {
        let mut request = Request::default();
        for pair in HeaderMap::new(headers).pairs() {
            let (name, value) = pair?;
            if name.first() == Some(&b':') {
                match name {
                    b":method" => request.method.put(value),
                    b":path" => request.target.put(value),
                    b":authority" => request.authority.put(value),
                    b":scheme" => request.scheme = value,
                    // `:protocol` of an extended CONNECT, which no listener allows.
                    _ => {}
                }
            } else if name.eq_ignore_ascii_case(&self.request_id) {
                request.id.values.put(value);
                request.id.last = Some(value);
            } else if let Fate::Goes(rule) = self.reserved.judge(name) {
                if trusted && request.lines.note(name, value) {
                    // It is read, and overwritten.
                    continue;
                }
                match request.removals.iter_mut().find(|removal| removal.name == name) {
                    Some(removal) => removal.lines = removal.lines.saturating_add(1),
                    None => request.removals.push(Removal { name, lines: 1, rule }),
                }
            } else if name == b"x-forwarded-proto" {
                request.lines.proto.put(value);
            } else if name.eq_ignore_ascii_case(b"connection") {
                for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    request.upgrades |= option.eq_ignore_ascii_case(b"upgrade");
                    if option.eq_ignore_ascii_case(&self.request_id) {
                        request.id.nominated = true;
                    } else {
                        request.nominates_reserved |= self.reserved.has(option);
                    }
                }
            } else {
                if let Some(leasing) = &self.leasing {
                    leasing.see(&mut request.gathered, name, value);
                }
                if self.token_entry.is_some() {
                    request.opening.see(name, value);
                }
            }
        }
        Ok(request)
    }
}

/// The findings of one pass over the headers.
#[derive(Default)]
pub(super) struct Request<'a> {
    pub(super) method: Once<'a>,
    pub(super) target: Once<'a>,
    pub(super) authority: Once<'a>,
    pub(super) scheme: &'a [u8],
    pub(super) id: InboundId<'a>,
    pub(super) lines: Lines<'a>,
    pub(super) removals: Vec<Removal<'a>>,
    pub(super) gathered: Gathered<'a>,
    /// What an opening handshake offers; empty where no route takes a token from it.
    pub(super) opening: Opening<'a>,
    /// `Connection` offers another protocol (RFC 9110 §7.8).
    pub(super) upgrades: bool,
    /// `Connection` names a header that only the edge may write: the next hop would drop the edge's own, because Envoy
    /// forwards `Connection` when a connection is upgraded.
    pub(super) nominates_reserved: bool,
}

/// The request ids that a request names.
#[derive(Default)]
pub(super) struct InboundId<'a> {
    values: Once<'a>,
    /// The last value, valid or not.
    last: Option<&'a [u8]>,
    /// `Connection: x-request-id` limits the id to the hop between client and edge (RFC 9110 §7.6.1): it must not be
    /// forwarded, so the backend receives a new one.
    nominated: bool,
}

impl<'a> InboundId<'a> {
    /// The change, and the replaced value. `trusted` says whether a trusted proxy sent the id.
    pub(super) fn settle(&self, trusted: bool) -> (RequestId, Option<&'a [u8]>) {
        let is_kept = |value: &[u8]| is_request_id(value) || (trusted && is_id_of_proxy(value));
        match self.values {
            Once::One(value) if !self.nominated && is_kept(value) => (RequestId::Keep, None),
            Once::One(_) | Once::None | Once::Many => {
                (RequestId::Mint, self.last.filter(|value| !value.is_empty()))
            }
        }
    }
}

/// A header that may occur only once.
#[derive(Clone, Copy, Default)]
pub(super) enum Once<'a> {
    #[default]
    None,
    One(&'a [u8]),
    Many,
}

impl<'a> Once<'a> {
    fn put(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::None => Self::One(value),
            Self::One(_) | Self::Many => Self::Many,
        };
    }
}
