//! Writes the log line of a decision.

use crate::check::CheckInput;
use crate::decision::Decision;
use crate::verdict::Verdict;
use crate::who::{Caller, Who};

/// One line for each refusal; allows only at debug level. Never a token, cookie or header.
pub(super) fn log(verdict: &Verdict, input: Option<&CheckInput<'_>>) {
    let (route, policy, request_id) = match input {
        Some(input) => (input.route, input.policy, input.request_id),
        None => ("-", "-", "-"),
    };
    let decision = verdict.decision.as_str();
    let reason = verdict.decision.code();
    macro_rules! line {
        ($level:expr) => {
            match &verdict.who {
                Who::Anyone => {
                    tracing::event!($level, request_id, route, policy, decision, reason, "check");
                }
                Who::Caller(Caller::Person(person)) => {
                    let subject = &person.subject;
                    let tenant = person.tenant.as_ref().map(tracing::field::display);
                    tracing::event!(
                        $level, request_id, route, policy, decision, reason, %subject, tenant, "check"
                    );
                }
                Who::Caller(Caller::Client(client)) => {
                    let subject = &client.name;
                    let tenant = client.tenant.as_ref().map(tracing::field::display);
                    tracing::event!(
                        $level, request_id, route, policy, decision, reason, %subject, tenant, "check"
                    );
                }
                Who::Caller(Caller::Service(service)) => {
                    let (subject, tenant) = (&service.name, service.tenant.as_ref().map(tracing::field::display));
                    tracing::event!(
                        $level, request_id, route, policy, decision, reason, %subject, tenant, "check"
                    );
                }
            }
        };
    }
    if let Some(limit) = verdict.limit() {
        tracing::debug!(request_id, route, %limit, "over a limit");
    }
    for shadowed in verdict.shadows.iter() {
        let (kind, name, reason) = (shadowed.of.kind(), shadowed.of.name(), shadowed.reason);
        tracing::info!(request_id, route, kind, %name, reason, "would be refused without shadow");
    }
    match verdict.decision {
        Decision::Allow(_) => line!(tracing::Level::DEBUG),
        Decision::Deny(_) => line!(tracing::Level::INFO),
        Decision::Fail(_) => line!(tracing::Level::WARN),
    }
}
