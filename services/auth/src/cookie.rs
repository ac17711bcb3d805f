//! The exact `Set-Cookie` lines (`contracts/cookies/session.hurl`): name, order and spelling of every attribute are
//! what clients and browsers have seen so far.

use http::HeaderValue;
use http::header::InvalidHeaderValue;

pub use kit::caller::ACCESS_COOKIE;

/// The cookie of the refresh token.
pub const REFRESH_COOKIE: &str = "madome_refresh_token";

/// `Max-Age` of both cookies in seconds: the refresh token's life. The access token in its cookie dies earlier.
const MAX_AGE: u64 = 604_800;

/// Writes the lines for one domain.
#[derive(Clone, Debug)]
pub struct CookieLines {
    domain: String,
}

impl CookieLines {
    /// Lines for `domain`, without a leading dot.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_owned() }
    }

    /// The two lines of a new session: access, then refresh.
    ///
    /// # Errors
    /// When a value is no header value, which no token is.
    pub fn set(&self, access: &str, refresh: &str) -> Result<[HeaderValue; 2], InvalidHeaderValue> {
        Ok([
            self.line(ACCESS_COOKIE, access, MAX_AGE, "/")?,
            self.line(REFRESH_COOKIE, refresh, MAX_AGE, "/auth/token")?,
        ])
    }

    /// The two lines that clear them. The second has `Path=/`, as recorded, although the cookie was set for
    /// `/auth/token`: browsers keep it. That is a known defect of the contract; what ends the session is the server.
    ///
    /// # Errors
    /// Never, for a domain that fits into a header.
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
