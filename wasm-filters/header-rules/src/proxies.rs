//! Finds the client of a request behind trusted proxies.
//!
//! Each proxy adds the address of its own peer at the right end of a header. So the header is read from the right, from the
//! connection's peer on: as long as an address is a trusted proxy's, its word about the next one counts. The client is the
//! first address that is not a trusted proxy's, or the last one that is known. Nothing to the left of it is ever read: a
//! client can write there what it likes.
//!
//! ```text
//! X-Forwarded-For: 10.9.9.9, 198.51.100.7, 10.0.0.2      peer 10.0.0.1      trusted 10.0.0.0/8
//!                  (forged)  the client    a proxy        a proxy
//! ```

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::{ForwardedBy, ProxyRules};
use crate::{Arrival, ConfigError, authority};

mod forwarded;
mod node;
mod range;

use forwarded::{element, from_the_right};
use node::address;
use range::Range;

/// The trusted proxies of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    ranges: Vec<Range>,
    header: ForwardedBy,
    hops: usize,
    passes_host: bool,
    accepts_http_1_0: bool,
}

/// The sender of the bytes of a request, as far as the connection shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    address: IpAddr,
    /// Whether it is a trusted proxy, so that its headers count.
    pub(crate) trusted: bool,
    /// Whether a trusted proxy says that the connection which it passes on is encrypted.
    encrypted: bool,
}

/// The lines of a request from which a client is read.
#[derive(Default)]
pub(crate) struct Lines<'a> {
    pub(crate) forwarded_for: Vec<&'a [u8]>,
    pub(crate) forwarded: Vec<&'a [u8]>,
    pub(crate) host: Vec<&'a [u8]>,
    pub(crate) proto: Proto<'a>,
}

/// The lines of `x-forwarded-proto`. Every request has one, so it is kept without an allocation.
#[derive(Clone, Copy, Default)]
pub(crate) enum Proto<'a> {
    #[default]
    None,
    One(&'a [u8]),
    /// The last one.
    Many(&'a [u8]),
}

impl<'a> Proto<'a> {
    pub(crate) const fn put(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::None => Self::One(value),
            Self::One(_) | Self::Many(_) => Self::Many(value),
        };
    }

    const fn last(&self) -> &'a [u8] {
        match self {
            Self::None => &[],
            Self::One(value) | Self::Many(value) => value,
        }
    }
}

impl<'a> Lines<'a> {
    /// Notes a line of a trusted proxy. Whether the edge overwrites it with what it finds; otherwise it is removed.
    pub(crate) fn note(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        if name.eq_ignore_ascii_case(b"x-forwarded-for") {
            self.forwarded_for.push(value);
            return true;
        }
        if name.eq_ignore_ascii_case(b"forwarded") {
            self.forwarded.push(value);
        } else if name.eq_ignore_ascii_case(b"x-forwarded-host") {
            self.host.push(value);
        }
        false
    }

    /// The value for `x-forwarded-for`, if it has another one.
    pub(crate) fn rewritten_address(&self, address: IpAddr) -> Option<IpAddr> {
        let same = |line: &[u8]| line == address.to_string().as_bytes();
        let right = matches!(self.forwarded_for.as_slice(), [one] if same(one));
        (!right).then_some(address)
    }
}

/// `PP2_CLIENT_SSL` of the PROXY protocol: the client connected over TLS.
const CLIENT_SSL: u8 = 1;
/// All bits of that field. A text without the field has none of them alone.
const CLIENT_FLAGS: u8 = 7;

impl Proxies {
    pub(crate) fn compile(rules: &ProxyRules) -> Result<Self, ConfigError> {
        let ranges = rules.addresses.iter().map(|text| {
            Range::parse(text)
                .ok_or_else(|| ConfigError::BadProxies { what: format!("`{text}` is not a range") })
        });
        let ranges: Vec<Range> = ranges.collect::<Result<_, _>>()?;
        if ranges.is_empty() || rules.hops == 0 {
            return Err(ConfigError::BadProxies { what: "there is no range, or no hop".to_owned() });
        }
        Ok(Self {
            ranges,
            header: rules.header,
            hops: usize::try_from(rules.hops).unwrap_or(usize::MAX),
            passes_host: rules.passes_host,
            accepts_http_1_0: rules.accepts_http_1_0,
        })
    }

    pub(crate) const fn accepts_http_1_0(&self) -> bool {
        self.accepts_http_1_0
    }

