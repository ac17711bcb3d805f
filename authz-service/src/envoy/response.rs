//! From a [`Verdict`] to the wire.
//!
//! `CheckResponse::default()` is an allow, and so is a denial with status 0. So a response is never built up
//! from a default here: [`write()`] names every field, and a refusal always carries a status of its own.

use edge_config::edge::Answer;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::envoy::r#type::v3::{HttpStatus, StatusCode};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc::Status;
use tonic::Code;

use crate::authorizer::Verdict;
use crate::decision::{AnswerKind, Decision};
use crate::identity_headers::HeaderEdits;
use crate::policy::Who;

/// Marks a refusal that must leave without a `content-type`. Envoy gives every local answer one; the edge's
/// configuration removes it, and this header, where it sees this header.
pub const BARE: &str = "x-cutover-bare";

/// Whether Envoy can answer with `status`: 400 to 599, and only those that its enumeration has.
#[must_use]
pub fn can_send(status: u16) -> bool {
    (400..=599).contains(&status) && StatusCode::try_from(i32::from(status)).is_ok()
}

/// The response that says `verdict`.
#[must_use]
pub fn write(verdict: &Verdict, route: &str, policy: &str) -> CheckResponse {
    let dynamic_metadata = Some(metadata(verdict, route, policy));
    match (&verdict.decision, verdict.answer()) {
        (Decision::Allow(edits), None) => CheckResponse {
            status: Some(status(Code::Ok, String::new())),
            dynamic_metadata,
            http_response: Some(HttpResponse::OkResponse(allowed(edits))),
        },
        // An allow has no answer, whatever else there is has one: what does not fit is refused.
        (Decision::Allow(_), Some((kind, answer))) => refuse(kind, answer, verdict, dynamic_metadata),
        (Decision::Deny(_) | Decision::Fail(_), Some((kind, answer))) => {
            refuse(kind, answer, verdict, dynamic_metadata)
        }
        (Decision::Deny(_) | Decision::Fail(_), None) => {
            refuse(AnswerKind::Unavailable, &verdict.answers.unavailable, verdict, dynamic_metadata)
        }
    }
}

fn refuse(
    kind: AnswerKind,
    answer: &Answer,
    verdict: &Verdict,
    dynamic_metadata: Option<Struct>,
) -> CheckResponse {
    let code = match kind {
        AnswerKind::Unauthenticated => Code::Unauthenticated,
        AnswerKind::Forbidden => Code::PermissionDenied,
        AnswerKind::NotFound => Code::NotFound,
        AnswerKind::TooManyRequests => Code::ResourceExhausted,
        AnswerKind::Unavailable => Code::Unavailable,
    };
    let Answer { status: http_status, body } = answer;
    let mut headers = vec![match &verdict.answers.content_type {
        Some(content_type) => overwrite("content-type", content_type.clone()),
        None => overwrite(BARE, "1".to_owned()),
    }];
    if let (AnswerKind::TooManyRequests, Some(exceeded)) = (kind, &verdict.aside.exceeded) {
        headers.extend(exceeded.headers().into_iter().map(|(name, value)| overwrite(name, value)));
    }
    CheckResponse {
        status: Some(status(code, verdict.decision.code().to_owned())),
        dynamic_metadata,
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(*http_status) }),
            headers,
            body: body.clone(),
        })),
    }
}

fn status(code: Code, message: String) -> Status {
    Status { code: i32::from(code), message, details: Vec::new() }
}

#[expect(deprecated, reason = "every field is named, the deprecated one too, so that none is forgotten")]
fn allowed(edits: &HeaderEdits) -> OkHttpResponse {
    let HeaderEdits { set, remove, remove_key, good_until: _ } = edits;
    OkHttpResponse {
        headers: set.iter().map(|(name, value)| overwrite(name, value.clone())).collect(),
        headers_to_remove: remove.iter().map(|name| (*name).to_owned()).chain(remove_key.clone()).collect(),
        dynamic_metadata: None,
        response_headers_to_add: Vec::new(),
        query_parameters_to_set: Vec::new(),
        query_parameters_to_remove: Vec::new(),
    }
}

