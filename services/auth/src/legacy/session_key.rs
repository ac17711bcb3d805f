//! The key of one session in the legacy backend's form.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// As many random bytes as the legacy backend's keys have: 86 characters of base64.
const KEY_BYTES: usize = 64;

/// The key of one session, as text.
pub struct SessionKey(String);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey([redacted])")
    }
}

impl SessionKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no random bytes.
    pub(super) fn draw() -> Result<Self, Unspecified> {
        let mut bytes = [0_u8; KEY_BYTES];
        rand::fill(&mut bytes)?;
        Ok(Self(STANDARD_NO_PAD.encode(bytes)))
    }

    /// Returns the text that the legacy backend stores.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
