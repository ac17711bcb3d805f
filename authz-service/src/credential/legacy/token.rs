//! The legacy backend's own access token, by the rule of [`legacy_token`], with the faults and the caller of this service.

use std::fmt;
use std::time::Duration;

use clock::UnixTime;
use legacy_token::{Fault, Kind};
use uuid::Uuid;

use crate::credential::fault::LegacyFault;
use crate::credential::legacy::answer::Found;

pub(in crate::credential) use legacy_token::plain_uuid;

impl From<Fault> for LegacyFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Malformed,
            Fault::WrongAlgorithm => Self::WrongAlgorithm,
            // A store that returns an empty key has no such session.
            Fault::ShortKey => Self::UnknownSession,
            Fault::BadSignature => Self::BadSignature,
            Fault::WrongClaims => Self::WrongClaims,
            Fault::Expired => Self::Expired,
        }
    }
}

/// A token whose signature has not been verified.
pub struct Unverified<'t>(legacy_token::Unverified<'t>);

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'t> Unverified<'t> {
    /// Splits `token` into its parts.
    ///
    /// # Errors
    /// [`LegacyFault::Malformed`] or [`LegacyFault::WrongAlgorithm`].
    pub fn read(token: &'t [u8]) -> Result<Self, LegacyFault> {
        let token = std::str::from_utf8(token).map_err(|_| LegacyFault::Malformed)?;
        Ok(Self(legacy_token::Unverified::read(token)?))
    }

    /// The session id in the token.
    #[must_use]
    pub const fn session(&self) -> Uuid {
        self.0.session()
    }

    /// Verifies the signature with the session's `key`, and then the claims.
    ///
    /// # Errors
    /// [`LegacyFault`] with the first reason found.
    pub fn verify(&self, key: &[u8], leeway: Duration, now: UnixTime) -> Result<Found, LegacyFault> {
        let claims = self.0.verify(key, Kind::Access, Some(leeway), now)?;
        // The signature covers the time. A session without one began before every other.
        let issued = claims.issued.seconds();
        Ok(Found { subject: claims.subject, session: claims.session, issued, role: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const SESSION: &str = "0192d3c0-0000-4000-8000-0000000000bb";
    const USER: &str = "00000000-0000-7000-8000-0000000000d0";
    const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
    const EXP: u64 = 1_800_000_000;
    const KEY: &[u8; 40] = b"0123456789012345678901234567890123456789";

    fn claims(more: &str) -> String {
        format!(r#"{{"sub":"x","iss":"y","iat":1,"id":"{SESSION}","user_id":"{USER}"{more}}}"#)
    }

    fn token(header: &str, claims: &str, key: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn verify(token: &str, now: u64) -> Result<Found, LegacyFault> {
        Unverified::read(token.as_bytes())?.verify(KEY, Duration::from_secs(60), UnixTime::from_seconds(now))
    }

    #[test]
    fn as_strict_as_the_legacy_and_no_laxer() {
        let exp = EXP;
        for (more, now, expected) in [
            (format!(r#","exp":{exp},"_a":true"#), EXP, Ok(())),
            (format!(r#","exp":{exp},"_a":false"#), EXP, Ok(())),
            (format!(r#","exp":{exp},"_a":true"#), EXP + 60, Ok(())),
            (format!(r#","exp":{exp},"_a":true"#), EXP + 61, Err(LegacyFault::Expired)),
            (format!(r#","exp":{exp},"_r":true"#), EXP, Err(LegacyFault::WrongClaims)),
            (format!(r#","exp":{exp},"_a":1"#), EXP, Err(LegacyFault::WrongClaims)),
            (format!(r#","exp":{exp},"_a":null"#), EXP, Err(LegacyFault::WrongClaims)),
            (format!(r#","exp":{exp}.0,"_a":true"#), EXP, Err(LegacyFault::WrongClaims)),
            (format!(r#","exp":"{exp}","_a":true"#), EXP, Err(LegacyFault::WrongClaims)),
            (r#","exp":-1,"_a":true"#.to_owned(), EXP, Err(LegacyFault::WrongClaims)),
            (r#","_a":true"#.to_owned(), EXP, Err(LegacyFault::WrongClaims)),
            (format!(r#","exp":1,"exp":{exp},"_a":true"#), EXP, Err(LegacyFault::Malformed)),
            (format!(r#","exp":{exp},"_a":true,"id":"{SESSION}""#), EXP, Err(LegacyFault::Malformed)),
        ] {
            let verified = verify(&token(HEADER, &claims(&more), KEY), now).map(|found| {
                assert_eq!(
                    (found.subject.to_string(), found.session.to_string()),
                    (USER.into(), SESSION.into())
                );
            });
            assert_eq!(verified, expected, "{more} at {now}");
        }
    }

    /// Whether an out-of-range number is invalid JSON or an invalid date depends on how the JSON library was
    /// built.
    #[test]
    fn a_number_beyond_all_bounds_is_refused() {
        let verified = verify(&token(HEADER, &claims(r#","exp":1e400,"_a":true"#), KEY), EXP);
        assert!(matches!(verified, Err(LegacyFault::Malformed | LegacyFault::WrongClaims)));
    }

    #[test]
    fn only_the_sessions_own_key_and_only_hs256() {
        let good = claims(&format!(r#","exp":{EXP},"_a":true"#));
        for (header, key, expected) in [
            (HEADER, &b"another-key-another-key-another-key"[..], LegacyFault::BadSignature),
            (HEADER, b"", LegacyFault::BadSignature),
            (r#"{"typ":"JWT","alg":"HS512"}"#, KEY, LegacyFault::WrongAlgorithm),
            (r#"{"typ":"JWT","alg":"none"}"#, KEY, LegacyFault::WrongAlgorithm),
            (r#"{"typ":"JWT","alg":"ES256"}"#, KEY, LegacyFault::WrongAlgorithm),
            (r#"{"typ":"at+jwt","alg":"HS256"}"#, KEY, LegacyFault::Malformed),
            (r#"{"typ":"JWT","alg":"HS256","kid":"../../etc"}"#, KEY, LegacyFault::Malformed),
            (r#"{"typ":"JWT","alg":"HS256","alg":"HS256"}"#, KEY, LegacyFault::Malformed),
            (r#"{"alg":"HS256"}"#, KEY, LegacyFault::Malformed),
        ] {
            assert_eq!(verify(&token(header, &good, key), EXP).unwrap_err(), expected, "{header}");
        }
        let whole = token(HEADER, &good, KEY);
        let no_signature = format!("{}.", whole.rsplit_once('.').unwrap().0);
        assert_eq!(verify(&no_signature, EXP), Err(LegacyFault::BadSignature));
        for wrong in [whole.replace('.', ""), format!("{whole}="), format!("{whole} "), format!("{whole}.x")]
        {
            assert!(verify(&wrong, EXP).is_err(), "{wrong}");
        }
        // A store that returns an empty or short key must not admit every caller.
        for short in [&b""[..], b"short"] {
            let forged = token(HEADER, &good, short);
            let outcome = Unverified::read(forged.as_bytes()).unwrap().verify(
                short,
                Duration::ZERO,
                UnixTime::from_seconds(EXP),
            );
            assert_eq!(outcome, Err(LegacyFault::UnknownSession));
        }
    }

    #[test]
    fn an_id_that_is_not_a_uuid_never_reaches_the_store() {
        for id in ["../x", "tenant:1", "*", "", "{0192d3c0-0000-4000-8000-0000000000bb}", "a\\r\\nFLUSHALL"] {
            let claims = claims("").replace(SESSION, id);
            assert_eq!(
                Unverified::read(token(HEADER, &claims, KEY).as_bytes()).map(|_| ()),
                Err(LegacyFault::Malformed),
                "{id}"
            );
        }
    }
}