#[expect(deprecated, reason = "every field is named, the deprecated one too, so that none is forgotten")]
fn overwrite(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() }),
        append: None,
        append_action: i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd),
        keep_empty_value: false,
    }
}

/// What the access log reads with `%DYNAMIC_METADATA(envoy.filters.http.ext_authz:NAME)%`. A field that does
/// not apply is absent.
fn metadata(verdict: &Verdict, route: &str, policy: &str) -> Struct {
    let mut fields: Vec<(&str, String)> = vec![
        ("decision", verdict.decision.as_str().to_owned()),
        ("reason", verdict.decision.code().to_owned()),
        ("route", route.to_owned()),
        ("policy", policy.to_owned()),
    ];
    match &verdict.who {
        Who::Anyone => {}
        Who::Person(person) => {
            fields.push(("subject", person.subject.to_string()));
            fields.push(("tenant", person.tenant.to_string()));
            fields.push(("session", person.session.to_string()));
        }
        Who::Service(service) => {
            fields.push(("subject", service.name.to_string()));
            fields.extend(service.tenant.map(|tenant| ("tenant", tenant.to_string())));
        }
        Who::Client(client) => {
            fields.push(("subject", client.name.to_string()));
            fields.push(("tenant", client.tenant.to_string()));
        }
    }
    if let Some(limit) = verdict.aside.limit() {
        fields.push(("limit", limit.to_string()));
    }
    // Only an allow carries one; it is told to the guard, not to the access log.
    if let (Decision::Allow(_), Some(granted)) = (&verdict.decision, &verdict.lease) {
        fields.push((::lease::FIELD, granted.text.clone()));
    }
    if let Some(reasons) = verdict.aside.shadow_reasons() {
        fields.push(("shadow_reason", reasons));
    }
    let value = |text| Value { kind: Some(Kind::StringValue(text)) };
    Struct { fields: fields.into_iter().map(|(name, text)| (name.to_owned(), value(text))).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aside::Aside;
    use crate::authorizer::last_words;
    use crate::decision::{DenyReason, Failure};

    fn verdict(decision: Decision) -> Verdict {
        let (who, answers, aside) = (Who::Anyone, last_words(), Aside::default());
        Verdict { decision, route: None, who, answers, aside, lease: None }
    }

    #[test]
    fn a_refusal_never_looks_like_an_allow() {
        for (decision, http, code) in [
            (Decision::Deny(DenyReason::NoCredential), 401, Code::Unauthenticated),
            (Decision::Deny(DenyReason::InternalOnly), 404, Code::NotFound),
            (Decision::Fail(Failure::Panicked), 503, Code::Unavailable),
        ] {
            let response = write(&verdict(decision), "r", "p");
            assert_eq!(response.status.as_ref().unwrap().code, i32::from(code));
            assert_ne!(response, CheckResponse::default());
            let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else {
                panic!("not denied")
            };
            assert_eq!(denied.status.unwrap().code, http);
            assert_eq!(denied.headers.len(), 1);
            assert_eq!(denied.headers[0].header.as_ref().unwrap().key, BARE);
        }
    }

    #[test]
    fn identity_headers_are_overwritten_never_appended() {
        let edits = HeaderEdits {
            set: vec![("x-madome-gw", "1".to_owned())],
            remove: vec!["x-madome-public"],
            remove_key: None,
            good_until: None,
        };
        let response = write(&verdict(Decision::Allow(edits)), "r", "p");
        assert_eq!(response.status.unwrap().code, 0);
        let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("not allowed") };
        assert_eq!(ok.headers[0].append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        assert_eq!(ok.headers_to_remove, ["x-madome-public"]);
    }

    #[test]
    fn only_statuses_that_envoy_knows() {
        assert!(can_send(401) && can_send(503));
        assert!(!can_send(200) && !can_send(0) && !can_send(418) && !can_send(599));
    }
}
