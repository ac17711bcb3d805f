//! The legacy backend's own tokens ([`legacy_token`]), as this service accepts them: bounded in size, and [`LEEWAY`] after
//! their expiry.

use std::fmt;

use clock::UnixTime;
use kit::{SessionId, SubjectId};
pub use legacy_token::Kind;
use legacy_token::{Claims, Unverified};

use crate::token::{Expiry, LEEWAY};

/// Longer tokens are refused unread. The legacy backend's have about 350 bytes.
const MAX_BYTES: usize = 4_096;

/// A token whose signature has not been verified.
pub struct Unproved<'t> {
    text: &'t str,
    token: Unverified<'t>,
}

impl fmt::Debug for Unproved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unproved").field("session", &self.session()).finish_non_exhaustive()
    }
}

/// The claims of a token with a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The session of the legacy backend.
    pub session: SessionId,
    /// The person.
    pub subject: SubjectId,
    /// When the token was issued; 0 when the token does not say.
    pub issued: UnixTime,
    /// `exp`.
    pub expires: UnixTime,
}

impl From<Claims> for Proved {
    fn from(claims: Claims) -> Self {
        let Claims { session, subject, issued, expires } = claims;
        Self { session: SessionId(session), subject: SubjectId(subject), issued, expires }
    }
}

impl<'t> Unproved<'t> {
    /// Splits a token of the legacy backend into its parts. `None` for every other text.
    #[must_use]
    pub fn read(text: &'t str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        Unverified::read(text).ok().map(|token| Self { text, token })
    }

    /// Returns the token as it was sent.
    #[must_use]
    pub const fn text(&self) -> &'t str {
        self.text
    }

    /// Returns the session that the token names.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        SessionId(self.token.session())
    }

    /// Returns the person and the time that the token claims, without proof.
    #[must_use]
    pub fn claimed(&self) -> Option<Proved> {
        self.token.claimed().map(Proved::from)
    }

    /// Returns the claims of a token of `kind`, if the session's `key` signed it. Its expiry is checked at
    /// `now`, if `expiry` says so.
    #[must_use]
    pub fn prove(&self, key: &[u8], kind: Kind, expiry: Expiry, now: UnixTime) -> Option<Proved> {
        let leeway = match expiry {
            Expiry::Checked => Some(LEEWAY),
            Expiry::Ignored => None,
        };
        self.token.verify(key, kind, leeway, now).ok().map(Proved::from)
    }
}
