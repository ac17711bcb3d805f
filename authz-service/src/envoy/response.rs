//! Writes a [`Verdict`] as ext_authz v3's `CheckResponse`.
//!
//! An empty `CheckResponse` is an allow, and so is a denial with status 0. So [`write()`] begins with the
//! status in every case, a refusal always carries a status of its own, and the tests read every answer with
//! `envoy-types`.

use ::lease::Ticket;
use edge_config::edge::{RefusalAnswer, RefusalStatus};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use identity::headers;
use tonic::Code;

use crate::decision::{AnswerKind, Decision};
use crate::envoy::protobuf::{Field, Message};
use crate::identity_headers::HeaderEdits;
use crate::verdict::Verdict;
use crate::who::{Caller, Who};

/// Marks a refusal that must have no `content-type`. Envoy gives one to every local answer; the edge's
/// configuration removes it, and this header, where it finds this header.
pub const BARE: &str = "x-cutover-bare";

/// The headers by which the guard distinguishes a page that a browser opens from other requests, and the credential.
const SIGN_IN_VARY: &str = "Accept, Authorization, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode";

/// An allow with seven headers and its metadata has about 1,100 bytes, most of them the signed identity.
const USUAL_BYTES: usize = 2_048;

/// Fields of `CheckResponse`.
mod check {
    use super::Field;

    pub(super) const STATUS: Field = Field::number(1);
    pub(super) const DENIED: Field = Field::number(2);
    pub(super) const OK: Field = Field::number(3);
    pub(super) const DYNAMIC_METADATA: Field = Field::number(4);
}

/// Fields of `google.rpc.Status`.
mod status {
    use super::Field;

    pub(super) const CODE: Field = Field::number(1);
    pub(super) const MESSAGE: Field = Field::number(2);
}

/// Fields of `OkHttpResponse`.
mod ok {
    use super::Field;

    pub(super) const HEADERS: Field = Field::number(2);
    pub(super) const HEADERS_TO_REMOVE: Field = Field::number(5);
    pub(super) const RESPONSE_HEADERS_TO_ADD: Field = Field::number(6);
}

/// Fields of `DeniedHttpResponse`, and the only one of its `HttpStatus`.
mod denied {
    use super::Field;

    pub(super) const STATUS: Field = Field::number(1);
    pub(super) const HEADERS: Field = Field::number(2);
    pub(super) const BODY: Field = Field::number(3);
    pub(super) const HTTP_CODE: Field = Field::number(1);
}

/// Fields of `HeaderValueOption`, and of the `HeaderValue` in it.
mod header {
    use super::Field;

    pub(super) const HEADER: Field = Field::number(1);
    pub(super) const APPEND_ACTION: Field = Field::number(3);
    pub(super) const KEY: Field = Field::number(1);
    pub(super) const VALUE: Field = Field::number(2);
}

/// The field of `google.protobuf.Struct`, the fields of an entry of its map, and a `Value` that is text.
mod metadata {
    use super::Field;

    pub(super) const FIELDS: Field = Field::number(1);
    pub(super) const KEY: Field = Field::number(1);
    pub(super) const VALUE: Field = Field::number(2);
    pub(super) const TEXT: Field = Field::number(3);
}

/// The encoded `CheckResponse` for `verdict`.
#[must_use]
pub fn write(verdict: &Verdict, route: &str, policy: &str) -> Vec<u8> {
    let mut wire = Message::with_capacity(USUAL_BYTES);
    let ticket = verdict.stream.as_ref().map(Ticket::encode);
    match (&verdict.decision, verdict.answer()) {
        // A stream of which the edge does not know what ends it must not begin.
        (Decision::Allow(_), None) if matches!(ticket, Some(Err(_))) => {
            tracing::error!("cannot write what ends a stream: it is refused");
            refuse(&mut wire, AnswerKind::Unavailable, &verdict.answers.unavailable, verdict);
        }
        (Decision::Allow(edits), None) => {
            write_status(&mut wire, Code::Ok, "");
            wire.message(check::OK, |ok| write_edits(ok, edits));
        }
        // An allow has no answer, everything else has one: an inconsistent verdict is refused.
        (Decision::Allow(_) | Decision::Deny(_) | Decision::Fail(_), Some((kind, answer))) => {
            refuse(&mut wire, kind, answer, verdict);
        }
        (Decision::Deny(_) | Decision::Fail(_), None) => {
            refuse(&mut wire, AnswerKind::Unavailable, &verdict.answers.unavailable, verdict);
        }
    }
    let ticket = ticket.and_then(Result::ok);
    wire.message(check::DYNAMIC_METADATA, |fields| {
        write_metadata(fields, verdict, ticket.as_deref(), (route, policy));
    });
    wire.into_bytes()
}

fn write_status(wire: &mut Message, code: Code, message: &str) {
    wire.message(check::STATUS, |status| {
        // gRPC codes are never negative.
        status.number(status::CODE, i32::from(code).unsigned_abs());
        if !message.is_empty() {
            status.text(status::MESSAGE, message);
        }
    });
}

