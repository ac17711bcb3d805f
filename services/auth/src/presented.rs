//! The tokens that a request presents in its cookies.
//!
//! A browser can hold two refresh cookies: one with `Path=/` of the older generation, one with
//! `Path=/auth/token` of the later. It sends both in one line, the longer path first (RFC 6265 §5.4). So every
//! value of that name is read, in either order, and a value that this service did not issue is ignored. The
//! access cookie has one path in both generations, and the last one counts, as at the edge.

use http::HeaderMap;
use kit::cookies::{self, Cookie};

use crate::cookie::{ACCESS_COOKIE, REFRESH_COOKIE};
use crate::token::{Expiry, Genuine, Tokens};

/// How many refresh cookies of one request are verified. A browser has two paths, each with the domain itself
/// and its parent; a longer list is made up, and each entry would cost a signature check. The last ones count,
/// as among equal names.
const MOST_REFRESH: usize = 8;

/// The cookies of one request, not verified yet.
pub struct Presented<'r> {
    access: Option<&'r str>,
    refresh: Vec<&'r str>,
}

impl<'r> Presented<'r> {
    /// Reads the cookies in `headers`. Returns `None` when two `Cookie` lines disagree: then it is not known
    /// which session is meant.
    #[must_use]
    pub fn read(headers: &'r HeaderMap) -> Option<Self> {
        let access = match cookies::read(headers, ACCESS_COOKIE) {
            Cookie::Ambiguous => return None,
            cookie @ (Cookie::Absent | Cookie::Value(_)) => cookie.value(),
        };
        let mut refresh = cookies::all(headers, REFRESH_COOKIE)?;
        refresh.drain(..refresh.len().saturating_sub(MOST_REFRESH));
        Some(Self { access, refresh })
    }

    /// Returns the access cookie.
    #[must_use]
    pub const fn access(&self) -> Option<&'r str> {
        self.access
    }

    /// Returns the refresh cookies, in the order of the request.
    #[must_use]
    pub fn refresh(&self) -> &[&'r str] {
        &self.refresh
    }

    /// Returns the access token, if this service issued it.
    #[must_use]
    pub fn own_access(&self, tokens: &Tokens, expiry: Expiry) -> Option<Genuine> {
        self.access.and_then(|token| tokens.access(token, expiry))
    }

    /// Returns the refresh tokens that this service issued, in the order of the request.
    #[must_use]
    pub fn own_refresh(&self, tokens: &Tokens, expiry: Expiry) -> Vec<Genuine> {
        self.refresh.iter().filter_map(|token| tokens.refresh(token, expiry)).collect()
    }

    /// Returns whether the request has two different refresh cookies.
    #[must_use]
    pub fn has_two_refresh(&self) -> bool {
        self.refresh.len() > 1
    }
}

/// Returns whether two tokens are of one session and one person.
#[must_use]
pub fn is_pair(access: &Genuine, refresh: &Genuine) -> bool {
    (access.session, access.subject) == (refresh.session, refresh.subject)
}

/// Chooses the refresh token that a request means among the genuine ones that it has: the only one, or the one
/// that makes a pair with the access token. `None` means that the request does not show it.
#[must_use]
pub fn meant(refresh: &[Genuine], access: Option<&Genuine>) -> Option<Genuine> {
    match refresh {
        [] => None,
        [only] => Some(*only),
        several => access.and_then(|access| several.iter().find(|refresh| is_pair(access, refresh)).copied()),
    }
}
