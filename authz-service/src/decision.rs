//! The outcome of a check: an allow, a denial, or a failure.
//!
//! A denial is a value: the caller is not allowed, and a retry does not help. A [`Failure`] is an error: the
//! authorizer cannot decide, so no request passes. This module stands above the stages and joins their
//! faults. Both have a stable [`code`](DenyReason::code) for logs, metrics and explanations, and both choose
//! one of the six answers that the route's contract defines.
//!
//! | answer | for |
//! |---|---|
//! | 401 unauthenticated | no credential, or an invalid one; a session that was ended |
//! | 403 forbidden | a verified caller whose tenant, role, scope or name is not sufficient |
//! | 401 replayed, or what the edge file says (429) | a signature that was used before |
//! | 404 not found | an outside request for an internal route: it must not reveal that the route exists |
//! | 429 too many requests | a caller, or an address, over a limit of the route |
//! | 503 unavailable | every request that the authorizer cannot decide |

use crate::credential::fault::{Claim, CredentialFault, SignatureFault};
use crate::failure::{Failure, Stop};
use crate::identity_headers::HeaderEdits;
use crate::limit::RATE_LIMITED;
use crate::policy::PolicyFault;
use crate::session::SessionRevoked;
use crate::tenant::TenantFault;

/// The outcome of a check.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The request passes, with these identity headers.
    Allow(HeaderEdits),
    /// The request is refused.
    Deny(DenyReason),
    /// The authorizer cannot decide, so the request is refused.
    Fail(Failure),
}

/// The code of an allow, beside the codes of [`DenyReason`] and [`Failure`].
pub const ALLOWED: &str = "allowed";

/// Replaces [`Decision::as_str`] for a request that the edge allowed by a lease.
pub const LEASED: &str = "lease";

impl Decision {
    /// `allow`, `deny` or `error`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Deny(_) => "deny",
            Self::Fail(_) => "error",
        }
    }

    /// The stable code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Allow(_) => ALLOWED,
            Self::Deny(reason) => reason.code(),
            Self::Fail(failure) => failure.code(),
        }
    }
}

impl Decision {
    /// The claim of a token that decided a refusal, when one did. The caller does not learn it.
    #[must_use]
    pub const fn claim(&self) -> Option<Claim> {
        match self {
            Self::Deny(DenyReason::Credential(fault)) => fault.claim(),
            Self::Deny(
                DenyReason::NoCredential
                | DenyReason::SessionRevoked
                | DenyReason::Tenant(_)
                | DenyReason::Policy(_)
                | DenyReason::InternalOnly
                | DenyReason::RateLimited,
            )
            | Self::Allow(_)
            | Self::Fail(_) => None,
        }
    }
}

/// The answer of the route that a refused caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// 401: no valid credential.
    Unauthenticated,
    /// 401 unless the edge file says otherwise: a signature that was used before.
    Replayed,
    /// 403: not allowed.
    Forbidden,
    /// 404: not visible from here.
    NotFound,
    /// 429: over a limit.
    TooManyRequests,
    /// 503: the edge cannot decide now.
    Unavailable,
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// The policy requires a credential and none was offered.
    NoCredential,
    /// A credential was offered and is invalid.
    Credential(CredentialFault),
    /// The session was ended before its token expired.
    SessionRevoked,
    /// The tenant is unknown or suspended.
    Tenant(TenantFault),
    /// A verified caller may not do this.
    Policy(PolicyFault),
    /// An internal route, requested from outside.
    InternalOnly,
    /// Over a limit of the route.
    RateLimited,
}

impl DenyReason {
    /// The stable code of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::Credential(fault) => fault.code(),
            Self::SessionRevoked => "session_revoked",
            Self::Tenant(fault) => fault.code(),
            Self::Policy(fault) => fault.code(),
            Self::InternalOnly => "internal_only",
            Self::RateLimited => RATE_LIMITED,
        }
    }

    /// The answer for the caller.
    #[must_use]
    pub const fn answer(self) -> AnswerKind {
        match self {
            Self::Credential(CredentialFault::Signature(SignatureFault::Replayed)) => AnswerKind::Replayed,
            // A revoked session is answered like an expired one: the client can sign in again.
            Self::NoCredential | Self::Credential(_) | Self::SessionRevoked => AnswerKind::Unauthenticated,
            Self::Tenant(_) | Self::Policy(_) => AnswerKind::Forbidden,
            Self::InternalOnly => AnswerKind::NotFound,
            Self::RateLimited => AnswerKind::TooManyRequests,
        }
    }
}

