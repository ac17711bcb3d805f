//! The base of every stage: the reasons why the authorizer cannot decide.
//!
//! A [`Failure`] is an error of the authorizer or of its dependencies, never the caller's. A stage that can
//! also refuse the caller returns a [`Stop`] with the faults of that stage alone; `decision` joins them.

/// Why the authorizer cannot decide. Always answered with 503 (`AnswerKind::Unavailable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Envoy's check lacks a part that every rendered configuration sends.
    #[error("the check is malformed")]
    MalformedCheck,
    /// Envoy was configured from an edge file that this replica does not have.
    #[error("the edge revision is unknown to this replica")]
    UnknownRevision,
    /// The edge file of that revision has no such route.
    #[error("the route is unknown")]
    UnknownRoute,
    /// The route has another policy than the one Envoy sent.
    #[error("the policy does not match the route")]
    PolicyMismatch,
    /// No public keys are loaded, or they have not been refreshed for too long.
    #[error("the session keys are unavailable")]
    KeysUnavailable,
    /// The tenant directory is not loaded, or has been unreadable for too long.
    #[error("the tenant directory is unavailable")]
    TenantsUnavailable,
    /// The list of revoked sessions cannot be read, or is larger than this replica can hold.
    #[error("the revocations are unavailable")]
    RevocationsUnavailable,
    /// The API keys are not loaded, or have been unreadable for too long.
    #[error("the API keys are unavailable")]
    ApiKeysUnavailable,
    /// Neither the legacy backend nor its store answers whether a session is valid.
    #[error("the legacy backend's sessions are unavailable")]
    LegacyUnavailable,
    /// The issuer of an opaque token does not say what the token is.
    #[error("the introspection endpoint of the issuer is unavailable")]
    IntrospectionUnavailable,
    /// No keys of signed requests are loaded, or they have been unreadable for too long.
    #[error("the signing keys are unavailable")]
    SigningKeysUnavailable,
    /// The nonce memory cannot tell whether a signed request was seen before.
    #[error("the nonce memory is unavailable")]
    NoncesUnavailable,
    /// No secrets of a webhook are loaded, or they have been unreadable for too long.
    #[error("the secrets of the webhook are unavailable")]
    WebhookSecretsUnavailable,
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
            Self::ApiKeysUnavailable => "api_keys_unavailable",
            Self::LegacyUnavailable => "legacy_unavailable",
            Self::IntrospectionUnavailable => "introspection_unavailable",
            Self::SigningKeysUnavailable => "signing_keys_unavailable",
            Self::NoncesUnavailable => "nonces_unavailable",
            Self::WebhookSecretsUnavailable => "webhook_secrets_unavailable",
            Self::SigningFailed => "signing_failed",
            Self::Panicked => "panicked",
        }
    }
}

/// Why a stage stops a request. `F` has the faults of the caller that the stage can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop<F> {
    /// The caller is not allowed.
    Denied(F),
    /// The authorizer cannot decide.
    Failed(Failure),
}

impl<F> Stop<F> {
    /// The same with the fault mapped by `change`.
    pub fn map<G>(self, change: impl FnOnce(F) -> G) -> Stop<G> {
        match self {
            Self::Denied(fault) => Stop::Denied(change(fault)),
            Self::Failed(failure) => Stop::Failed(failure),
        }
    }
}

impl<F> From<Failure> for Stop<F> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
