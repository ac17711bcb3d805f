//! Moves the token of a WebSocket's opening handshake to `Authorization`.
//!
//! A page cannot set headers of a WebSocket. The one thing that it can choose is the list of offered protocols
//! (`Sec-WebSocket-Protocol`, RFC 6455 §11.3.4), so pages send a token there, as a protocol with a known prefix. The guard
//! removes this entry and writes `Authorization: Bearer`: from then on the token is a bearer token like any other one. The
//! other offered protocols go on, in their order.
//!
//! A browser ends a WebSocket for which it offered protocols and the server chose none of them (WHATWG WebSockets, "establish
//! a WebSocket connection"). The server must never choose the entry with the token, because the answer would repeat it. So an
//! offer of the token alone could only fail, and is refused with a reason of its own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::{TokenEncoding, WebsocketToken};
use crate::{ConfigError, Reason};

/// The offered protocols.
pub const PROTOCOLS: &str = "sec-websocket-protocol";

/// The longest prefix, as in the edge file.
const LONGEST_PREFIX: usize = 128;

/// Whether `prefix` can begin a protocol: 1 to [`LONGEST_PREFIX`] bytes of a token (RFC 9110 §5.6.2).
fn is_prefix(prefix: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=LONGEST_PREFIX).contains(&prefix.len()) && prefix.bytes().all(is_tchar)
}

/// The two headers of a request whose token was moved. `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct MovedToken {
    /// The value for `authorization`.
    pub authorization: Vec<u8>,
    /// The value for [`PROTOCOLS`]: at least one.
    pub protocols: Vec<u8>,
}

impl fmt::Debug for MovedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MovedToken").finish_non_exhaustive()
    }
}

/// Which protocol is a token.
#[derive(Clone, Debug)]
pub(crate) struct TokenEntry {
    prefix: Box<[u8]>,
    encoding: TokenEncoding,
}

/// The part of a request that matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening<'a> {
    websocket: bool,
    authorized: bool,
    offered: Vec<&'a [u8]>,
}

impl<'a> Opening<'a> {
    #[inline]
    pub(crate) fn see(&mut self, name: &[u8], value: &'a [u8]) {
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.websocket |= value.trim_ascii().eq_ignore_ascii_case(b"websocket");
            }
            13 if name.eq_ignore_ascii_case(b"authorization") => self.authorized = true,
            22 if name.eq_ignore_ascii_case(PROTOCOLS.as_bytes()) => self.offered.push(value),
            _ => {}
        }
    }
}

impl TokenEntry {
    pub(crate) fn compile(config: &WebsocketToken) -> Result<Self, ConfigError> {
        let WebsocketToken { prefix, encoding } = config;
        if !is_prefix(prefix) {
            return Err(ConfigError::BadTokenPrefix { prefix: prefix.clone() });
        }
        Ok(Self { prefix: prefix.as_bytes().into(), encoding: *encoding })
    }

    /// The headers of an opening handshake whose offer has a token; `None` for every other request.
    ///
    /// # Errors
    /// [`Reason::WebsocketToken`] for a second token, one beside `Authorization` or one that is malformed,
    /// [`Reason::WebsocketTokenAlone`] where no other protocol is offered.
    pub(crate) fn take(&self, opening: &Opening<'_>) -> Result<Option<MovedToken>, Reason> {
        if !opening.websocket {
            return Ok(None);
        }
        let mut token = None;
        let mut others: Vec<&[u8]> = Vec::new();
        let entries = opening.offered.iter().flat_map(|line| line.split(|&byte| byte == b','));
        for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
            match entry.strip_prefix(&*self.prefix) {
                None => others.push(entry),
                Some(rest) => {
                    if token.replace(rest).is_some() {
                        return Err(Reason::WebsocketToken);
                    }
                }
            }
        }
        let Some(token) = token else { return Ok(None) };
        if opening.authorized {
            return Err(Reason::WebsocketToken);
        }
        let token = self.decoded(token).filter(|token| is_token68(token)).ok_or(Reason::WebsocketToken)?;
        if others.is_empty() {
            return Err(Reason::WebsocketTokenAlone);
        }
        let authorization = [b"Bearer ".as_slice(), token.as_slice()].concat();
        Ok(Some(MovedToken { authorization, protocols: others.join(b", ".as_slice()) }))
    }

    fn decoded(&self, token: &[u8]) -> Option<Vec<u8>> {
        match self.encoding {
            TokenEncoding::Plain => Some(token.to_vec()),
            TokenEncoding::Base64url => URL_SAFE_NO_PAD.decode(token).ok(),
        }
    }
}

/// Whether `token` can stand behind `Bearer` (RFC 9110 §11.2). No other byte gets into the header.
fn is_token68(token: &[u8]) -> bool {
    let body = token.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b)).count();
    body > 0 && token.iter().skip(body).all(|b| *b == b'=')
}

#[cfg(test)]
mod tests;
