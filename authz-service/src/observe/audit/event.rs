//! The content of an audit event.

use std::sync::Arc;

use clock::UnixTime;
use serde::Serialize;
use uuid::Uuid;

use crate::observe::record::{Record, Timestamp, View};

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// A UUIDv7: an event that is delivered twice has the same id.
    pub id: Uuid,
    /// The time of the event.
    pub time: UnixTime,
    /// The content.
    pub body: Body,
}

/// The kinds of event.
#[derive(Clone, Debug)]
pub enum Body {
    /// A request was refused, or a service was admitted.
    Decision(Arc<Record>),
    /// A changed edge file was applied or refused.
    EdgeReload {
        /// `applied` or `refused`.
        result: &'static str,
        /// The revision that is in force now.
        revision: String,
        /// Why it was refused.
        problem: Option<String>,
    },
    /// The process was started or ended.
    Admin {
        /// `started` or `stopping`.
        action: &'static str,
        /// A short description.
        detail: String,
    },
    /// The status of a tenant changed.
    Tenant {
        /// The tenant's id.
        tenant: String,
        /// The old status; absent for a new tenant.
        from: Option<&'static str>,
        /// The new status; absent for a removed tenant.
        to: Option<&'static str>,
    },
}

#[derive(Serialize)]
struct Head<T> {
    id: Uuid,
    kind: &'static str,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Timed<T> {
    time: Timestamp,
    #[serde(flatten)]
    rest: T,
}

impl Event {
    /// The kind, which is the routing key at the broker.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Decision(record) if record.is_service_call() => "service_call",
            Body::Decision(_) => "decision",
            Body::EdgeReload { .. } => "edge_reload",
            Body::Admin { .. } => "admin",
            Body::Tenant { .. } => "tenant",
        }
    }

    /// Whether it is a refusal of an unverified caller: a client without credentials can cause any number of
    /// these.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        match &self.body {
            Body::Decision(record) => !record.is_proved(),
            Body::EdgeReload { .. } | Body::Admin { .. } | Body::Tenant { .. } => false,
        }
    }

    /// The event as one line of JSON, without the line break.
    ///
    /// # Errors
    /// When its time is beyond the year 9999: a broken clock.
    pub fn json(&self) -> serde_json::Result<Vec<u8>> {
        match &self.body {
            Body::Decision(record) => self.with_head::<View<'_>>(record.view()),
            Body::EdgeReload { result, revision, problem } => {
                let mut rest = serde_json::json!({ "result": result, "revision": revision });
                if let (Some(rest), Some(problem)) = (rest.as_object_mut(), problem) {
                    rest.insert("problem".to_owned(), problem.as_str().into());
                }
                self.timed(rest)
            }
            Body::Admin { action, detail } => {
                self.timed(serde_json::json!({ "action": action, "detail": detail }))
            }
            Body::Tenant { tenant, from, to } => {
                self.timed(serde_json::json!({ "tenant": tenant, "from": from, "to": to }))
            }
        }
    }

    fn timed(&self, rest: serde_json::Value) -> serde_json::Result<Vec<u8>> {
        self.with_head(Timed { time: Timestamp(self.time), rest })
    }

    fn with_head<T: Serialize>(&self, rest: T) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Head { id: self.id, kind: self.kind(), rest })
    }
}
