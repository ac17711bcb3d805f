//! The section `answers`: the wording of refusals.

use std::collections::{BTreeMap, BTreeSet};

use crate::edge::{Answers, HeaderCase, Host, MadeByEnvoy, RefusalAnswer, RefusalStatus, Route};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::identity::Own;

pub(crate) fn answers(context: Context<'_>, name: &str, node: &Node, own: Own<'_>) -> Option<Answers> {
    let what = format!("answers `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let content_type =
        fields.optional("content_type").and_then(|n| header_value(context, n, "`content_type`"));
    let standard =
        |status: RefusalStatus, text: &str| RefusalAnswer::standard(content_type.as_deref(), status, text);
    let (unauthenticated, challenge_inside) = match fields.optional("unauthenticated") {
        Some(n) => unauthenticated(context, n, &format!("`unauthenticated` of {what}")),
        None => (Some(standard(RefusalStatus::UNAUTHORIZED, Answers::UNAUTHENTICATED)), None),
    };
    let replayed = match fields.optional("replayed") {
        Some(n) => answer(context, n, &format!("`replayed` of {what}")),
        None => unauthenticated.clone(),
    };
    let mut one = |field: &'static str, status: RefusalStatus, text: &str| match fields.optional(field) {
        Some(n) => answer(context, n, &format!("`{field}` of {what}")),
        None => Some(standard(status, text)),
    };
    let forbidden = one("forbidden", RefusalStatus::FORBIDDEN, Answers::FORBIDDEN);
    let not_found = one("not_found", RefusalStatus::NOT_FOUND, Answers::NOT_FOUND);
    let unavailable = one("unavailable", RefusalStatus::UNAVAILABLE, Answers::UNAVAILABLE);
    let too_many_requests =
        one("too_many_requests", RefusalStatus::TOO_MANY_REQUESTS, Answers::TOO_MANY_REQUESTS);
    // The edge's own failures are 503 everywhere, so that no client mistakes one for a decision.
    if let Some(answer) = &unavailable
        && answer.status != RefusalStatus::UNAVAILABLE
    {
        let problem = format!("`unavailable` of {what} has the status {}", answer.status);
        context.faults.report(fields.place, problem, "write 503: a failure must not look like a decision");
    }
    let mut made_by_envoy = BTreeMap::new();
    for kind in MadeByEnvoy::ALL {
        let Some(node) = fields.optional(kind.field()) else { continue };
        let Some(answer) = answer(context, node, &format!("`{}` of {what}", kind.field())) else { continue };
        if answer.status != kind.status() {
            let problem = format!("`{}` of {what} has the status {}", kind.field(), answer.status);
            let mend = format!("write {}: Envoy chooses this status before the wording", kind.status());
            context.faults.report(node.place, problem, mend);
        }
        made_by_envoy.insert(kind, answer);
    }
    let challenge_beside = fields.optional("challenge");
    if let (Some(node), Some(_)) = (challenge_beside, challenge_inside) {
        let problem = format!("{what} has two challenges, one of them in `unauthenticated`");
        context.faults.report(node.place, problem, "keep one: a 401 has one `www-authenticate`");
    }
    let challenge_node = challenge_inside.or(challenge_beside);
    let challenge = challenge_node.and_then(|n| challenge(context, n, &format!("`challenge` of {what}")));
    if let (Some(node), Some(answer)) = (challenge_node, &unauthenticated)
        && answer.status != RefusalStatus::UNAUTHORIZED
    {
        let problem =
            format!("{what} has a `challenge`, and `unauthenticated` has the status {}", answer.status);
        context.faults.report(
            node.place,
            problem,
            "give `unauthenticated` the status 401, or remove `challenge`",
        );
    }
    let headers = fields.optional("headers").map(|n| headers(context, n, &what, own)).unwrap_or_default();
    let case = [HeaderCase::Lower, HeaderCase::Title].map(|case| (case.as_str(), case));
    let header_case = match fields.optional("header_case") {
        Some(node) => reader::choice(context, node, &format!("`header_case` of {what}"), &case),
        None => Some(HeaderCase::default()),
    };
    fields.finish();
    Some(Answers {
        content_type,
        unauthenticated: unauthenticated?,
        replayed: replayed?,
        forbidden: forbidden?,
        not_found: not_found?,
        unavailable: unavailable?,
        too_many_requests: too_many_requests?,
        made_by_envoy,
        challenge,
        headers,
        header_case: header_case?,
    })
}

/// Whether a host, a route or the file itself has the answers `name`.
pub(crate) fn uses(
    name: &str,
    hosts: &BTreeMap<String, Host>,
    default: Option<&String>,
    routes: &[Route],
) -> bool {
    let of_hosts = hosts.values().filter_map(|host| host.answers.as_ref());
    let mut named = routes.iter().map(|route| &route.answers).chain(of_hosts).chain(default);
    named.any(|named| named == name)
}

