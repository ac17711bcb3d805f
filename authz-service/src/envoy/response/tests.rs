use edge_config::edge::{Answers, RefusalStatus};
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::r#type::v3::StatusCode;
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message as _;

use super::*;
use crate::decision::DenyReason;
use crate::failure::Failure;
use crate::shadow::Shadows;
use crate::verdict::last_words;

fn verdict(decision: Decision) -> Verdict {
    let (who, answers, shadows) = (Who::Anyone, last_words(), Shadows::default());
    Verdict {
        decision,
        route: None,
        who,
        permissions: Vec::new(),
        kind: None,
        key: None,
        answers,
        exceeded: None,
        shadows,
        lease: None,
        stream: None,
        sign_in: None,
    }
}

/// What Envoy reads from it.
fn read(verdict: &Verdict) -> CheckResponse {
    CheckResponse::decode(write(verdict, "r", "p").as_slice()).expect("it is protobuf")
}

#[test]
fn a_refusal_never_looks_like_an_allow() {
    for (decision, http, code) in [
        (Decision::Deny(DenyReason::NoCredential), 401, Code::Unauthenticated),
        (Decision::Deny(DenyReason::InternalOnly), 404, Code::NotFound),
        (Decision::Fail(Failure::Panicked), 503, Code::Unavailable),
    ] {
        let response = read(&verdict(decision));
        assert_eq!(response.status.as_ref().unwrap().code, i32::from(code));
        assert_ne!(response, CheckResponse::default());
        let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("not denied") };
        assert_eq!(denied.status.unwrap().code, http);
        assert_eq!(denied.headers.len(), 1);
        assert_eq!(denied.headers[0].header.as_ref().unwrap().key, BARE);
    }
}

#[test]
fn identity_headers_are_overwritten_never_appended() {
    let edits = HeaderEdits {
        set: vec![("x-auth-subject".into(), "ada".to_owned())],
        remove: vec!["x-auth-public".into()],
        marks: vec![(headers::KIND, Some("session".to_owned())), (headers::TENANT, None)],
        answer: vec![("ratelimit", "\"calm\";r=1;t=2".to_owned())],
        ..HeaderEdits::default()
    };
    let response = read(&verdict(Decision::Allow(edits)));
    assert_eq!(response.status.unwrap().code, 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("not allowed") };
    assert_eq!(ok.headers[0].append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
    let written = ok.headers.iter().filter_map(|option| option.header.as_ref());
    let written: Vec<_> = written.map(|header| (header.key.as_str(), header.value.as_str())).collect();
    assert_eq!(written, [(headers::DECIDED, "1"), ("x-auth-subject", "ada"), (headers::KIND, "session")]);
    assert_eq!(ok.headers_to_remove, [headers::TENANT, "x-auth-public"]);
    let added = &ok.response_headers_to_add[0];
    assert_eq!(added.append_action(), HeaderAppendAction::AppendIfExistsOrAdd);
    assert_eq!(added.header.as_ref().unwrap().key, "ratelimit");
    // The bytes contain nothing unintended: written again by Envoy's types, the message is as long.
    let response = read(&verdict(Decision::Deny(DenyReason::NoCredential)));
    assert_eq!(
        response.encoded_len(),
        write(&verdict(Decision::Deny(DenyReason::NoCredential)), "r", "p").len()
    );
    let fields = response.dynamic_metadata.unwrap().fields;
    let text = |name: &str| fields.get(name).and_then(|value| value.kind.clone());
    for (name, value) in [("decision", "deny"), ("reason", "no_credential"), ("route", "r"), ("policy", "p")]
    {
        assert_eq!(text(name), Some(Kind::StringValue(value.to_owned())));
    }
    assert_eq!(fields.len(), 4);
}

#[test]
fn a_refusal_carries_the_constant_headers_and_401_its_challenge() {
    let mut answers = Answers::built_in();
    answers.challenge = Some("Bearer realm=\"api\"".to_owned());
    answers.headers = [("cache-control".to_owned(), "no-store".to_owned())].into();
    let answers = std::sync::Arc::new(answers);
    for (reason, challenged) in [(DenyReason::NoCredential, true), (DenyReason::InternalOnly, false)] {
        let mut verdict = verdict(Decision::Deny(reason));
        verdict.answers = std::sync::Arc::clone(&answers);
        let Some(HttpResponse::DeniedResponse(denied)) = read(&verdict).http_response else {
            panic!("not denied")
        };
        let headers = denied.headers.into_iter().filter_map(|option| option.header);
        let headers: Vec<(String, String)> = headers.map(|header| (header.key, header.value)).collect();
        let has = |name: &str, value: &str| headers.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("cache-control", "no-store"), "{headers:?}");
        assert_eq!(has("www-authenticate", "Bearer realm=\"api\""), challenged, "{headers:?}");
    }
}

#[test]
fn a_redirect_to_the_sign_in_page_has_no_body_and_no_challenge() {
    let mut verdict = verdict(Decision::Deny(DenyReason::NoCredential));
    let mut answers = Answers::neutral();
    answers.headers =
        [("cache-control".to_owned(), "private".to_owned()), ("x-a".to_owned(), "b".to_owned())].into();
    verdict.answers = std::sync::Arc::new(answers);
    verdict.sign_in = Some("https://app.test/login?next=/a".to_owned());
    let response = read(&verdict);
    assert_eq!(response.status.as_ref().unwrap().code, i32::from(Code::Unauthenticated));
    let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("not denied") };
    assert_eq!((denied.status.unwrap().code, denied.body.as_str()), (302, ""));
    let headers = denied.headers.into_iter().filter_map(|option| option.header);
    let headers: Vec<(String, String)> = headers.map(|header| (header.key, header.value)).collect();
    let last = |name: &str| headers.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(last("location"), Some("https://app.test/login?next=/a"));
    assert_eq!((last("cache-control"), last("x-a")), (Some("no-store"), Some("b")));
    assert_eq!((last("vary"), last("www-authenticate"), last(BARE)), (Some(SIGN_IN_VARY), None, None));
}

#[test]
fn every_refusal_status_is_one_that_envoy_can_send_and_no_other() {
    for status in 0..=u16::MAX {
        let known = (400..=599).contains(&status) && StatusCode::try_from(i32::from(status)).is_ok();
        assert_eq!(RefusalStatus::new(status).is_some(), known, "{status}");
    }
}
