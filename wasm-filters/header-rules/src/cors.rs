//! Lets the pages of declared origins read answers, and answers the browser's preflight (Fetch standard, "CORS protocol").
//!
//! A browser lets a page read an answer of another origin only if the answer names the page's origin. Before a request that
//! a form could not send, it first asks with a preflight: `OPTIONS`, `Origin` and `Access-Control-Request-Method`, without
//! any credential. The guard answers it, because no authorizer could decide about a request without a credential.
//!
//! All other requests only get their origin noted: Envoy adds the headers to the answer, unless the backend's answer has its
//! own (`tools/cutover/src/render/cors.rs`).

use std::sync::Arc;

use crate::config::CorsRules as Config;
use crate::{HeaderMap, authority};

/// The longest list of header names that a preflight may ask for. Browsers send the names of the page's own headers; a page
/// with more than this has another problem.
const LONGEST_NAMES: usize = 2_048;

/// The rules of one host or route.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    origins: Vec<Origin>,
    credentials: bool,
    /// `None` allows the method that was asked for.
    methods: Option<Box<str>>,
    /// `None` allows the names that were asked for.
    headers: Option<Box<str>>,
    expose: Option<Arc<str>>,
    max_age: Box<str>,
}

/// An origin, or a set of them.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Any,
    /// Byte for byte.
    One(Box<[u8]>),
    /// Every name below one: what stands before the name, the name's ending with its dot, and the port with its colon.
    Below {
        scheme: Box<[u8]>,
        ending: Box<[u8]>,
        port: Box<[u8]>,
    },
}

/// A page that may read the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The value of `access-control-allow-origin`.
    pub origin: Vec<u8>,
    /// Whether the browser may send cookies, and show the page answers to requests with them.
    pub credentials: bool,
    /// The value of `access-control-expose-headers`; absent when no further header may be read.
    pub expose: Option<Arc<str>>,
}

/// The headers of a request that matter here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'a> {
    origin: Line<'a>,
    method: Line<'a>,
    headers: Line<'a>,
}

/// A header line that a browser sends once.
#[derive(Clone, Copy, Debug, Default)]
enum Line<'a> {
    #[default]
    None,
    One(&'a [u8]),
    Many,
}

impl<'a> Line<'a> {
    fn put(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::None => Self::One(value.trim_ascii()),
            Self::One(_) | Self::Many => Self::Many,
        };
    }

    const fn one(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::None | Self::Many => None,
        }
    }
}

impl<'a> Seen<'a> {
    pub(crate) fn read(headers: HeaderMap<'a>) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers.pairs().flatten() {
            let line = match name.len() {
                6 if name.eq_ignore_ascii_case(b"origin") => &mut seen.origin,
                29 if name.eq_ignore_ascii_case(b"access-control-request-method") => &mut seen.method,
                30 if name.eq_ignore_ascii_case(b"access-control-request-headers") => &mut seen.headers,
                _ => continue,
            };
            line.put(value);
        }
        seen
    }

    /// The method for which a browser asks, where an `OPTIONS` request is a preflight.
    pub(crate) fn asks_for(&self) -> Option<&'a [u8]> {
        self.origin.one()?;
        // A method longer than any of the registry is none.
        self.method.one().filter(|method| (1..=32).contains(&method.len()) && method.iter().all(is_token))
    }
}

