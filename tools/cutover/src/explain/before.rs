//! The requests that Envoy refuses before the guard receives them, and the words of those refusals.
//!
//! The rules are those of `envoy/templates/connection-manager.yaml`; docs/refusals.md has the whole table.

use edge_config::edge::{Answers, Listener, Route, Underscores};
use edge_config::{Edge, Match, host_of, route_of};
use header_rules::Preflight;

use super::request::Request;

/// The one protocol that a route can allow; every other offer is ignored.
const WEBSOCKET: &str = "websocket";

/// A refusal by Envoy.
pub(super) struct Refused {
    pub(super) status: u16,
    /// The rule's name in the access log (`details`).
    pub(super) rule: &'static str,
    pub(super) why: String,
}

/// Removes the headers that Envoy removes before anything else reads the request, and returns their names.
pub(super) fn dropped(request: &mut Request, listener: &Listener) -> Vec<String> {
    let stays = |name: &str| match &listener.underscores {
        Underscores::Refuse => true,
        Underscores::Drop => false,
        Underscores::Pass(names) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
    };
    let is_dropped = |name: &str| name.contains('_') && !stays(name);
    let gone =
        request.headers.iter().map(|(name, _)| name).filter(|name| is_dropped(name)).cloned().collect();
    request.headers.retain(|(name, _)| !is_dropped(name));
    gone
}

/// Why Envoy cannot read the bytes of `request` as a request.
pub(super) fn unreadable(request: &Request, listener: &Listener) -> Option<Refused> {
    let refused = |status, rule, why: String| Some(Refused { status, rule, why });
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if request.method.is_empty() || !request.method.bytes().all(token) {
        return refused(400, "http1.codec_error", format!("{:?} is not a valid method", request.method));
    }
    if let Some(byte) = request.target.bytes().find(|byte| !byte.is_ascii_graphic()) {
        return refused(400, "http1.codec_error", format!("the path has the byte {byte:#04x}"));
    }
    if request.authority.is_empty() {
        return refused(400, "missing_host_header", "the request names no host".to_owned());
    }
    let first = |wanted: &str| {
        request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    for (name, value) in &request.headers {
        // Where the listener drops such headers, `dropped` has removed all that do not pass.
        if name.contains('_') && listener.underscores == Underscores::Refuse {
            let why = format!("the header name {name} has an underscore");
            return refused(400, "http1.unexpected_underscore", why);
        }
        if name.is_empty() || !name.bytes().all(token) {
            return refused(400, "http1.codec_error", format!("{name:?} is not a valid header name"));
        }
        if let Some(byte) = value.bytes().find(|byte| byte.is_ascii_control() && *byte != b'\t') {
            let why = format!("the value of {name} has the control byte {byte:#04x}");
            return refused(400, "http1.invalid_characters", why);
        }
    }
    // The host is a header, too.
    let count = request.headers.len() + 1;
    let most = usize::try_from(listener.wire.headers).unwrap_or(usize::MAX);
    if count > most {
        let why = format!("{count} headers are more than {most} (`wire.headers`)");
        return refused(431, "http1.too_many_headers", why);
    }
    let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let most = usize::try_from(listener.wire.header_kib).unwrap_or(usize::MAX).saturating_mul(1_024);
    if bytes + request.target.len() > most {
        let why = format!("path and headers are longer than {most} bytes (`wire.header_limit`)");
        return refused(431, "http1.headers_too_large", why);
    }
    if let Some(coding) = first("transfer-encoding") {
        if !coding.trim().eq_ignore_ascii_case("chunked") {
            let why = format!("the transfer coding {coding:?} is not chunked");
            return refused(501, "http1.invalid_transfer_encoding", why);
        }
        if first("content-length").is_some() {
            let why = "the body has two lengths (Content-Length and Transfer-Encoding)".to_owned();
            return refused(400, "http1.content_length_and_chunked_not_allowed", why);
        }
    }
    None
}

/// Why Envoy refuses the upgrade that `request` offers. Offers other than `websocket` are removed from the request.
pub(super) fn upgrade(request: &mut Request, matched: &Match<'_>) -> Option<Refused> {
    let tokens = |wanted: &str, headers: &[(String, String)]| -> Vec<String> {
        let values = headers.iter().filter(|(name, _)| name == wanted);
        values.flat_map(|(_, value)| value.split(',')).map(|token| token.trim().to_owned()).collect()
    };
    let has = |tokens: &[String], wanted: &str| tokens.iter().any(|token| token.eq_ignore_ascii_case(wanted));
    let offered = tokens("upgrade", &request.headers);
    if offered.is_empty() || !has(&tokens("connection", &request.headers), "upgrade") {
        return None;
    }
    if !has(&offered, WEBSOCKET) {
        request.headers.retain(|(name, _)| name != "upgrade");
        for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "connection") {
            let kept = value.split(',').map(str::trim).filter(|token| {
                !token.eq_ignore_ascii_case("upgrade") && !token.eq_ignore_ascii_case("http2-settings")
            });
            *value = kept.collect::<Vec<_>>().join(", ");
        }
        return None;
    }
    let allowed = match matched {
        Match::Route(route) => route.websocket,
        Match::MethodNotAllowed
        | Match::Redirect
        | Match::InternalPath
        | Match::UnknownHost
        | Match::Unmatched => false,
    };
    (!allowed).then(|| Refused {
        status: 403,
        rule: "upgrade_failed",
        why: "the route does not allow WebSocket; `upgrade: websocket` allows it".to_owned(),
    })
}

