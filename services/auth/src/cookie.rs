//! The exact `Set-Cookie` lines. Name, order and spelling of every attribute are those that clients and
//! browsers of one generation have always received. They are data: `contracts/cookies/older.yaml` and
//! `contracts/cookies/later.yaml`.
//!
//! A browser can hold refresh cookies of both generations, because the older has `Path=/` and the later has
//! `Path=/auth/token`. A sign-out of one that sends both clears both paths.

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use kit::generation::Surface;
use serde::Deserialize;

pub use kit::caller::ACCESS_COOKIE;

/// The name of the refresh token's cookie.
pub const REFRESH_COOKIE: &str = "madome_refresh_token";

const OLDER: &str = include_str!("../../../contracts/cookies/older.yaml");
const LATER: &str = include_str!("../../../contracts/cookies/later.yaml");

/// Writes the `Set-Cookie` lines of one generation for one domain.
#[derive(Clone, Debug)]
pub struct CookieLines {
    templates: Templates,
}

/// The lines of one generation. `{access}` and `{refresh}` stand for the tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Templates {
    set: Vec<String>,
    clear: Vec<String>,
    clear_other: Vec<String>,
}

/// A file of cookie lines cannot be read. The files are compiled in, so the tests of this module find that.
#[derive(Debug, thiserror::Error)]
#[error("the {generation} cookie lines are not valid: {why}; correct contracts/cookies/{generation}.yaml")]
pub struct InvalidTemplates {
    generation: Surface,
    why: String,
}

impl CookieLines {
    /// Prepares the lines of `generation` for `domain`, which has no leading dot.
    ///
    /// # Errors
    /// [`InvalidTemplates`].
    pub fn new(generation: Surface, domain: &str) -> Result<Self, InvalidTemplates> {
        let text = match generation {
            Surface::Older => OLDER,
            Surface::Later => LATER,
        };
        let templates: Templates = serde_saphyr::from_str(text)
            .map_err(|error| InvalidTemplates { generation, why: error.to_string() })?;
        let fill =
            |lines: Vec<String>| lines.into_iter().map(|line| line.replace("{domain}", domain)).collect();
        let Templates { set, clear, clear_other } = templates;
        let templates = Templates { set: fill(set), clear: fill(clear), clear_other: fill(clear_other) };
        Ok(Self { templates })
    }

    /// Returns the lines of a new session: access token first, then refresh token.
    ///
    /// # Errors
    /// When a value is not a valid header value. Every token is one.
    pub fn set(&self, access: &str, refresh: &str) -> Result<Vec<HeaderValue>, InvalidHeaderValue> {
        let filled = self.templates.set.iter().map(|line| {
            let line = line.replace("{access}", access).replace("{refresh}", refresh);
            HeaderValue::try_from(line)
        });
        filled.collect()
    }

    /// Returns the lines that clear the cookies. `has_two` says that the request had two refresh cookies, so
    /// that one of them is from the other generation.
    ///
    /// # Errors
    /// Never, for a domain that is a valid header value.
    pub fn clear(&self, has_two: bool) -> Result<Vec<HeaderValue>, InvalidHeaderValue> {
        let Templates { set: _, clear, clear_other } = &self.templates;
        let other = clear_other.iter().filter(|_| has_two);
        clear.iter().chain(other).map(|line| HeaderValue::try_from(line.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "dev-domain.test";

    fn lines(generation: Surface) -> CookieLines {
        CookieLines::new(generation, DOMAIN).unwrap()
    }

    #[test]
    fn the_older_lines_are_the_legacy_backends() {
        let lines = lines(Surface::Older);
        assert_eq!(
            lines.set("A.B.C", "R.S.T").unwrap(),
            [
                "madome_access_token=A.B.C; Domain=dev-domain.test; Max-Age=604800; Path=/; HttpOnly; Secure",
                "madome_refresh_token=R.S.T; Domain=dev-domain.test; Max-Age=604800; Path=/; HttpOnly; Secure",
            ]
        );
        let clear = [
            "madome_access_token=; Domain=dev-domain.test; Max-Age=0; Path=/; HttpOnly; Secure",
            "madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/; HttpOnly; Secure",
            "madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/auth/token; HttpOnly; Secure",
        ];
        assert_eq!(lines.clear(false).unwrap(), clear[..2]);
        assert_eq!(lines.clear(true).unwrap(), clear);
    }

    #[test]
    fn the_later_lines_are_the_recorded_ones() {
        let lines = lines(Surface::Later);
        assert_eq!(
            lines.set("A.B.C", "R.S.T").unwrap(),
            [
                "madome_access_token=A.B.C; Domain=dev-domain.test; Max-Age=604800; Path=/; SameSite=Lax; HttpOnly; Secure",
                "madome_refresh_token=R.S.T; Domain=dev-domain.test; Max-Age=604800; Path=/auth/token; SameSite=Lax; HttpOnly; Secure",
            ]
        );
        let clear = [
            "madome_access_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure",
            "madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/; SameSite=Lax; HttpOnly; Secure",
            "madome_refresh_token=; Domain=dev-domain.test; Max-Age=0; Path=/auth/token; SameSite=Lax; HttpOnly; Secure",
        ];
        assert_eq!(lines.clear(false).unwrap(), clear[..2]);
        assert_eq!(lines.clear(true).unwrap(), clear);
    }
}