fn refuse(wire: &mut Message, kind: AnswerKind, answer: &RefusalAnswer, verdict: &Verdict) {
    let code = match kind {
        AnswerKind::Unauthenticated | AnswerKind::Replayed => Code::Unauthenticated,
        AnswerKind::Forbidden => Code::PermissionDenied,
        AnswerKind::NotFound => Code::NotFound,
        AnswerKind::TooManyRequests => Code::ResourceExhausted,
        AnswerKind::Unavailable => Code::Unavailable,
    };
    write_status(wire, code, verdict.decision.code());
    let RefusalAnswer { status: http_status, body } = answer;
    if let Some(location) = &verdict.sign_in {
        return wire.message(check::DENIED, |refusal| {
            refusal.message(denied::STATUS, |status| {
                status.number(denied::HTTP_CODE, Verdict::SIGN_IN_STATUS.into());
            });
            for (name, value) in &verdict.answers.headers {
                overwrite(refusal, denied::HEADERS, name, value);
            }
            // With a session, or without a browser, the same URL has another answer.
            for (name, value) in
                [("location", location.as_str()), ("cache-control", "no-store"), ("vary", SIGN_IN_VARY)]
            {
                overwrite(refusal, denied::HEADERS, name, value);
            }
        });
    }
    wire.message(check::DENIED, |refusal| {
        refusal.message(denied::STATUS, |status| status.number(denied::HTTP_CODE, http_status.get().into()));
        match &verdict.answers.content_type {
            Some(content_type) => overwrite(refusal, denied::HEADERS, "content-type", content_type),
            None => overwrite(refusal, denied::HEADERS, BARE, "1"),
        }
        if let (AnswerKind::TooManyRequests, Some(exceeded)) = (kind, &verdict.exceeded) {
            for (name, value) in exceeded.headers() {
                overwrite(refusal, denied::HEADERS, name, &value);
            }
        }
        let is_challenged = match kind {
            AnswerKind::Unauthenticated => true,
            // Only a 401 has a challenge.
            AnswerKind::Replayed => *http_status == RefusalStatus::UNAUTHORIZED,
            AnswerKind::Forbidden
            | AnswerKind::NotFound
            | AnswerKind::TooManyRequests
            | AnswerKind::Unavailable => false,
        };
        if let (true, Some(challenge)) = (is_challenged, &verdict.answers.challenge) {
            overwrite(refusal, denied::HEADERS, "www-authenticate", challenge);
        }
        for (name, value) in &verdict.answers.headers {
            overwrite(refusal, denied::HEADERS, name, value);
        }
        refusal.text(denied::BODY, body);
    });
}

fn write_edits(wire: &mut Message, edits: &HeaderEdits) {
    let HeaderEdits { set, remove, marks, remove_keys, answer, good_until: _ } = edits;
    overwrite(wire, ok::HEADERS, headers::DECIDED, "1");
    for (name, value) in set {
        overwrite(wire, ok::HEADERS, name, value);
    }
    for (name, value) in marks {
        match value {
            Some(value) => overwrite(wire, ok::HEADERS, name, value),
            None => wire.text(ok::HEADERS_TO_REMOVE, name),
        }
    }
    for name in remove.iter().map(|name| &**name).chain(remove_keys.iter().map(String::as_str)) {
        wire.text(ok::HEADERS_TO_REMOVE, name);
    }
    for (name, value) in answer {
        // A backend may have limits of its own: both lines are one list (RFC 9651 §4.2).
        header_line(
            wire,
            ok::RESPONSE_HEADERS_TO_ADD,
            (name, value),
            HeaderAppendAction::AppendIfExistsOrAdd,
        );
    }
}

/// Writes a header that replaces every one of its name. The default action, when the field is absent, would
/// append.
fn overwrite(wire: &mut Message, field: Field, name: &str, value: &str) {
    header_line(wire, field, (name, value), HeaderAppendAction::OverwriteIfExistsOrAdd);
}

fn header_line(wire: &mut Message, field: Field, (name, value): (&str, &str), action: HeaderAppendAction) {
    wire.message(field, |option| {
        option.message(header::HEADER, |header| {
            header.text(header::KEY, name);
            header.text(header::VALUE, value);
        });
        option.number(header::APPEND_ACTION, i32::from(action).unsigned_abs());
    });
}

/// Writes the values that the access log reads with `%DYNAMIC_METADATA(envoy.filters.http.ext_authz:NAME)%`.
/// A field that does not apply is absent.
fn write_metadata(
    wire: &mut Message,
    verdict: &Verdict,
    ticket: Option<&str>,
    (route, policy): (&str, &str),
) {
    let mut field = |name: &str, text: &str| {
        wire.message(metadata::FIELDS, |entry| {
            entry.text(metadata::KEY, name);
            entry.message(metadata::VALUE, |value| value.text(metadata::TEXT, text));
        });
    };
    field("decision", verdict.decision.as_str());
    field("reason", verdict.decision.code());
    field("route", route);
    field("policy", policy);
    match &verdict.who {
        Who::Anyone => {}
        Who::Caller(Caller::Person(person)) => {
            field("subject", &person.subject.to_string());
            if let Some(tenant) = &person.tenant {
                field("tenant", &tenant.to_string());
            }
            if let Some(session) = &person.session {
                field("session", &session.to_string());
            }
        }
        Who::Caller(Caller::Service(service)) => {
            field("subject", service.name.as_str());
            if let Some(tenant) = &service.tenant {
                field("tenant", &tenant.to_string());
            }
        }
        Who::Caller(Caller::Client(client)) => {
            field("subject", client.name.as_str());
            if let Some(tenant) = &client.tenant {
                field("tenant", &tenant.to_string());
            }
        }
    }
    if let Some(kind) = verdict.kind {
        field("kind", kind.as_str());
    }
    if let Some(limit) = verdict.limit() {
        field("limit", limit);
    }
    // Only an allow carries one; it is for the guard, not for the access log.
    if let (Decision::Allow(_), Some(granted)) = (&verdict.decision, &verdict.lease) {
        field(::lease::FIELD, &granted.text);
    }
    if let (Decision::Allow(_), Some(text)) = (&verdict.decision, ticket) {
        field(::lease::STREAM_FIELD, text);
    }
    if let Some(reasons) = verdict.shadows.reasons() {
        field("shadow_reason", &reasons);
    }
}

#[cfg(test)]
mod tests;
