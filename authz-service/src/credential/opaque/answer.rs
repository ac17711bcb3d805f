//! What an introspection endpoint says of a token (RFC 7662 §2.2), read by the rules for the claims of signed
//! tokens: the same mapping, the same types, duplicates refused at every depth. `iss` and `exp` may be absent.

use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::{ClaimRules, OpaqueIssuer};
use identity::{Person, SessionId, TenantId};

use crate::credential::cache::Believed;
use crate::credential::fault::{Claim, TokenFault};
use crate::credential::places::{Fingerprint, fingerprint};
use crate::credential::presented::Access;
use crate::credential::queried::Found;
use crate::credential::token::{Check, Claims, Expected};

/// What the endpoint says.
#[derive(Debug)]
pub enum Described {
    /// The token is not active: unknown, expired or revoked.
    Inactive,
    /// The token is active.
    Active(Description),
    /// The token is active, and a claim is missing or has a form that the edge file does not allow.
    Unusable(TokenFault),
}

/// The description of an active token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    issuer: Option<String>,
    audiences: Vec<String>,
    issued: Option<u64>,
    expires: Option<u64>,
    not_before: Option<u64>,
    person: Arc<Person>,
    rules: Arc<ClaimRules>,
}

impl Description {
    /// Reads `body` by `rules`.
    ///
    /// # Errors
    /// A message, when it is not an answer: not an object of distinct members with `active: true` or `false`.
    pub fn read(body: &[u8], rules: &Arc<ClaimRules>) -> Result<Described, String> {
        let claims = Claims::of(body, rules)
            .map_err(|_| "the answer is not a JSON object of distinct members".to_owned())?;
        match claims.is_active() {
            None => Err("the answer has no `active: true` or `active: false`".to_owned()),
            Some(false) => Ok(Described::Inactive),
            Some(true) => Ok(match Self::of(&claims, rules) {
                Ok(description) => Described::Active(description),
                Err(fault) => Described::Unusable(fault),
            }),
        }
    }

    fn of(claims: &Claims<'_>, rules: &Arc<ClaimRules>) -> Result<Self, TokenFault> {
        let (issued, expires) = claims.moments()?;
        let person = Person {
            subject: claims.subject()?,
            tenant: claims.tenant()?,
            session: claims.session()?,
            role: claims.role()?,
            roles: claims.roles()?,
            scopes: claims.scopes()?,
        };
        Ok(Self {
            issuer: claims.named_issuer()?,
            audiences: claims.audiences()?,
            issued,
            expires,
            not_before: claims.not_before()?,
            person: Arc::new(person),
            rules: Arc::clone(rules),
        })
    }

    /// Whether it was read by `rules`.
    #[must_use]
    pub fn is_read_by(&self, rules: &Arc<ClaimRules>) -> bool {
        Arc::ptr_eq(&self.rules, rules) || self.rules == *rules
    }

    /// Whether `now` is before the end that it names. After it, only the endpoint can say whether the token lives on.
    #[must_use]
    pub fn is_before_end(&self, now: UnixTime) -> bool {
        self.expires.is_none_or(|expires| now.seconds() < expires)
    }

    /// The person, when this description passes the rules of `issuer` at `now`.
    ///
    /// # Errors
    /// [`TokenFault::WrongIssuer`], [`TokenFault::WrongAudience`], [`TokenFault::Expired`] or
    /// [`TokenFault::NotYetValid`].
    pub fn believed(&self, issuer: &OpaqueIssuer, now: UnixTime) -> Result<Believed, TokenFault> {
        if self.issuer.as_ref().is_some_and(|named| *named != issuer.issuer) {
            return Err(TokenFault::WrongIssuer);
        }
        if !self.audiences.iter().any(|named| issuer.audiences.contains(named)) {
            return Err(TokenFault::WrongAudience);
        }
        let (now, leeway) = (now.seconds(), issuer.leeway.as_secs());
        if self.expires.is_some_and(|expires| now > expires.saturating_add(leeway)) {
            return Err(TokenFault::Expired);
        }
        let issued = self.issued.unwrap_or(0);
        let latest = now.saturating_add(leeway);
        if issued > latest {
            return Err(TokenFault::NotYetValid(Claim::Issued));
        }
        if self.not_before.is_some_and(|not_before| not_before > latest) {
            return Err(TokenFault::NotYetValid(Claim::NotBefore));
        }
        let (person, rules) = (Arc::clone(&self.person), Arc::clone(&self.rules));
        // The endpoint is not asked again about a stream: it would need the token.
        let access = Access { expires: self.expires.map(UnixTime::from_seconds), key: None };
        Ok(Believed { person, issued, proof: None, access, rules })
    }
}

