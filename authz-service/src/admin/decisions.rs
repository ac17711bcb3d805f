//! Serves `/decisions`: the last decisions, and the stage where each one stopped.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::admin::Admin;
use crate::observe::recent::{ANONYMOUS, CAPACITY};
use crate::observe::record::Record;
use crate::observe::record::View;
use crate::observe::stage::Step;

/// The default length of a list: one screen.
const DEFAULT_LIMIT: usize = 50;

/// One decision in a response.
#[derive(Serialize)]
struct ShownRecord<'a> {
    #[serde(flatten)]
    view: View<'a>,
    stages: Vec<Step>,
}

/// Every decision for one request id: clients choose ids, so there may be several.
#[derive(Serialize)]
struct OfOneId<'a> {
    /// The newest decision.
    #[serde(flatten)]
    newest: ShownRecord<'a>,
    /// The older ones, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<ShownRecord<'a>>,
    /// How many more exist; `/decisions?id=…` lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_shown: Option<usize>,
}

fn shown(record: &Arc<Record>) -> ShownRecord<'_> {
    ShownRecord { view: record.view(), stages: record.stages() }
}

/// How many decisions for one id are returned together.
const OF_ONE_ID: usize = 100;

/// `GET /decisions/{request id}`
pub(super) async fn one(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let (records, count) = admin.observers.decisions.of(&id, OF_ONE_ID);
    match records.split_first() {
        Some((newest, earlier)) => {
            let not_shown = count.checked_sub(records.len()).filter(|more| *more > 0);
            let earlier = earlier.iter().map(shown).collect();
            axum::Json(OfOneId { newest: shown(newest), earlier, not_shown }).into_response()
        }
        None => {
            let problem = json!({
                "problem": "no decision is remembered for this request id",
                "remembered": admin.observers.decisions.len(),
                "at_most": CAPACITY + ANONYMOUS,
                "mend": "public routes and requests refused by the guard never reach the authorizer; for a leased \
                         request look up the id that the access log calls `lease_of`",
            });
            (StatusCode::NOT_FOUND, axum::Json(problem)).into_response()
        }
    }
}

/// The filter of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    limit: Option<usize>,
    decision: Option<String>,
    reason: Option<String>,
    route: Option<String>,
    subject: Option<String>,
    tenant: Option<String>,
    id: Option<String>,
}

/// `GET /decisions?limit=50&decision=deny&reason=…&route=…&subject=…&tenant=…&id=…`
pub(super) async fn list(State(admin): State<Admin>, Query(wanted): Query<Wanted>) -> Response {
    let Wanted { limit, decision, reason, route, subject, tenant, id } = wanted;
    let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
    let limit = limit.unwrap_or(DEFAULT_LIMIT).min(CAPACITY + ANONYMOUS);
    let records = admin.observers.decisions.newest(limit, |record| {
        is(&decision, record.decision)
            && is(&reason, record.reason)
            && is(&route, &record.route)
            && is(&id, &record.request_id)
            && subject.as_ref().is_none_or(|subject| record.is_about(subject))
            && tenant.as_ref().is_none_or(|tenant| record.is_of(tenant))
    });
    axum::Json(records.iter().map(shown).collect::<Vec<_>>()).into_response()
}
