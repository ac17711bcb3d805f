//! Refuses requests that a page of another site caused.
//!
//! A browser adds a host's cookies to every request to it, whichever page caused it. So the guard refuses a request that may
//! change something, or opens a WebSocket, if the browser's headers show another site: it would use the rights of a person
//! who did not intend it. Browsers send two headers that no page can write: `Sec-Fetch-Site` (Fetch Metadata) and `Origin`
//! (RFC 6454). A request with neither does not come from a page.
//!
//! Without a cookie there are no rights to abuse, with one exception. A request that any page may send without the host's
//! consent (a form; the Fetch standard calls it a *simple* request) may sign the browser in as another person. For any other
//! request from another site, the host gave its consent first (`OPTIONS`).

use std::collections::HashSet;

use crate::config::Sites as Config;
use crate::cors::Origin;
use crate::{ConfigError, HeaderMap, Reader, authority};

/// The sites whose pages may send requests.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    /// The names of the edge's hosts.
    hosts: HashSet<Box<[u8]>>,
    /// Origins that may send from another site.
    listed: Vec<Origin>,
}

/// Content types that a page may send without the host's consent.
const SIMPLE: [&[u8]; 3] = [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"];

/// The site of a request, by its headers.
#[derive(Default)]
struct Seen {
    /// A page of unknown origin.
    foreign: bool,
    /// A page without an origin: a sandbox, a file, or a page that hides its origin.
    opaque: bool,
    /// A listed origin.
    listed: bool,
    /// Any other known origin.
    own: bool,
    cross_site: bool,
    same_origin: bool,
    cookie: bool,
    bearer: bool,
    /// An origin that may read answers, but without cookies.
    guest: bool,
    /// `None` without a content type.
    simple: Option<bool>,
}

impl Sites {
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let origin = |(index, origin): (usize, &String)| {
            Origin::compile(origin).ok_or(ConfigError::BadOrigin { index, origin: origin.clone() })
        };
        let listed = config.browser_origins.iter().enumerate().map(origin);
        Ok(Self {
            hosts: config.hosts.iter().map(|host| host.as_bytes().into()).collect(),
            listed: listed.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a page of another site caused the request with `headers` for `host` (without its port), which may change
    /// something or opens a connection (`upgrade`). The page of `reader` may: with cookies if it has credentials, otherwise
    /// without.
    pub(crate) fn refuse(
        &self,
        headers: HeaderMap<'_>,
        host: &[u8],
        upgrade: bool,
        reader: Option<&Reader>,
    ) -> bool {
        let mut seen = Seen::default();
        for (name, value) in headers.pairs().flatten() {
            self.see(&mut seen, name, value, host, reader);
        }
        if seen.guest {
            if seen.cookie {
                seen.foreign = true;
            } else {
                seen.listed = true;
            }
        }
        // A browser that sends `same-origin` for a page whose origin it hides knows that page itself.
        let foreign = seen.foreign || (seen.opaque && (!seen.same_origin || seen.cross_site));
        let invited = seen.listed && !seen.own;
        if !foreign && (!seen.cross_site || invited) {
            return false;
        }
        let unannounced = !upgrade && !seen.bearer && seen.simple.unwrap_or(true);
        seen.cookie || unannounced
    }

    fn see(&self, seen: &mut Seen, name: &[u8], value: &[u8], host: &[u8], reader: Option<&Reader>) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        match name.len() {
            6 if is("cookie") => seen.cookie = true,
            6 if is("origin") => {
                let origin = value.trim_ascii();
                // The reader of answers for every page has the origin `*`, which no page has.
                let invited = reader.filter(|reader| reader.origin == origin);
                if self.listed.iter().any(|listed| listed.takes(origin))
                    || invited.is_some_and(|reader| reader.credentials)
                {
                    seen.listed = true;
                } else if invited.is_some() {
                    seen.guest = true;
                } else if origin == b"null" {
                    seen.opaque = true;
                } else if self.is_own(origin, host) {
                    seen.own = true;
                } else {
                    seen.foreign = true;
                }
            }
            12 if is("content-type") => {
                seen.simple = Some(seen.simple.unwrap_or(false) || is_simple(value));
            }
            13 if is("authorization") => {
                // The browser itself may add other schemes (`https://user:password@host`).
                let scheme = value.split(|&byte| byte == b' ').next().unwrap_or(value);
                seen.bearer |= scheme.eq_ignore_ascii_case(b"bearer");
            }
            14 if is("sec-fetch-site") => {
                for site in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    seen.cross_site |= site.eq_ignore_ascii_case(b"cross-site");
                    seen.same_origin |= site.eq_ignore_ascii_case(b"same-origin");
                }
            }
            _ => {}
        }
    }

    /// Whether `origin` is a host of the edge, or the request's own host. Its port does not matter, because cookies ignore
    /// ports, too.
    fn is_own(&self, origin: &[u8], host: &[u8]) -> bool {
        let authority = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
        let Some(name) = authority.and_then(authority::host) else { return false };
        *name == *host || self.hosts.contains(name.as_ref())
    }
}

/// Whether a page may send `content_type` without the host's consent. An invalid content type counts as one that it may.
fn is_simple(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or(content_type).trim_ascii();
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(byte);
    let mut parts = essence.split(|&byte| byte == b'/');
    let well_formed = match (parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(subtype), None) => {
            !kind.is_empty() && !subtype.is_empty() && kind.iter().chain(subtype).all(token)
        }
        (_, _, _) => false,
    };
    !well_formed || SIMPLE.iter().any(|simple| essence.eq_ignore_ascii_case(simple))
}

#[cfg(test)]
mod tests;
