//! Arbitrary questions from Envoy, as bytes and as messages: every one gets an answer, and nobody without a
//! credential passes. No input of this program holds one, so every answer is a refusal that looks like one.
#![no_main]

use std::sync::{LazyLock, Mutex};

use authz_service::envoy::service::Checks;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization as _;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

#[path = "../edge.rs"]
mod edge;

struct Fixed {
    checks: Checks,
    runtime: tokio::runtime::Runtime,
    _kept: Box<dyn std::any::Any + Send>,
}

static FIXED: LazyLock<Mutex<Fixed>> = LazyLock::new(|| {
    let (checks, kept) = edge::checks();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    Mutex::new(Fixed { checks, runtime, _kept: kept })
});

const ROUTES: [(&str, &str); 4] =
    [("me", "signed-in"), ("any", "either"), ("lookup", "lookup"), ("sync", "sync")];
const EXPOSURES: [&str; 2] = ["public", "internal"];
const NAMES: [&str; 8] = [
    "cookie",
    "authorization",
    "x-api-key",
    "x-request-id",
    "signature",
    "signature-input",
    "content-digest",
    "x-envoy-auth-partial-body",
];

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Wire(&'a [u8]),
    Question(Question<'a>),
}

#[derive(Debug, Arbitrary)]
struct Question<'a> {
    route: u8,
    other_route: Option<&'a str>,
    exposure: bool,
    address: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    host: &'a str,
    lines: Vec<(u8, &'a [u8])>,
    odd: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

fn wire(question: &Question<'_>) -> CheckRequest {
    let Question { route, other_route, exposure, address, method, path, host, lines, odd, body } = question;
    let (route, policy) = ROUTES[usize::from(*route) % ROUTES.len()];
    let exposure = EXPOSURES[usize::from(*exposure)];
    let extension = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let header = |(name, value): &(u8, &[u8])| HeaderValue {
        key: NAMES[usize::from(*name) % NAMES.len()].to_owned(),
        value: String::new(),
        raw_value: value.to_vec(),
    };
    let socket = |address: &str| {
        let socket = SocketAddress { address: address.to_owned(), ..SocketAddress::default() };
        Peer { address: Some(Address { address: Some(Kind::SocketAddress(socket)) }), ..Peer::default() }
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(socket(address.unwrap_or("192.0.2.1"))),
            request: Some(Request {
                time: None,
                http: Some(HttpRequest {
                    method: (*method).to_owned(),
                    path: (*path).to_owned(),
                    host: (*host).to_owned(),
                    header_map: Some(HeaderMap { headers: lines.iter().map(header).collect() }),
                    headers: odd.iter().map(|(name, value)| extension(name, value)).collect(),
                    raw_body: body.to_vec(),
                    ..HttpRequest::default()
                }),
            }),
            context_extensions: [
                extension("route", other_route.unwrap_or(route)),
                extension("policy", policy),
                extension("revision", &edge::edge().revision.0),
                extension("exposure", exposure),
            ]
            .into(),
            ..AttributeContext::default()
        }),
    }
}

fuzz_target!(|input: Input<'_>| {
    let request = match &input {
        Input::Wire(bytes) => match CheckRequest::decode(*bytes) {
            Ok(request) => request,
            Err(_) => return,
        },
        Input::Question(question) => wire(question),
    };
    let fixed = FIXED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let answer = fixed.runtime.block_on(fixed.checks.check(tonic::Request::new(request)));
    let answer = answer.expect("every question has an answer").into_inner();
    let status = answer.status.expect("a status: without one it would be an allow");
    assert_ne!(status.code, 0, "nobody proved anything");
    assert_ne!(status.message, "panicked", "a defect");
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("not a refusal") };
    assert!(denied.status.is_some_and(|status| (400..600).contains(&status.code)));
});