    /// Reads the text of [`PEER_STATE`](crate::config::PEER_STATE), or the peer's address alone. `None` when it is neither.
    ///
    /// The PROXY header of a peer that is not trusted has no meaning. Behind a trusted one the bytes of the request are those
    /// of the connection that it passes on, so headers count only when that one's address is a trusted proxy's, too.
    pub(crate) fn sender(&self, peer: &[u8]) -> Option<Sender> {
        let mut parts = peer.splitn(3, |&byte| byte == b' ');
        let direct = address(parts.next()?)?;
        let conveyed = match parts.next() {
            Some(text) => address(text)?,
            None => direct,
        };
        if !self.trusts(direct) {
            return Some(Sender { address: direct, trusted: false, encrypted: false });
        }
        let flags = parts.next().and_then(|tlv| tlv.first()).copied().filter(|flags| *flags <= CLIENT_FLAGS);
        let encrypted = flags.is_some_and(|flags| flags & CLIENT_SSL != 0);
        Some(Sender { address: conveyed, trusted: self.trusts(conveyed), encrypted })
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whether the address at `index` of a header, counted from the right, is a proxy's.
    fn is_proxy(&self, address: IpAddr, index: usize) -> bool {
        // The first hop is the peer.
        self.trusts(address) || index.saturating_add(1) < self.hops
    }

    /// The client for which `sender` sent a request with these `lines`, over a listener with TLS if `tls`.
    pub(crate) fn client<'a>(&self, sender: &Sender, lines: &Lines<'a>, tls: bool) -> Arrival<'a> {
        let mut claimed = Claimed { address: sender.address, https: None, host: None };
        if sender.trusted {
            match self.header {
                ForwardedBy::XForwardedFor => self.by_x_forwarded(&mut claimed, lines),
                ForwardedBy::Forwarded => self.by_forwarded(&mut claimed, lines),
            }
        }
        let host = claimed.host.filter(|host| self.passes_host && authority::host(host).is_some());
        Arrival {
            address: claimed.address,
            trusted: sender.trusted,
            https: claimed.https.unwrap_or(tls || sender.encrypted),
            host,
        }
    }

    fn by_x_forwarded<'a>(&self, claimed: &mut Claimed<'a>, lines: &Lines<'a>) {
        let mut read = 0_usize;
        for (index, entry) in list(&lines.forwarded_for).enumerate() {
            let Some(address) = address(entry) else { break };
            (claimed.address, read) = (address, index);
            if !self.is_proxy(address, index) {
                break;
            }
        }
        // A proxy that adds to the list adds at its right end, too, and one that replaces it leaves one entry.
        let at = |lines: &[&'a [u8]]| list(lines).take(read.saturating_add(1)).last();
        claimed.https = at(&[lines.proto.last()]).and_then(is_https);
        claimed.host = at(&lines.host).map(Cow::Borrowed);
    }

    fn by_forwarded<'a>(&self, claimed: &mut Claimed<'a>, lines: &Lines<'a>) {
        let all = lines.forwarded.iter().rev().copied().flat_map(|line| from_the_right(line, b','));
        for (index, text) in all.map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()).enumerate() {
            // A trusted proxy wrote this element: whatever it does not say, it does not know.
            let Some(element) = element(text) else { break };
            claimed.https = element.proto.as_deref().and_then(is_https).or(claimed.https);
            claimed.host = element.host.or_else(|| claimed.host.take());
            let Some(address) = element.node.as_deref().and_then(address) else { break };
            claimed.address = address;
            if !self.is_proxy(address, index) {
                break;
            }
        }
    }
}

/// What the headers of a trusted proxy say about the client.
struct Claimed<'a> {
    address: IpAddr,
    https: Option<bool>,
    host: Option<Cow<'a, [u8]>>,
}

/// The entries of a comma-separated list in `lines`, from its right end.
fn list<'l, 'a: 'l>(lines: &'l [&'a [u8]]) -> impl Iterator<Item = &'a [u8]> + 'l {
    let entries = lines.iter().rev().copied().flat_map(|line| line.rsplit(|&byte| byte == b','));
    entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

fn is_https(scheme: &[u8]) -> Option<bool> {
    if scheme.eq_ignore_ascii_case(b"https") {
        Some(true)
    } else if scheme.eq_ignore_ascii_case(b"http") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
