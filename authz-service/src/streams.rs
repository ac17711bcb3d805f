//! What ends a stream: the facts behind an allow, and whether they still hold.
//!
//! An allow on a route whose open requests end with their session carries a [`Ticket`]. The edge keeps it as long as the
//! stream is open and returns its facts when one of them may have ended; [`Judges::judge`] looks at the same sources as a
//! check does, and not at the policy: a change of the edge file cuts no stream.
//!
//! | the caller | ends with |
//! |---|---|
//! | a person with a token | their session, all their sessions, all of their tenant's; the tenant's state; the removal of the key that signed the token; with `ends_with: credential`, or without a session in the token, its expiry |
//! | a person with a legacy session | all their sessions, all of their tenant's; the tenant's state. That the legacy backend ended its session shows only when it is asked, and that needs the credential, which is not kept |
//! | a client with an API key | the key, when it is revoked, removed or expires; the tenant's state |

use std::time::Duration;

use ::lease::{Standing, Tag, Ticket};
use api_keys::{KeyFault, KeyId};
use clock::UnixTime;
use edge_config::edge::EndsWith;
use futures_util::future::join_all;
use identity::{Person, SessionId, SubjectId, TenantId};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use validity::tenant::Standing as TenantStanding;

use crate::credential::api_key::ApiKeyRing;
use crate::credential::issuers::IssuerKeys;
use crate::credential::presented::{AuthenticatedClient, AuthenticatedPerson};
use crate::ended::{api_keys_tag, client_tag, session_tag, subject_tag, tenant_tag};
use crate::failure::Failure;
use crate::session::revocations::Revocations;
use crate::tenant::{TenantFault, Tenants};

/// How long judging takes at the most. The edge waits 500 ms for the answer; streams that are not judged by then are asked
/// about again.
const PATIENCE: Duration = Duration::from_millis(150);

/// The facts behind an allow, as a ticket carries them: ids and times, no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Facts {
    Person {
        sub: SubjectId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sid: Option<SessionId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tid: Option<TenantId>,
        /// The second in which the credential was issued.
        iat: u64,
        /// The tag of the key that signed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<u64>,
    },
    Client {
        /// The id of the API key.
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tid: Option<TenantId>,
    },
}

impl Facts {
    fn ticket(
        &self,
        owner: Tag,
        tags: impl IntoIterator<Item = Option<Tag>>,
        lifetime: Option<Duration>,
    ) -> Ticket {
        // A struct of texts and numbers can always be written; a ticket without facts is refused where it is encoded.
        let facts = serde_json::to_string(self).unwrap_or_default();
        let lifetime_ms = lifetime.map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX));
        Ticket { lifetime_ms, owner, tags: tags.into_iter().flatten().collect(), facts }
    }
}

/// The ticket for a stream of a person, as their tenant's member `person`; `None` when nothing ends it.
#[must_use]
pub fn of_person(
    ends_with: EndsWith,
    authenticated: &AuthenticatedPerson,
    person: &Person,
    now: UnixTime,
) -> Option<Ticket> {
    let access = authenticated.access();
    let Person { subject, tenant, session, .. } = person;
    let expiry = access.expires.map(|expires| expires.since(now));
    let lifetime = match (ends_with, session) {
        (EndsWith::Nothing, _) => return None,
        (EndsWith::Credential, _) | (EndsWith::Session, None) => expiry,
        (EndsWith::Session, Some(_)) => None,
    };
    let facts = Facts::Person {
        sub: subject.clone(),
        sid: session.clone(),
        tid: tenant.clone(),
        iat: authenticated.issued(),
        key: access.key.map(|key| key.0),
    };
    let tags = [
        session.as_ref().map(session_tag),
        Some(subject_tag(subject)),
        tenant.as_ref().map(tenant_tag),
        access.key,
    ];
    Some(facts.ticket(subject_tag(subject), tags, lifetime))
}

/// The ticket for a stream of a client; `None` when nothing ends it.
#[must_use]
pub fn of_client(ends_with: EndsWith, client: &AuthenticatedClient, now: UnixTime) -> Option<Ticket> {
    if ends_with == EndsWith::Nothing {
        return None;
    }
    let tid = client.client().tenant.clone();
    let tags = [Some(api_keys_tag()), tid.as_ref().map(tenant_tag)];
    let facts = Facts::Client { key: client.key().id.to_string(), tid };
    // A key has no session beside it: its own expiry ends it.
    let lifetime = client.expires().map(|expires| expires.since(now));
    Some(facts.ticket(client_tag(client.client()), tags, lifetime))
}

