//! Warns of policies that no caller can meet, because no accepted credential says what they ask for.

use crate::edge::{AcceptedCredential, ClaimRules, SessionPolicy, TenantRule};
use crate::fault::Place;
use crate::reader::Context;
use crate::sections::kinds::{Recognition, Section};

/// What a policy asks of its callers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Tenant,
    Level,
    Roles,
    Scopes,
}

impl Asked {
    const ALL: [Self; 4] = [Self::Tenant, Self::Level, Self::Roles, Self::Scopes];

    fn is_in(self, policy: &SessionPolicy) -> bool {
        match self {
            Self::Tenant => policy.tenant.is_some(),
            Self::Level => policy.role.is_some(),
            Self::Roles => policy.roles.is_some(),
            Self::Scopes => !policy.scopes.is_empty(),
        }
    }

    /// Whether a token whose claims are read by `rules` can say it.
    fn is_given_by(self, rules: &ClaimRules) -> bool {
        match self {
            Self::Tenant => rules.tenant != TenantRule::Absent,
            Self::Level => rules.role.is_some(),
            Self::Roles => rules.roles.is_some(),
            Self::Scopes => rules.scopes.is_some(),
        }
    }

    /// Whether a credential of this kind can say it.
    fn is_known_of(self, kind: AcceptedCredential, recognition: Recognition<'_>) -> bool {
        match (kind, recognition.sessions) {
            (AcceptedCredential::Session, Section::Good(sessions)) => {
                let signed = sessions.issuers.iter().map(|issuer| &issuer.claims);
                let opaque = sessions.opaque.iter().map(|issuer| &issuer.claims);
                signed.chain(opaque).any(|rules| self.is_given_by(rules))
            }
            // Reported for itself.
            (AcceptedCredential::Session, Section::Missing | Section::Faulty)
            | (AcceptedCredential::ApiKey, _) => true,
            // The file gives them a tenant and a level, and the legacy backend says nothing else.
            (AcceptedCredential::LegacySession, _) => matches!(self, Self::Tenant | Self::Level),
        }
    }

    const fn problem(self) -> &'static str {
        match self {
            Self::Tenant => "compares the tenant, and no credential that it accepts has one",
            Self::Level => "asks for a role as a level, and no credential that it accepts has one",
            Self::Roles => "asks for roles by name, and no credential that it accepts has any",
            Self::Scopes => "asks for scopes, and no credential that it accepts has any",
        }
    }

    const fn mend(self) -> &'static str {
        match self {
            Self::Tenant => {
                "name its source in `claims` of an issuer: `claims: { tenant: org_id }`, a `constant` or a `host`"
            }
            Self::Level => {
                "name the claim in `claims` of an issuer: `claims: { role: level }`; for roles by name write `roles`"
            }
            Self::Roles => {
                "name the claim in `claims` of an issuer: `claims: { roles: groups }`; for a level write `role`"
            }
            Self::Scopes => "accept sessions or API keys, or leave `scopes` out",
        }
    }
}

/// Warns of what `policy`, which messages call `what`, asks for and no accepted credential can say: every caller is 403.
pub(super) fn check(
    context: Context<'_>,
    place: Place,
    what: &str,
    policy: &SessionPolicy,
    recognition: Recognition<'_>,
) {
    for asked in Asked::ALL.into_iter().filter(|asked| asked.is_in(policy)) {
        if !policy.accepted().iter().any(|kind| asked.is_known_of(*kind, recognition)) {
            let problem = format!("{what} {}: no caller would pass", asked.problem());
            context.faults.warn(place, problem, asked.mend());
        }
    }
}