impl Cors {
    pub(crate) fn compile(config: &Config) -> Result<Self, &'static str> {
        let origins = config.origins.iter().map(|origin| Origin::compile(origin)).collect::<Option<Vec<_>>>();
        let origins = origins.ok_or("has an origin that no browser sends")?;
        if config.credentials && origins.iter().any(|origin| origin.is_anybodys()) {
            return Err("lets any page send cookies");
        }
        let names =
            |list: &[String]| list.iter().all(|name| !name.is_empty() && name.bytes().all(|b| is_token(&b)));
        let lists = [config.methods.as_deref(), config.headers.as_deref(), Some(config.expose.as_slice())];
        if !lists.into_iter().flatten().all(names) {
            return Err("has a name that is not a token");
        }
        let joined = |list: &Vec<String>| list.join(", ");
        Ok(Self {
            origins,
            credentials: config.credentials,
            methods: config.methods.as_ref().map(|list| joined(list).into()),
            headers: config.headers.as_ref().map(|list| joined(list).into()),
            expose: (!config.expose.is_empty()).then(|| joined(&config.expose).into()),
            max_age: config.max_age_seconds.to_string().into(),
        })
    }

    /// The page that may read the answer to the request; `None` when it is not from a page of another origin, or from a page
    /// of an origin that is not listed.
    pub(crate) fn reader(&self, seen: &Seen<'_>) -> Option<Reader> {
        let origin = seen.origin.one()?;
        let listed = self.origins.iter().find(|listed| listed.takes(origin))?;
        let origin = match listed {
            Origin::Any => b"*".to_vec(),
            Origin::One(_) | Origin::Below { .. } => origin.to_vec(),
        };
        Some(Reader { origin, credentials: self.credentials, expose: self.expose.clone() })
    }

    /// The headers of the answer to the preflight `seen`; `None` when its origin is not listed.
    pub(crate) fn preflight(&self, seen: &Seen<'_>) -> Option<Vec<(&'static str, Vec<u8>)>> {
        let Reader { origin, credentials, expose: _ } = self.reader(seen)?;
        let mut headers = vec![("access-control-allow-origin", origin)];
        if credentials {
            headers.push(("access-control-allow-credentials", b"true".to_vec()));
        }
        let methods = match &self.methods {
            Some(listed) => listed.as_bytes(),
            None => seen.asks_for()?,
        };
        headers.push(("access-control-allow-methods", methods.to_vec()));
        let asked = seen.headers.one().filter(|names| names.len() <= LONGEST_NAMES && are_names(names));
        let names = match &self.headers {
            Some(listed) => Some(listed.as_bytes()),
            None => asked,
        };
        if let Some(names) = names.filter(|names| !names.is_empty()) {
            headers.push(("access-control-allow-headers", names.to_vec()));
        }
        headers.push(("access-control-max-age", self.max_age.as_bytes().to_vec()));
        headers.push(("vary", VARY.to_vec()));
        Some(headers)
    }
}

/// What the answer to a preflight depends on: a cache that stores it must know.
const VARY: &[u8] = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

impl Origin {
    pub(crate) fn compile(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if text == "null" {
            return Some(Self::One(text.as_bytes().into()));
        }
        let (scheme, rest) =
            text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
        let Some(below) = rest.strip_prefix('*') else {
            authority::host(rest.as_bytes())?;
            return Some(Self::One(text.as_bytes().into()));
        };
        let (ending, port) = below.split_at(below.find(':').unwrap_or(below.len()));
        let name = ending.strip_prefix('.')?;
        authority::host(format!("{name}{port}").as_bytes())?;
        Some(Self::Below {
            scheme: format!("{scheme}://").as_bytes().into(),
            ending: ending.as_bytes().into(),
            port: port.as_bytes().into(),
        })
    }

    /// Whether any page can have it. A page in a sandbox has the origin `null`, whatever its site is.
    fn is_anybodys(&self) -> bool {
        match self {
            Self::Any => true,
            Self::One(origin) => **origin == *b"null",
            Self::Below { .. } => false,
        }
    }

    pub(crate) fn takes(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::One(listed) => **listed == *origin,
            Self::Below { scheme, ending, port } => {
                let name = origin.strip_prefix(&**scheme).and_then(|rest| rest.strip_suffix(&**port));
                // The name must be one in the spelling of browsers, so that the part before the ending is whole labels.
                name.is_some_and(|name| {
                    name.len() > ending.len()
                        && name.ends_with(ending)
                        && !name.contains(&b':')
                        && authority::host(name).as_deref() == Some(name)
                })
            }
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Whether `list` is header names between commas.
fn are_names(list: &[u8]) -> bool {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).all(|name| name.iter().all(is_token))
}

#[cfg(test)]
mod tests;
