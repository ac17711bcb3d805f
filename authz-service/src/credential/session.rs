//! Verifies people by the access token of a session.

use clock::UnixTime;
use edge_config::edge::Sessions;

use crate::check::CheckInput;
use crate::credential::cache::TokenCache;
use crate::credential::fault::CredentialFault;
use crate::credential::issuers::IssuerKeys;
use crate::credential::presented::{AuthenticatedPerson, Presented};
use crate::credential::{bearer, cookie, legacy};
use crate::failure::Failure;

/// Everything needed to verify a person.
#[derive(Debug)]
pub struct SessionCredentials<'a> {
    /// The form of sessions on this edge.
    pub rules: &'a Sessions,
    /// The public keys.
    pub keys: &'a IssuerKeys,
    /// Tokens that were verified before.
    pub cache: &'a TokenCache,
    /// Whether `Authorization: Bearer` counts in this request.
    pub bearer: bool,
    /// Whether the cookie may hold a legacy session instead, which [`legacy`](super::legacy) then verifies.
    pub shares_cookie: bool,
}

impl SessionCredentials<'_> {
    /// The person that `input`'s access token authenticates.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when a token was offered and no keys are available to verify it.
    pub fn present(
        &self,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedPerson>, Failure> {
        let token = match self.offered(input) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Presented::NotOffered),
            Err(fault) => return Ok(Presented::Failed(fault)),
        };
        Ok(match self.keys.verify(token, self.rules, self.cache, now)? {
            Ok(believed) => Presented::Verified(AuthenticatedPerson {
                person: believed.person,
                issued: believed.issued,
                token: believed.proof,
            }),
            Err(fault) => Presented::Failed(CredentialFault::Token(fault)),
        })
    }

    /// The one token that the request carries: in the cookie, as a bearer token, or the same one in both.
    fn offered<'r>(&self, input: &CheckInput<'r>) -> Result<Option<&'r [u8]>, CredentialFault> {
        let cookie = cookie::find(&input.cookies(), self.rules.cookie.as_bytes())?;
        let cookie = cookie.filter(|token| !(self.shares_cookie && legacy::looks_like(token)));
        let bearer = if self.bearer { bearer::find(&input.authorizations())? } else { None };
        match (cookie, bearer) {
            (Some(cookie), Some(bearer)) if cookie != bearer => Err(CredentialFault::Ambiguous),
            (Some(token), _) | (None, Some(token)) => Ok(Some(token)),
            (None, None) => Ok(None),
        }
    }
}
