//! One line of the key file: JSON (one object a line), so that a hundred thousand load in a fraction of a second
//! and one more can be added by any tool.
//!
//! ```json
//! {"id":"00112233445566ff","sha256":"<64 digits>","client":"nightly-import","tenant":"<uuid>","role":2,"scopes":["books.write"],"created":1800000000,"expires":1831536000}
//! ```

use std::sync::Arc;

use identity::{Client, ClientName, Role, TenantId};
use serde::{Deserialize, Serialize};

use crate::text::{KeyHash, KeyId};

/// Whom a key speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The client, with its tenant, level, roles and scopes.
    pub client: Arc<Client>,
    /// The plan of the key.
    pub plan: Option<Arc<str>>,
}

/// The record of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The public half of the key, which logs and commands may show.
    pub id: KeyId,
    /// SHA-256 of its whole text.
    pub sha256: KeyHash,
    /// Whether another issuer wrote the text, which then does not name the id: the key is found by its hash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Who holds it. Several keys may have one holder: an old and a new one while they are exchanged.
    pub client: ClientName,
    /// For which tenant the client acts; absent on an edge without tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Its level; an absent role is lower than any that a policy can require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The names of its roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The plan that its holder pays for, 1 to 64 letters, digits and `-` in lower case. A limit may give each plan a
    /// quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// The first second in which it has expired; absent for a key that is valid until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// When it was revoked. A revoked key is dead at once, even if this time lies in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

impl Record {
    /// Whom the key speaks for, and the plan.
    #[must_use]
    pub fn holder(&self) -> Holder {
        let Self {
            id: _,
            sha256: _,
            imported: _,
            client,
            tenant,
            role,
            roles,
            scopes,
            plan,
            created: _,
            expires: _,
            revoked: _,
        } = self;
        let mut distinct: Vec<String> = Vec::with_capacity(scopes.len());
        for scope in scopes {
            if !distinct.contains(scope) {
                distinct.push(scope.clone());
            }
        }
        let client = Client {
            name: client.clone(),
            tenant: tenant.clone(),
            role: *role,
            roles: roles.clone(),
            scopes: distinct,
        };
        Holder { client: Arc::new(client), plan: plan.as_deref().map(Arc::from) }
    }

    /// `live`, `expired` or `revoked` in second `now`.
    #[must_use]
    pub fn state(&self, now: u64) -> &'static str {
        match (self.revoked, self.expires) {
            (Some(_), _) => "revoked",
            (None, Some(expires)) if now >= expires => "expired",
            (None, Some(_) | None) => "live",
        }
    }

    /// Whether `plan` can be the name of a plan: as names in an edge file are written.
    #[must_use]
    pub fn is_plan(plan: &str) -> bool {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=64).contains(&plan.len()) && plan.bytes().all(legal) && !plan.starts_with('-')
    }

    /// Whether `scope` can be one: RFC 6749 §3.3.
    #[must_use]
    pub fn is_scope(scope: &str) -> bool {
        let legal = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        !scope.is_empty() && scope.bytes().all(legal)
    }
}