impl From<DenyReason> for Stop<DenyReason> {
    fn from(reason: DenyReason) -> Self {
        Self::Denied(reason)
    }
}

impl From<PolicyFault> for Stop<DenyReason> {
    fn from(fault: PolicyFault) -> Self {
        Self::Denied(DenyReason::Policy(fault))
    }
}

impl From<Stop<SessionRevoked>> for Stop<DenyReason> {
    fn from(stop: Stop<SessionRevoked>) -> Self {
        stop.map(|SessionRevoked| DenyReason::SessionRevoked)
    }
}

impl From<Stop<TenantFault>> for Stop<DenyReason> {
    fn from(stop: Stop<TenantFault>) -> Self {
        stop.map(DenyReason::Tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::fault::{ApiKeyFault, LegacyFault, TokenFault};
    use api_keys::KeyFault;
    use identity::assertion::Rejected;
    use signed_request::Fault;

    /// Every reason, its answer and its code. Logs, dashboards and explanations use the codes: a change here
    /// breaks their readers.
    #[test]
    fn codes_and_answers_are_fixed() {
        let credential = DenyReason::Credential;
        let token = |fault| credential(CredentialFault::Token(fault));
        let key = |fault| credential(CredentialFault::ApiKey(fault));
        let legacy = |fault| credential(CredentialFault::Legacy(fault));
        let assertion = |rejected| credential(CredentialFault::Assertion(rejected));
        let service_token = |rejected| credential(CredentialFault::ServiceToken(rejected));
        let signature = |fault| credential(CredentialFault::Signature(fault));
        let denials = [
            (DenyReason::NoCredential, "no_credential"),
            (credential(CredentialFault::Ambiguous), "ambiguous_credential"),
            (credential(CredentialFault::TooManyCookies), "too_many_cookies"),
            (credential(CredentialFault::RepeatedAuthorization), "repeated_authorization"),
            (credential(CredentialFault::MalformedBearer), "malformed_bearer"),
            (token(TokenFault::TooLong), "token_too_long"),
            (token(TokenFault::Malformed), "token_malformed"),
            (token(TokenFault::WrongType), "token_wrong_type"),
            (token(TokenFault::UnknownKey), "token_unknown_key"),
            (token(TokenFault::WrongAlgorithm), "token_wrong_algorithm"),
            (token(TokenFault::BadSignature), "token_bad_signature"),
            (token(TokenFault::WrongClaims), "token_wrong_claims"),
            (token(TokenFault::ClaimMissing(Claim::Tenant)), "token_claim_missing"),
            (token(TokenFault::ClaimInvalid(Claim::Tenant)), "token_claim_invalid"),
            (token(TokenFault::WrongIssuer), "token_wrong_issuer"),
            (token(TokenFault::WrongAudience), "token_wrong_audience"),
            (token(TokenFault::Expired), "token_expired"),
            (token(TokenFault::NotYetValid(Claim::NotBefore)), "token_not_yet_valid"),
            (token(TokenFault::Inactive), "token_inactive"),
            (key(ApiKeyFault::Repeated), "api_key_repeated"),
            (key(ApiKeyFault::Key(KeyFault::Malformed)), "api_key_malformed"),
            (key(ApiKeyFault::Key(KeyFault::Unknown)), "api_key_unknown"),
            (key(ApiKeyFault::Key(KeyFault::WrongSecret)), "api_key_wrong_secret"),
            (key(ApiKeyFault::Key(KeyFault::Revoked)), "api_key_revoked"),
            (key(ApiKeyFault::Key(KeyFault::Expired)), "api_key_expired"),
            (legacy(LegacyFault::Malformed), "legacy_malformed"),
            (legacy(LegacyFault::WrongAlgorithm), "legacy_wrong_algorithm"),
            (legacy(LegacyFault::UnknownSession), "legacy_unknown_session"),
            (legacy(LegacyFault::BadSignature), "legacy_bad_signature"),
            (legacy(LegacyFault::WrongClaims), "legacy_wrong_claims"),
            (legacy(LegacyFault::Expired), "legacy_expired"),
            (legacy(LegacyFault::Refused), "legacy_refused"),
            (assertion(Rejected::Malformed), "assertion_malformed"),
            (assertion(Rejected::UnknownKey), "assertion_unknown_key"),
            (assertion(Rejected::BadSignature), "assertion_bad_signature"),
            (assertion(Rejected::WrongAudience), "assertion_wrong_audience"),
            (assertion(Rejected::WrongTime), "assertion_wrong_time"),
            (assertion(Rejected::WrongClaims), "assertion_wrong_claims"),
            (service_token(Rejected::Malformed), "service_token_malformed"),
            (service_token(Rejected::UnknownKey), "service_token_unknown_key"),
            (service_token(Rejected::BadSignature), "service_token_bad_signature"),
            (service_token(Rejected::WrongAudience), "service_token_wrong_audience"),
            (service_token(Rejected::WrongTime), "service_token_wrong_time"),
            (service_token(Rejected::WrongClaims), "service_token_wrong_claims"),
            (signature(SignatureFault::Signature(Fault::Malformed)), "signature_malformed"),
            (signature(SignatureFault::Signature(Fault::Ambiguous)), "signature_ambiguous"),
            (signature(SignatureFault::Signature(Fault::Incomplete)), "signature_incomplete"),
            (signature(SignatureFault::Signature(Fault::UnknownComponent)), "signature_unknown_component"),
            (signature(SignatureFault::Signature(Fault::Unsignable)), "signature_unsignable"),
            (signature(SignatureFault::Signature(Fault::WrongTag)), "signature_wrong_tag"),
            (signature(SignatureFault::Signature(Fault::WrongAlgorithm)), "signature_wrong_algorithm"),
            (signature(SignatureFault::Signature(Fault::BadSignature)), "signature_bad"),
            (signature(SignatureFault::Signature(Fault::WrongDigest)), "signature_wrong_digest"),
            (signature(SignatureFault::UnknownKey), "signature_unknown_key"),
            (signature(SignatureFault::NotYetValid), "signature_not_yet_valid"),
            (signature(SignatureFault::Expired), "signature_expired"),
            (DenyReason::SessionRevoked, "session_revoked"),
        ];
        for (reason, code) in denials {
            assert_eq!((reason.code(), reason.answer()), (code, AnswerKind::Unauthenticated));
        }
        for (reason, code, answer) in [
            (signature(SignatureFault::Replayed), "signature_replayed", AnswerKind::Replayed),
            (DenyReason::Tenant(TenantFault::Unknown), "tenant_unknown", AnswerKind::Forbidden),
            (DenyReason::Tenant(TenantFault::Suspended), "tenant_suspended", AnswerKind::Forbidden),
            (DenyReason::Policy(PolicyFault::RoleTooLow), "role_too_low", AnswerKind::Forbidden),
            (DenyReason::Policy(PolicyFault::ScopeMissing), "scope_missing", AnswerKind::Forbidden),
            (DenyReason::Policy(PolicyFault::TenantMismatch), "tenant_mismatch", AnswerKind::Forbidden),
            (
                DenyReason::Policy(PolicyFault::ServiceNotAllowed),
                "service_not_allowed",
                AnswerKind::Forbidden,
            ),
            (DenyReason::Policy(PolicyFault::PermissionMissing), "permission_missing", AnswerKind::Forbidden),
            (
                DenyReason::Policy(PolicyFault::AddressNotAllowed),
                "address_not_allowed",
                AnswerKind::Forbidden,
            ),
            (
                DenyReason::Policy(PolicyFault::SigningKeyNotAllowed),
                "signing_key_not_allowed",
                AnswerKind::Forbidden,
            ),
            (DenyReason::InternalOnly, "internal_only", AnswerKind::NotFound),
            (DenyReason::RateLimited, "rate_limited", AnswerKind::TooManyRequests),
        ] {
            assert_eq!((reason.code(), reason.answer()), (code, answer));
        }
        let failures = [
            (Failure::MalformedCheck, "malformed_check"),
            (Failure::UnknownRevision, "unknown_revision"),
            (Failure::UnknownRoute, "unknown_route"),
            (Failure::PolicyMismatch, "policy_mismatch"),
            (Failure::KeysUnavailable, "keys_unavailable"),
            (Failure::TenantsUnavailable, "tenants_unavailable"),
            (Failure::RevocationsUnavailable, "revocations_unavailable"),
            (Failure::ApiKeysUnavailable, "api_keys_unavailable"),
            (Failure::LegacyUnavailable, "legacy_unavailable"),
            (Failure::IntrospectionUnavailable, "introspection_unavailable"),
            (Failure::SigningKeysUnavailable, "signing_keys_unavailable"),
            (Failure::NoncesUnavailable, "nonces_unavailable"),
            (Failure::SigningFailed, "signing_failed"),
            (Failure::Panicked, "panicked"),
        ];
        for (failure, code) in failures {
            assert_eq!(failure.code(), code);
        }
    }
}
