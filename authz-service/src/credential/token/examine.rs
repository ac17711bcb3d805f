//! Tries every check of a token by itself, for `cutover explain`: a refusal names the first fault, an operator wants all.

use std::fmt;
use std::time::Duration;

use clock::UnixTime;
use edge_config::edge::{ClaimPath, ClaimRules, Issuer, TenantRule};

use super::claims::Claims;
use super::{Unverified, canonical};
use crate::credential::fault::{Claim, TokenFault};
use crate::credential::keys::KeySet;

/// One check of a token and its outcome. It holds names and codes, never a value of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The thing that was checked, such as `signature` or `tenant`.
    pub check: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// The name of the claim, as the edge file gives it.
    pub claim: Option<String>,
}

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Passed,
    /// The claim is absent and not required.
    Absent,
    /// It is refused.
    Refused(TokenFault),
    /// It could not be made without the keys of the issuer.
    WithoutKeys,
    /// It could not be made without the introspection endpoint of the issuer.
    WithoutEndpoint,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Absent => "absent",
            Self::Refused(fault) => fault.code(),
            Self::WithoutKeys => "not checked: the keys of the issuer are not loaded",
            Self::WithoutEndpoint => {
                "not checked: only the introspection endpoint of the issuer knows the token"
            }
        })
    }
}

impl Check {
    /// A check that is not about a claim.
    #[must_use]
    pub fn of(check: &'static str, outcome: Result<(), TokenFault>) -> Self {
        let outcome = outcome.map_or_else(Outcome::Refused, |()| Outcome::Passed);
        Self { check, outcome, claim: None }
    }
}

impl Unverified<'_> {
    /// Every check of this token by the rules of its issuer at `now`; without `keys` all but that of the signature.
    #[must_use]
    pub fn examine(&self, keys: Option<&KeySet>, issuer: &Issuer, now: UnixTime) -> Vec<Check> {
        let is_typed = issuer.token_types.accept(self.header.typ.as_deref());
        let mut checks = vec![Check::of("typ", if is_typed { Ok(()) } else { Err(TokenFault::WrongType) })];
        match keys.map(|keys| keys.choose(self.header.kid.as_deref(), &self.header.alg)) {
            None => {
                checks.push(Check { check: "signature", outcome: Outcome::WithoutKeys, claim: None });
            }
            Some(chosen) => {
                checks.push(Check::of("key", chosen.as_ref().map(drop).map_err(|fault| *fault)));
                if let Ok(chosen) = chosen {
                    let is_signed = chosen.verifies(self.signed.as_bytes(), &self.signature);
                    let outcome = if is_signed { Ok(()) } else { Err(TokenFault::BadSignature) };
                    checks.push(Check::of("signature", outcome));
                }
            }
        }
        let read = canonical(self.payload).and_then(|payload| Claims::of(&payload, &issuer.claims));
        match read {
            Err(fault) => checks.push(Check::of("claims", Err(fault))),
            Ok(claims) => checks.extend(claims.examine(&Expected::of(issuer), now)),
        }
        checks
    }
}

/// What the claims of an issuer's tokens are compared with.
#[derive(Clone, Copy, Debug)]
pub(in crate::credential) struct Expected<'a> {
    pub(in crate::credential) issuer: &'a str,
    pub(in crate::credential) audiences: &'a [String],
    pub(in crate::credential) leeway: Duration,
    pub(in crate::credential) claims: &'a ClaimRules,
    /// Whether the claims name their issuer and their end, as those of a signed token must.
    pub(in crate::credential) names_itself: bool,
}

impl<'a> Expected<'a> {
    fn of(issuer: &'a Issuer) -> Self {
        let Issuer { issuer, audiences, leeway, claims, .. } = issuer;
        Self { issuer, audiences, leeway: *leeway, claims, names_itself: true }
    }
}

impl Claims<'_> {
    /// Every check of these claims at `now`.
    pub(in crate::credential) fn examine(&self, expected: &Expected<'_>, now: UnixTime) -> Vec<Check> {
        let check = |(claim, found): (Claim, Result<bool, TokenFault>)| {
            let found = found.and_then(|found| self.judged(claim, expected, now).map(|()| found));
            let outcome = match found {
                Ok(true) => Outcome::Passed,
                Ok(false) => Outcome::Absent,
                Err(fault) => Outcome::Refused(fault),
            };
            Check { check: claim.as_str(), outcome, claim: name_of(claim, expected.claims) }
        };
        self.each().into_iter().map(check).collect()
    }

    /// Compares a claim that could be read with what is expected.
    fn judged(&self, claim: Claim, expected: &Expected<'_>, now: UnixTime) -> Result<(), TokenFault> {
        let (now, leeway) = (now.seconds(), expected.leeway.as_secs());
        let fits = |fits: bool, fault| if fits { Ok(()) } else { Err(fault) };
        match claim {
            Claim::Issuer if expected.names_itself => {
                fits(self.issuer()? == expected.issuer, TokenFault::WrongIssuer)
            }
            Claim::Issuer => {
                let named = self.named_issuer()?;
                fits(named.is_none_or(|named| named == expected.issuer), TokenFault::WrongIssuer)
            }
            Claim::Audience => {
                let mine = self.audiences()?.iter().any(|named| expected.audiences.contains(named));
                fits(mine, TokenFault::WrongAudience)
            }
            Claim::Expires => {
                let exp = if expected.names_itself { Some(self.times()?.1) } else { self.moments()?.1 };
                fits(exp.is_none_or(|exp| now <= exp.saturating_add(leeway)), TokenFault::Expired)
            }
            Claim::Issued => {
                let (iat, _) = self.moments()?;
                fits(iat.unwrap_or(0) <= now.saturating_add(leeway), TokenFault::NotYetValid(claim))
            }
            Claim::NotBefore => {
                let nbf = self.not_before()?.unwrap_or(0);
                fits(nbf <= now.saturating_add(leeway), TokenFault::NotYetValid(claim))
            }
            Claim::Subject | Claim::Tenant | Claim::Session | Claim::Role | Claim::Roles | Claim::Scopes => {
                Ok(())
            }
        }
    }
}

/// The name of a claim by `rules`.
fn name_of(claim: Claim, rules: &ClaimRules) -> Option<String> {
    let optional = |path: &Option<ClaimPath>| path.as_ref().map(ToString::to_string);
    match claim {
        Claim::Issuer => Some("iss".to_owned()),
        Claim::Issued | Claim::Expires | Claim::NotBefore => Some(claim.as_str().to_owned()),
        Claim::Audience => Some(rules.audience.to_string()),
        Claim::Subject => Some(rules.subject.to_string()),
        Claim::Tenant => match &rules.tenant {
            TenantRule::Claim(path) => Some(path.to_string()),
            TenantRule::Absent | TenantRule::Constant(_) | TenantRule::Host(_) => None,
        },
        Claim::Session => optional(&rules.session),
        Claim::Role => optional(&rules.role),
        Claim::Roles => optional(&rules.roles),
        Claim::Scopes => optional(&rules.scopes),
    }
}