/// Checks that all answers of a listener have the same case of header names: Envoy has one for each listener.
pub(crate) fn check_header_case(
    context: Context<'_>,
    node: &Node,
    answers: &BTreeMap<String, Answers>,
    hosts: &BTreeMap<String, Host>,
    (default, routes): (Option<&String>, &[Route]),
) {
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for route in routes {
        let Some(host) = hosts.get(&route.host) else { continue };
        for listener in &host.listeners {
            used.entry(listener).or_default().insert(&route.answers);
        }
    }
    for host in hosts.values() {
        for listener in &host.listeners {
            let names = used.entry(listener).or_default();
            names.extend(host.answers.as_deref());
            // Where no host is known.
            names.extend(default.map(String::as_str));
        }
    }
    for (listener, names) in used {
        let of = |case| {
            let has = |name: &&&str| answers.get(**name).is_some_and(|answers| answers.header_case == case);
            names.iter().find(has)
        };
        let (Some(lower), Some(title)) = (of(HeaderCase::Lower), of(HeaderCase::Title)) else { continue };
        context.faults.report(
            node.place,
            format!("listener `{listener}` uses the answers `{title}` with `header_case: title` and `{lower}` without"),
            "give all answers of a listener the same `header_case`: Envoy writes the header names of all its refusals on \
             a listener in one case",
        );
    }
}

/// More headers than any refusal needs; every refusal carries all of them.
const MOST_HEADERS: usize = 16;

/// Names that a constant header of refusals may not have, each with the fix.
const NOT_CONSTANT: [(&str, &str); 15] = [
    ("connection", HOP_BY_HOP),
    ("keep-alive", HOP_BY_HOP),
    ("proxy-authenticate", HOP_BY_HOP),
    ("proxy-authorization", HOP_BY_HOP),
    ("proxy-connection", HOP_BY_HOP),
    ("te", HOP_BY_HOP),
    ("trailer", HOP_BY_HOP),
    ("transfer-encoding", HOP_BY_HOP),
    ("upgrade", HOP_BY_HOP),
    ("content-length", HOP_BY_HOP),
    ("content-type", "write it as `content_type`"),
    ("www-authenticate", "write it as `challenge`"),
    ("set-cookie", "remove it: the edge makes and changes no cookie"),
    ("allow", WRITTEN_BY_EDGE),
    ("retry-after", WRITTEN_BY_EDGE),
];
const HOP_BY_HOP: &str =
    "remove it: it belongs to the connection and the message's framing, not to the answer";
const WRITTEN_BY_EDGE: &str = "remove it: the edge writes it where it is needed";

fn headers(context: Context<'_>, node: &Node, what: &str, own: Own<'_>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let entries = reader::entries(context, node, &format!("`headers` of {what}"));
    if entries.len() > MOST_HEADERS {
        let problem = format!("{what} has {} headers", entries.len());
        context.faults.report(node.place, problem, format!("keep it under {MOST_HEADERS}"));
    }
    for (name, place, value) in entries {
        if let Some((_, mend)) = NOT_CONSTANT.iter().find(|(taken, _)| *taken == name) {
            context.faults.report(place, format!("{what} sets the header `{name}`"), *mend);
        } else {
            own.check_answer(context, name, place, what);
        }
        let shown = format!("the value of `{name}`");
        let Some(text) = header_value(context, value, &shown) else { continue };
        if text.contains('%') {
            // Envoy would expand it as a variable.
            let problem = format!("{shown} is {text:?}");
            context.faults.report(value.place, problem, "write it without `%`");
        }
        headers.insert(name.to_owned(), text);
    }
    headers
}

/// A challenge (RFC 9110 §11.6.1): a scheme and its parameters.
fn challenge(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = header_value(context, node, what)?;
    let scheme = text.split(' ').next().unwrap_or_default();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !scheme.is_empty() && scheme.bytes().all(token) {
        return Some(text);
    }
    context.faults.report(
        node.place,
        format!("{what} is {text:?}"),
        "begin with a scheme: `challenge: 'Bearer realm=\"api\"'`",
    );
    None
}

fn header_value(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    if !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Some(text.to_owned());
    }
    context.faults.report(node.place, format!("{what} is {text:?}"), "write visible ASCII");
    None
}

/// The longest body. Envoy truncates the body of a denial at the same bound (`max_denied_response_body_bytes`), so no body
/// is ever truncated.
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

fn answer(context: Context<'_>, node: &Node, what: &str) -> Option<RefusalAnswer> {
    let mut fields = Fields::of(context, node, what);
    let answer = status_and_body(context, &mut fields, what);
    fields.finish();
    answer
}

/// `{ status: 401, body: Sign in, challenge: Bearer }`, with the place of the challenge.
fn unauthenticated<'a>(
    context: Context<'a>,
    node: &'a Node,
    what: &str,
) -> (Option<RefusalAnswer>, Option<&'a Node>) {
    let mut fields = Fields::of(context, node, what);
    let answer = status_and_body(context, &mut fields, what);
    let challenge = fields.optional("challenge");
    fields.finish();
    (answer, challenge)
}

fn status_and_body(context: Context<'_>, fields: &mut Fields<'_>, what: &str) -> Option<RefusalAnswer> {
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
    Some(RefusalAnswer { status: status?, body: body?.to_owned() })
}
