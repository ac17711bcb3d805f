//! The gRPC service that Envoy calls.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use clock::Clock;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use futures_util::FutureExt as _;
use tonic::{Request, Response, Status};

use crate::admin::metrics::Metrics;
use crate::authorizer::{Authorizer, Verdict, last_words};
use crate::check::{CheckInput, MalformedCheck};
use crate::decision::{Decision, Failure};
use crate::envoy::{request, response};
use crate::policy::Who;
use crate::telling::Telling;

/// Answers checks.
#[derive(Clone, Debug)]
pub struct Checks {
    authorizer: Arc<Authorizer>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    telling: Arc<Telling>,
}

impl Checks {
    /// A service that asks `authorizer`.
    #[must_use]
    pub fn new(
        authorizer: Arc<Authorizer>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        telling: Arc<Telling>,
    ) -> Self {
        Self { authorizer, metrics, clock, telling }
    }

    async fn answer(&self, wire: &CheckRequest) -> CheckResponse {
        let started = Instant::now();
        let input = request::read(wire);
        // A defect must not become silence that somebody takes for consent: it is a failure like others.
        let verdict = AssertUnwindSafe(self.decide(&input)).catch_unwind().await.unwrap_or_else(|_| {
            let answers =
                input.as_ref().ok().and_then(|input| self.authorizer.snapshots.answers(input.route));
            Verdict::failed(Failure::Panicked, answers.unwrap_or_else(last_words))
        });
        let (route, policy, request_id) = match &input {
            Ok(input) => (input.route, input.policy, input.request_id),
            Err(_) => ("-", "-", "-"),
        };
        self.metrics.record(&verdict, started.elapsed());
        // What is told about a decision must not undo it; the panic itself is in the log.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            self.telling.tell(&verdict, input.as_ref().ok(), self.clock.now());
            if let Some(spans) = self.telling.spans() {
                spans.record(&verdict, input.as_ref().ok(), self.clock.now(), started.elapsed());
            }
        }));
        log(&verdict, route, policy, request_id);
        response::write(&verdict, route, policy)
    }

    async fn decide(&self, input: &Result<CheckInput<'_>, MalformedCheck>) -> Verdict {
        match input {
            Ok(input) => self.authorizer.decide(input, self.clock.now()).await,
            Err(malformed) => {
                tracing::error!(%malformed, "Envoy's configuration is not one that `cutover render` wrote");
                Verdict::failed(Failure::MalformedCheck, last_words())
            }
        }
    }
}

#[tonic::async_trait]
impl Authorization for Checks {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.answer(request.get_ref()).await))
    }
}

/// One line for each refusal; allows only when somebody wants to see them. Never a token, cookie or header.
fn log(verdict: &Verdict, route: &str, policy: &str, request_id: &str) {
    let decision = verdict.decision.as_str();
    let reason = verdict.decision.code();
    macro_rules! line {
        ($level:expr) => {
            match &verdict.who {
                Who::Anyone => {
                    tracing::event!($level, request_id, route, policy, decision, reason, "check");
                }
                Who::Person(person) => {
                    let (subject, tenant) = (person.subject, person.tenant);
                    tracing::event!(
                        $level, request_id, route, policy, decision, reason, %subject, %tenant, "check"
                    );
                }
                Who::Client(client) => {
                    let (subject, tenant) = (&client.name, client.tenant);
                    tracing::event!(
                        $level, request_id, route, policy, decision, reason, %subject, %tenant, "check"
                    );
                }
                Who::Service(service) => {
                    let (subject, tenant) = (&service.name, service.tenant.map(tracing::field::display));
                    tracing::event!(
                        $level, request_id, route, policy, decision, reason, %subject, tenant, "check"
                    );
                }
            }
        };
    }
    if let Some(limit) = verdict.aside.limit() {
        tracing::debug!(request_id, route, %limit, "over a limit");
    }
    for shadowed in &verdict.aside.shadow {
        let (kind, name, reason) = (shadowed.of.kind(), shadowed.of.name(), shadowed.reason);
        tracing::info!(request_id, route, kind, %name, reason, "would be refused if it were not in shadow");
    }
    match verdict.decision {
        Decision::Allow(_) => line!(tracing::Level::DEBUG),
        Decision::Deny(_) => line!(tracing::Level::INFO),
        Decision::Fail(_) => line!(tracing::Level::WARN),
    }
}
