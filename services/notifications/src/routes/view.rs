//! The bodies of requests and answers.

use clock::UnixTime;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::jobs::{State, Status};
use crate::key::{Parts, parts};
use crate::message::Message;

/// A message under a key.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = QueuedMessage)]
pub(super) struct Queued {
    /// Names the effect, 1 to 255 bytes: the same key of the same service and tenant is one message.
    #[schema(min_length = 1, max_length = 255, example = "login-code-4711")]
    pub(super) idempotency_key: String,
    /// The message.
    pub(super) message: Message,
}

/// A message that was given up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadLetter {
    #[schema(value_type = String)]
    id: Uuid,
    /// `push`, `mail`, or an event.
    kind: String,
    /// The service that queued it.
    caller: Option<String>,
    /// The tenant; absent when tenant and key are too long to be kept.
    tenant_id: Option<String>,
    /// The key that the service chose, or a digest when tenant and key are too long to be kept.
    idempotency_key: String,
    attempts: i32,
    /// Why it was given up.
    last_error: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    failed_at: OffsetDateTime,
}

impl From<events::outbox::DeadLetter> for DeadLetter {
    fn from(letter: events::outbox::DeadLetter) -> Self {
        let events::outbox::DeadLetter {
            id,
            kind,
            idempotency_key,
            attempts,
            last_error,
            created_at,
            failed_at,
        } = letter;
        let Parts { caller, tenant: tenant_id, key: idempotency_key } = parts(&idempotency_key);
        Self { id, kind, caller, tenant_id, idempotency_key, attempts, last_error, created_at, failed_at }
    }
}

/// A job of the schedule.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    name: String,
    /// What it does, or what came of its last run.
    state: State,
    every_seconds: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    next_run_at: OffsetDateTime,
    /// Until when a process may be running it.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    lease_until: Option<OffsetDateTime>,
    runs: i64,
    failures: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_began_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_ended_at: Option<OffsetDateTime>,
    /// Why the last run failed, if it did.
    last_error: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success_at: Option<OffsetDateTime>,
}

impl Job {
    /// The job with this `status`, as it is at the time `now`.
    pub(super) fn at(now: UnixTime, status: Status) -> Self {
        Self {
            state: status.state(now),
            name: status.name,
            every_seconds: status.every.as_secs(),
            next_run_at: status.next_run_at,
            lease_until: status.lease_until,
            runs: status.runs,
            failures: status.failures,
            last_began_at: status.last_began_at,
            last_ended_at: status.last_ended_at,
            last_error: status.last_error,
            last_success_at: status.last_success_at,
        }
    }
}