impl Found for Arc<Description> {
    fn person(&self) -> Fingerprint {
        fingerprint(self.person.subject.to_string().as_bytes())
    }

    fn weight(&self) -> u32 {
        /// The bytes of texts that fit one entry.
        const ENTRY_BYTES: usize = 512;
        let texts = |all: &[String]| all.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
        let Person { subject, tenant, session, role: _, roles, scopes } = self.person.as_ref();
        let bytes = subject.allocated()
            + tenant.as_ref().map_or(0, TenantId::allocated)
            + session.as_ref().map_or(0, SessionId::allocated)
            + texts(roles)
            + texts(scopes)
            + texts(&self.audiences);
        u32::try_from(1 + bytes / ENTRY_BYTES).unwrap_or(u32::MAX)
    }
}

/// Every check of the answer `body` by the rules of `issuer` at `now`, for explanations.
#[must_use]
pub fn examine(body: &[u8], issuer: &OpaqueIssuer, now: UnixTime) -> Vec<Check> {
    let Ok(claims) = Claims::of(body, &issuer.claims) else {
        return vec![Check::of("answer", Err(TokenFault::WrongClaims))];
    };
    let active = match claims.is_active() {
        Some(true) => Ok(()),
        Some(false) => Err(TokenFault::Inactive),
        None => Err(TokenFault::WrongClaims),
    };
    let mut checks = vec![Check::of("active", active)];
    if active.is_ok() {
        let expected = Expected {
            issuer: &issuer.issuer,
            audiences: &issuer.audiences,
            leeway: issuer.leeway,
            claims: &issuer.claims,
            names_itself: false,
        };
        checks.extend(claims.examine(&expected, now));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Described, String> {
        let rules = ClaimRules::standard("aud".parse().unwrap());
        Description::read(body.as_bytes(), &Arc::new(rules))
    }

    #[test]
    fn only_an_object_with_active_true_or_false_is_an_answer() {
        assert!(matches!(read(r#"{"active":false}"#), Ok(Described::Inactive)));
        assert!(matches!(read(r#"{"active":false,"sub":7,"exp":"x"}"#), Ok(Described::Inactive)));
        assert!(matches!(read(r#"{"active":true,"sub":"ada","aud":"shop"}"#), Ok(Described::Active(_))));
        for no_answer in [
            "",
            "{}",
            "[]",
            "true",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"active":true,"active":true}"#,
            r#"{"active":true,"sub":"ada","sub":"bob"}"#,
            r#"{"active":true,"sub":"ada"} x"#,
            "\u{feff}{\"active\":true}",
        ] {
            assert!(read(no_answer).is_err(), "{no_answer}");
        }
    }

    #[test]
    fn a_claim_of_another_form_is_refused_by_name() {
        use crate::credential::fault::Claim;
        for (body, expected) in [
            (r#"{"active":true,"aud":"shop"}"#, TokenFault::ClaimMissing(Claim::Subject)),
            (r#"{"active":true,"aud":"shop","sub":7}"#, TokenFault::ClaimInvalid(Claim::Subject)),
            (r#"{"active":true,"sub":"ada"}"#, TokenFault::ClaimMissing(Claim::Audience)),
            (r#"{"active":true,"sub":"ada","aud":7}"#, TokenFault::ClaimInvalid(Claim::Audience)),
            (
                r#"{"active":true,"sub":"ada","aud":"shop","exp":"x"}"#,
                TokenFault::ClaimInvalid(Claim::Expires),
            ),
            (r#"{"active":true,"sub":"ada","aud":"shop","iss":7}"#, TokenFault::ClaimInvalid(Claim::Issuer)),
            (
                r#"{"active":true,"sub":"ada","aud":"shop","scope":7}"#,
                TokenFault::ClaimInvalid(Claim::Scopes),
            ),
        ] {
            match read(body).unwrap() {
                Described::Unusable(fault) => assert_eq!(fault, expected, "{body}"),
                other @ (Described::Inactive | Described::Active(_)) => panic!("{body}: {other:?}"),
            }
        }
    }
}
