//! The limits of the wire: `wire` of a listener, `answer` of a backend, and the times and the `body_limit` of a route.

use std::time::Duration;

use crate::edge::{AnswerHeads, RouteTimes, WireLimits};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

/// Envoy's own bound of `max_request_headers_kb` and `max_response_headers_kb`.
const MOST_HEADER_BYTES: u64 = 8_192 * KIB;
const KIB: u64 = 1_024;

/// A tebibyte: more than any request takes a day for.
const MOST_BODY_BYTES: u64 = 1_024 * 1_024 * 1_024 * 1_024;

/// A message with more lines is a mistake or an attack.
const MOST_HEADERS: u64 = 10_000;

/// No part of a message takes longer than a day.
const A_DAY_MS: u64 = 86_400_000;

/// A connection may be kept for a month.
const A_MONTH_MS: u64 = 31 * A_DAY_MS;

/// `wire: { header_limit: 128KiB, … }`
pub(super) fn limits(context: Context<'_>, node: Option<&Node>, name: &str) -> Option<WireLimits> {
    let unsaid = WireLimits::default();
    let Some(node) = node else { return Some(unsaid) };
    let what = format!("`wire` of listener `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let heads = heads(context, &mut fields, &what, (unsaid.headers, unsaid.header_kib));
    let mut time = |name: &'static str, default: Duration, most: u64| {
        fields
            .optional(name)
            .map_or(Some(default), |n| reader::millis(context, n, &format!("`{name}` of {what}"), 1, most))
    };
    let header_timeout = time("header_timeout_ms", unsaid.header_timeout, A_DAY_MS);
    let request_timeout = time("request_timeout_ms", unsaid.request_timeout, A_DAY_MS);
    let idle_timeout = time("idle_timeout_ms", unsaid.idle_timeout, A_DAY_MS);
    let connection_idle_timeout =
        time("connection_idle_timeout_ms", unsaid.connection_idle_timeout, A_DAY_MS);
    let connection_age = time("connection_age_ms", unsaid.connection_age, A_MONTH_MS);
    let streams = fields
        .optional("streams")
        .map_or(Some(u64::from(unsaid.streams)), |n| {
            reader::number(context, n, &format!("`streams` of {what}"), 1, 10_000)
        })
        .and_then(|streams| u32::try_from(streams).ok());
    fields.finish();
    if let (Some(head), Some(whole)) = (header_timeout, request_timeout)
        && whole < head
    {
        let problem = format!("{what} lets the head of a request take longer than the whole request");
        context.faults.report(
            node.place,
            problem,
            "raise `request_timeout_ms`, or lower `header_timeout_ms`",
        );
    }
    let (headers, header_kib) = heads?;
    Some(WireLimits {
        headers,
        header_kib,
        header_timeout: header_timeout?,
        request_timeout: request_timeout?,
        idle_timeout: idle_timeout?,
        connection_idle_timeout: connection_idle_timeout?,
        connection_age: connection_age?,
        streams: streams?,
    })
}

/// `answer: { headers: 1000, header_limit: 256KiB }`
pub(super) fn answer(context: Context<'_>, node: Option<&Node>, what: &str) -> Option<AnswerHeads> {
    let unsaid = AnswerHeads::default();
    let Some(node) = node else { return Some(unsaid) };
    let what = format!("`answer` of {what}");
    let mut fields = Fields::of(context, node, &*what);
    let heads = heads(context, &mut fields, &what, (unsaid.headers, unsaid.header_kib));
    fields.finish();
    let (headers, header_kib) = heads?;
    Some(AnswerHeads { headers, header_kib })
}

/// `headers` and `header_limit`: the most lines, and the longest head in KiB.
fn heads(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    (lines, kib): (u32, u32),
) -> Option<(u32, u32)> {
    let headers = fields
        .optional("headers")
        .map_or(Some(u64::from(lines)), |n| {
            reader::number(context, n, &format!("`headers` of {what}"), 1, MOST_HEADERS)
        })
        .and_then(|headers| u32::try_from(headers).ok());
    let kib = match fields.optional("header_limit") {
        None => Some(kib),
        Some(n) => {
            let named = format!("`header_limit` of {what}");
            let bytes = reader::bytes(context, n, &named, KIB, MOST_HEADER_BYTES)?;
            if bytes % KIB != 0 {
                let mend = "write whole KiB, such as 128KiB: Envoy counts in them";
                context.faults.report(n.place, format!("{named} is {bytes} bytes"), mend);
            }
            u32::try_from(bytes / KIB).ok()
        }
    };
    Some((headers?, kib?))
}

/// `timeout_ms` and `idle_timeout_ms` of a route. `streams` says why its answers have no time to begin, if they have none.
pub(crate) fn route_times(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    streams: Option<&str>,
) -> RouteTimes {
    let timeout_node = fields.optional("timeout_ms");
    let time = |name: &str, node: Option<&Node>| {
        node.and_then(|n| reader::millis(context, n, &format!("`{name}` of {what}"), 1, A_DAY_MS))
    };
    let timeout = time("timeout_ms", timeout_node);
    if let (Some(node), Some(why)) = (timeout_node, streams) {
        let problem = format!("{what} has `timeout_ms` and {why}, whose answers may begin at any time");
        context.faults.report(
            node.place,
            problem,
            "remove one of them; `idle_timeout_ms` ends a silent stream",
        );
    }
    RouteTimes { timeout, idle_timeout: time("idle_timeout_ms", fields.optional("idle_timeout_ms")) }
}

/// `body_limit` of a route, which may be a `websocket`.
pub(crate) fn body_limit(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    websocket: bool,
) -> Option<u64> {
    let node = fields.optional("body_limit")?;
    if websocket {
        let problem = format!("{what} has `body_limit` and `upgrade: websocket`, whose messages have no end");
        context.faults.report(node.place, problem, "remove one of them");
    }
    reader::bytes(context, node, &format!("`body_limit` of {what}"), 0, MOST_BODY_BYTES)
}
