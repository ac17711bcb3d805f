//! The exact `Set-Cookie` lines (`contracts/cookies/session.hurl`). Name, order and spelling of every
//! attribute are those that clients and browsers have always received.

use http::HeaderValue;
use http::header::InvalidHeaderValue;

pub use kit::caller::ACCESS_COOKIE;

/// The name of the refresh token's cookie.
pub const REFRESH_COOKIE: &str = "madome_refresh_token";

/// `Max-Age` of both cookies in seconds: the lifetime of the refresh token. The access token in its cookie
/// expires earlier.
const MAX_AGE: u64 = 604_800;

/// Writes the `Set-Cookie` lines for one domain.
#[derive(Clone, Debug)]
pub struct CookieLines {
    domain: String,
}

impl CookieLines {
    /// Prepares lines for `domain`, which has no leading dot.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_owned() }
    }

    /// Returns the two lines of a new session: access token first, then refresh token.
    ///
    /// # Errors
    /// When a value is not a valid header value. Every token is one.
    pub fn set(&self, access: &str, refresh: &str) -> Result<[HeaderValue; 2], InvalidHeaderValue> {
        Ok([
            self.line(ACCESS_COOKIE, access, MAX_AGE, "/")?,
            self.line(REFRESH_COOKIE, refresh, MAX_AGE, "/auth/token")?,
        ])
    }

    /// Returns the two lines that clear the cookies. The second has `Path=/`, as recorded, although the
    /// cookie was set for `/auth/token`, so browsers keep it. This is a known defect of the contract. The
    /// session ends on the server.
    ///
    /// # Errors
    /// Never, for a domain that is a valid header value.
    pub fn clear(&self) -> Result<[HeaderValue; 2], InvalidHeaderValue> {
        Ok([self.line(ACCESS_COOKIE, "", 0, "/")?, self.line(REFRESH_COOKIE, "", 0, "/")?])
    }

    fn line(
        &self,
        name: &str,
        value: &str,
        max_age: u64,
        path: &str,
    ) -> Result<HeaderValue, InvalidHeaderValue> {
        let domain = &self.domain;
        let line = format!(
            "{name}={value}; Domain={domain}; Max-Age={max_age}; Path={path}; SameSite=Lax; HttpOnly; Secure"
        );
        HeaderValue::try_from(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_the_recorded_ones() {
        let lines = CookieLines::new("dev-domain.test");
        assert_eq!(
            lines.set("A.B.C", "R.S.T").unwrap(),
            [
                "madome_access_token=A.B.C; Domain=dev-domain.test; Max-Age=604800; Path=/; SameSite=Lax; HttpOnly; Secure",
                "madome_refresh_token=R.S.T; Domain=dev-domain.test; Max-Age=604800; Path=/auth/token; SameSite=Lax; HttpOnly; Secure",
            ]
        );
        assert_eq!(
            lines.clear().unwrap(),
            [
                "madome_access_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure",
                "madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure",
            ]
        );
    }
}
