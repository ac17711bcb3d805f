//! Reports whether this replica can decide.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::admin::Admin;
use crate::reload::Refused;
use crate::source::Health;

/// The readiness of a replica, with the state of each part.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether checks should be sent here.
    pub ready: bool,
    /// Whether the process is shutting down.
    pub draining: bool,
    /// The edge revision that is loaded.
    pub revision: String,
    /// Every revision that checks are decided by, the newest first.
    pub revisions: Vec<String>,
    /// A newer edge file that is refused; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Each part and its state.
    pub parts: BTreeMap<&'static str, Part>,
}

/// One part.
#[derive(Debug, Serialize)]
pub struct Part {
    /// Whether decisions can rely on it.
    pub ready: bool,
    /// A short description for operators.
    pub detail: String,
}

impl Readiness {
    /// Checks every part.
    #[must_use]
    pub fn of(admin: &Admin) -> Self {
        let now = admin.clock.now();
        let authorizer = &admin.authorizer;
        let snapshot = authorizer.snapshots.newest();
        let mut parts = BTreeMap::new();
        let mut part = |name, health: Health| {
            let Health { ready, detail } = health;
            parts.insert(name, Part { ready, detail });
        };
        if snapshot.sessions.as_ref().is_some_and(|sessions| !sessions.issuers.is_empty()) {
            part("keys", authorizer.keys.health(now));
        }
        if !authorizer.opaque.is_empty() {
            part("introspection", authorizer.opaque.health());
        }
        if let Some(api_keys) = &authorizer.api_keys {
            part("api_keys", api_keys.health(now));
        }
        if let Some(tenants) = &authorizer.tenants {
            part("tenants", tenants.health(now));
        }
        if let Some(revocations) = &authorizer.revocations {
            part("revocations", revocations.health(now));
        }
        if let Some(push) = &admin.push {
            part("push", push.health());
        }
        part("edge", admin.edge_file.health(&authorizer.snapshots));
        part("services", authorizer.assertions.health());
        if let Some(signed) = &authorizer.signed {
            part("signing-keys", signed.keys().health());
        }
        if let Some(webhooks) = &authorizer.webhooks {
            part("webhooks", webhooks.health());
        }
        let draining = admin.draining.load(Ordering::Relaxed);
        let ready = !draining && parts.values().all(|part| part.ready);
        let revisions = authorizer.snapshots.revisions();
        let refused = admin.edge_file.refused();
        Self { ready, draining, revision: snapshot.revision.clone(), revisions, refused, parts }
    }
}
