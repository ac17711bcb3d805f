//! What refused callers are told.

use crate::edge::{Answer, Answers, RefusalStatus};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

pub(crate) fn answers(context: Context<'_>, name: &str, node: &Node) -> Option<Answers> {
    let what = format!("answers `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let content_type =
        fields.optional("content_type").and_then(|n| header_value(context, n, "`content_type`"));
    let mut one = |field: &'static str| {
        let mend = format!("say what is answered: `{field}: {{ status: …, body: … }}`");
        fields.required(field, &mend).and_then(|n| answer(context, n, &format!("`{field}` of {what}")))
    };
    let (unauthenticated, forbidden) = (one("unauthenticated"), one("forbidden"));
    let (not_found, unavailable) = (one("not_found"), one("unavailable"));
    let too_many_requests = fields.optional("too_many_requests").map_or_else(
        || Some(too_many_requests()),
        |n| answer(context, n, &format!("`too_many_requests` of {what}")),
    );
    // The edge's own failures are 503 everywhere, so that nobody takes one for a decision.
    if let Some(answer) = &unavailable
        && answer.status != RefusalStatus::UNAVAILABLE
    {
        let problem = format!("`unavailable` of {what} has the status {}", answer.status);
        context.faults.report(
            fields.place,
            problem,
            "write 503: a refusal that nobody decided must look like none",
        );
    }
    fields.finish();
    Some(Answers {
        content_type,
        unauthenticated: unauthenticated?,
        forbidden: forbidden?,
        not_found: not_found?,
        unavailable: unavailable?,
        too_many_requests: too_many_requests?,
    })
}

/// What is said about a limit where the file says nothing: no client of ours knows a contract for it.
fn too_many_requests() -> Answer {
    Answer { status: RefusalStatus::TOO_MANY_REQUESTS, body: "Too many requests".to_owned() }
}

fn header_value(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    if !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Some(text.to_owned());
    }
    context.faults.report(node.place, format!("{what} is {text:?}"), "write visible ASCII");
    None
}

/// Envoy caps the body of a denied answer (`max_denied_response_body_bytes`); the same bound here means that
/// nothing is ever cut.
pub const MAX_ANSWER_BYTES: usize = 8_192;

fn status_code(context: Context<'_>, node: &Node) -> Option<RefusalStatus> {
    let number = reader::number(context, node, "`status`", 400, 599)?;
    let status = u16::try_from(number).ok().and_then(RefusalStatus::new);
    if status.is_none() {
        context.faults.report(
            node.place,
            format!("`status` is {number}"),
            "write a status that Envoy knows, such as 401, 403 or 404",
        );
    }
    status
}

fn answer(context: Context<'_>, node: &Node, what: &str) -> Option<Answer> {
    let mut fields = Fields::of(context, node, what);
    let status = fields
        .required("status", "give the HTTP status: `status: 401`")
        .and_then(|n| status_code(context, n));
    let body_node = fields.required("body", "give the body, `\"\"` for none");
    let body = body_node.and_then(|n| reader::text(context, n, "`body`"));
    if let (Some(node), Some(text)) = (body_node, body)
        && text.len() > MAX_ANSWER_BYTES
    {
        context.faults.report(
            node.place,
            format!("the body of {what} has {} bytes", text.len()),
            format!("keep it under {MAX_ANSWER_BYTES} bytes"),
        );
    }
    fields.finish();
    Some(Answer { status: status?, body: body?.to_owned() })
}
