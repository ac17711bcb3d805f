//! Verifies people by the access token of a session.

use std::borrow::Cow;
use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::{ClaimRules, MappedClaim, Sessions, TenantRule};
use identity::Person;

use crate::check::CheckInput;
use crate::credential::cache::{Believed, TokenCache};
use crate::credential::fault::{Claim, CredentialFault, TokenFault};
use crate::credential::issuers::IssuerKeys;
use crate::credential::opaque::{self, OpaqueTokens};
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
    /// The endpoints that describe opaque tokens.
    pub opaque: &'a OpaqueTokens,
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
    /// When a token was offered: [`Failure::KeysUnavailable`] when no keys are available to verify it,
    /// [`Failure::IntrospectionUnavailable`] when its issuer does not describe it.
    pub async fn present(
        &self,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedPerson>, Failure> {
        let token = match self.offered(input) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Presented::NotOffered),
            Err(fault) => return Ok(Presented::Failed(fault)),
        };
        let verified = match opaque::issuer_of(self.rules, &token) {
            None => self.keys.verify(&token, self.rules, self.cache, now)?,
            // Boxed: most decisions should not carry the state of a query.
            Some(issuer) => Box::pin(self.opaque.verify(&token, issuer, input.client, now)).await?,
        };
        Ok(match verified {
            Ok(Believed { person, issued, proof, access, rules }) => {
                match of_host(person, &rules, input.host) {
                    // A lease would be used for the other host names of its route, which have other tenants.
                    Ok((person, is_of_host)) => {
                        let token = proof.filter(|_| !is_of_host);
                        Presented::Verified(AuthenticatedPerson { person, issued, token, access })
                    }
                    Err(fault) => Presented::Failed(CredentialFault::Token(fault)),
                }
            }
            Err(fault) => Presented::Failed(CredentialFault::Token(fault)),
        })
    }

    /// The one token that the request carries: in the cookie, as a bearer token, or the same one in both.
    fn offered<'r>(&self, input: &CheckInput<'r>) -> Result<Option<Cow<'r, [u8]>>, CredentialFault> {
        let cookie = cookie::access(&input.cookies(), self.rules)?;
        let cookie = cookie.filter(|token| !(self.shares_cookie && legacy::looks_like(token)));
        let bearer = if self.bearer { bearer::find(&input.authorizations())? } else { None };
        match (cookie, bearer) {
            (Some(cookie), Some(bearer)) if cookie.as_ref() != bearer => Err(CredentialFault::Ambiguous),
            (Some(token), _) => Ok(Some(token)),
            (None, Some(token)) => Ok(Some(Cow::Borrowed(token))),
            (None, None) => Ok(None),
        }
    }
}

/// The person as a member of the tenant of `host`, when `rules` say that the host name stands for the tenant, and whether
/// they say so.
fn of_host(person: Arc<Person>, rules: &ClaimRules, host: &str) -> Result<(Arc<Person>, bool), TokenFault> {
    let TenantRule::Host(hosts) = &rules.tenant else { return Ok((person, false)) };
    let tenant = hosts.tenant(host);
    if tenant.is_none() && rules.required.contains(&MappedClaim::Tenant) {
        return Err(TokenFault::ClaimMissing(Claim::Tenant));
    }
    Ok((Arc::new(Person { tenant, ..Person::clone(&person) }), true))
}
