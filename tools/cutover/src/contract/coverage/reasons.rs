//! The denial reasons that an edge file can bring about.

use edge_config::Edge;
use edge_config::edge::{InternalPolicy, LegacyVerifier, Policy, SessionPolicy};

/// The codes, grouped by what an edge file needs for them. A test compares them with the authorizer's own.
const SESSIONS: &[&str] = &[
    "ambiguous_credential",
    "too_many_cookies",
    "repeated_authorization",
    "malformed_bearer",
    "token_too_long",
    "token_malformed",
    "token_wrong_type",
    "token_unknown_key",
    "token_wrong_algorithm",
    "token_bad_signature",
    "token_wrong_claims",
    "token_claim_missing",
    "token_claim_invalid",
    "token_wrong_issuer",
    "token_wrong_audience",
    "token_expired",
    "token_not_yet_valid",
    "session_revoked",
];
const LEVELS: &[&str] = &["role_too_low"];
const ROLES: &[&str] = &["role_missing"];
const SCOPES: &[&str] = &["scope_missing"];
const OWN_TENANT: &[&str] = &["tenant_missing", "tenant_mismatch"];
const LISTED_SERVICES: &[&str] = &["service_not_allowed"];
const PERMISSIONS: &[&str] = &["permission_missing"];
const ADDRESSES: &[&str] = &["address_not_allowed"];
const COOKIE_PARTS: &[&str] = &["cookie_parts_invalid"];
const ANY_CREDENTIAL: &[&str] = &["no_credential"];
const TENANTS: &[&str] = &["tenant_unknown", "tenant_suspended"];
const API_KEYS: &[&str] = &[
    "api_key_repeated",
    "api_key_malformed",
    "api_key_unknown",
    "api_key_wrong_secret",
    "api_key_revoked",
    "api_key_expired",
];
const LEGACY: &[&str] = &["legacy_malformed"];
/// The authorizer verifies a token itself, with the key in the legacy backend's store.
const LEGACY_STORE: &[&str] = &[
    "legacy_wrong_algorithm",
    "legacy_unknown_session",
    "legacy_bad_signature",
    "legacy_wrong_claims",
    "legacy_expired",
];
/// The legacy backend verifies it.
const LEGACY_CHECK: &[&str] = &["legacy_refused"];
const SERVICES: &[&str] = &[
    "internal_only",
    "assertion_malformed",
    "assertion_unknown_key",
    "assertion_bad_signature",
    "assertion_wrong_audience",
    "assertion_wrong_time",
    "assertion_wrong_claims",
];
const SERVICE_TOKENS: &[&str] = &[
    "service_token_malformed",
    "service_token_unknown_key",
    "service_token_bad_signature",
    "service_token_wrong_audience",
    "service_token_wrong_time",
    "service_token_wrong_claims",
];
const SIGNATURES: &[&str] = &[
    "signature_malformed",
    "signature_ambiguous",
    "signature_incomplete",
    "signature_unknown_component",
    "signature_unsignable",
    "signature_wrong_algorithm",
    "signature_bad",
    "signature_wrong_digest",
    "signature_unknown_key",
    "signature_not_yet_valid",
    "signature_expired",
    "signature_replayed",
    "signing_key_not_allowed",
];
const WEBHOOKS: &[&str] = &[
    "webhook_signature_missing",
    "webhook_signature_repeated",
    "webhook_signature_malformed",
    "webhook_signature_wrong",
    "webhook_signature_incomplete",
    "webhook_timestamp_missing",
    "webhook_timestamp_malformed",
    "webhook_signature_too_old",
    "webhook_signature_too_new",
    "webhook_signature_replayed",
];
const OPAQUE: &[&str] = &["token_inactive"];
const TAGS: &[&str] = &["signature_wrong_tag"];
const CERTIFICATES: &[&str] = &["certificate_unknown"];
const LIMITS: &[&str] = &["rate_limited"];

