//! What an event says.

use std::sync::Arc;

use clock::UnixTime;
use serde::Serialize;
use uuid::Uuid;

use crate::observe::record::{Record, Timestamp, View};

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// A UUIDv7: an event that is delivered twice has it twice.
    pub id: Uuid,
    /// When.
    pub time: UnixTime,
    /// What.
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Body {
    /// A request was refused, or a service was let through.
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
        /// A few words.
        detail: String,
    },
    /// The status of a tenant changed.
    Tenant {
        /// Which.
        tenant: String,
        /// What it was; absent for a new one.
        from: Option<&'static str>,
        /// What it is; absent for one that is gone.
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
    /// Which kind it is: the routing key at the broker.
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

    /// Whether it is a refusal of a caller who proved nothing: what a stranger can make as many of as they like.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        match &self.body {
            Body::Decision(record) => !record.is_proved(),
            Body::EdgeReload { .. } | Body::Admin { .. } | Body::Tenant { .. } => false,
        }
    }

    /// The event as one line of JSON, without its end.
    ///
    /// # Errors
    /// When its time is beyond the year 9999: a clock that is broken.
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
