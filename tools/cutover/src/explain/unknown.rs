//! What an explanation without a running edge cannot know, in words for its reader.

use edge_config::Edge;
use edge_config::edge::{AcceptedCredential, KeySource, LegacyVerifier, Policy, Route, TenantDirectory};

use super::Arguments;

/// One sentence for each fact about a request on `route` that only a running edge knows. `shared` says whether replicas
/// share Redis. Credentials that the policy does not accept need no sentence.
pub(super) fn of(
    edge: &Edge,
    route: &Route,
    arguments: &Arguments,
    method: &str,
    shared: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |sentence: String| notes.push(sentence);
    let policy = edge.policies.get(&route.policy);
    let limits = &route.limits;
    if !limits.is_empty() {
        note(format!(
            "how much of the limits {} is used up: this counts as the first request",
            limits.join(", ")
        ));
    }
    match policy {
        Some(Policy::Webhook(policy)) => {
            let time = edge.webhooks.get(&policy.of).and_then(|webhook| webhook.time.as_ref());
            if time.is_some_and(|time| time.once) {
                note(
                    "whether the signature was accepted before: this counts as the first request".to_owned(),
                );
            }
        }
        Some(Policy::Certificate(_)) => {
            if arguments.certificate.is_none() {
                note("the client's certificate: without --certificate it presents none".to_owned());
            }
        }
        Some(Policy::Signed(_)) => {
            if arguments.client.is_none() {
                note(
                    "the client's address: without --client the address list refuses the request before its signature \
                     is checked"
                        .to_owned(),
                );
            }
            if arguments.body.is_none() && !matches!(method, "GET" | "HEAD") {
                note("the body: without --body its digest is compared with that of an empty one".to_owned());
            }
            note(
                "whether the nonce was used before: no nonces are stored here, so an otherwise valid signature ends \
                 in nonces_unavailable"
                    .to_owned(),
            );
        }
        Some(Policy::Session(policy)) => {
            let accepts = |kind| policy.accepts(kind);
            if accepts(AcceptedCredential::Session) {
                for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.issuers) {
                    match &issuer.keys {
                        KeySource::Url(_) | KeySource::Discovery(_) if !arguments.fetch => note(format!(
                            "the keys of {}: they have a URL and are not fetched; --fetch fetches them",
                            issuer.issuer
                        )),
                        KeySource::Url(_)
                        | KeySource::Discovery(_)
                        | KeySource::File(_)
                        | KeySource::Pem { .. } => {}
                    }
                }
            }
            if accepts(AcceptedCredential::Session) {
                for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.opaque) {
                    note(if arguments.fetch {
                        format!(
                            "what the edge remembers of the opaque tokens of {}: the endpoint is queried now",
                            issuer.issuer
                        )
                    } else {
                        format!(
                            "the opaque tokens of {}: only its endpoint knows them, and it is not queried; --fetch queries it",
                            issuer.issuer
                        )
                    });
                }
            }
            if accepts(AcceptedCredential::LegacySession) {
                match edge.legacy_sessions.as_ref().map(|rules| &rules.verify) {
                    Some(LegacyVerifier::Check(_)) => note(
                        "the answers of the legacy backend that the edge remembers: it is queried now"
                            .to_owned(),
                    ),
                    Some(LegacyVerifier::Store(_)) | None => {}
                }
            }
            if shared && edge.sessions.as_ref().is_some_and(|sessions| sessions.revocations.is_some()) {
                note("which sessions were revoked in Redis: only the revocation file is read".to_owned());
            }
        }
        Some(Policy::Public(_) | Policy::Internal(_)) | None => {}
    }
    match (policy, &edge.tenants) {
        (Some(Policy::Session(_) | Policy::Internal(_)), Some(TenantDirectory::Service(_))) => {
            note("what the replicas remember of the tenant: the tenants service is queried now".to_owned());
        }
        (
            Some(
                Policy::Public(_)
                | Policy::Signed(_)
                | Policy::Session(_)
                | Policy::Internal(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
            )
            | None,
            _,
        ) => {}
    }
    notes
}

/// `edge` for one authorizer alone: it reads nothing from Redis, writes nothing to it, and has no other replicas.
pub(super) fn alone(edge: &Edge) -> Edge {
    let mut edge = edge.clone();
    edge.authorizer.replicas = 1;
    match &mut edge.tenants {
        Some(TenantDirectory::Service(service)) => service.redis = false,
        Some(TenantDirectory::File(_)) | None => {}
    }
    edge
}