/// The codes for which `edge` has what they need.
pub(super) fn of(edge: &Edge) -> Vec<&'static str> {
    let policies = || edge.policies.values();
    let has_sessions = edge.sessions.is_some();
    let has_internal = policies().any(|policy| matches!(policy, Policy::Internal(_)));
    let session = |wanted: fn(&SessionPolicy) -> bool| {
        policies().any(|policy| matches!(policy, Policy::Session(policy) if wanted(policy)))
    };
    let internal = |wanted: &dyn Fn(&InternalPolicy) -> bool| {
        policies().any(|policy| matches!(policy, Policy::Internal(policy) if wanted(policy)))
    };
    // A policy that names some services refuses the others.
    let leaves_one_out = |policy: &InternalPolicy| {
        !policy.services.is_empty() && edge.services.keys().any(|name| !policy.services.contains(name))
    };
    let asks = policies().any(|policy| !matches!(policy, Policy::Public(_)));
    let verifies_legacy = |wanted: fn(&LegacyVerifier) -> bool| {
        edge.legacy_sessions.as_ref().is_some_and(|legacy| wanted(&legacy.verify))
    };
    let groups = [
        (asks, ANY_CREDENTIAL),
        (has_sessions, SESSIONS),
        (
            has_sessions && edge.sessions.as_ref().is_some_and(|sessions| sessions.reading.split.is_some()),
            COOKIE_PARTS,
        ),
        (session(|policy| policy.role.is_some()), LEVELS),
        (session(|policy| policy.roles.is_some()), ROLES),
        (session(|policy| !policy.scopes.is_empty()), SCOPES),
        (session(|policy| policy.tenant.is_some()), OWN_TENANT),
        (internal(&leaves_one_out), LISTED_SERVICES),
        (internal(&|policy| !policy.permissions.is_empty()), PERMISSIONS),
        (edge.signatures.is_some() || !edge.webhooks.is_empty(), ADDRESSES),
        (edge.sessions.as_ref().is_some_and(|sessions| !sessions.opaque.is_empty()), OPAQUE),
        (
            policies().any(|policy| matches!(policy, Policy::Signed(policy) if policy.profile.tag.is_some())),
            TAGS,
        ),
        (!edge.client_certificates.is_empty(), CERTIFICATES),
        (edge.tenants.is_some(), TENANTS),
        (edge.api_keys.is_some(), API_KEYS),
        (edge.legacy_sessions.is_some(), LEGACY),
        (verifies_legacy(|by| matches!(by, LegacyVerifier::Store(_))), LEGACY_STORE),
        (verifies_legacy(|by| matches!(by, LegacyVerifier::Check(_))), LEGACY_CHECK),
        (has_internal && !edge.services.is_empty(), SERVICES),
        (edge.service_tokens.is_some(), SERVICE_TOKENS),
        (edge.signatures.is_some(), SIGNATURES),
        (!edge.webhooks.is_empty(), WEBHOOKS),
        (!edge.limits.is_empty(), LIMITS),
    ];
    groups.into_iter().filter(|(has, _)| *has).flat_map(|(_, codes)| codes).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The codes in the bodies of the functions `code` of one file of the authorizer.
    fn codes(file: &str) -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../authz-service/src").join(file);
        let source = std::fs::read_to_string(path).unwrap();
        let mut found = BTreeSet::new();
        for body in source.split("fn code(").skip(1) {
            let body = body.split("\n    }\n").next().unwrap();
            found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
        found
    }

    #[test]
    fn every_reason_of_the_authorizer_is_in_a_group_and_no_other() {
        let groups = [
            LEVELS,
            ROLES,
            SCOPES,
            OWN_TENANT,
            LISTED_SERVICES,
            PERMISSIONS,
            ADDRESSES,
            SESSIONS,
            COOKIE_PARTS,
            ANY_CREDENTIAL,
            TENANTS,
            API_KEYS,
            LEGACY,
            LEGACY_STORE,
            LEGACY_CHECK,
            SERVICES,
            SERVICE_TOKENS,
            SIGNATURES,
            WEBHOOKS,
            OPAQUE,
            TAGS,
            CERTIFICATES,
            LIMITS,
        ];
        let known: BTreeSet<String> = groups.concat().into_iter().map(str::to_owned).collect();
        let files = ["credential/fault.rs", "policy.rs", "tenant.rs", "decision.rs"];
        let mut own: BTreeSet<String> = files.into_iter().flat_map(codes).collect();
        own.insert("rate_limited".to_owned());
        assert_eq!(known, own, "left: the groups, right: the authorizer");
    }
}
