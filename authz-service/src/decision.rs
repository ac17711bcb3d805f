//! What comes of a check: an allow, a denial, or a failure.
//!
//! A denial is a value: the caller is not allowed, and asking again will not help. A failure is an error: the
//! authorizer cannot tell, so nobody passes. Both have a stable [`code`](DenyReason::code) for logs, metrics
//! and explanations, and both choose one of the four answers that the route's contract words.
//!
//! | answer | who gets it |
//! |---|---|
//! | 401 unauthenticated | no credential, or one that is not believed; a session that was ended |
//! | 403 forbidden | a believed caller whose tenant, role, scope or name is not enough |
//! | 404 not found | anybody from outside who reaches for an internal route: that it exists is not their business |
//! | 503 unavailable | everybody, while the authorizer cannot decide |

use crate::credential::CredentialFault;
use crate::identity_headers::HeaderEdits;
use crate::policy::PolicyFault;
use crate::tenant::TenantFault;

/// What comes of a check.
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

/// Which of the route's answers a refused caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// 401: no valid credential.
    Unauthenticated,
    /// 403: not allowed.
    Forbidden,
    /// 404: not to be seen from here.
    NotFound,
    /// 503: the edge cannot decide now.
    Unavailable,
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// The policy asks for a credential and none was offered.
    NoCredential,
    /// A credential was offered and is not believed.
    Credential(CredentialFault),
    /// The session was ended before its token expired.
    SessionRevoked,
    /// The tenant gets nothing.
    Tenant(TenantFault),
    /// A believed caller may not do this.
    Policy(PolicyFault),
    /// An internal route, reached for from outside.
    InternalOnly,
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
        }
    }

    /// Which answer the caller gets.
    #[must_use]
    pub const fn answer(self) -> AnswerKind {
        match self {
            // A revoked session answers as an expired one does: signing in again is the way on.
            Self::NoCredential | Self::Credential(_) | Self::SessionRevoked => AnswerKind::Unauthenticated,
            Self::Tenant(_) | Self::Policy(_) => AnswerKind::Forbidden,
            Self::InternalOnly => AnswerKind::NotFound,
        }
    }
}

/// Why the authorizer cannot decide. Always answered with [`AnswerKind::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Envoy's question lacks something that every rendered configuration sends.
    #[error("the check is malformed")]
    MalformedCheck,
    /// Envoy was configured from an edge file that this replica does not have.
    #[error("the edge revision is unknown here")]
    UnknownRevision,
    /// The edge file of that revision has no such route.
    #[error("the route is unknown")]
    UnknownRoute,
    /// The route has another policy than the one Envoy sent.
    #[error("the policy is not the route's")]
    PolicyMismatch,
    /// No public keys are loaded, or they could not be refreshed for too long.
    #[error("the session keys are unavailable")]
    KeysUnavailable,
    /// The tenant directory is not loaded, or could not be read for too long.
    #[error("the tenant directory is unavailable")]
    TenantsUnavailable,
    /// The list of revoked sessions cannot be read, or is larger than this replica can hold.
    #[error("the revocations are unavailable")]
    RevocationsUnavailable,
    /// The signed identity could not be made.
    #[error("the identity could not be signed")]
    SigningFailed,
    /// A defect: the decision panicked.
    #[error("the decision panicked")]
    Panicked,
}

impl Failure {
    /// The stable code of this failure.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MalformedCheck => "malformed_check",
            Self::UnknownRevision => "unknown_revision",
            Self::UnknownRoute => "unknown_route",
            Self::PolicyMismatch => "policy_mismatch",
            Self::KeysUnavailable => "keys_unavailable",
            Self::TenantsUnavailable => "tenants_unavailable",
            Self::RevocationsUnavailable => "revocations_unavailable",
            Self::SigningFailed => "signing_failed",
            Self::Panicked => "panicked",
        }
    }
}

/// Whatever stops the chain of stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The caller is not allowed.
    Denied(DenyReason),
    /// The authorizer cannot tell.
    Failed(Failure),
}

impl From<DenyReason> for Stop {
    fn from(reason: DenyReason) -> Self {
        Self::Denied(reason)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
