//! What is said when a part that decides is missing here.

use authz_service::failure::Failure;
use authz_service::startup::Assembled;
use edge_config::Edge;
use edge_config::edge::{KeySource, Policy, Route};
use serde_json::{Map, Value};

use crate::explain::Arguments;

/// Takes the decision back: a running edge may decide otherwise.
pub(super) fn not_known(report: &mut Map<String, Value>, why: String) -> Result<(), String> {
    for field in ["reason", "credential", "stages", "answer"] {
        report.remove(field);
    }
    report.insert("decision".to_owned(), "not known".into());
    Err(why)
}

/// Why the decision is missing, when a part that decides is missing here. A running edge may have fetched keys from a URL, so
/// its decision is not known then.
pub(super) fn missing(
    edge: &Edge,
    arguments: &Arguments,
    route: &Route,
    failure: Failure,
    assembled: &Assembled,
    report: &mut Map<String, Value>,
) -> Result<(), String> {
    let internal = matches!(edge.policies.get(&route.policy), Some(Policy::Internal(_)));
    let part = match failure {
        Failure::KeysUnavailable if internal => "services",
        Failure::KeysUnavailable => "keys",
        Failure::TenantsUnavailable => "tenants",
        Failure::RevocationsUnavailable => "revocations",
        Failure::ApiKeysUnavailable => "api_keys",
        Failure::SigningKeysUnavailable => "signing-keys",
        Failure::WebhookSecretsUnavailable => "webhooks",
        Failure::IntrospectionUnavailable if arguments.fetch => "introspection",
        Failure::IntrospectionUnavailable => {
            return not_known(
                report,
                "the token is opaque: only the introspection endpoint of its issuer knows it, and it was not queried; \
                 add --fetch"
                    .to_owned(),
            );
        }
        Failure::LegacyUnavailable => {
            return Err("the legacy backend, or the store of its sessions, does not answer".to_owned());
        }
        // This explanation has no store of nonces; `not_known` says so.
        Failure::NoncesUnavailable
        | Failure::MalformedCheck
        | Failure::UnknownRevision
        | Failure::UnknownRoute
        | Failure::PolicyMismatch
        | Failure::SigningFailed
        | Failure::Panicked => return Ok(()),
    };
    let behind_urls: Vec<&str> = edge
        .sessions
        .iter()
        .flat_map(|sessions| &sessions.issuers)
        .filter(|issuer| matches!(issuer.keys, KeySource::Url(_) | KeySource::Discovery(_)))
        .map(|issuer| issuer.issuer.as_str())
        .collect();
    if part == "keys" && !arguments.fetch && !behind_urls.is_empty() {
        let issuers = behind_urls.join(", ");
        let why = format!("the keys of {issuers} have a URL and were not fetched; add --fetch");
        return not_known(report, why);
    }
    let readiness = assembled.admin.readiness();
    let detail = readiness.parts.get(part).map(|part| part.detail.clone());
    Err(format!("{part}: {}", detail.unwrap_or_else(|| failure.to_string())))
}