/// The wording of a refusal of `request` on `listener`: its route's, its host's, or the edge's.
pub(super) fn words(edge: &Edge, listener: &str, request: &Request) -> Answers {
    match route_of(edge, listener, &request.authority, &request.method, request.path()) {
        Match::Route(Route { answers, .. }) => {
            edge.answers.get(answers).cloned().unwrap_or_else(|| edge.answers_by_default())
        }
        Match::InternalPath => {
            let host = host_of(edge, listener, &request.authority);
            let closed = |(group, _)| edge.answers_of_closed(group, request.path());
            host.map_or_else(|| edge.answers_by_default(), closed)
        }
        Match::MethodNotAllowed | Match::Redirect | Match::UnknownHost | Match::Unmatched => {
            let host = host_of(edge, listener, &request.authority);
            host.map_or_else(|| edge.answers_by_default(), |(group, _)| edge.answers_of_host(group))
        }
    }
}

/// What refused a request, and by which rule, from the `details` and the status of its line in the access log.
pub(super) fn refused_by(details: &str, status: u64) -> Option<String> {
    let rule = details.split('{').next().unwrap_or(details);
    let envoy = |why: &str| Some(format!("Envoy: {why}"));
    if rule == "edge_guard_low_version" {
        return Some("the guard: HTTP/1.0 is not accepted (`http_1_0: accept` accepts it)".to_owned());
    }
    if rule == "edge_guard_body_too_long" {
        return Some("the guard: the body is longer than the route takes (`body_limit`)".to_owned());
    }
    if rule == Preflight::DETAILS {
        // It is answered, not refused.
        return None;
    }
    if let Some(reason) = rule.strip_prefix("edge_guard_") {
        return Some(format!("the guard: {reason}"));
    }
    match rule {
        "via_upstream" => None,
        "ext_authz_denied" => Some("the authorizer: see `reason`".to_owned()),
        "ext_authz_error" => envoy("the authorizer gave no answer in time"),
        "ext_authz_invalid" => envoy("the authorizer answered with a header that Envoy does not accept"),
        "direct_response" if status == 405 => envoy("no route accepts the method"),
        "direct_response" => envoy("no route of the host matches the path, or the path is internal"),
        "route_not_found" => envoy("no route matches the request"),
        "upgrade_failed" => {
            envoy("the route does not allow an upgrade (`upgrade: websocket` allows WebSocket)")
        }
        "missing_host_header" => envoy("the request names no host"),
        "http.invalid_authority" => envoy("the host is not valid in HTTP"),
        "http1.unexpected_underscore" | "http2.unexpected_underscore" => {
            envoy("a header name has an underscore (`headers_with_underscores_action`)")
        }
        "http1.headers_too_large" => {
            envoy("the headers are longer than the listener allows (`wire.header_limit`)")
        }
        "http1.too_many_headers" | "http2.too_many_headers" => {
            envoy("there are more headers than the listener allows (`wire.headers`)")
        }
        "http1.content_length_and_chunked_not_allowed" => envoy("the body has two lengths"),
        "http1.invalid_transfer_encoding" => envoy("the transfer coding is not chunked"),
        "http1.invalid_characters" => envoy("a header or the path has a byte that HTTP does not allow"),
        "request_header_timeout" => envoy("the headers were not complete in time (`wire.header_timeout_ms`)"),
        "request_overall_timeout" => {
            envoy("the request was not complete in time (`wire.request_timeout_ms`)")
        }
        "stream_idle_timeout" => {
            envoy("no data was sent or received for too long (`idle_timeout_ms` of the route, or of `wire`)")
        }
        "request_payload_too_large" | "request_payload_exceeded_retry_buffer_limit" => {
            envoy("the body is longer than the route allows (`max_body_bytes`)")
        }
        "no_healthy_upstream" => envoy("the backend has no healthy address"),
        "cluster_not_found" => envoy("the backend is not known yet"),
        "upstream_response_timeout" | "upstream_per_try_timeout" => envoy(
            "the backend did not begin to answer in time (`timeout_ms` of the route, or its `request_timeout_ms`)",
        ),
        "upstream_reset_before_response_started" => {
            envoy("the backend could not be reached, or its connection ended before an answer began")
        }
        "upstream_reset_after_response_started" => envoy("the backend stopped in the middle of its answer"),
        "overload" => envoy("Envoy is short of memory"),
        codec if codec.starts_with("http1.") || codec.starts_with("http2.") || codec.starts_with("http.") => {
            envoy("the bytes are not a request that it reads (see `details`)")
        }
        denied if denied.starts_with("rbac_access_denied") => {
            envoy("the authorizer answered without a decision, so the request is refused")
        }
        _ => None,
    }
}