/// The sources that say whether facts still hold.
#[derive(Clone, Copy, Debug)]
pub struct Judges<'a> {
    /// Keys of access tokens.
    pub keys: &'a IssuerKeys,
    /// API keys; absent when the edge has none.
    pub api_keys: Option<&'a ApiKeyRing>,
    /// Revoked sessions; absent when the edge lists none.
    pub revocations: Option<&'a Revocations>,
    /// Tenants; absent when the edge has no directory.
    pub tenants: Option<&'a Tenants>,
}

impl Judges<'_> {
    /// The standing of each stream with these `facts` at `now`, in their order, after [`PATIENCE`] at the latest.
    pub async fn judge(self, facts: &[String], now: UnixTime) -> Vec<Standing> {
        let until = Instant::now() + PATIENCE;
        let each = facts.iter().map(|facts| async move {
            timeout_at(until, self.one(facts, now)).await.unwrap_or(Standing::Unknown)
        });
        join_all(each).await
    }

    async fn one(self, facts: &str, now: UnixTime) -> Standing {
        let mut soon = false;
        let judged = match serde_json::from_str::<Facts>(facts) {
            Ok(Facts::Person { sub, sid, tid, iat, key }) => {
                // Listed with an end that is still ahead.
                soon =
                    self.revocations.zip(sid.as_ref()).is_some_and(|(list, session)| list.is_listed(session));
                let person = Person {
                    subject: sub,
                    tenant: tid,
                    session: sid,
                    role: None,
                    roles: Vec::new(),
                    scopes: Vec::new(),
                };
                self.person(&person, iat, key.map(Tag), now).await
            }
            Ok(Facts::Client { key, tid }) => self.client(&key, tid.as_ref(), now).await,
            // Another version's: it ends, and its client begins one that this version knows.
            Err(_) => Ok(Some("unreadable")),
        };
        match judged {
            Ok(Some(code)) => Standing::Ended(code.to_owned()),
            Ok(None) if soon => Standing::Soon,
            Ok(None) => Standing::Live,
            Err(_) => Standing::Unknown,
        }
    }

    async fn person(
        self,
        person: &Person,
        issued: u64,
        key: Option<Tag>,
        now: UnixTime,
    ) -> Result<Option<&'static str>, Failure> {
        if let Some(revocations) = self.revocations
            && revocations.ends(person, issued, now)?
        {
            return Ok(Some("session_revoked"));
        }
        if let Some(key) = key
            && !self.keys.hold(key, now)?
        {
            return Ok(Some("key_removed"));
        }
        self.tenant(person.tenant.as_ref(), now).await
    }

    async fn client(
        self,
        key: &str,
        tenant: Option<&TenantId>,
        now: UnixTime,
    ) -> Result<Option<&'static str>, Failure> {
        let Ok(key) = key.parse::<KeyId>() else { return Ok(Some("unreadable")) };
        let keys = self.api_keys.ok_or(Failure::ApiKeysUnavailable)?.current(now)?;
        match keys.still(key, now) {
            Ok(()) => self.tenant(tenant, now).await,
            Err(KeyFault::Expired) => Ok(Some("api_key_expired")),
            Err(KeyFault::Revoked | KeyFault::Unknown | KeyFault::Malformed | KeyFault::WrongSecret) => {
                Ok(Some("api_key_revoked"))
            }
        }
    }

    async fn tenant(self, tenant: Option<&TenantId>, now: UnixTime) -> Result<Option<&'static str>, Failure> {
        let (Some(tenants), Some(tenant)) = (self.tenants, tenant) else { return Ok(None) };
        Ok(match tenants.standing(tenant, now).await? {
            Some(TenantStanding::Active) => None,
            Some(TenantStanding::Suspended) => Some(TenantFault::Suspended.code()),
            Some(TenantStanding::Deleted) | None => Some(TenantFault::Unknown.code()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_facts_fit_a_ticket() {
        let id = "\"".repeat(255);
        let facts = Facts::Person {
            sub: id.parse().unwrap(),
            sid: Some(id.parse().unwrap()),
            tid: Some(id.parse().unwrap()),
            iat: u64::MAX,
            key: Some(u64::MAX),
        };
        let ticket = facts.ticket(Tag(1), [Some(Tag(2)), None], None);
        let read = Ticket::decode(&ticket.encode().expect("it fits")).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&read.facts).unwrap(), facts);
    }
}
