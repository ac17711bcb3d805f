//! What an explanation without a running edge cannot know, in words for whoever reads it.

use edge_config::Edge;
use edge_config::edge::{AcceptedCredential, KeySource, LegacyVerifier, Policy, Route, TenantDirectory};

use super::Arguments;

/// One sentence for each thing that a running edge knows about a request on `route` and this explanation does not. `shared`
/// says whether replicas share Redis. Credentials that the policy does not accept need no sentence.
pub(super) fn of(
    edge: &Edge,
    route: &Route,
    arguments: &Arguments,
    method: &str,
    shared: bool,
) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |sentence: String| told.push(sentence);
    let policy = edge.policies.get(&route.policy);
    let limits = &route.limits;
    if !limits.is_empty() {
        tell(format!(
            "how much of the limits {} is used up: counted as if nobody had called before",
            limits.join(", ")
        ));
    }
    match policy {
        Some(Policy::Signed(_)) => {
            if arguments.client.is_none() {
                tell(
                    "where the request comes from: without --client the address list refuses it before its signature \
                     is looked at"
                        .to_owned(),
                );
            }
            if arguments.body.is_none() && !matches!(method, "GET" | "HEAD") {
                tell("the body: without --body its digest is compared with that of an empty one".to_owned());
            }
            tell(
                "whether the nonce was used before: nobody remembers here, so a signature that holds in all else ends \
                 in nonces_unavailable"
                    .to_owned(),
            );
        }
        Some(Policy::Session(policy)) => {
            let accepts = |kind| policy.accepts(kind);
            if accepts(AcceptedCredential::Session) {
                for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.issuers) {
                    match &issuer.keys {
                        KeySource::Url(_) if !arguments.fetch => tell(format!(
                            "the keys of {}: they are behind a URL and are not fetched; --fetch fetches them",
                            issuer.issuer
                        )),
                        KeySource::Url(_) | KeySource::File(_) | KeySource::Pem { .. } => {}
                    }
                }
            }
            if accepts(AcceptedCredential::LegacySession) {
                match edge.legacy_sessions.as_ref().map(|rules| &rules.verify) {
                    Some(LegacyVerifier::Check(_)) => tell(
                        "what the edge remembers of the legacy's answers: the legacy is asked now".to_owned(),
                    ),
                    Some(LegacyVerifier::Store(_)) | None => {}
                }
            }
            if shared && edge.sessions.as_ref().is_some_and(|sessions| sessions.revocations.is_some()) {
                tell("which sessions were ended through Redis: only the revocation file is read".to_owned());
            }
        }
        Some(Policy::Public | Policy::Internal(_)) | None => {}
    }
    match (policy, &edge.tenants) {
        (Some(Policy::Session(_) | Policy::Internal(_)), Some(TenantDirectory::Service(_))) => {
            tell("what the replicas remember of the tenant: the tenants service is asked now".to_owned());
        }
        (Some(Policy::Public | Policy::Signed(_) | Policy::Session(_) | Policy::Internal(_)) | None, _) => {}
    }
    told
}

/// `edge` as one authorizer by itself decides by it: nothing is read from Redis or written to it, and no other replica
/// remembers anything.
pub(super) fn alone(edge: &Edge) -> Edge {
    let mut edge = edge.clone();
    edge.authorizer.replicas = 1;
    match &mut edge.tenants {
        Some(TenantDirectory::Service(service)) => service.redis = false,
        Some(TenantDirectory::File(_)) | None => {}
    }
    edge
}
