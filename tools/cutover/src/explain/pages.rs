//! What a browser lets the page that sent a request read.

use edge_config::Edge;
use edge_config::edge::Cors;
use edge_config::{Match, host_of, route_of};
use header_rules::{Preflight, Reader};
use serde_json::{Map, Value, json};

use super::request::Request;

/// The rules for pages of other origins where `request` goes; `None` where there are none.
fn rules<'e>(edge: &'e Edge, listener: &str, request: &Request) -> Option<&'e Cors> {
    match route_of(edge, listener, &request.authority, &request.method, request.path()) {
        Match::Route(route) => edge.cors_of(route),
        Match::Redirect => None,
        Match::MethodNotAllowed | Match::InternalPath | Match::UnknownHost | Match::Unmatched => {
            host_of(edge, listener, &request.authority)?.1.cors.as_ref()
        }
    }
}

/// Adds to the report whether the page that sent `request` may read the answer. Absent where the request names no page, and
/// where the edge has no rules.
pub(super) fn report(
    edge: &Edge,
    listener: &str,
    request: &Request,
    reader: Option<&Reader>,
    report: &mut Map<String, Value>,
) {
    let Some((_, origin)) = request.headers.iter().find(|(name, _)| name == "origin") else { return };
    if rules(edge, listener, request).is_none() {
        return;
    }
    let what = match reader {
        Some(Reader { credentials: true, .. }) => format!("{origin} may read the answer, and send cookies"),
        Some(_) => format!("{origin} may read the answer, without cookies"),
        None => format!("{origin} is not listed: a browser shows its page nothing"),
    };
    report.insert("cors".to_owned(), what.into());
}

/// The answer to a preflight.
pub(super) fn preflight(preflight: &Preflight) -> Value {
    let headers: Map<String, Value> = preflight
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), String::from_utf8_lossy(value).into_owned().into()))
        .collect();
    let why = "a browser asks whether a page of another origin may send the request";
    json!({ "status": Preflight::STATUS, "body": "", "from": "the guard", "why": why, "headers": headers })
}
